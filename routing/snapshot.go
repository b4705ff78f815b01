package routing

import (
	"cmp"
	"slices"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
)

// Snapshot is what a plan is made from: trunks, rate decks and rules as they were at one moment. It never changes; serve
// swaps it whole when something was edited.
type Snapshot struct {
	trunks   []Trunk // by code
	decks    *tariff.Decks
	deckOf   []int // of each of the decks' trunks: its number in trunks, or -1 when it was removed
	policies []Policy
	ours     map[e164.Number]bool
	quality  *Quality
}

// Rules are what a snapshot goes by beside trunks and decks. The zero Rules are none.
type Rules struct {
	Policies []Policy
	Ours     []e164.Number // the access numbers
	Quality  *Quality
}

// NewSnapshot makes a snapshot of its own copy of trunks, without rules.
func NewSnapshot(trunks []Trunk, decks *tariff.Decks) *Snapshot {
	s := &Snapshot{trunks: slices.Clone(trunks), decks: decks}
	slices.SortFunc(s.trunks, func(a, b Trunk) int { return cmp.Compare(a.Code, b.Code) })
	for _, code := range decks.Trunks() {
		number, found := slices.BinarySearchFunc(s.trunks, code, func(t Trunk, code string) int { return cmp.Compare(t.Code, code) })
		if !found {
			number = -1
		}
		s.deckOf = append(s.deckOf, number)
	}
	return s
}

// With gives the same snapshot with rules.
func (s *Snapshot) With(r Rules) *Snapshot {
	with := *s
	with.policies, with.quality, with.ours = slices.Clone(r.Policies), r.Quality, make(map[e164.Number]bool, len(r.Ours))
	for _, n := range r.Ours {
		with.ours[n] = true
	}
	return &with
}

// Decks gives the rate decks of the snapshot, so that a call is priced and routed by one picture.
func (s *Snapshot) Decks() *tariff.Decks { return s.decks }

// Trunks gives the trunks of the snapshot by code.
func (s *Snapshot) Trunks() []Trunk { return slices.Clone(s.trunks) }

// Ours tells whether a number leads back to us: dialled out, the call would come in again, and again.
func (s *Snapshot) Ours(n e164.Number) bool { return s.ours[n] }

// closed says why a trunk can't be taken for any number at an instant; empty when it can.
func (s *Snapshot) closed(t *Trunk, _ time.Time) Reason {
	if !t.Enabled {
		return Disabled
	}
	return ""
}
