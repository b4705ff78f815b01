package statement_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/statement"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// What the access number costs is a line of its own where the caller pays for it, and in what the enterprise keeps where
// not. What is said after the last call of an access call is on no bill.
func TestAccessOnTheBill(t *testing.T) {
	h := newHouse(t, "anna")
	h.topUp(t, t, "anna", instant(t, "2027-06-01T08:00:00Z"), 5*money.Unit)
	leg := billing.AccessLeg{Cost: tariff.Row{
		Prefix: "49305550100", Destination: "Access number +49305550100", RatePerMinute: 10_000, IntervalFirst: 60, IntervalNext: 60,
		RoundingUnit: 1, RoundingMode: money.HalfUp,
	}}
	ended := instant(t, "2027-06-14T08:00:00Z")
	for _, passed := range []bool{true, false} {
		leg := leg
		if passed {
			must(t, leg.PassOn(retail, vat))
		}
		leg.AnsweredAt = ended.Add(-90 * time.Second)
		id := uuid.Must(uuid.NewV7())
		origin := billing.Origin{
			Call: id, AccessCall: uuid.New(), Provider: "pstn", AccessNumber: "+49305550100", Started: ended.Add(-80 * time.Second), Access: leg,
		}
		_, err := h.Authorise(t.Context(), billing.Request{Origin: origin, Account: "anna", Number: "+380441234567", Rate: retail, VAT: vat, CallLimit: 300})
		must(t, err)
		must(t, h.Settle(t.Context(), billing.Settlement{
			Call: id, Trunk: "alpha", Carrier: "acme", Cost: wholesale, AnsweredAt: ended.Add(-time.Minute), Answered: time.Minute,
			AccessTime: 90 * time.Second, Ended: ended, Outcome: billing.Answered, SIP: 200, Q850: 16,
		}))
		origin.Call, origin.Access.Before = uuid.Must(uuid.NewV7()), 90*time.Second
		must(t, h.Close(t.Context(), billing.Closing{
			Origin: origin, Account: "anna", AccessTime: 130 * time.Second, Ended: ended.Add(40 * time.Second), Outcome: billing.Served,
		}))
		ended = ended.Add(time.Hour)
	}

	s := h.statement(t, t, "anna", "2027-06")
	if len(s.Calls) != 3 || len(s.Attempts) != 0 {
		t.Fatalf("calls %+v, attempts %+v", s.Calls, s.Attempts)
	}
	call, access, other := s.Calls[0], s.Calls[1], s.Calls[2]
	if want := (statement.Money{Price: 60_000, VAT: 9_580, CarrierCost: 30_000, Enterprise: 20_420}); call.Money != want || call.Access {
		t.Errorf("the call %+v, want %+v", call, want)
	}
	// 0.01 and 19 % are 0.0119 a minute; the leg of 90 s costs two minutes, so the rest is the enterprise's loss.
	if want := (statement.Money{Price: 11_900, VAT: 1_900, CarrierCost: 20_000, Enterprise: -10_000}); access.Money != want ||
		!access.Access || access.BilledSeconds != 60 || access.Trunk != "pstn" || access.Destination != "Access number +49305550100" {
		t.Errorf("its access number %+v, want %+v", access, want)
	}
	if want := (statement.Money{Price: 60_000, VAT: 9_580, CarrierCost: 50_000, Enterprise: 420}); other.Money != want {
		t.Errorf("the call whose access number the enterprise pays %+v, want %+v", other, want)
	}
	if s.Totals.Calls != 2 || s.Totals.AnsweredSeconds != 120 || s.Totals.Price != 131_900 || len(s.Destinations) != 2 || s.Destinations[0].Calls != 1 {
		t.Errorf("totals %+v, destinations %+v", s.Totals, s.Destinations)
	}
	var text, table bytes.Buffer
	must(t, s.WriteText(&text))
	must(t, s.WriteCSV(&table))
	if !strings.Contains(text.String(), "Access number +49305550100\nWhat its provider asks for calls to it, and VAT on that; 0.0119 a minute; billed in steps of") {
		t.Errorf("the bill does not explain it:\n%s", text.String())
	}
	if strings.Count(table.String(), ",access,") != 1 {
		t.Errorf("one row of kind access is wanted:\n%s", table.String())
	}
}
