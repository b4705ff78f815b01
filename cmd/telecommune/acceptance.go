package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/routing"
)

const (
	testRing   = 45 * time.Second // from INVITE to answer, as long as most people let it ring
	recordTime = 15 * time.Second // for the record of a test call
	maxTest    = 120              // seconds
)

// tester is an engine that makes acceptance calls.
type tester interface {
	TestCall(context.Context, pbx.Target) pbx.TestCall
}

// acceptance makes acceptance calls, by the engine of serve or by one of the command's own.
type acceptance struct {
	engine  tester
	gate    *routing.Gate
	routes  func() *routing.Snapshot
	bank    *billing.Service
	now     func() time.Time
	running sync.WaitGroup
}

// testRequest asks for an acceptance call.
type testRequest struct {
	Trunk   string       `json:"trunk"`
	Number  e164.Number  `json:"number"`
	Seconds int          `json:"seconds"` // from the answer
	Most    money.Amount `json:"most"`    // that it may cost
	Caller  e164.Number  `json:"caller"`  // who calls, as far as the trunk lets it be shown; none: nobody
	Actor   string       `json:"actor"`
}

// testReport is what `trunk test` shows.
type testReport struct {
	ID     uuid.UUID   `json:"id"` // of its row in `call list`
	Trunk  string      `json:"trunk"`
	Number e164.Number `json:"number"`
	pbx.TestCall
	AnsweredSeconds int                 `json:"answered_seconds"`
	Prefix          string              `json:"prefix"`
	RatePerMinute   money.Amount        `json:"rate_per_minute"`
	Currency        money.Currency      `json:"currency"`      // of the rate
	ExchangeRate    tariff.ExchangeRate `json:"exchange_rate"` // empty for the commune's own currency
	Deck            string              `json:"deck"`
	Cost            money.Amount        `json:"cost"`  // in the commune's currency
	Entry           *uuid.UUID          `json:"entry"` // in the books; null when it cost nothing
}

// errTest is why an acceptance call is not made.
var errTest = errors.New("no test call")

// call makes one and writes it down. It is bounded in time and in what it may cost before it is dialled; ended early by
// ctx, it is written down all the same.
func (a *acceptance) call(ctx context.Context, r testRequest) (testReport, error) {
	a.running.Add(1)
	defer a.running.Done()
	snapshot := a.routes()
	way, err := testWay(snapshot, r, a.now())
	if err != nil {
		return testReport{}, err
	}
	t := testReport{ID: uuid.Must(uuid.NewV7()), Trunk: r.Trunk, Number: r.Number}
	claim, refused := a.gate.Take(way.Trunk, t.ID, routing.Usage{})
	if refused != "" {
		return testReport{}, fmt.Errorf("%w: trunk %s is refused: %s", errTest, r.Trunk, refused)
	}
	defer claim.Release(routing.Usage{})
	shown, asserted := way.Trunk.Identify(routing.Caller{Number: r.Caller, Vouched: true, Verified: true}) // by who asks for the call
	t.TestCall = a.engine.TestCall(ctx, pbx.Target{
		Trunk: way.Trunk, Number: r.Number, CallerID: shown, Asserted: asserted, RingTimeout: testRing,
		Limit: time.Duration(r.Seconds) * time.Second,
	})
	done := billing.TestCall{
		ID: t.ID, Number: r.Number, Trunk: r.Trunk, Carrier: way.Trunk.Carrier, Cost: way.Row, Started: t.Started,
		Answered: t.Answered, Limit: r.Seconds, Ended: t.Ended, SIP: t.SIP, Q850: t.Q850, Actor: r.Actor,
	}
	if t.AnsweredAt != nil {
		done.AnsweredAt, done.Cost = *t.AnsweredAt, snapshot.Answered(way, r.Number, *t.AnsweredAt).Row
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	call, err := a.bank.RecordTest(ctx, done)
	if err != nil {
		return t, err
	}
	t.AnsweredSeconds, t.Cost, t.Entry = call.AnsweredSeconds, call.CarrierCost, call.Entry
	t.Prefix, t.RatePerMinute, t.Currency = done.Cost.Prefix, done.Cost.RatePerMinute, done.Cost.Currency
	t.ExchangeRate, t.Deck = done.Cost.ExchangeRate, done.Cost.Deck
	return t, nil
}

// testWay is the way of an acceptance call over its trunk, which need not be enabled: what may be called holds for it as
// for any other call, and so does its cost, for which there must be a rate.
func testWay(s *routing.Snapshot, r testRequest, now time.Time) (routing.Candidate, error) {
	way := routing.Candidate{}
	for _, t := range s.Trunks() {
		if t.Code == r.Trunk {
			way.Trunk = t
		}
	}
	if way.Trunk.Code == "" {
		return way, fmt.Errorf("trunk %q: %w", r.Trunk, routing.ErrNotFound)
	}
	if denied := s.Denies(r.Number); denied != "" {
		return way, fmt.Errorf("%w: %s may not be called: %s; see `telecommune route rule set --help`", errTest, r.Number, denied)
	}
	row, ok := s.Decks().Trunk(way.Trunk.DeckName(), r.Number, now)
	if !ok {
		return way, fmt.Errorf("%w: trunk %s has no rate for %s, so nobody knows what it would cost; import its deck first",
			errTest, r.Trunk, r.Number)
	}
	way.Row = row
	cost, err := row.Price(r.Seconds)
	if err != nil {
		return way, fmt.Errorf("cost of %d seconds: %w", r.Seconds, err)
	}
	if cost > r.Most {
		return way, fmt.Errorf("%w: %d seconds cost %s, more than %s; say fewer --seconds, or more --max-cost",
			errTest, r.Seconds, cost, r.Most)
	}
	return way, nil
}
