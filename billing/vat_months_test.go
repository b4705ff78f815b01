package billing

import (
	"testing"

	"pgregory.net/rapid"

	"telecommune/internal/money"
)

// What is paid goes to the oldest month that is due, all of it goes somewhere, and a month of which more was taken back
// than called pays for others.
func TestSettleMonths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vats := rapid.SliceOfN(rapid.Int64Range(-50, 100), 1, 6).Draw(t, "VAT")
		paid := money.Amount(rapid.Int64Range(0, 300).Draw(t, "paid"))
		months := make([]VATMonth, len(vats))
		var vat, due money.Amount
		for i, v := range vats {
			months[i].VAT = money.Amount(v)
			vat += months[i].VAT
		}
		settle(months, paid)
		behind := false
		for i, m := range months {
			due += m.Due
			if m.Due != m.VAT-m.Paid || i < len(months)-1 && m.Due < 0 {
				t.Fatalf("month %d of %+v", i, months)
			}
			if behind && m.Paid > 0 && months[i-1].VAT > 0 {
				t.Fatalf("month %d is paid before the one before it: %+v", i, months)
			}
			behind = m.Due > 0
		}
		if due != vat-paid {
			t.Fatalf("%s due, want %s", due, vat-paid)
		}
	})
}
