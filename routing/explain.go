package routing

import (
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Reasons is the closed list of why a trunk is not a candidate, or was passed over when its turn came (docs/operating.md).
var Reasons = []Reason{
	"no_rate", "below_cost", "disabled", "closed_hours", "full", "cps", "unhealthy", "no_balance", "spend_limit", "blocked",
	"loop", "unlet",
}

// Explanation is a plan as `route explain` and `call show` tell it, and as it is kept with the call that it was made for
// (design.md 6).
type Explanation struct {
	Number     e164.Number `json:"number"`
	At         time.Time   `json:"at"`
	Denied     Denial      `json:"denied"` // why the number may not be called; empty when it may
	Policy     Policy      `json:"policy"` // that ranks the candidates
	Candidates []Way       `json:"candidates"`
	Skipped    []Skip      `json:"skipped"`
}

// Way is a candidate in an explanation.
type Way struct {
	Rank          int                 `json:"rank"` // from 1
	Trunk         string              `json:"trunk"`
	Prefix        string              `json:"prefix"`
	RatePerMinute money.Amount        `json:"rate_per_minute"`
	Currency      money.Currency      `json:"currency"`      // of the rate
	ExchangeRate  tariff.ExchangeRate `json:"exchange_rate"` // empty for the commune's own currency
	Cost          money.Amount        `json:"cost"`          // of a call of ExpectedSeconds, in the commune's currency
	Deck          string              `json:"deck"`          // with its version
}

// Explain tells the plan.
func (p Plan) Explain() Explanation {
	e := Explanation{
		Number: p.Number, At: p.At.UTC(), Denied: p.Denied, Policy: p.Policy, Candidates: make([]Way, len(p.Candidates)),
		Skipped: append([]Skip{}, p.Skipped...),
	}
	for i, c := range p.Candidates {
		e.Candidates[i] = Way{
			c.Rank, c.Trunk.Code, c.Row.Prefix, c.Row.RatePerMinute, c.Row.Currency, c.Row.ExchangeRate, c.Cost, c.Row.Deck,
		}
	}
	return e
}
