package tariff

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// effectDays is how far back calls are taken to tell what a version changes.
const effectDays = 30

// Calls gives the answered calls that a deck priced since an instant.
type Calls func(kind Kind, name string, since time.Time) iter.Seq2[PastCall, error]

// PastCall is what is needed of a call to price it again.
type PastCall struct {
	Number     e164.Number
	AnsweredAt time.Time
	Seconds    int
}

// Effect is what the calls of the last 30 days would cost by two versions of a deck, each at the same hour of the same
// day of the week after the new one came into force. Amounts are in the commune's currency.
type Effect struct {
	Since  time.Time    `json:"since"`
	Calls  int          `json:"calls"`
	Before money.Amount `json:"cost_before"`
	After  money.Amount `json:"cost_after"`
	// NoRate is how many calls the new version has no row for; they count with nothing in both sums.
	NoRate int                 `json:"no_rate"`
	Worst  []DestinationEffect `json:"destinations"` // that get dearer most, and then those that get cheaper
}

// DestinationEffect is the part of an effect that calls to one destination have.
type DestinationEffect struct {
	Destination string       `json:"destination"` // as the new version calls it, or the prefix
	Calls       int          `json:"calls"`
	Before      money.Amount `json:"cost_before"`
	After       money.Amount `json:"cost_after"`
}

// effectSum adds calls up.
type effectSum struct {
	Effect
	by map[string]*DestinationEffect
}

// add prices a call by both versions.
func (s *effectSum) add(before, after Row, had, has bool, seconds int) {
	s.Calls++
	cost, err := after.Price(seconds)
	if !has || err != nil {
		s.NoRate++
		return
	}
	old := money.Amount(0)
	if had {
		if old, err = before.Price(seconds); err != nil {
			old = 0
		}
	}
	name := cmp.Or(after.Destination, after.Prefix)
	to := s.by[name]
	if to == nil {
		to = &DestinationEffect{Destination: name}
		s.by[name] = to
	}
	to.Calls++
	for _, sum := range []struct {
		to *money.Amount
		v  money.Amount
	}{{&to.Before, old}, {&to.After, cost}, {&s.Before, old}, {&s.After, cost}} {
		if total, err := sum.to.Add(sum.v); err == nil { // no month of calls costs more than there is money
			*sum.to = total
		}
	}
}

// result gives the effect with so many destinations.
func (s *effectSum) result(worst int) *Effect {
	s.Worst = make([]DestinationEffect, 0, len(s.by))
	for _, d := range s.by {
		s.Worst = append(s.Worst, *d)
	}
	slices.SortFunc(s.Worst, func(a, b DestinationEffect) int {
		return cmp.Or(cmp.Compare(b.After-b.Before, a.After-a.Before), cmp.Compare(a.Destination, b.Destination))
	})
	s.Worst = s.Worst[:min(len(s.Worst), worst)]
	return &s.Effect
}

// afterwards moves an instant on by whole weeks to after another, by the clock on the wall.
func afterwards(at, after time.Time, zone *time.Location) time.Time {
	if at.After(after) {
		return at
	}
	const week = 7 * 24 * time.Hour
	moved := at.In(zone).AddDate(0, 0, 7*int(after.Sub(at)/week))
	for moved.Before(after) {
		moved = moved.AddDate(0, 0, 7)
	}
	return moved
}
