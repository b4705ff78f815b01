package billing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// entry gives the entry of a key: what it is, who made it and its lines.
func (h house) entry(t *testing.T, key string) string {
	t.Helper()
	found, err := ledger.Journal(t.Context(), h.db, ledger.JournalFilter{Key: key})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d entries of %s, %v", len(found), key, err)
	}
	e := found[0]
	text := fmt.Sprintf("%s by %s: %s", e.Kind, e.Actor, e.Text)
	for _, l := range e.Lines {
		text += fmt.Sprintf("; %s %s %s", l.Book, l.Account, l.Amount)
	}
	return text
}

// debtor opens an account with a limit that owes something.
func (h house) debtor(t *testing.T, code string, owes money.Amount) {
	t.Helper()
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: code, Limit: money.Unit}); err != nil {
		t.Fatal(err)
	}
	fee := billing.Booking{Kind: billing.Adjustment, Account: code, Amount: owes, Text: "fee"}
	if _, err := h.Book(t.Context(), fee); err != nil {
		t.Fatal(err)
	}
}

// Each kind of booking is the entry of its template, once however often it is repeated, and nothing else under its key.
func TestBookings(t *testing.T) {
	h := newHouse(t)
	h.account(t, "bob", 0)
	const start = 100 * money.Unit
	for _, tt := range []struct {
		b     billing.Booking
		entry string
		moves money.Amount
	}{
		{
			billing.Booking{Kind: billing.PaidIn},
			"topup by till: Top-up ANA; CALL 1000 2.50; CALL 2100:ANA -2.50", 2_500_000,
		},
		{
			billing.Booking{Kind: billing.Refund},
			"refund by till: Refund of unused credit ANA; CALL 2100:ANA 2.50; CALL 1000 -2.50", -2_500_000,
		},
		{
			billing.Booking{Kind: billing.Goodwill, Text: "bad line"},
			"credit by till: bad line; CALL 5300 2.50; CALL 2100:ANA -2.50", 2_500_000,
		},
		{
			billing.Booking{Kind: billing.Adjustment, Text: "fee"},
			"debit by till: fee; CALL 2100:ANA 2.50; CALL 5300 -2.50", -2_500_000,
		},
		{
			billing.Booking{Kind: billing.Lapse, Text: "unused"},
			"expiry by till: unused; CALL 2100:ANA 2.50; CALL 4100 -2.50", -2_500_000,
		},
		{
			billing.Booking{Kind: billing.Transfer, Into: "bob"},
			"transfer by till: Transfer from ANA to bob; CALL 2100:ANA 2.50; CALL 2100:bob -2.50", -2_500_000,
		},
	} {
		t.Run(string(tt.b.Kind), func(t *testing.T) {
			b := tt.b
			b.Account, b.Amount, b.Key, b.Actor = "ana-"+string(b.Kind), 2_500_000, "k", "till"
			h.account(t, b.Account, start)
			h.wantBooking(t, b, strings.ReplaceAll(tt.entry, "ANA", b.Account), start+tt.moves)
		})
	}
	t.Run("write-off", func(t *testing.T) {
		h.debtor(t, "eve", 700_001)
		b := billing.Booking{Kind: billing.WriteOff, Account: "eve", Amount: 700_000, Text: "insolvent", Key: "k", Actor: "till"}
		h.wantBooking(t, b, "write-off by till: insolvent; CALL 5300 0.70; CALL 2100:eve -0.70", -1)
	})
	h.wantAccount(t, "bob", 2_500_000, 0)
	h.wantBooks(t)
}

