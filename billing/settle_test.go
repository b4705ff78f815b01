package billing_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func TestSettle(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	free := minute
	free.RatePerMinute = 0
	for _, tt := range []struct {
		name            string
		rate, cost      tariff.Row
		answered        time.Duration
		price           money.Amount
		seconds, billed int
		lines           int
	}{
		{"not answered", minute, wholesale, 0, 0, 0, 0, 0},
		{"answered and gone", minute, wholesale, time.Millisecond, 1000, 1, 1, 4},
		{"to the end of what was held", minute, wholesale, time.Minute, 60_000, 60, 60, 4},
		{"beyond what was held", minute, wholesale, time.Minute + time.Millisecond, 60_000, 60, 60, 4},
		{"free of charge costs the house", free, wholesale, time.Minute, 0, 60, 60, 2},
		{"free both ways", free, free, time.Minute, 0, 60, 60, 0},
		{"a trunk without a rate", minute, tariff.Row{}, time.Minute, 60_000, 60, 60, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, err := h.Account(t.Context(), "ana")
			if err != nil {
				t.Fatal(err)
			}
			r := request("ana", 60)
			r.Rate = tt.rate
			if _, err := h.Authorise(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			st := settlement(r.Call, tt.answered)
			st.Cost = tt.cost
			for range 2 { // the second time changes nothing
				if err := h.Settle(t.Context(), st); err != nil {
					t.Fatal(err)
				}
			}
			c, err := h.Call(t.Context(), r.Call)
			if err != nil || c.Price != tt.price || c.AnsweredSeconds != tt.seconds || c.BilledSeconds != tt.billed ||
				c.EndedAt == nil || (c.Entry != nil) != (tt.lines > 0) {
				t.Errorf("call %+v, %v", c, err)
			}
			if n := h.count(t, `SELECT count(*) FROM line l JOIN call c ON c.entry_id = l.entry_id WHERE c.id = $1`, r.Call); n != tt.lines {
				t.Errorf("%d lines, want %d", n, tt.lines)
			}
			h.wantAccount(t, "ana", before.Balance-tt.price, 0)
		})
	}
	h.wantBooks(t)
}

func TestSettleRefused(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	r := request("ana", 60)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	st := settlement(r.Call, 30*time.Second)
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	longer := st
	longer.Answered += time.Second
	if err := h.Settle(t.Context(), longer); !errors.Is(err, billing.ErrConflict) {
		t.Errorf("another content: %v", err)
	}
	if err := h.Settle(t.Context(), settlement(uuid.New(), 0)); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("an unknown call: %v", err)
	}
	h.wantAccount(t, "ana", money.Unit-30_000, 0)
	h.wantBooks(t)
}

