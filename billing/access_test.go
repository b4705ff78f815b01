package billing_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// access costs 0.01 a minute by whole minutes.
var access = tariff.Row{
	Prefix: "4930123456", Destination: "Access number +4930123456", RatePerMinute: 10_000, IntervalFirst: 60,
	IntervalNext: 60, RoundingUnit: 1, RoundingMode: money.HalfUp,
}

// over makes a request come in on an access number that costs something, and that was answered some time ago.
func over(t *testing.T, r billing.Request, passed bool) billing.Request {
	t.Helper()
	r.VAT = 19_000_000
	r.Access = billing.AccessLeg{Cost: access, AnsweredAt: r.Started.Add(-20 * time.Second)}
	if passed {
		if err := r.Access.PassOn(r.Rate, r.VAT); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (h house) wantLines(t *testing.T, call billing.CallID, want ...ledger.Line) {
	t.Helper()
	entries, err := ledger.Journal(t.Context(), h.db, ledger.JournalFilter{Key: "call:" + call.String()})
	if err != nil || len(entries) != 1 || len(entries[0].Lines) != len(want) {
		t.Fatalf("entries %+v, %v; want one with %d lines", entries, err, len(want))
	}
	for i, l := range entries[0].Lines {
		if l != want[i] {
			t.Errorf("line %d is %+v, want %+v", i, l, want[i])
		}
	}
}

// What is passed on is held, charged by the delivered seconds and rounded as the tariff rounds, and stands on lines of
// its own. A minute costs 0.06 and 0.0119 for the access number.
func TestAccessPassedOn(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 10*money.Cent)
	r := over(t, request("ana", 600), true)
	hold, err := h.Authorise(t.Context(), r)
	// 60 s cost 0.0719; the second minute of access 0.0119 more: 76 s cost 0.076 + 0.0238, 77 s more than there is.
	if err != nil || hold.Amount != 10*money.Cent || hold.Seconds != 76 {
		t.Fatalf("hold %+v, %v", hold, err)
	}
	st := settlement(r.Call, 70*time.Second)
	st.AccessTime = 95 * time.Second
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", 10*money.Cent-93_800, 0)
	h.wantBooks(t)
	h.wantLines(
		t, r.Call,
		ledger.Debit("CALL", "2100:ana", 93_800),
		ledger.Credit("CALL", "4000:T1", 70_000-11_176),
		ledger.Credit("CALL", "4000:access/4930123456", 23_800-3_800),
		ledger.Credit("CALL", "2500", 11_176+3_800),
		ledger.Debit("CALL", "5000:T1", 35_000),
		ledger.Credit("CALL", "2200:K1", 35_000),
		ledger.Debit("CALL", "5000:access/4930123456", 20_000),
		ledger.Credit("CALL", "2200:P1", 20_000),
	)
	c, err := h.Call(t.Context(), r.Call)
	if err != nil || c.Price != 93_800 || c.AccessPrice != 23_800 || c.VAT != 14_976 || c.CarrierCost != 35_000 || c.AccessCost != 20_000 {
		t.Errorf("call %+v, %v", c, err)
	}
}

// What is not passed on costs the caller nothing, and the enterprise the same.
func TestAccessInTheMargin(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	r := over(t, request("ana", 600), false)
	if hold, err := h.Authorise(t.Context(), r); err != nil || hold.Amount != 600_000 {
		t.Fatalf("hold %+v, %v", hold, err)
	}
	st := settlement(r.Call, 0) // nobody answered, and the caller was on the line all the same
	st.AccessTime = 61 * time.Second
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit, 0)
	h.wantLines(t, r.Call,
		ledger.Debit("CALL", "5000:access/4930123456", 20_000), ledger.Credit("CALL", "2200:P1", 20_000))
	h.wantBooks(t)
}

// The calls of one access call bear together what the leg costs as a whole, whatever the provider's intervals, and so do
// calls without hold and without account.
func TestAccessLegIsBorneOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	leg := uuid.Must(uuid.NewV7())
	costs := map[money.Amount]int{}
	before := time.Duration(0)
	for _, until := range []time.Duration{50 * time.Second, 61 * time.Second, 100 * time.Second, 181 * time.Second} {
		r := over(t, request("ana", 60), false)
		r.AccessCall, r.Access.Before = leg, before
		closing := billing.Closing{Origin: r.Origin, AccessTime: until, Ended: time.Now(), Outcome: billing.NoNumber}
		if err := h.Close(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(t.Context(), closing); err != nil { // changes nothing
			t.Fatal(err)
		}
		c, err := h.Call(t.Context(), r.Call)
		if err != nil || (c.Entry == nil) != (c.AccessCost == 0) {
			t.Fatalf("call %+v, %v", c, err)
		}
		costs[c.AccessCost]++
		before = until
	}
	if costs[10_000] != 2 || costs[0] != 1 || costs[20_000] != 1 {
		t.Errorf("parts of 0.01, 0.01, 0 and 0.02: %v", costs)
	}
	h.wantAccount(t, "ana", money.Unit, 0)
	h.wantBooks(t)
}

// A call whose program died bears its leg up to the last sign of life.
func TestAccessOfALostCall(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	r := over(t, request("ana", 600), true)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-30 * time.Second)
	err := h.Alive(t.Context(), []billing.Sign{{Call: r.Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: at, Answered: 30 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	next := onDatabase(t, h.db, h.spool, "node-1")
	next.claim(t)
	if n, err := next.Resolve(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d resolved, %v", n, err)
	}
	c, err := next.Call(t.Context(), r.Call)
	if err != nil || c.AccessCost != 10_000 || c.AccessPrice != 11_900 || c.Price != 30_000+11_900 || c.Outcome != billing.Lost {
		t.Errorf("call %+v, %v", c, err)
	}
	next.wantAccount(t, "ana", money.Unit-41_900, 0)
	next.wantBooks(t)
}

func TestTariffs(t *testing.T) {
	h := newHouse(t)
	if _, err := h.SetTariff(t.Context(), billing.Tariff{Name: "retail", PassesAccess: true}); err == nil {
		t.Error("a tariff without a deck has terms")
	}
	deck := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Retail, Name: "retail", Currency: "EUR", Zone: time.UTC, ActiveFrom: time.Now()}, Rows: []tariff.Row{minute}}
	if _, err := tariff.NewStore(h.db).Import(t.Context(), deck); err != nil {
		t.Fatal(err)
	}
	h.account(t, "ana", 0)
	if err := h.AddPhone(t.Context(), billing.Phone{Number: "+4915112345678", Account: "ana"}); err != nil {
		t.Fatal(err)
	}
	for _, passes := range []bool{false, true, false} {
		if passes {
			_, err := h.SetTariff(t.Context(), billing.Tariff{Name: "retail", PassesAccess: true})
			if err != nil {
				t.Fatal(err)
			}
		} else if _, err := h.SetTariff(t.Context(), billing.Tariff{Name: "retail"}); err != nil {
			t.Fatal(err)
		}
		c, err := h.ByPhone(t.Context(), "+4915112345678")
		if err != nil || c.PassesAccess != passes {
			t.Errorf("caller %+v, %v; want %v", c, err, passes)
		}
	}
	if list, err := h.Tariffs(t.Context()); err != nil || len(list) != 1 || list[0] != (billing.Tariff{Name: "retail"}) {
		t.Errorf("%+v, %v", list, err)
	}
}
