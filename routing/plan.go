package routing

import (
	"cmp"
	"math"
	"slices"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// ExpectedSeconds is the answered time of the call that trunks are compared for.
const ExpectedSeconds = tariff.ExpectedSeconds

// Reason says why a trunk is not a candidate. The list is closed: `route explain` prints it (design.md 6).
type Reason string

const (
	NoRate    Reason = "no_rate"    // its deck has no row for the number, or is in a currency without exchange rate
	BelowCost Reason = "below_cost" // the carrier asks more than the caller pays without VAT
	Disabled  Reason = "disabled"   // switched off
	Loop      Reason = "loop"       // the number is one of ours; no trunk is taken

	ClosedHours Reason = "closed_hours" // outside of its opening hours
	Unlet       Reason = "unlet"        // it is an asset of the commune that the caller's enterprise does not rent

	// What follows is for now only, and told by a Gate.
	Full       Reason = "full"        // all channels taken
	CPS        Reason = "cps"         // as many calls within a second as it takes
	Unhealthy  Reason = "unhealthy"   // it failed too often, is not registered, or does not answer OPTIONS
	NoBalance  Reason = "no_balance"  // what is left with its carrier would not pay for the call
	SpendLimit Reason = "spend_limit" // its minutes or money of the day or month are used up

	Blocked Reason = "blocked" // the number may not be called, over whatever trunk: Plan.Denied says why
)

// Plan is the ways to reach a number, in the order they are tried, and the trunks that are no way with the reason.
type Plan struct {
	Number     e164.Number
	Country    string // of the number, as CountryOf has it; empty where Route did not decide
	At         time.Time
	Policy     Policy // that they are ranked by
	Denied     Denial // why the number may not be called; empty when it may
	Candidates []Candidate
	Skipped    []Skip
}

// Candidate is a trunk that may carry the call.
type Candidate struct {
	Rank  int          // from 1
	Trunk Trunk        // as it was when planned
	Row   tariff.Row   // the carrier's row, which costs the call
	Cost  money.Amount // of a call of ExpectedSeconds, in the commune's currency
}

// Answered gives a candidate of the snapshot with the row that costs a call answered at an instant. Where none is in
// force then, the one that the plan was made with goes on.
func (s *Snapshot) Answered(c Candidate, to e164.Number, at time.Time) Candidate {
	if row, ok := s.decks.Trunk(c.Trunk.DeckName(), to, at); ok {
		c.Row = row
	}
	return c
}

// Skip is a trunk that is not a candidate.
type Skip struct {
	Trunk  string `json:"trunk"`
	Reason Reason `json:"reason"`
}

// way is a candidate in the making.
type way struct {
	trunk, offer int // numbers in the snapshot's trunks, and in the offers
	cost         money.Amount
	quality      int
}

// few is as many trunks, and trunks' decks, as anybody has. A plan with more takes memory that is not its answer's.
const few = 64

// Plan chooses the trunks for a call to a number at an instant that the caller pays by retail, VAT included. The policy of
// the number ranks them. A trunk that costs more than the caller pays for an expected call is skipped, unless the retail
// row allows a loss; a zero row leaves that out, to explain a route that nobody pays for. A number of ours is not dialled
// at all. The seed, one per call, decides who gets the call where trunks share them.
//
// Nothing but the instant, the arguments and the snapshot decides, and nothing is allocated but the answer.
func (s *Snapshot) Plan(at time.Time, to e164.Number, retail tariff.Row, vat tariff.Percent, seed uint64) Plan {
	var fewOffers [few]tariff.Offer
	var fewWays [few]way
	var fewReasons [few]Reason
	offers, ways, reasons := fewOffers[:], fewWays[:0], fewReasons[:]
	if max(len(s.costs), len(s.trunks)) > few {
		offers, reasons = make([]tariff.Offer, len(s.costs)), make([]Reason, len(s.trunks))
	}
	for i := range s.trunks {
		reasons[i] = s.reason(i, to, at)
	}
	offers = offers[:s.decks.Offers(to, at, offers)]
	most := income(retail, vat)
	for i := range offers {
		for _, trunk := range s.costs[offers[i].Deck] {
			switch {
			case reasons[trunk] != NoRate: // not to be taken
			case offers[i].Cost > most:
				reasons[trunk] = BelowCost
			default:
				reasons[trunk] = ""
				ways = append(ways, way{trunk: trunk, offer: i, cost: offers[i].Cost})
			}
		}
	}
	p := Plan{Number: to, At: at, Policy: s.policy(to)}
	s.order(p.Policy, ways, to, seed)
	p.Candidates = make([]Candidate, len(ways))
	for i, w := range ways {
		p.Candidates[i] = Candidate{Rank: i + 1, Trunk: s.trunks[w.trunk], Row: s.decks.Row(offers[w.offer], to), Cost: w.cost}
	}
	p.Skipped = make([]Skip, 0, len(s.trunks)-len(ways))
	for i, reason := range reasons[:len(s.trunks)] {
		if reason != "" {
			p.Skipped = append(p.Skipped, Skip{s.trunks[i].Code, reason})
		}
	}
	return p
}

// reason says why a trunk is none to take for a number, whatever it costs; NoRate unless its deck has one.
func (s *Snapshot) reason(trunk int, to e164.Number, at time.Time) Reason {
	if s.Ours(to) {
		return Loop
	}
	return cmp.Or(s.trunks[trunk].closed(at), s.unlet(trunk, at), NoRate)
}

// Without moves the candidates that closed gives a reason for to the skipped ones; Gate.Full is such a function.
func (p Plan) Without(closed func(Trunk) Reason) Plan {
	rest := Plan{
		Number: p.Number, At: p.At, Denied: p.Denied, Policy: p.Policy, Candidates: []Candidate{}, Skipped: slices.Clone(p.Skipped),
	}
	for _, c := range p.Candidates {
		if reason := closed(c.Trunk); reason != "" {
			rest.Skipped = append(rest.Skipped, Skip{c.Trunk.Code, reason})
		} else {
			rest.Candidates = append(rest.Candidates, c)
		}
	}
	rest.rank()
	return rest
}

func (p *Plan) rank() {
	for i := range p.Candidates {
		p.Candidates[i].Rank = i + 1
	}
}

// income is what an expected call leaves the enterprise, and so the most that it may cost; nothing when it can't be priced.
func income(retail tariff.Row, vat tariff.Percent) money.Amount {
	if retail.AllowLoss || retail == (tariff.Row{}) {
		return math.MaxInt64
	}
	price, err := retail.Price(ExpectedSeconds)
	if err != nil {
		return 0
	}
	tax, err := tariff.VAT(price, vat)
	if err != nil {
		return 0
	}
	return price - tax
}
