package routing

import (
	"cmp"
	"slices"

	"telecommune/billing/tariff"
)

// Snapshot is what a plan is made from: trunks and rate decks as they were at one moment. It never changes; serve
// swaps it whole when something was edited.
type Snapshot struct {
	trunks []Trunk // by code
	decks  *tariff.Decks
}

// NewSnapshot makes a snapshot of its own copy of trunks.
func NewSnapshot(trunks []Trunk, decks *tariff.Decks) *Snapshot {
	s := &Snapshot{trunks: slices.Clone(trunks), decks: decks}
	slices.SortFunc(s.trunks, func(a, b Trunk) int { return cmp.Compare(a.Code, b.Code) })
	return s
}

// Decks gives the rate decks of the snapshot, so that a call is priced and routed by one picture.
func (s *Snapshot) Decks() *tariff.Decks { return s.decks }

// Trunks gives the trunks of the snapshot by code.
func (s *Snapshot) Trunks() []Trunk { return slices.Clone(s.trunks) }
