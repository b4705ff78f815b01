package commune

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
)

// Sandbox makes the transaction look into the empty tables of schema replay instead of the commune's own, with a calendar
// of its own: what it does meets nothing real. It must be rolled back.
func Sandbox(ctx context.Context, tx *sqlx.Tx, zone *time.Location, first ledger.Period) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL search_path = replay, public`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO replay.commune (currency, zone, open_from) SELECT currency, $1, $2::date FROM public.commune`,
		zone.String(), string(first.First()))
	return err
}

// Opening is the commune as it was before its books began.
type Opening struct {
	Enterprises []string
	Members     []Membership
	Assets      []Asset
	Agreements  []Agreement
}

// Membership is a founder's share.
type Membership struct {
	Member       string
	Joined, Left ledger.Date // Left: none, as long as he stays
}

// Open writes an opening down. What it owns and owes in money is for the caller to post.
func (c *Commune) Open(ctx context.Context, o Opening) error {
	for _, code := range o.Enterprises {
		if _, err := c.tx.ExecContext(ctx, `INSERT INTO enterprise (code, name) VALUES ($1, $2)`, code, code); err != nil {
			return err
		}
	}
	for _, m := range o.Members {
		if err := c.found(ctx, m); err != nil {
			return err
		}
	}
	for _, a := range o.Assets {
		_, err := c.tx.ExecContext(ctx, `
			INSERT INTO asset (code, kind, meter, cost, life_months, months_depreciated, acquired_on) VALUES ($1, $2, $3, $4, $5, $6, $7::date)`,
			a.Code, a.Kind, a.Meter, a.Cost, a.Life, a.Worn, string(a.Acquired))
		if err != nil {
			return err
		}
	}
	for _, g := range o.Agreements {
		op := op{Commune: c}
		if err := op.execute(ctx, g.Asset, Offered{g.Code, g.Lessee, g.Terms}, g.Start); err != nil {
			return err
		}
	}
	return nil
}

// found issues the share of a founder.
func (c *Commune) found(ctx context.Context, m Membership) error {
	if _, err := c.tx.ExecContext(ctx, `INSERT INTO member (code) VALUES ($1)`, m.Member); err != nil {
		return err
	}
	key := "founding:" + m.Member
	_, err := c.tx.ExecContext(ctx, `INSERT INTO contribution (key, member, day, kind) VALUES ($1, $2, $3::date, 'founding')`, key, m.Member, string(m.Joined))
	if err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO share (member, issued_on, cancelled_on, contribution) VALUES ($1, $2::date, $3::date, $4)`,
		m.Member, string(m.Joined), nullable(m.Left), key)
	return err
}
