package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// testEnterprise carries acceptance calls.
const testEnterprise = "CALL"

// TestCall is an acceptance call over a trunk. Nobody pays for it but the enterprise.
type TestCall struct {
	ID         CallID
	Number     e164.Number
	Trunk      string
	Carrier    string
	Cost       tariff.Row // the carrier's, of the answer
	Started    time.Time
	AnsweredAt time.Time     // zero: never answered
	Answered   time.Duration // up to Limit seconds count, as of a caller's call up to what is held
	Limit      int
	Ended      time.Time
	SIP, Q850  int
	Actor      string // who made it
}

// RecordTest writes an acceptance call down, with outcome Tested and without account, and posts what the carrier asks for
// it: T-03 without a caller, so that the books agree with the carrier's invoice. Repeating it changes nothing.
func (s *Service) RecordTest(ctx context.Context, c TestCall) (Call, error) {
	seconds := AnsweredSeconds(c.Answered, c.Limit)
	cost := money.Amount(0)
	if seconds > 0 {
		var err error
		if cost, err = c.Cost.Price(seconds); err != nil {
			return Call{}, fmt.Errorf("cost of test call %s: %w", c.ID, err)
		}
	}
	err := s.tx(ctx, func(tx *sqlx.Tx) error { return s.recordTest(ctx, tx, c, seconds, cost) })
	if err != nil {
		return Call{}, fmt.Errorf("record test call %s: %w", c.ID, err)
	}
	return s.Call(ctx, c.ID)
}

func (s *Service) recordTest(ctx context.Context, tx *sqlx.Tx, c TestCall, seconds int, cost money.Amount) error {
	hash, err := contentHash(c)
	if err != nil {
		return err
	}
	var entry any
	if lines := CallLines(testEnterprise, "", c.Trunk, c.Carrier, Charge{Cost: cost}); len(lines) > 0 {
		entry, err = ledger.Post(ctx, tx, ledger.Entry{
			Key: "call:" + c.ID.String(), Kind: "test", Actor: s.actor(c.Actor), At: c.Ended, Late: true, Lines: lines,
			Text: fmt.Sprintf("Test call to %s, trunk %s, %d s", c.Number, c.Trunk, seconds),
		})
		if err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO call (id, access_call, node, provider, access_number, number, trunk, carrier, carrier_rate, started_at,
		    answered_at, ended_at, answered_seconds, carrier_cost, outcome, sip, q850, entry_id, content_hash)
		VALUES ($1, $1, $2, '', '', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (id) DO NOTHING`,
		c.ID, s.node, c.Number, c.Trunk, c.Carrier, stamp(c.Cost), c.Started, instant(c.AnsweredAt), c.Ended, seconds, cost,
		Tested, c.SIP, c.Q850, entry, hash)
	return err
}
