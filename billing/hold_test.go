package billing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func TestCallFromHoldToEntry(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	if _, err := h.SetVAT(t.Context(), "CALL", 19_000_000); err != nil {
		t.Fatal(err)
	}
	r := request("ana", 600)
	r.VAT = 19_000_000
	hold, err := h.Authorise(t.Context(), r)
	if err != nil || hold != (billing.Hold{Call: r.Call, Account: "ana", Amount: 600_000, Seconds: 600}) {
		t.Fatalf("hold %+v, %v", hold, err)
	}
	h.wantAccount(t, "ana", money.Unit, 600_000)

	st := settlement(r.Call, 90*time.Second+time.Millisecond)
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit-91_000, 0)
	h.wantBooks(t)
	c, err := h.Call(t.Context(), r.Call)
	if err != nil || c.Price != 91_000 || c.VAT != 14_529 || c.CarrierCost != 45_500 || c.BilledSeconds != 91 ||
		c.AnsweredSeconds != 91 || c.Outcome != billing.Answered || c.Destination != "Ukraine" || c.Currency != "EUR" || c.Entry == nil {
		t.Fatalf("call %+v, %v", c, err)
	}
	entries, err := ledger.Journal(t.Context(), h.db, ledger.JournalFilter{Key: "call:" + r.Call.String()})
	if err != nil || len(entries) != 1 || entries[0].ID != *c.Entry {
		t.Fatalf("entries %+v, %v", entries, err)
	}
	want := []ledger.Line{
		ledger.Debit("CALL", "2100:ana", 91_000),
		ledger.Credit("CALL", "4000:T1", 76_471),
		ledger.Credit("CALL", "2500", 14_529),
		ledger.Debit("CALL", "5000:T1", 45_500),
		ledger.Credit("CALL", "2200:K1", 45_500),
	}
	for i, l := range entries[0].Lines {
		if l != want[i] {
			t.Errorf("line %d is %+v, want %+v", i, l, want[i])
		}
	}
}

func TestAuthorise(t *testing.T) {
	free := minute
	free.RatePerMinute = 0
	dear := minute
	dear.ConnectFee, dear.GraceSeconds = 50_000, 5 // the sixth second costs 0.056
	tests := []struct {
		name    string
		credit  money.Amount
		limit   int
		rate    tariff.Row
		amount  money.Amount
		seconds int
		err     error
	}{
		{"all of the call limit", 10 * money.Cent, 60, minute, 60_000, 60, nil},
		{"all of the credit", 3 * money.Cent, 60, minute, 30_000, 30, nil},
		{"nothing", 0, 60, minute, 0, 0, billing.ErrInsufficientCredit},
		{"free calls need no credit", 0, 60, free, 0, 60, nil},
		{"the first paid second is bought", 6 * money.Cent, 600, dear, 60_000, 10, nil},
		{"the first paid second is not bought", 5 * money.Cent, 600, dear, 0, 0, billing.ErrInsufficientCredit},
		{"within the grace time", 0, 4, dear, 0, 4, nil},
		{"no call limit", money.Unit, 0, minute, 0, 0, billing.ErrCallLimit},
		{"no rate", money.Unit, 60, tariff.Row{}, 0, 0, tariff.ErrRow},
	}
	h := newHouse(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := "acc-" + string(rune('a'+i))
			h.account(t, code, tt.credit)
			r := request(code, tt.limit)
			r.Rate = tt.rate
			hold, err := h.Authorise(t.Context(), r)
			if !errors.Is(err, tt.err) || hold.Amount != tt.amount || hold.Seconds != tt.seconds {
				t.Fatalf("%+v, %v; want %s for %d s, %v", hold, err, tt.amount, tt.seconds, tt.err)
			}
			h.wantAccount(t, code, tt.credit, tt.amount)
		})
	}
	h.wantBooks(t)
}

