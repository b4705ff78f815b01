package billing_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// accrues posts a call of a day whose carrier K1 gets an amount, and whose price has as much VAT.
func (h house) accrues(t *testing.T, day ledger.Date, amount money.Amount) {
	t.Helper()
	err := postgres.InTx(t.Context(), h.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, ledger.Entry{
			Key: fmt.Sprint("call:", day, amount), Kind: "call", At: time.Now(), Date: day,
			Lines: billing.CallLines("CALL", "ana", "T1", "K1", billing.Charge{Price: 2 * amount, VAT: amount, Cost: amount}),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h house) bookBalance(t *testing.T, account string) money.Amount {
	t.Helper()
	var sum money.Amount
	err := h.db.GetContext(t.Context(), &sum, `SELECT COALESCE(sum(amount), 0)::bigint FROM line WHERE book = 'CALL' AND account = $1`, account)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func days(t *testing.T, s string) billing.Days {
	t.Helper()
	d, err := billing.ParseDays(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An invoice is compared with the calls of its days; the difference makes what is owed what it asks for.
func TestInvoices(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 50*money.Unit)
	h.accrues(t, "2027-05-31", money.Unit)
	h.accrues(t, "2027-06-01", 2_000_001)
	h.accrues(t, "2027-06-30", 3_000_000)
	h.accrues(t, "2027-07-01", 4*money.Unit)

	june := billing.NewInvoice{Carrier: "K1", Number: "2027/06 №1", Days: days(t, "2027-06"), Amount: 501 * money.Cent, Actor: "till"}
	for range 2 {
		i, err := h.AddInvoice(t.Context(), june)
		if err != nil || i.Accrued != 5_000_001 || i.Difference != 9_999 || i.Amount != june.Amount || i.PaidAt != nil || i.Entry == nil ||
			*i.From != "2027-06-01" || *i.To != "2027-06-30" {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	const adjusted = "carrier-invoice by till: Invoice 2027/06 №1 of K1: 5.01, accrued 5.000001; CALL 5000 0.009999; CALL 2200:K1 -0.009999"
	if got := h.entry(t, "carrier-invoice:CALL/K1/2027/06 №1"); got != adjusted {
		t.Errorf("%s\nwant %s", got, adjusted)
	}
	if owed := -h.bookBalance(t, "2200:K1"); owed != 10_010_000 {
		t.Errorf("owed %s", owed)
	}
	may, err := h.AddInvoice(t.Context(), billing.NewInvoice{Carrier: "K1", Number: "5", Days: days(t, "2027-05"), Amount: money.Unit})
	if err != nil || may.Difference != 0 || may.Entry != nil {
		t.Errorf("one that agrees: %+v, %v", may, err)
	}
	fee, err := h.AddInvoice(t.Context(), billing.NewInvoice{Carrier: "K1", Number: "fee", Amount: 3 * money.Unit, Text: "Ports"})
	if err != nil || fee.Accrued != 0 || fee.Difference != 3*money.Unit || fee.From != nil {
		t.Errorf("one for no calls: %+v, %v", fee, err)
	}
	less, err := h.AddInvoice(t.Context(), billing.NewInvoice{Carrier: "K1", Number: "7", Days: days(t, "2027-07-01/2027-07-02"), Amount: 3 * money.Unit})
	if err != nil || less.Difference != -money.Unit {
		t.Errorf("one that asks for less: %+v, %v", less, err)
	}
	if owed := -h.bookBalance(t, "2200:K1"); owed != june.Amount+may.Amount+fee.Amount+less.Amount {
		t.Errorf("owed %s", owed)
	}

	pay := billing.InvoicePayment{Carrier: "K1", Number: june.Number, Actor: "till"}
	for range 2 {
		if i, err := h.PayInvoice(t.Context(), pay); err != nil || i.PaidAt == nil || i.Payment == nil {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	const paid = "carrier-payment by till: Invoice 2027/06 №1 of K1 paid; CALL 2200:K1 5.01; CALL 1000 -5.01"
	if got := h.entry(t, "carrier-payment:CALL/K1/2027/06 №1"); got != paid {
		t.Errorf("%s\nwant %s", got, paid)
	}
	for f, want := range map[billing.InvoiceFilter]string{
		{}: "2027/06 №1 5 fee 7", {Open: true}: "5 fee 7", {Carrier: "K1", Open: true}: "5 fee 7", {Carrier: "K2"}: "",
	} {
		list, err := h.Invoices(t.Context(), f)
		var numbers []string
		for _, i := range list {
			numbers = append(numbers, i.Number)
		}
		if got := strings.Join(numbers, " "); err != nil || got != want {
			t.Errorf("%+v: %s, %v; want %s", f, got, err, want)
		}
	}
	h.wantBooks(t)
}

func TestInvoicesRefused(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.accrues(t, "2027-06-01", 10*money.Cent)
	june := billing.NewInvoice{Carrier: "K1", Number: "1", Days: days(t, "2027-06"), Amount: 10 * money.Unit}
	if _, err := h.AddInvoice(t.Context(), june); err != nil {
		t.Fatal(err)
	}
	change := func(do func(*billing.NewInvoice)) billing.NewInvoice {
		n := june
		do(&n)
		return n
	}
	entries := h.count(t, `SELECT count(*) FROM entry`)
	for why, tt := range map[string]struct {
		n    billing.NewInvoice
		want error
	}{
		"another amount":         {change(func(n *billing.NewInvoice) { n.Amount += money.Cent }), billing.ErrConflict},
		"other days":             {change(func(n *billing.NewInvoice) { n.Days = billing.Days{} }), billing.ErrConflict},
		"days that are invoiced": {change(func(n *billing.NewInvoice) { n.Number = "2"; n.Days = days(t, "2027-06-30/2027-07-31") }), billing.ErrInvoiced},
		"a month that is":        {change(func(n *billing.NewInvoice) { n.Number = "2" }), billing.ErrInvoiced},
		"nobody's":               {change(func(n *billing.NewInvoice) { n.Carrier = "K9" }), billing.ErrNotFound},
		"nothing":                {change(func(n *billing.NewInvoice) { n.Number = "2"; n.Amount = 0 }), billing.ErrAmount},
		"parts of a cent":        {change(func(n *billing.NewInvoice) { n.Number = "2"; n.Amount = 1 }), billing.ErrAmount},
		"no number":              {change(func(n *billing.NewInvoice) { n.Number = "" }), billing.ErrInvoice},
		"a long number":          {change(func(n *billing.NewInvoice) { n.Number = strings.Repeat("1", 65) }), billing.ErrInvoice},
		"a hostile number":       {change(func(n *billing.NewInvoice) { n.Number = "1\x1b[2J" }), billing.ErrInvoice},
		"broken letters":         {change(func(n *billing.NewInvoice) { n.Number = "1\xff" }), billing.ErrInvoice},
	} {
		if _, err := h.AddInvoice(t.Context(), tt.n); !errors.Is(err, tt.want) || strings.Contains(err.Error(), "repeat") {
			t.Errorf("%s: %v, want %v", why, err, tt.want)
		}
	}
	for number, want := range map[string]error{"1": billing.ErrFunds, "2": billing.ErrNotFound} {
		if _, err := h.PayInvoice(t.Context(), billing.InvoicePayment{Carrier: "K1", Number: number}); !errors.Is(err, want) {
			t.Errorf("pay %s: %v, want %v", number, err, want)
		}
	}
	if n := h.count(t, `SELECT count(*) FROM entry`); n != entries {
		t.Errorf("%d entries, there were %d", n, entries)
	}
	if _, err := h.db.Exec(`UPDATE carrier_invoice SET amount = 10000`); err == nil {
		t.Error("the program's role can change an invoice")
	}
}

// One invoice taken down and paid by several at once is one; invoices of the same days at once are not two.
func TestInvoicesAtOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 50*money.Unit)
	h.accrues(t, "2027-06-01", money.Unit)
	warm(t, h.db, 4)
	var adding sync.WaitGroup
	var errs [4]error
	for i := range errs {
		adding.Go(func() {
			n := billing.NewInvoice{Carrier: "K1", Number: fmt.Sprint(i / 2), Days: days(t, "2027-06"), Amount: 2 * money.Unit}
			if _, errs[i] = h.AddInvoice(t.Context(), n); errs[i] == nil {
				_, errs[i] = h.PayInvoice(t.Context(), billing.InvoicePayment{Carrier: "K1", Number: n.Number})
			}
		})
	}
	adding.Wait()
	refused := 0
	for _, err := range errs {
		if errors.Is(err, billing.ErrInvoiced) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 2 || h.bookBalance(t, "2200:K1") != 0 || h.bookBalance(t, "5000") != money.Unit {
		t.Errorf("%d refused, owed %s, adjusted by %s", refused, h.bookBalance(t, "2200:K1"), h.bookBalance(t, "5000"))
	}
	h.wantBooks(t)
}

// Taking back a payment, or an adjustment, is no cost of calls: the next invoice is not compared with it.
func TestReversedPaymentIsNoAccrual(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 50*money.Unit)
	h.accrues(t, "2027-06-01", money.Unit)
	for _, n := range []billing.NewInvoice{{Carrier: "K1", Number: "1", Amount: 2 * money.Unit}} {
		if _, err := h.AddInvoice(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	paid, err := h.PayInvoice(t.Context(), billing.InvoicePayment{Carrier: "K1", Number: "1"})
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.InTx(t.Context(), h.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Reverse(t.Context(), tx, ledger.Reversal{Entry: *paid.Payment, Reason: "bounced", At: time.Now()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	i, err := h.AddInvoice(t.Context(), billing.NewInvoice{
		Carrier: "K1", Number: "2", Days: billing.Days{First: "2020-01-01", Last: "2099-12-31"}, Amount: money.Unit,
	})
	if err != nil || i.Accrued != money.Unit || i.Difference != 0 {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestParseDays(t *testing.T) {
	for s, want := range map[string]billing.Days{
		"2027-06": {First: "2027-06-01", Last: "2027-06-30"}, "2028-02": {First: "2028-02-01", Last: "2028-02-29"},
		"2027-06-01/2027-06-01": {First: "2027-06-01", Last: "2027-06-01"}, "2026-12-28/2027-01-03": {First: "2026-12-28", Last: "2027-01-03"},
	} {
		got, err := billing.ParseDays(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if again, err := billing.ParseDays(got.String()); err != nil || again != want {
			t.Errorf("%s: %+v, %v", got, again, err)
		}
	}
	for _, s := range []string{"", "/", "2027", "2027-13", "2027-06-31", "2027-06-02/2027-06-01", "2027-06/2027-07", "2027-06-01/", strings.Repeat("2", 1e6)} {
		if _, err := billing.ParseDays(s); !errors.Is(err, billing.ErrDays) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %.100v", s, err)
		}
	}
}
