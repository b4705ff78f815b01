package billing

import (
	"context"
	"iter"
	"time"

	"telecommune/billing/tariff"
)

// PastCalls gives the answered calls that went over a trunk, or that a retail deck priced, for tariff to price them by
// another version of the deck. They come one by one, over a connection of their own.
func (s *Service) PastCalls(ctx context.Context) tariff.Calls {
	return func(kind tariff.Kind, name string, since time.Time) iter.Seq2[tariff.PastCall, error] {
		return func(yield func(tariff.PastCall, error) bool) {
			found, err := s.db.QueryContext(ctx, `
				SELECT number, answered_at, answered_seconds FROM call
				WHERE answered_at >= $1 AND started_at >= $1::timestamptz - interval '1 day' AND answered_seconds > 0
					AND CASE $2 WHEN 'trunk' THEN trunk = $3 ELSE split_part(retail_rate->>'deck', '@', 1) = $3 END`,
				since, kind, name)
			if err != nil {
				yield(tariff.PastCall{}, err)
				return
			}
			defer found.Close() //nolint:errcheck // what went wrong is told by found.Err
			for found.Next() {
				var c tariff.PastCall
				err := found.Scan(&c.Number, &c.AnsweredAt, &c.Seconds)
				if !yield(c, err) || err != nil {
					return
				}
			}
			if err := found.Err(); err != nil {
				yield(tariff.PastCall{}, err)
			}
		}
	}
}
