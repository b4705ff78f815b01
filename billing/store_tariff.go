package billing

import (
	"context"
	"fmt"

	"telecommune/internal/postgres"
)

// Tariff is what holds for callers' prices by their name, whichever version of the deck is in force.
type Tariff struct {
	Name string `json:"name" db:"name"`
	// PassesAccess says that callers pay what the access number costs, beside the price of the call; else the enterprise
	// bears it.
	PassesAccess bool `json:"passes_access" db:"passes_access"`
}

// Tariffs lists the tariffs that there are decks for, or terms.
func (s *Service) Tariffs(ctx context.Context) ([]Tariff, error) {
	list := []Tariff{}
	err := s.db.SelectContext(ctx, &list, `
		SELECT n.name, COALESCE(t.passes_access, false) AS passes_access
		FROM (SELECT name FROM deck WHERE kind = 'retail' UNION SELECT name FROM tariff) n LEFT JOIN tariff t ON t.name = n.name
		ORDER BY n.name COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("tariffs: %w", err)
	}
	return list, nil
}

// SetTariff sets the terms of a tariff, for calls that begin from now on. ErrNotFound when it has no deck.
func (s *Service) SetTariff(ctx context.Context, t Tariff) (Tariff, error) {
	done, err := postgres.Exec(ctx, s.db, `
		INSERT INTO tariff (name, passes_access)
		SELECT $1::text, $2::boolean WHERE EXISTS (SELECT FROM deck WHERE kind = 'retail' AND name = $1::text)
		ON CONFLICT (name) DO UPDATE SET passes_access = excluded.passes_access`, t.Name, t.PassesAccess)
	if err == nil {
		err = one(done)
	}
	if err != nil {
		return Tariff{}, fmt.Errorf("set tariff %.40q: %w", t.Name, translate(err))
	}
	return t, nil
}
