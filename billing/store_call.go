package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CallFilter chooses calls by when they began. Its zero value means all.
type CallFilter struct {
	Account string
	From    time.Time // with this moment
	To      time.Time // without this moment
}

const selectCall = `
SELECT c.id, COALESCE(c.account, '') AS account, c.access_number, c.caller, c.number,
    COALESCE(c.retail_rate->>'destination', '') AS destination, c.trunk, c.started_at, c.answered_at, c.ended_at,
    c.answered_seconds, c.billed_seconds, c.price, c.vat, c.carrier_cost, c.access_price, c.access_cost, COALESCE(k.currency, house.currency) AS currency,
    c.outcome, c.sip, c.q850, c.entry_id
FROM call c CROSS JOIN commune house LEFT JOIN account a ON a.code = c.account LEFT JOIN book k ON k.code = a.enterprise`

// Calls lists calls by when they began, running ones too.
func (s *Service) Calls(ctx context.Context, f CallFilter) ([]Call, error) {
	list := []Call{}
	err := s.db.SelectContext(ctx, &list, selectCall+`
		WHERE ($1 = '' OR c.account = $1) AND ($2::timestamptz IS NULL OR c.started_at >= $2)
		    AND ($3::timestamptz IS NULL OR c.started_at < $3)
		ORDER BY c.started_at, c.id`, f.Account, instant(f.From), instant(f.To))
	if err != nil {
		return nil, fmt.Errorf("calls: %w", err)
	}
	return list, nil
}

// Call gives one call, or ErrNotFound.
func (s *Service) Call(ctx context.Context, id CallID) (Call, error) {
	var c Call
	err := s.db.GetContext(ctx, &c, selectCall+` WHERE c.id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Call{}, fmt.Errorf("call %s: %w", id, err)
	}
	return c, nil
}
