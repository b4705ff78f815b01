package routing

import (
	"cmp"
	"slices"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
)

// Snapshot is what a plan is made from: trunks, rate decks and rules as they were at one moment. It never changes; serve
// swaps it whole when something was edited.
type Snapshot struct {
	trunks   []Trunk // by code
	decks    *tariff.Decks
	costs    [][]int // of each of the trunks' decks: the numbers in trunks of those whose calls it costs
	policies []Policy
	ours     map[e164.Number]bool
	quality  *Quality
	barring  Barring

	leases     [][]Lease // of each of the trunks
	enterprise string    // whose calls are planned; none: of nobody who rents anything
}

// Rules are what a snapshot goes by beside trunks and decks. The zero Rules are none.
type Rules struct {
	Policies []Policy
	Ours     []e164.Number // the access numbers
	Quality  *Quality
	Barring  *Barring // nil: the default one
}

// NewSnapshot makes a snapshot of its own copy of trunks, without rules.
func NewSnapshot(trunks []Trunk, decks *tariff.Decks) *Snapshot {
	s := &Snapshot{trunks: slices.Clone(trunks), decks: decks, barring: NewBarring(Limits{MaxRate: DefaultMaxRate}, nil)}
	for i, t := range s.trunks {
		s.trunks[i] = t.located()
	}
	slices.SortFunc(s.trunks, func(a, b Trunk) int { return cmp.Compare(a.Code, b.Code) })
	byDeck := map[string][]int{}
	for i, t := range s.trunks {
		byDeck[t.DeckName()] = append(byDeck[t.DeckName()], i)
	}
	for _, name := range decks.Trunks() {
		s.costs = append(s.costs, byDeck[name])
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
	for i := range s.trunks { // what a trunk shows to be called back on comes in again as well
		if n := s.trunks[i].CallerNumber; n != "" {
			with.ours[n] = true
		}
	}
	if r.Barring != nil {
		with.barring = *r.Barring
	}
	return &with
}

// Decks gives the rate decks of the snapshot, so that a call is priced and routed by one picture.
func (s *Snapshot) Decks() *tariff.Decks { return s.decks }

// Trunks gives the trunks of the snapshot by code.
func (s *Snapshot) Trunks() []Trunk { return slices.Clone(s.trunks) }

// Ours tells whether a number leads back to us: dialled out, the call would come in again, and again.
func (s *Snapshot) Ours(n e164.Number) bool { return s.ours[n] }