func TestClose(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	c := billing.Closing{
		Origin: request("", 1).Origin, Number: "+380441234567", Ended: time.Now(), Outcome: billing.Unidentified, SIP: 403, Q850: 21,
	}
	for range 2 {
		if err := h.Close(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	other := c
	other.Outcome = billing.Failed
	if err := h.Close(t.Context(), other); !errors.Is(err, billing.ErrConflict) {
		t.Errorf("another content: %v", err)
	}
	c.Call, c.Account = uuid.New(), "eve"
	if err := h.Close(t.Context(), c); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("an account that does not exist: %v", err)
	}

	// A call whose Authorise got no answer is closed like one without hold.
	r := request("ana", 60)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	held := billing.Closing{Origin: r.Origin, Account: "ana", Number: r.Number, Ended: time.Now(), Outcome: billing.Unavailable}
	for range 2 {
		if err := h.Close(t.Context(), held); err != nil {
			t.Fatal(err)
		}
	}
	h.wantAccount(t, "ana", money.Unit, 0)
	calls, err := h.Calls(t.Context(), billing.CallFilter{})
	if err != nil || len(calls) != 2 || calls[1].Outcome != billing.Unavailable || calls[1].EndedAt == nil || calls[0].Currency != "EUR" {
		t.Errorf("%+v, %v", calls, err)
	}
}

func TestResolve(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	answered, ringing := request("ana", 60), request("ana", 60)
	for _, r := range []billing.Request{answered, ringing} {
		if _, err := h.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	for _, alive := range []time.Duration{4 * time.Second, 9200 * time.Millisecond, 9 * time.Second} { // the last came late
		err := h.Alive(t.Context(), []billing.Sign{
			{Call: ringing.Call},
			{Call: answered.Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: at, Answered: alive},
			{Call: uuid.New()},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	resolve := func(by house, want int) {
		t.Helper()
		if n, err := by.Resolve(t.Context()); err != nil || n != want {
			t.Errorf("%d resolved, %v; want %d", n, err, want)
		}
	}
	resolve(h, 0) // its own calls run
	other := onDatabase(t, h.db, t.TempDir(), "node-2")
	resolve(other, 0) // no word from node-1 for a moment is no evidence
	h.wantAccount(t, "ana", money.Unit, 120_000)

	again := onDatabase(t, h.db, h.spool, "node-1")
	resolve(again, 0) // another program may run as this node
	again.claim(t)
	resolve(again, 2)
	resolve(again, 0)
	h.wantAccount(t, "ana", money.Unit-10_000, 0)
	h.wantBooks(t)
	lost, err := h.Call(t.Context(), answered.Call)
	if err != nil || lost.Outcome != billing.Lost || lost.Price != 10_000 || lost.CarrierCost != 5_000 || lost.Trunk != "T1" ||
		!lost.EndedAt.Equal(at.Add(9200*time.Millisecond)) {
		t.Errorf("%+v, %v", lost, err)
	}
	if c, err := h.Call(t.Context(), ringing.Call); err != nil || c.Outcome != billing.Unavailable || c.Price != 0 || c.EndedAt == nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// Of two programs that are called the same, the second does not start; and should the first lose the name, it writes no
// more, and its calls are the second's.
func TestNodeIsOne(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	first, second := onDatabase(t, h.db, h.spool, "node-1"), onDatabase(t, h.db, t.TempDir(), "node-1")
	first.claim(t)
	err := second.Claim(t.Context())
	if !errors.Is(err, billing.ErrNodeTaken) || !strings.Contains(err.Error(), "another serve is node node-1; give this one --node") {
		t.Errorf("%v", err)
	}
	r := request("ana", 60)
	if _, err := first.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Resolve(t.Context()); !errors.Is(err, billing.ErrFenced) || n != 0 {
		t.Errorf("the second settled %d calls of the first, %v", n, err)
	}
	first.Release()
	second.claim(t)
	if err := first.Alive(t.Context(), []billing.Sign{{Call: r.Call}}); !errors.Is(err, billing.ErrFenced) {
		t.Errorf("a sign of life of a call of the first: %v", err)
	}
	if n, err := second.Resolve(t.Context()); err != nil || n != 1 {
		t.Errorf("%d resolved, %v", n, err)
	}
	if _, err := first.Resolve(t.Context()); !errors.Is(err, billing.ErrNodeTaken) || !errors.Is(err, billing.ErrFenced) {
		t.Errorf("the first is not told: %v", err)
	}
	h.wantAccount(t, "ana", money.Unit, 0)
}

func TestResolveAfterTheLease(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	old, fresh := request("ana", 60), request("ana", 60)
	for _, r := range []billing.Request{old, fresh} {
		if _, err := h.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.db.Exec(`UPDATE hold SET alive_at = now() - interval '31 s' WHERE call_id = $1`, old.Call); err != nil {
		t.Fatal(err)
	}
	other := onDatabase(t, h.db, t.TempDir(), "node-2")
	if n, err := other.Resolve(t.Context()); err != nil || n != 1 {
		t.Errorf("%d resolved, %v", n, err)
	}
	h.wantAccount(t, "ana", money.Unit, 60_000)
	// Its own node, should it live, is told: the call was closed on other evidence.
	if err := h.Settle(t.Context(), settlement(old.Call, time.Second)); !errors.Is(err, billing.ErrConflict) {
		t.Errorf("settled twice: %v", err)
	}
}

func TestAnsweredSeconds(t *testing.T) {
	for _, tt := range []struct {
		answered   time.Duration
		held, want int
	}{
		{-time.Second, 60, 0},
		{0, 60, 0},
		{time.Millisecond, 60, 1},
		{time.Second, 60, 1},
		{time.Second + time.Millisecond, 60, 2},
		{time.Hour, 60, 60},
		{math.MaxInt64, 60, 60},
	} {
		if got := billing.AnsweredSeconds(tt.answered, tt.held); got != tt.want {
			t.Errorf("%v of %d held: %d, want %d", tt.answered, tt.held, got, tt.want)
		}
	}
}

func TestCallLinesBalance(t *testing.T) {
	for _, c := range []billing.Charge{{Price: 100, VAT: 16, Cost: 7}, {Price: 1, VAT: 1}, {Cost: 1}, {}} {
		var sum money.Amount
		for _, l := range billing.CallLines("CALL", "ana", "T1", "K1", c) {
			sum += l.Amount
			if l.Amount == 0 {
				t.Errorf("%+v has a zero line", c)
			}
		}
		if sum != 0 {
			t.Errorf("%+v is off by %s", c, sum)
		}
	}
	if l := billing.CallLines("CALL", "ana", "", "", billing.Charge{Cost: 1}); l[0] != (ledger.Line{Book: "CALL", Account: "5000", Amount: 1}) {
		t.Errorf("%+v", l)
	}
}