func (h house) wantBooking(t *testing.T, b billing.Booking, entry string, balance money.Amount) {
	t.Helper()
	for range 2 {
		if a, err := h.Book(t.Context(), b); err != nil || a.Balance != balance || a.Code != b.Account {
			t.Fatalf("%+v, %v; want balance %s", a, err, balance)
		}
	}
	if got := h.entry(t, string(b.Kind)+":k"); got != entry {
		t.Errorf("%s\nwant %s", got, entry)
	}
	// What was done is not refused afterwards, whatever became of the account.
	if _, err := h.Block(t.Context(), b.Account, true); err != nil {
		t.Fatal(err)
	}
	if a, err := h.Book(t.Context(), b); err != nil || a.Balance != balance {
		t.Errorf("repeated on the blocked account: %+v, %v", a, err)
	}
	if _, err := h.Block(t.Context(), b.Account, false); err != nil {
		t.Fatal(err)
	}
	other := b
	other.Amount -= money.Cent
	another := b
	another.Text = "for another reason"
	for _, c := range []billing.Booking{other, another} {
		if _, err := h.Book(t.Context(), c); !errors.Is(err, billing.ErrConflict) {
			t.Errorf("%+v: %v, want a conflict", c, err)
		}
	}
	h.wantAccount(t, b.Account, balance, 0)
}

// What may not be booked, by the state of the account: 1.00 paid in of which a call holds 0.06, a limit of 5.00.
func TestBookingsRefused(t *testing.T) {
	h := newHouse(t)
	h.account(t, "bob", 0)
	h.account(t, "ana", money.Unit)
	limit := 5 * money.Unit
	if _, err := h.SetAccount(t.Context(), "ana", billing.AccountChange{Limit: &limit}); err != nil {
		t.Fatal(err)
	}
	authorised(t, h, "ana", 1)
	h.debtor(t, "eve", money.Cent)
	h.account(t, "blocked", money.Unit)
	if _, err := h.Block(t.Context(), "blocked", true); err != nil {
		t.Fatal(err)
	}
	owner := pgtest.Owner(t, h.db)
	owner.MustExec(`INSERT INTO book VALUES ('HOST', 'Hosting', 'EUR'); INSERT INTO enterprise VALUES ('HOST', 'Hosting', 0)`)
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "host", Enterprise: "HOST"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why  string
		b    billing.Booking
		want error
	}{
		{"nothing", billing.Booking{Kind: billing.Refund, Account: "ana"}, billing.ErrAmount},
		{"less than nothing", billing.Booking{Kind: billing.Goodwill, Account: "ana", Amount: -1, Text: "x"}, billing.ErrAmount},
		{"parts of a cent", billing.Booking{Kind: billing.Refund, Account: "ana", Amount: 1}, billing.ErrAmount},
		{"nobody's money", billing.Booking{Kind: billing.Refund, Account: "nobody", Amount: money.Cent}, billing.ErrNotFound},
		{"money that is held", billing.Booking{Kind: billing.Refund, Account: "ana", Amount: 95 * money.Cent}, billing.ErrInsufficientCredit},
		{"a limit's money", billing.Booking{Kind: billing.Refund, Account: "eve", Amount: money.Cent}, billing.ErrInsufficientCredit},
		{"a limit that lapses", billing.Booking{Kind: billing.Lapse, Account: "eve", Amount: money.Cent, Text: "x"}, billing.ErrInsufficientCredit},
		{"more than is owed", billing.Booking{Kind: billing.WriteOff, Account: "eve", Amount: money.Cent + 1, Text: "x"}, billing.ErrNotOwed},
		{"a loss that there is not", billing.Booking{Kind: billing.WriteOff, Account: "ana", Amount: 1, Text: "x"}, billing.ErrNotOwed},
		{"more than the limit", billing.Booking{Kind: billing.Adjustment, Account: "ana", Amount: 5_940_001, Text: "x"}, billing.ErrInsufficientCredit},
		{"without reason", billing.Booking{Kind: billing.WriteOff, Account: "eve", Amount: 1}, billing.ErrReason},
		{"a gift without reason", billing.Booking{Kind: billing.Goodwill, Account: "ana", Amount: 1}, billing.ErrReason},
		{"to itself", billing.Booking{Kind: billing.Transfer, Account: "ana", Into: "ana", Amount: 1}, billing.ErrSameAccount},
		{"to nobody", billing.Booking{Kind: billing.Transfer, Account: "ana", Into: "nobody", Amount: 1}, billing.ErrNotFound},
		{"to nowhere", billing.Booking{Kind: billing.Transfer, Account: "ana", Amount: 1}, billing.ErrNotFound},
		{"to another enterprise", billing.Booking{Kind: billing.Transfer, Account: "ana", Into: "host", Amount: 1}, billing.ErrOtherEnterprise},
		{"more than is free", billing.Booking{Kind: billing.Transfer, Account: "ana", Into: "bob", Amount: 5_940_001}, billing.ErrInsufficientCredit},
		{"of a blocked account", billing.Booking{Kind: billing.Transfer, Account: "blocked", Into: "bob", Amount: 1}, billing.ErrBlocked},
		{"beyond all", billing.Booking{Kind: billing.Goodwill, Account: "ana", Amount: ledger.MaxBalance, Text: "x"}, money.ErrRange},
	} {
		if _, err := h.Book(t.Context(), tt.b); !errors.Is(err, tt.want) || strings.Contains(err.Error(), "repeat") {
			t.Errorf("%s: %v, want %v and no doubt about it", tt.why, err, tt.want)
		}
	}
	if _, err := h.Book(t.Context(), billing.Booking{Kind: "gift", Account: "ana", Amount: 1, Text: "x"}); err == nil {
		t.Error("a kind that there is not")
	}
	h.wantAccount(t, "ana", money.Unit, 6*money.Cent)
	h.wantAccount(t, "eve", -money.Cent, 0)
	h.wantBooks(t)
	// As much as there is can go.
	for _, b := range []billing.Booking{
		{Kind: billing.Refund, Account: "ana", Amount: 94 * money.Cent},
		{Kind: billing.Refund, Account: "blocked", Amount: money.Unit},
		{Kind: billing.WriteOff, Account: "eve", Amount: money.Cent, Text: "x"},
		{Kind: billing.Transfer, Account: "ana", Into: "bob", Amount: 5 * money.Unit},
	} {
		if _, err := h.Book(t.Context(), b); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
	h.wantBooks(t)
}

