// Package commune is what the callers' workers own together: members with one share each, enterprises owned whole, assets
// bought with bonds and let for rent, and the rest of the rent split evenly (economics.md).
//
// The rules are functions without I/O, one file each: what rent an agreement bears, who gets how much of a bond, what a
// month's close comes to. The store_*.go files keep the commune in PostgreSQL and post its entries. Amounts are in
// millionths of the commune's currency; everything in the commune's own book is whole cents (D-05). P- and D-numbers
// are those of economics.md 8 and 10.
package commune

import (
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Book is the code of the commune's own book.
const Book = "COM"

// Meter is what the use of an asset is measured in.
type Meter string

// The meters of assets.
const (
	Seconds  Meter = "seconds"  // answered seconds of calls over it
	Quantity Meter = "quantity" // reported by the lessee, in millionths of a GB-month, a number-month, …
	None     Meter = "none"
)

// Terms are what a rental agreement asks for a month (P-02).
type Terms struct {
	Fixed    money.Amount `json:"fixed" db:"fixed"`
	Minimum  money.Amount `json:"minimum" db:"minimum"`
	Rate     money.Amount `json:"rate" db:"rate"`         // a minute, or a unit of quantity, beyond what is included
	Included int64        `json:"included" db:"included"` // seconds, or millionths of a quantity
}

// Lessee is who rents an asset: an enterprise or a member (D-21), one of the two. A member has no book.
type Lessee struct {
	Enterprise string `json:"enterprise,omitempty" db:"enterprise"`
	Member     string `json:"member,omitempty" db:"member"`
}

// Agreement lets an asset to a lessee from Start on until End, which is the first day that it does not.
type Agreement struct {
	Code  string      `json:"code" db:"code"`
	Asset string      `json:"asset" db:"asset"`
	Start ledger.Date `json:"start" db:"start_on"`
	End   ledger.Date `json:"end" db:"end_on"` // none: no notice was given

	Lessee
	Terms
}

// Covers tells whether a day is one of the agreement's.
func (a Agreement) Covers(day ledger.Date) bool {
	return a.Start <= day && (a.End == "" || day < a.End)
}

// Days counts the agreement's days in a month.
func (a Agreement) Days(p ledger.Period) int { return daysIn(p, a.Start, a.End) }

// Asset is a means of production that the commune owns.
type Asset struct {
	Code       string       `json:"code" db:"code"`
	Kind       string       `json:"kind" db:"kind"` // trunk, server, handset, …
	Meter      Meter        `json:"meter" db:"meter"`
	Cost       money.Amount `json:"cost" db:"cost"`
	Life       int          `json:"life_months" db:"life_months"`
	Worn       int          `json:"months_depreciated" db:"months_depreciated"`
	Acquired   ledger.Date  `json:"acquired" db:"acquired_on"`
	Liquidated ledger.Date  `json:"liquidated" db:"liquidated_on"` // none: owned
}

// Series is the bonds by which one asset is bought.
type Series struct {
	Code      string       `json:"code" db:"code"`
	Asset     string       `json:"asset" db:"asset"`
	Issued    ledger.Date  `json:"issued" db:"issued_on"`
	RateBPS   int          `json:"rate_bps" db:"rate_bps"`
	Term      int          `json:"term_months" db:"term_months"`
	Principal money.Amount `json:"principal" db:"principal"` // after the asset was bought
}

// daysIn counts the days of a month from one day on until another, which does not count; none: without end.
func daysIn(p ledger.Period, from, until ledger.Date) int {
	first, next := max(p.First(), from), p.Next().First()
	if until != "" {
		next = min(next, until)
	}
	return max(0, ledger.DaysBetween(first, next))
}
