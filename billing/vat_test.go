package billing_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"telecommune/billing"
	"telecommune/internal/money"
)

// wantVAT compares the months that VATDue lists with "month vat paid due" of each.
func (h house) wantVAT(t *testing.T, want ...string) {
	t.Helper()
	months, err := h.VATDue(t.Context(), "CALL")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var due money.Amount
	for _, m := range months {
		got = append(got, fmt.Sprint(m.Month, " ", m.VAT, " ", m.Paid, " ", m.Due))
		due += m.Due
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if owed := -h.bookBalance(t, "2500"); due != owed {
		t.Errorf("%s due, the books say %s", due, owed)
	}
}

// VAT is due by the month of the calls; what is paid goes to the oldest.
func TestVAT(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	h.wantVAT(t)
	h.accrues(t, "2027-05-31", 1_005_001)
	h.accrues(t, "2027-06-01", 2_000_000)
	h.accrues(t, "2027-06-30", 500_000)
	h.wantVAT(t, "2027-05 1.005001 0.00 1.005001", "2027-06 2.50 0.00 2.50")
	pay := func(amount money.Amount, key string, want error) {
		t.Helper()
		_, err := h.PayVAT(t.Context(), billing.VATPayment{Enterprise: "CALL", Amount: amount, Key: key, Text: "return", Actor: "till"})
		if !errors.Is(err, want) {
			t.Errorf("%s under %s: %v, want %v", amount, key, err, want)
		}
	}
	pay(money.Unit, "may", nil)
	pay(money.Unit, "may", nil)
	pay(2*money.Unit, "may", billing.ErrConflict)
	const entry = "vat-payment by till: return; CALL 2500 1.00; CALL 1000 -1.00"
	if got := h.entry(t, "vat-payment:CALL/may"); got != entry {
		t.Errorf("%s\nwant %s", got, entry)
	}
	h.wantVAT(t, "2027-05 1.005001 1.00 0.005001", "2027-06 2.50 0.00 2.50")
	pay(252*money.Cent, "june", billing.ErrVATDue)
	pay(251*money.Cent, "june", nil) // the tax office rounds up
	h.wantVAT(t, "2027-05 1.005001 1.005001 0.00", "2027-06 2.50 2.504999 -0.004999")
	pay(251*money.Cent, "june", nil) // though nothing is due any more
	h.accrues(t, "2027-07-01", money.Unit)
	h.wantVAT(t, "2027-05 1.005001 1.005001 0.00", "2027-06 2.50 2.50 0.00", "2027-07 1.00 0.004999 0.995001")

	for _, bad := range []money.Amount{0, -money.Cent, 1} {
		pay(bad, "", billing.ErrAmount)
	}
	if _, err := h.PayVAT(t.Context(), billing.VATPayment{Enterprise: "HOST", Amount: money.Cent}); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("of no enterprise: %v", err)
	}
	if _, err := h.VATDue(t.Context(), "HOST"); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("of no enterprise: %v", err)
	}
	h.wantBooks(t)
}

// Two who pay what is due at once pay it once, or find that it is not due any more; under one key both are told of it.
func TestVATAtOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	h.accrues(t, "2027-05-31", money.Unit)
	warm(t, h.db, 4)
	var paying sync.WaitGroup
	var errs [4]error
	for i := range errs {
		paying.Go(func() {
			p := billing.VATPayment{Enterprise: "CALL", Amount: money.Unit, Key: fmt.Sprint(i / 2)}
			_, errs[i] = h.PayVAT(t.Context(), p)
		})
	}
	paying.Wait()
	refused := 0
	for _, err := range errs {
		if errors.Is(err, billing.ErrVATDue) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 2 || errs[0] == nil != (errs[1] == nil) {
		t.Errorf("%v", errs)
	}
	h.wantVAT(t, "2027-05 1.00 1.00 0.00")
}
