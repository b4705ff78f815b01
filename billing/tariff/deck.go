package tariff

import (
	"time"

	"telecommune/internal/money"
)

// Kind tells whose prices a deck has.
type Kind string

const (
	Retail Kind = "retail" // what callers pay, VAT included
	Trunk  Kind = "trunk"  // what a trunk's carrier asks
)

// Defaults is a row of this kind without prefix and rate: billed by the second, retail rounded up to 0.0001, carrier
// cost half up to the millionth.
func (k Kind) Defaults() Row {
	rounding := money.Rounding{Unit: 100 * money.Micro, Mode: money.Up}
	if k == Trunk {
		rounding = money.Rounding{Unit: money.Micro, Mode: money.HalfUp}
	}
	return Row{IntervalFirst: 1, IntervalNext: 1, RoundingUnit: rounding.Unit, RoundingMode: rounding.Mode}
}

// Spec is what is known of a deck beside its rows.
type Spec struct {
	Kind       Kind
	Name       string // of the retail deck, or the trunk's code
	Currency   money.Currency
	Zone       *time.Location // where a plain date's midnight is; nil: UTC
	ActiveFrom time.Time      // zero: from the import on
	Source     string         // where the rows came from, such as a file's name
	Holidays   []Holiday      // days that windows take for others, by date
}

// Deck is one version of a rate deck. No two rows of a prefix count at the same time, but that a row without window
// leaves the time of the others to them.
type Deck struct {
	Spec
	Version int // from 1, given by Import
	Rows    []Row
}

// effective tells whether the row counts at an instant: from EffectiveFrom (zero: since ever) up to, not including,
// EffectiveTo (zero: for ever).
func (r *Row) effective(at time.Time) bool {
	return (r.EffectiveFrom.IsZero() || !at.Before(r.EffectiveFrom)) && (r.EffectiveTo.IsZero() || at.Before(r.EffectiveTo))
}
