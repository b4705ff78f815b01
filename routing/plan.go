package routing

import (
	"cmp"
	"slices"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// ExpectedSeconds is the answered time of the call that trunks are compared for (design.md 9.2). Rates alone would not
// tell: a connection fee or a first minute can outweigh them.
const ExpectedSeconds = 180

// Reason says why a trunk is not a candidate. The list is closed: `route explain` prints it (design.md 6).
type Reason string

const (
	NoRate    Reason = "no_rate"    // its deck has no row for the number, or is in a currency without exchange rate
	BelowCost Reason = "below_cost" // the carrier asks more than the caller pays without VAT
	Disabled  Reason = "disabled"   // switched off
	Full      Reason = "full"       // all channels taken (Gate)
	CPS       Reason = "cps"        // as many calls within a second as it takes (Gate)
)

// Plan is the ways to reach a number, cheapest first, and the trunks that are no way with the reason.
type Plan struct {
	Number     e164.Number
	At         time.Time
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
	if row, ok := s.decks.Trunk(c.Trunk.Code, to, at); ok {
		c.Row = row
	}
	return c
}

// Skip is a trunk that is not a candidate.
type Skip struct {
	Trunk  string `json:"trunk"`
	Reason Reason `json:"reason"`
}

// Plan chooses the trunks for a call to a number at an instant that the caller pays by retail, VAT included. They are
// ranked by the cost of an expected call, equals by code. A trunk that costs more than the caller pays is skipped; a
// zero retail row leaves that out, to explain a route that nobody pays for. The seed, one per call, is for shares between
// equals; no trunk has one yet.
func (s *Snapshot) Plan(at time.Time, to e164.Number, retail tariff.Row, vat tariff.Percent, _ uint64) Plan {
	p := Plan{Number: to, At: at, Candidates: make([]Candidate, 0, len(s.trunks)), Skipped: []Skip{}}
	earned, paid := income(retail, vat), retail != tariff.Row{}
	for _, t := range s.trunks {
		row, ok := s.decks.Trunk(t.Code, to, at)
		cost, err := row.Price(ExpectedSeconds)
		switch {
		case !t.Enabled:
			p.Skipped = append(p.Skipped, Skip{t.Code, Disabled})
		case !ok || err != nil:
			p.Skipped = append(p.Skipped, Skip{t.Code, NoRate})
		case paid && cost > earned:
			p.Skipped = append(p.Skipped, Skip{t.Code, BelowCost})
		default:
			p.Candidates = append(p.Candidates, Candidate{Trunk: t, Row: row, Cost: cost})
		}
	}
	slices.SortStableFunc(p.Candidates, func(a, b Candidate) int { return cmp.Compare(a.Cost, b.Cost) })
	p.rank()
	return p
}

// Without moves the candidates that closed gives a reason for to the skipped ones; Gate.Full is such a function.
func (p Plan) Without(closed func(Trunk) Reason) Plan {
	rest := Plan{Number: p.Number, At: p.At, Candidates: []Candidate{}, Skipped: slices.Clone(p.Skipped)}
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

// income is what an expected call leaves the enterprise; nothing when it can't be priced.
func income(retail tariff.Row, vat tariff.Percent) money.Amount {
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
