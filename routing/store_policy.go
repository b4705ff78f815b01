package routing

import (
	"context"
	"fmt"

	"telecommune/internal/postgres"
)

// SetPolicy sets the policy of a prefix, in the place of the one it had: *FieldError.
func (s *Store) SetPolicy(ctx context.Context, p Policy) error {
	if err := p.check(); err != nil {
		return err
	}
	_, err := postgres.Exec(ctx, s.db, `
		INSERT INTO route_policy (prefix, strategy, band) VALUES ($1, $2, $3)
		ON CONFLICT (prefix) DO UPDATE SET strategy = EXCLUDED.strategy, band = EXCLUDED.band`, p.Prefix, p.Strategy, p.Band)
	if err != nil {
		return fmt.Errorf("set the policy of prefix %q: %w", p.Prefix, err)
	}
	return nil
}

// Policies lists the policies by prefix.
func (s *Store) Policies(ctx context.Context) ([]Policy, error) {
	policies := []Policy{}
	err := s.db.SelectContext(ctx, &policies, `SELECT prefix, strategy, band FROM route_policy ORDER BY prefix COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return policies, nil
}

// RemovePolicy takes the policy of a prefix away, or returns ErrNoPolicy.
func (s *Store) RemovePolicy(ctx context.Context, prefix string) error {
	result, err := postgres.Exec(ctx, s.db, `DELETE FROM route_policy WHERE prefix = $1`, prefix)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && n == 0 {
			err = ErrNoPolicy
		}
	}
	if err != nil {
		return fmt.Errorf("remove the policy of prefix %q: %w", prefix, err)
	}
	return nil
}
