package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Orphan is a call with a hold of an earlier run of this node: what it was begun with, what is held for it, and what its
// last sign of life told. It may still run where the switch outlived the program.
type Orphan struct {
	Request
	Hold Hold // its Seconds are those of the one row that prices the call, once that is known to be answered
	Sign      // Answered is the time that is proved; the zero values before the answer

	AliveAt time.Time // the last sign of life, by the database's clock
}

// Orphans lists the calls with holds of earlier runs of this node, oldest first. They are left to be taken over until
// Options.Recovering is closed. ErrFenced.
func (s *Service) Orphans(ctx context.Context) ([]Orphan, error) {
	list, err := inTime(ctx, s, func(ctx context.Context) ([]Orphan, error) {
		return orphans(ctx, s.db, `h.boot <> $2 ORDER BY c.started_at, c.id`, s.node, s.boot)
	})
	if err != nil {
		return nil, fmt.Errorf("calls of earlier runs of node %s: %w", s.node, translate(err))
	}
	return list, nil
}

// Adopt takes a running call of an earlier run of this node over: from now on its hold is one of this run, so that it is
// not settled by its last sign of life, and counts as alive. What is returned is the call as it was found. It can be
// repeated. ErrSettled when it is over, ErrNotFound when this node has no such call, ErrFenced.
func (s *Service) Adopt(ctx context.Context, call CallID) (Orphan, error) {
	adopted, err := inTime(ctx, s, func(ctx context.Context) (o Orphan, err error) {
		err = s.tx(ctx, func(tx *sqlx.Tx) error {
			o, err = s.adopt(ctx, tx, call)
			return err
		})
		return o, err
	})
	if err != nil {
		return Orphan{}, fmt.Errorf("take over call %s: %w", call, err)
	}
	return adopted, nil
}

func (s *Service) adopt(ctx context.Context, tx *sqlx.Tx, call CallID) (Orphan, error) {
	found, err := orphans(ctx, tx, `h.call_id = $3 FOR UPDATE OF h`, s.node, s.boot, call)
	if err != nil {
		return Orphan{}, err
	}
	if len(found) == 0 {
		var over bool
		err := tx.GetContext(ctx, &over, `SELECT ended_at IS NOT NULL FROM call WHERE id = $1 AND node = $2`, call, s.node)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !over {
			err = ErrNotFound
		}
		if err == nil {
			err = ErrSettled
		}
		return Orphan{}, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE hold SET boot = $2, alive_at = now() WHERE call_id = $1`, call, s.boot)
	return found[0], err
}

// orphans reads calls of the node $1 for its run $2, which must be the newest.
func orphans(ctx context.Context, q sqlx.QueryerContext, which string, args ...any) ([]Orphan, error) {
	var rows []struct {
		Call         CallID         `db:"call_id"`
		AccessCall   CallID         `db:"access_call"`
		Provider     string         `db:"provider"`
		AccessNumber e164.Number    `db:"access_number"`
		Caller       e164.Number    `db:"caller"`
		Started      time.Time      `db:"started_at"`
		Account      string         `db:"account"`
		Number       e164.Number    `db:"number"`
		VAT          tariff.Percent `db:"vat_percent"`
		CallLimit    int            `db:"call_limit"`
		Amount       money.Amount   `db:"amount"`
		SpendLimited bool           `db:"spend_limited"`
		AliveAt      time.Time      `db:"alive_at"`
		AnsweredMS   sql.NullInt64  `db:"answered_ms"`
		Trunk        string         `db:"trunk"`
		Carrier      string         `db:"carrier"`
		Cost         stamp          `db:"carrier_rate"`
		quoted
	}
	err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT h.call_id, c.access_call, c.provider, c.access_number, c.caller, c.started_at, h.account, c.number, c.vat_percent,
		    h.call_limit, h.amount, h.spend_limited, h.alive_at, h.answered_ms, c.trunk, c.carrier, c.carrier_rate,
		    c.retail_rate, c.later_rates, c.access_leg, c.answered_at
		FROM hold h JOIN call c ON c.id = h.call_id
		WHERE (SELECT newest_run($1, $2)) AND h.node = $1 AND `+which, args...)
	list := make([]Orphan, len(rows))
	for i, r := range rows {
		request := Request{
			Origin: Origin{
				Call: r.Call, AccessCall: r.AccessCall, Provider: r.Provider, AccessNumber: r.AccessNumber, Caller: r.Caller,
				Started: r.Started, Access: AccessLeg(r.Access),
			},
			Account: r.Account, Number: r.Number, Rate: tariff.Row(r.Rate), Later: r.Later, VAT: r.VAT, CallLimit: r.CallLimit,
		}
		o := Orphan{
			Request: request, Hold: request.held(r.Amount, r.SpendLimited), Sign: Sign{Call: r.Call}, AliveAt: r.AliveAt,
		}
		if at := r.AnsweredAt.Time; r.AnsweredAt.Valid {
			o.Sign = Sign{
				Call: r.Call, Trunk: r.Trunk, Carrier: r.Carrier, Cost: tariff.Row(r.Cost), AnsweredAt: at,
				Answered: time.Duration(r.AnsweredMS.Int64) * time.Millisecond,
			}
			o.Hold.Seconds = request.quote().Answered(at).Affordable(r.Amount, r.CallLimit)
		}
		list[i] = o
	}
	return list, err
}