func TestAuthoriseRefused(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", money.Unit)
	if _, err := h.Block(t.Context(), "bob", true); err != nil {
		t.Fatal(err)
	}
	first := request("ana", 60)
	if _, err := h.Authorise(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other := first
	other.Number = "+380441234568"
	tests := []struct {
		name string
		r    billing.Request
		err  error
	}{
		{"the same again gives the same hold", first, nil},
		{"another number under the same id", other, billing.ErrConflict},
		{"a blocked account", request("bob", 60), billing.ErrBlocked},
		{"nobody", request("eve", 60), billing.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := h.Authorise(t.Context(), tt.r); !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
		})
	}
	h.wantAccount(t, "ana", money.Unit, 60_000)
	if err := h.Settle(t.Context(), settlement(first.Call, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authorise(t.Context(), first); !errors.Is(err, billing.ErrConflict) {
		t.Errorf("a call that is over was authorised again: %v", err)
	}
	h.wantAccount(t, "ana", money.Unit, 0)
}

// TestEnterpriseThatDoesNotWork: its callers are known and make no calls, whatever credit they have; they get it back.
// Who calls again at once, or somebody else on the account, has what the call that is over held: its end does not go on
// waiting for others.
func TestAuthoriseAfterACallThatIsOver(t *testing.T) {
	h := newHouse(t)
	for code, limits := range map[string]billing.Limits{
		"credit": {}, "calls": {MaxCalls: 1}, "hour": {MaxPerHour: 6 * money.Cent},
	} {
		credit := money.Unit
		if code == "credit" {
			credit = 6 * money.Cent
		}
		h.limited(t, code, credit, limits)
		billing.Linger(h.Service)
		first := request(code, 60)
		if _, err := h.Authorise(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		settled := make(chan error, 1)
		go func() { settled <- h.Settle(t.Context(), settlement(first.Call, 0)) }()
		for deadline := time.Now().Add(1500 * time.Millisecond); ; { // after two seconds it is stored by itself
			_, err := h.Authorise(t.Context(), request(code, 60))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %v", code, err)
				break
			}
		}
		if err := <-settled; err != nil {
			t.Error(err)
		}
	}
}

func TestEnterpriseThatDoesNotWork(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	if err := h.AddPhone(t.Context(), billing.Phone{Number: "+49301234567", Account: "ana"}); err != nil {
		t.Fatal(err)
	}
	for state, works := range map[string]bool{"proposed": false, "suspended": false, "wound_up": false, "active": true} {
		if _, err := h.db.Exec(`UPDATE enterprise SET state = $1 WHERE code = 'CALL'`, state); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Authorise(t.Context(), request("ana", 1)); works != (err == nil) || !works && !errors.Is(err, billing.ErrBlocked) {
			t.Errorf("%s: %v", state, err)
		}
		if c, err := h.ByPhone(t.Context(), "+49301234567"); err != nil || c.Blocked == works || c.Account != "ana" {
			t.Errorf("%s: %+v, %v", state, c, err)
		}
		if _, err := h.Book(t.Context(), billing.Booking{Kind: billing.Refund, Account: "ana", Amount: money.Cent, Key: "refund " + state}); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestCreditLimitCanBeCalledOn(t *testing.T) {
	h := newHouse(t)
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "ana", Limit: 2 * money.Cent}); err != nil {
		t.Fatal(err)
	}
	r := request("ana", 60)
	hold, err := h.Authorise(t.Context(), r)
	if err != nil || hold.Seconds != 20 {
		t.Fatalf("%+v, %v", hold, err)
	}
	if err := h.Settle(t.Context(), settlement(r.Call, time.Hour)); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", -20_000, 0)
	h.wantBooks(t)
	if _, err := h.Authorise(t.Context(), request("ana", 60)); !errors.Is(err, billing.ErrInsufficientCredit) {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestExtend(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 3*money.Cent)
	r := request("ana", 60)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	topUp := func(cents int) {
		t.Helper()
		if _, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: money.Amount(cents) * money.Cent}); err != nil {
			t.Fatal(err)
		}
	}
	extend := func(want int) {
		t.Helper()
		if hold, err := h.Extend(t.Context(), r.Call); err != nil || hold.Seconds != want {
			t.Errorf("%+v, %v; want %d s", hold, err, want)
		}
	}
	extend(30)
	topUp(1)
	extend(40)
	extend(40)
	if _, err := h.Block(t.Context(), "ana", true); err != nil {
		t.Fatal(err)
	}
	topUp(50)
	extend(40) // a blocked account gets no more
	if _, err := h.Block(t.Context(), "ana", false); err != nil {
		t.Fatal(err)
	}
	extend(60) // the call limit
	h.wantAccount(t, "ana", 54*money.Cent, 6*money.Cent)
	h.wantBooks(t)
	if _, err := h.Extend(t.Context(), uuid.New()); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("a call without hold: %v", err)
	}
}
