package routing

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// barring reads what may be called.
func (s *Store) barring(ctx context.Context) (Barring, error) {
	limits, err := s.Limits(ctx)
	if err != nil {
		return Barring{}, err
	}
	own, err := s.Rules(ctx)
	return NewBarring(limits, own), err
}

// Limits gives what holds for all numbers.
func (s *Store) Limits(ctx context.Context) (Limits, error) { return limits(ctx, s.db, "") }

func limits(ctx context.Context, q sqlx.QueryerContext, lock string) (Limits, error) {
	var row struct {
		MaxRate   money.Amount   `db:"max_rate"`
		Countries pq.StringArray `db:"countries"`
	}
	if err := sqlx.GetContext(ctx, q, &row, `SELECT max_rate, countries FROM route_limit`+lock); err != nil {
		return Limits{}, fmt.Errorf("read the limits of what may be called: %w", err)
	}
	return Limits{row.MaxRate, Countries(row.Countries)}, nil
}

// SetLimits changes what holds for all numbers by a function, under the row's lock so that two changes at once both
// count.
func (s *Store) SetLimits(ctx context.Context, change func(*Limits)) (Limits, error) {
	var l Limits
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) (err error) {
		if l, err = limits(ctx, tx, ` FOR UPDATE`); err != nil {
			return err
		}
		change(&l)
		_, err = tx.ExecContext(ctx, `UPDATE route_limit SET max_rate = $1, countries = $2`,
			l.MaxRate, pq.Array([]string(l.Countries)))
		return err
	})
	if err != nil {
		return Limits{}, fmt.Errorf("set the limits of what may be called: %w", err)
	}
	return l, nil
}

// Rules lists the house's own rules by prefix.
func (s *Store) Rules(ctx context.Context) ([]Rule, error) {
	rules := []Rule{}
	err := s.db.SelectContext(ctx, &rules, `
		SELECT prefix, action, max_rate, note FROM route_rule ORDER BY prefix COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list the rules of what may be called: %w", err)
	}
	return rules, nil
}

// SetRule makes a rule, in the place of the one that the prefix may have. ErrNote for a text of more than 200
// characters.
func (s *Store) SetRule(ctx context.Context, r Rule) error {
	_, err := postgres.Exec(ctx, s.db, `
		INSERT INTO route_rule (prefix, action, max_rate, note) VALUES ($1, $2, $3, $4)
		ON CONFLICT (prefix) DO UPDATE SET action = EXCLUDED.action, max_rate = EXCLUDED.max_rate, note = EXCLUDED.note,
		    set_at = now()`, r.Prefix, r.Action, r.MaxRate, r.Text)
	if postgres.Constraint(err) == "route_rule_note" {
		err = ErrNote
	}
	if err != nil {
		return fmt.Errorf("set the rule for %s: %w", r.Prefix, err)
	}
	return nil
}

// RemoveRule takes a rule away, or returns ErrNoRule.
func (s *Store) RemoveRule(ctx context.Context, prefix string) error {
	result, err := postgres.Exec(ctx, s.db, `DELETE FROM route_rule WHERE prefix = $1`, prefix)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && n == 0 {
			err = ErrNoRule
		}
	}
	if err != nil {
		return fmt.Errorf("remove the rule for %s: %w", prefix, err)
	}
	return nil
}
