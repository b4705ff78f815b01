package routing

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Strategy is in which order trunks are tried.
type Strategy string

const (
	Cheapest Strategy = "cheapest" // by the cost of an expected call
	Priority Strategy = "priority" // by the trunks' priority, those of the same by cost
	Weighted Strategy = "weighted" // calls are shared out by the trunks' weights
	Best     Strategy = "quality"  // those not much dearer than the cheapest by their quality, then the others by cost
)

// Strategies are all there are.
var Strategies = []string{string(Cheapest), string(Priority), string(Weighted), string(Best)}

// Policy says how trunks are ranked for calls to the numbers with a prefix; the longest one counts. Without any, calls take
// the cheapest way.
type Policy struct {
	Prefix   string   `json:"prefix" db:"prefix"` // digits; empty: all numbers
	Strategy Strategy `json:"strategy" db:"strategy"`
	Band     int      `json:"band" db:"band"` // of Best: percent over the cheapest cost that quality may be worth
}

// DefaultBand is the band of a policy of Best that is given none.
const DefaultBand = 20

// mostBand is a percentage that is a slip rather than a policy.
const mostBand = 1000

func (p Policy) check() error {
	switch {
	case strings.Trim(p.Prefix, "0123456789") != "" || len(p.Prefix) > e164.MaxDigits || strings.HasPrefix(p.Prefix, "0"):
		return &FieldError{"policy", "prefix", "up to 15 digits as in +380, without the +, or nothing for all numbers"}
	case !slices.Contains(Strategies, string(p.Strategy)):
		return &FieldError{"policy", "strategy", "one of " + strings.Join(Strategies, ", ")}
	case p.Band != 0 && p.Strategy != Best:
		return &FieldError{"policy", "band", "none: it belongs to the strategy quality"}
	case p.Band < 0 || p.Band > mostBand:
		return &FieldError{"policy", "band", fmt.Sprintf("0 to %d percent", mostBand)}
	}
	return nil
}

// policy finds the policy of a number.
func (s *Snapshot) policy(to e164.Number) Policy {
	best := Policy{Strategy: Cheapest}
	for _, p := range s.policies {
		if strings.HasPrefix(to.Digits(), p.Prefix) && len(p.Prefix) >= len(best.Prefix) {
			best = p
		}
	}
	return best
}

// order brings ways into the order of a policy, equals by cost and then by code.
func (s *Snapshot) order(p Policy, ways []way, to e164.Number, seed uint64) {
	slices.SortFunc(ways, func(a, b way) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.trunk, b.trunk)) })
	switch p.Strategy {
	case Priority:
		slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(s.trunks[a.trunk].Priority, s.trunks[b.trunk].Priority) })
	case Weighted:
		s.share(ways, seed)
	case Best:
		if len(ways) > 0 {
			s.byQuality(ways[:within(p.Band, ways)], to)
		}
	}
}

// share draws the ways one by one without putting them back, each by its weight among those left: the second is whom calls
// would go to if there was no first. The seed alone decides, so that a plan can be made again.
func (s *Snapshot) share(ways []way, seed uint64) {
	total := uint64(0)
	for _, w := range ways {
		total += s.weight(w)
	}
	for ; len(ways) > 1; ways = ways[1:] {
		seed += 0x9e3779b97f4a7c15
		drawn, _ := bits.Mul64(mix(seed), total) // 0 to total-1
		i := 0
		for ; drawn >= s.weight(ways[i]); i++ {
			drawn -= s.weight(ways[i])
		}
		first := ways[i]
		copy(ways[1:i+1], ways[:i])
		ways[0] = first
		total -= s.weight(first)
	}
}

func (s *Snapshot) weight(w way) uint64 { return uint64(max(s.trunks[w.trunk].Weight, 1)) }

// mix spreads the bits of a number (SplitMix64, Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// byQuality ranks ways by how their trunks did lately with such numbers, equals by cost. A trunk of which nothing is known
// counts as faultless: without calls it would stay unknown.
func (s *Snapshot) byQuality(ways []way, to e164.Number) {
	for i := range ways {
		ways[i].quality = faultless
		if answered, ok := s.quality.Answered(s.trunks[ways[i].trunk].Code, to); ok {
			ways[i].quality = answered
		}
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.quality, a.quality) })
}

const faultless = 1000 // per mille

// within counts the ways that cost at most so many percent more than the first.
func within(percent int, ways []way) int {
	most, err := money.MulDiv(int64(ways[0].cost), int64(100+percent), 100, money.Down)
	if err != nil {
		return len(ways)
	}
	n := 1
	for n < len(ways) && int64(ways[n].cost) <= most {
		n++
	}
	return n
}
