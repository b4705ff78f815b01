package commune

import (
	"cmp"
	"fmt"
	"slices"

	"telecommune/internal/money"
)

// Bid offers to lend an amount at a rate of so many basis points a year, or more.
type Bid struct {
	Bidder  string       `json:"bidder" db:"bidder"`
	RateBPS int          `json:"rate_bps" db:"rate_bps"`
	Amount  money.Amount `json:"amount" db:"amount"`
}

// Offer is an auction of bonds for an asset that was requested.
type Offer struct {
	Series string       `json:"series"`
	Asset  string       `json:"asset"`
	Offer  money.Amount `json:"offer"`
	CapBPS int          `json:"cap_bps"`
	Unit   money.Amount `json:"unit"`
	Term   int          `json:"term_months"`
	Bids   []Bid        `json:"bids"`
}

// check finds what makes an offer or one of its bids none: ErrAmount, ErrAboveCap, ErrSecondBid.
func (o Offer) check() error {
	if o.Unit <= 0 || o.Unit%money.Cent != 0 || o.Offer <= 0 || o.Offer%o.Unit != 0 || o.Term < 1 || o.CapBPS < 0 {
		return fmt.Errorf("offer of %s in units of %s over %d months: %w", o.Offer, o.Unit, o.Term, ErrAmount)
	}
	bidders := make(map[string]bool, len(o.Bids))
	for _, b := range o.Bids {
		switch {
		case b.Amount <= 0 || b.Amount%o.Unit != 0 || b.RateBPS < 0:
			return fmt.Errorf("bid of %.40q over %s in units of %s: %w", b.Bidder, b.Amount, o.Unit, ErrAmount)
		case b.RateBPS > o.CapBPS:
			return fmt.Errorf("bid of %.40q at %d bps, the cap is %d: %w", b.Bidder, b.RateBPS, o.CapBPS, ErrAboveCap)
		case bidders[b.Bidder]:
			return fmt.Errorf("%.40q: %w", b.Bidder, ErrSecondBid)
		}
		bidders[b.Bidder] = true
	}
	return nil
}

// Covered is the coverage test (P-09): the rent that is guaranteed carries redemption and interest at the cap, and the
// bonds don't outlive the asset. ErrCoverage.
func (o Offer) Covered(guaranteed money.Amount, life int) error {
	interest, err := Interest(o.Offer, o.CapBPS)
	if err != nil {
		return err
	}
	need, err := Instalment(o.Offer, o.Term).Add(interest)
	if err != nil {
		return err
	}
	if need > guaranteed || o.Term > life {
		return fmt.Errorf("redemption and interest take up to %s a month for %d months, the rent gives %s and the asset lives %d months: %w",
			need, o.Term, guaranteed, life, ErrCoverage)
	}
	return nil
}

// Allotment is what an auction of bonds came to: how much each bid gets, in the order of the bids, at the one rate.
type Allotment struct {
	Cleared  bool
	RateBPS  int
	Allotted []money.Amount
}

// Allot is the uniform-price auction (P-03): the cheapest rates are taken whole as long as they stay below the offer; the
// rate that reaches it is everybody's, and the bids at it are cut by largest remainder. Bids that don't reach the offer
// get nothing: no partial issues (R15). money.ErrRange.
func (o Offer) Allot() (Allotment, error) {
	a := Allotment{Allotted: make([]money.Amount, len(o.Bids))}
	order := make([]int, len(o.Bids))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(o.Bids[x].RateBPS, o.Bids[y].RateBPS) })
	left := o.Offer
	for len(order) > 0 {
		level := order[:o.level(order)]
		amounts := make([]money.Amount, len(level))
		for k, i := range level {
			amounts[k] = o.Bids[i].Amount
		}
		sum, err := Sum(amounts)
		if err != nil {
			return Allotment{}, err
		}
		if sum >= left {
			a.Cleared, a.RateBPS = true, o.Bids[level[0]].RateBPS
			if amounts, err = LargestRemainder(left, o.Unit, amounts); err != nil {
				return Allotment{}, err
			}
		}
		for k, i := range level {
			a.Allotted[i] = amounts[k]
		}
		if a.Cleared {
			return a, nil
		}
		left, order = left-sum, order[len(level):]
	}
	return Allotment{Allotted: make([]money.Amount, len(o.Bids))}, nil
}

// level counts the bids of order that have the rate of its first.
func (o Offer) level(order []int) int {
	n := 1
	for n < len(order) && o.Bids[order[n]].RateBPS == o.Bids[order[0]].RateBPS {
		n++
	}
	return n
}

// RentalBid offers a guaranteed monthly rent, by a member for an enterprise.
type RentalBid struct {
	Bidder     string       `json:"bidder" db:"bidder"`
	Enterprise string       `json:"enterprise" db:"enterprise"`
	Amount     money.Amount `json:"amount" db:"amount"`
}

// Best gives the index of the bid that rents an asset, -1 for none: the highest that reaches the reserve, the earlier of
// equal ones (P-04).
func Best(bids []RentalBid, reserve money.Amount) int {
	best := -1
	for i, b := range bids {
		if b.Amount >= reserve && (best < 0 || b.Amount > bids[best].Amount) {
			best = i
		}
	}
	return best
}
