package commune

import (
	"context"
	"strings"

	"telecommune/billing/ledger"
)

// tables are all of the commune's, those that others refer to first.
var tables = []string{
	"enterprise", "act", "member", "contribution", "share", "asset", "asset_request", "agreement", "asset_usage",
	"rental_auction", "rental_bid", "series", "bid", "rent_posting", "rent_settlement", "rent_order", "mutual_expense",
	"levy_vote", "distribution", "dividend", "payout",
}

// Shadow gives the transaction empty tables in place of the commune's own, with the same rules but for the references
// between them. They go when it ends: what a scenario does meets nothing real.
func (c *Commune) Shadow(ctx context.Context) error {
	var all strings.Builder
	for _, table := range tables {
		all.WriteString(`CREATE TEMPORARY TABLE ` + table + ` (LIKE public.` + table + ` INCLUDING ALL) ON COMMIT DROP;`)
	}
	_, err := c.tx.ExecContext(ctx, all.String())
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
