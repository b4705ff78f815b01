package commune

import (
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Sale is an asset that is sold because nobody wants to rent it (R18).
type Sale struct {
	Owned

	Book     string // the commune's
	Day      ledger.Date
	Price    money.Amount            // net of the costs of the sale
	Balances map[string]money.Amount // of the commune's book
}

// Sold is what a sale is to do.
type Sold struct {
	Entries   []Draft
	Shortfall money.Amount // of interest and principal that the holders don't get (D-30)
}

// Liquidate works out a sale: bondholders first, from the price and the rent collected and not yet distributed; what they
// don't get is extinguished, what they leave is the pool's (economics.md 7.6, scenarios/format.md 8). money.ErrRange.
func (s Sale) Liquidate() (Sold, error) {
	h := &sheet{book: s.Book, balances: s.Balances}
	if s.Day == ledger.PeriodOf(s.Day).Last() {
		h.wear(s.Asset)
	}
	a := s.Code
	left := h.add(s.Collected, s.Price)
	cost, worn := h.balances[sub("1500", a)], h.owed(sub("1590", a))
	gain := h.add(s.Price, worn-cost)
	h.post("sale:"+a, "liquidation", a+" sold",
		h.debit(bank, s.Price), h.debit(sub("1590", a), worn), h.credit(sub("1500", a), cost),
		h.credit(sub("4100", a), max(0, gain)), h.debit(sub("5200", a), max(0, -gain)))
	var shortfall money.Amount
	for _, b := range s.Bonds {
		served, err := h.serve(b, s.Day, left, h.outstanding(b))
		if err != nil {
			return Sold{}, err
		}
		left = served.rest
		shortfall = h.add(shortfall, h.extinguish(b))
	}
	h.earned(s.Owned)
	fund, amount := h.clear(sub("3100", a))
	h.post("fund:"+a, "commons-fund", "Commons fund "+a+" released", fund, h.debit(sub("3200", a), amount))
	rest, amount := h.clear(sub("3200", a))
	h.post("proceeds:"+a, "remainder", "Proceeds of "+a, rest, h.debit(pool, amount))
	if h.err == nil && -amount != left {
		return Sold{}, fmt.Errorf("the proceeds of %s are %s, its surplus is %s", a, left, -amount)
	}
	return Sold{h.drafts, shortfall}, h.err
}

// extinguish writes down what a series can't be paid any more: nobody stands in for it but its asset (P-08).
func (s *sheet) extinguish(b Bonds) (shortfall money.Amount) {
	var lines []ledger.Line
	for _, h := range b.Holders {
		for _, code := range []string{"2110", "2100"} {
			line, amount := s.clear(ofHolder(code, b.Code, h))
			lines, shortfall = append(lines, line), s.add(shortfall, -amount)
		}
	}
	s.post("shortfall:"+b.Code, "extinguishment", b.Code+": shortfall extinguished", append(lines, s.credit(sub("4200", b.Code), shortfall))...)
	return shortfall
}