// Nobody is paid from a bank account that has nothing, also not two at once from one that has enough for one.
func TestBankIsNotOverdrawn(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	h.account(t, "bob", 0)
	for _, code := range []string{"ana", "bob"} {
		gift := billing.Booking{Kind: billing.Goodwill, Account: code, Amount: 20 * money.Unit, Text: "gift"}
		if _, err := h.Book(t.Context(), gift); err != nil {
			t.Fatal(err)
		}
	}
	refund := func(ctx context.Context, code string) error {
		return second(h.Book(ctx, billing.Booking{Kind: billing.Refund, Account: code, Amount: money.Unit}))
	}
	if err := refund(t.Context(), "ana"); !errors.Is(err, billing.ErrFunds) || strings.Contains(err.Error(), "repeat") {
		t.Errorf("from an empty bank: %v", err)
	}
	warm(t, h.db, 2)
	for round := range 10 {
		if _, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: money.Unit}); err != nil {
			t.Fatal(err)
		}
		var paying sync.WaitGroup
		var errs [2]error
		for i, code := range []string{"ana", "bob"} {
			paying.Go(func() { errs[i] = refund(t.Context(), code) })
		}
		paying.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), billing.ErrFunds) {
			t.Fatalf("round %d: %v", round, errs)
		}
	}
	h.wantBooks(t)
}

// Transfers that cross wait for each other, never both, and what goes round comes round.
func TestTransfersThatCross(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", money.Unit)
	warm(t, h.db, 2)
	var passing sync.WaitGroup
	for from, to := range map[string]string{"ana": "bob", "bob": "ana"} {
		passing.Go(func() {
			for range 30 {
				b := billing.Booking{Kind: billing.Transfer, Account: from, Into: to, Amount: money.Cent}
				if _, err := h.Book(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	passing.Wait()
	h.wantAccount(t, "ana", money.Unit, 0)
	h.wantAccount(t, "bob", money.Unit, 0)
	h.wantBooks(t)
}

// The same booking by two at once is one.
func TestBookingAtOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	warm(t, h.db, 4)
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			b := billing.Booking{Kind: billing.Refund, Account: "ana", Amount: money.Unit, Key: "k"}
			if _, err := h.Book(t.Context(), b); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	h.wantAccount(t, "ana", 0, 0)
	h.wantBooks(t)
}
