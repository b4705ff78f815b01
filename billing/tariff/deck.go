package tariff

import (
	"cmp"
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
	ActiveFrom time.Time      // zero: from the import on; of a draft, never
	Source     string         // where the rows came from, such as a file's name
	Holidays   []Holiday      // days that windows take for others, by date
}

// Deck is one version of a rate deck. No two rows of a prefix count at the same time, but that a row without window
// leaves the time of the others to them.
type Deck struct {
	Spec
	Version int       // from 1, given by Import
	EndedAt time.Time // when it was rolled back; zero: never
	Rows    []Row
}

// effective tells whether the row counts at an instant: from EffectiveFrom (zero: since ever) up to, not including,
// EffectiveTo (zero: for ever).
func (r *Row) effective(at time.Time) bool {
	return (r.EffectiveFrom.IsZero() || !at.Before(r.EffectiveFrom)) && (r.EffectiveTo.IsZero() || at.Before(r.EffectiveTo))
}

// lastsOver tells whether the row is still in force at an instant after its beginning.
func (r *Row) lastsOver(at time.Time) bool { return r.EffectiveTo.IsZero() || at.Before(r.EffectiveTo) }

// comeback is a version, by its place in a list, that counts again from an instant on, since a later one was rolled back.
type comeback struct {
	version int
	at      time.Time
}

// comebacks finds the versions that come back. With them, of the versions of a name the one with the latest beginning
// counts.
func comebacks(versions []Version) (found []comeback) {
	for i, v := range versions {
		if v.EndedAt == nil || inForceOf(versions, v, v.EndedAt.Add(-time.Microsecond)) != i {
			continue
		}
		if back := inForceOf(versions, v, *v.EndedAt); back >= 0 {
			found = append(found, comeback{back, v.EndedAt.UTC()})
		}
	}
	return found
}

// inForceOf finds the version of a deck's name that is in force at an instant, -1 when there is none.
func inForceOf(versions []Version, of Version, at time.Time) int {
	found := -1
	for i, v := range versions {
		if v.Kind != of.Kind || v.Name != of.Name || v.ActiveFrom.After(at) || v.EndedAt != nil && !at.Before(*v.EndedAt) {
			continue
		}
		if found < 0 || cmp.Or(v.ActiveFrom.Compare(*versions[found].ActiveFrom), cmp.Compare(v.Number, versions[found].Number)) > 0 {
			found = i
		}
	}
	return found
}
