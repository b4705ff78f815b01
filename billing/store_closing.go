package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
)

func (s *Service) close(ctx context.Context, c Closing) error {
	hash, err := contentHash(c)
	if err == nil {
		err = s.tx(ctx, func(tx *sqlx.Tx) error { return s.closeTx(ctx, tx, c, hash) })
	}
	if err != nil {
		return fmt.Errorf("close call %s: %w", c.Call, err)
	}
	return nil
}

func (s *Service) closeTx(ctx context.Context, tx *sqlx.Tx, c Closing, hash []byte) error {
	var account *string
	if c.Account != "" {
		account = &c.Account
	}
	var book string
	err := tx.GetContext(ctx, &book, `
		INSERT INTO call (id, access_call, node, provider, access_number, caller, account, number, started_at, ended_at,
		    outcome, sip, q850, content_hash, access_leg)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO NOTHING
		RETURNING COALESCE((SELECT enterprise FROM account WHERE code = $7), 'CALL')`,
		c.Call, c.AccessCall, s.node, c.Provider, c.AccessNumber, c.Caller, account, c.Number, c.Started, c.Ended, c.Outcome,
		c.SIP, c.Q850, hash, accessStamp(c.Access))
	if err == nil {
		return s.postAccess(ctx, tx, c, book)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	running, err := s.lockHeld(ctx, tx, callsSQL, pq.Array([]string{c.Call.String()}))
	if err != nil {
		return err
	}
	e := end{hash: hash, Settlement: Settlement{
		Call: c.Call, AccessTime: c.AccessTime, Ended: c.Ended, Outcome: c.Outcome, SIP: c.SIP, Q850: c.Q850,
	}}
	if len(running) == 0 {
		refused, err := closedAs(ctx, tx, e)
		return errors.Join(append(refused, err)...)
	}
	e.held = running[0]
	return s.finish(ctx, tx, e)
}

// postAccess posts what a call without hold bears of its access leg, with whoever called.
func (s *Service) postAccess(ctx context.Context, tx *sqlx.Tx, c Closing, book string) error {
	access := AccessCharge{Number: c.AccessNumber, Provider: c.Provider, Cost: s.accessCost(c.Call, c.Access, c.AccessTime)}
	if access.Cost == 0 {
		return nil
	}
	entry, err := ledger.Post(ctx, tx, ledger.Entry{
		Key: "call:" + c.Call.String(), Kind: "call", Actor: s.node, At: c.Ended, Late: true,
		Text: fmt.Sprintf("Access %s over %s", c.AccessNumber, c.Provider), Lines: CallLines(book, "", "", "", Charge{Access: access}),
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE call SET access_cost = $2, entry_id = $3 WHERE id = $1`, c.Call, access.Cost, entry)
	return err
}
