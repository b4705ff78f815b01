package commune

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

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

// Open begins the books with an opening: one entry on the first day of its month, the first that they take from now on.
// There must be no entry yet. ErrState when there is, or when something of it is there already; ErrUnbalanced,
// ErrUnknown, ErrUnknownAccount, ErrAmount, ledger.ErrAccount, money.ErrRange.
func (c *Commune) Open(ctx context.Context, a Act, opening Opening) error {
	a.Date = opening.Period.First()
	o, err := c.begin(ctx, a, ledger.Opening, opening, inOpenMonth)
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("the books began with another opening: %w", ErrState)
	}
	if err != nil || o.again {
		return err
	}
	enterprises, err := o.empty(ctx, opening)
	if err != nil {
		return err
	}
	if err := opening.check(c.book, enterprises); err != nil {
		return err
	}
	for _, m := range opening.Members {
		if err := o.founder(ctx, m); err != nil {
			return err
		}
	}
	for _, a := range opening.Assets {
		err := o.insert(ctx, "asset "+a.Code, `
			INSERT INTO asset (code, kind, meter, cost, life_months, months_depreciated, acquired_on) VALUES ($1, $2, $3, $4, $5, $6, $7::date)
			ON CONFLICT DO NOTHING`, a.Code, a.Kind, a.Meter, a.Cost, a.Life, a.Worn, string(a.Acquired))
		if err != nil {
			return err
		}
	}
	for _, g := range opening.Agreements {
		offered := Offered{g.Code, g.Lessee, g.Terms}
		if err := o.offered(ctx, offered); err != nil {
			return err
		}
		if err := o.execute(ctx, g.Asset, offered, g.Start); err != nil {
			return err
		}
	}
	if err := o.prepaid(ctx, opening); err != nil {
		return err
	}
	if err := o.post(ctx, "Opening balances", opening.lines()...); err != nil || o.posted == 0 {
		return err
	}
	return ledger.Begin(ctx, c.tx, opening.Period)
}

// empty founds the enterprises of an opening, and gives all there are if their books have no entry.
func (o *op) empty(ctx context.Context, opening Opening) (enterprises []string, err error) {
	for _, code := range opening.Enterprises {
		if err := o.insert(ctx, "enterprise "+code, `INSERT INTO enterprise (code, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, code, code); err != nil {
			return nil, err
		}
	}
	if err := o.tx.SelectContext(ctx, &enterprises, `SELECT code FROM enterprise ORDER BY code COLLATE "C"`); err != nil {
		return nil, err
	}
	var used bool
	err = o.tx.GetContext(ctx, &used, `SELECT EXISTS (SELECT FROM line WHERE book = $1 OR book = ANY ($2))`, o.book, pq.Array(enterprises))
	if err == nil && used {
		err = fmt.Errorf("the books have entries, an opening comes before the first: %w", ErrState)
	}
	return enterprises, err
}

// founder issues the share of one.
func (o *op) founder(ctx context.Context, m Membership) error {
	err := o.insert(ctx, "member "+m.Member, `INSERT INTO member (code, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, m.Member, m.Name)
	if err != nil {
		return err
	}
	key := "founding:" + m.Member
	_, err = o.tx.ExecContext(ctx, `INSERT INTO contribution (key, member, day, kind) VALUES ($1, $2, $3::date, 'founding')`, key, m.Member, string(m.Joined))
	if err != nil {
		return err
	}
	_, err = o.tx.ExecContext(ctx, `INSERT INTO share (member, issued_on, cancelled_on, contribution) VALUES ($1, $2::date, $3::date, $4)`,
		m.Member, string(m.Joined), nullable(m.Left), key)
	return err
}

// insert adds a row that must not be there yet: ErrState.
func (o *op) insert(ctx context.Context, what, query string, args ...any) error {
	done, err := o.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		err = fmt.Errorf("there is %s already: %w", what, ErrState)
	}
	return err
}

// prepaid checks that the callers' accounts of an opening are there. Each has a balance row.
func (o *op) prepaid(ctx context.Context, opening Opening) error {
	for book, balances := range opening.Balances {
		for account := range balances {
			if book == o.book || !strings.HasPrefix(account, "2100:") {
				continue
			}
			var there bool
			err := o.tx.GetContext(ctx, &there, `SELECT EXISTS (SELECT FROM balance WHERE book = $1 AND account = $2)`, book, account)
			if err == nil && !there {
				err = fmt.Errorf("%s %.40s: %w", book, account, ErrUnknownAccount)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
