package billing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
)

// A test call costs the enterprise what its carrier asks for the seconds that were allowed at most, once.
func TestRecordTest(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	c := billing.TestCall{
		ID: uuid.Must(uuid.NewV7()), Number: "+380441234567", Trunk: "T1", Carrier: "C1", Cost: wholesale, Started: now,
		AnsweredAt: now.Add(time.Second), Answered: 10*time.Second + 40*time.Millisecond, Limit: 10, Ended: now.Add(11 * time.Second),
		SIP: 200, Q850: 16, Actor: "olga",
	}
	var entry *uuid.UUID
	for range 2 {
		got, err := h.RecordTest(t.Context(), c)
		if err != nil || got.CarrierCost != 5_000 || got.AnsweredSeconds != 10 || got.Outcome != billing.Tested || got.Account != "" ||
			got.Price != 0 || got.Entry == nil || entry != nil && *entry != *got.Entry {
			t.Fatalf("%+v, %v", got, err)
		}
		entry = got.Entry
	}
	again := c
	again.Answered = 5 * time.Second
	if _, err := h.RecordTest(t.Context(), again); !errors.Is(err, billing.ErrConflict) {
		t.Errorf("another length of the same call: %v", err)
	}
	for account, want := range map[string]int64{"5000:T1": 5_000, "2200:C1": -5_000} {
		var sum int64
		if err := h.db.Get(&sum, `SELECT COALESCE(sum(amount), 0) FROM line WHERE account = $1`, account); err != nil || sum != want {
			t.Errorf("%s has %d, %v; want %d", account, sum, err, want)
		}
	}
	refused := billing.TestCall{ID: uuid.Must(uuid.NewV7()), Number: "+380441234567", Trunk: "T1", Carrier: "C1", Started: now, Ended: now, SIP: 486, Q850: 17}
	if got, err := h.RecordTest(t.Context(), refused); err != nil || got.Entry != nil || got.SIP != 486 || got.AnsweredAt != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if report, err := ledger.Verify(t.Context(), h.db, ledger.Check{}); err != nil || report.Found > 0 {
		t.Errorf("books: %+v, %v", report, err)
	}
}
