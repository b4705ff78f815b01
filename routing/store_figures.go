package routing

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
)

// countAtOnce is how many attempts are added up in one transaction.
const countAtOnce = 20_000

// Count adds attempts whose calls are over, and those calls, to the sums that figures are read from. Each attempt is
// counted once, whoever counts and how often: it is marked in the transaction that adds it. serve does so every minute,
// and whoever reads figures before.
func (s *Store) Count(ctx context.Context) error {
	for {
		var n int64
		err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
			return tx.GetContext(ctx, &n, countAttempts, countAtOnce)
		})
		if err != nil {
			return fmt.Errorf("count attempts: %w", err)
		}
		if n < countAtOnce {
			return nil
		}
	}
}

// The answered attempt has the time and the money of its call, but for what the access number adds. Rows of sums are touched in one order, so that two who
// count at once don't wait for each other; what one has locked the other leaves out.
const countAttempts = `
	WITH due AS MATERIALIZED (
	    SELECT a.call_id, a.n FROM attempt a JOIN call c ON c.id = a.call_id
	    WHERE NOT a.counted AND c.ended_at IS NOT NULL
	    ORDER BY a.call_id, a.n LIMIT $1 FOR UPDATE OF a SKIP LOCKED
	), fresh AS (
	    UPDATE attempt a SET counted = true FROM due d, call c
	    WHERE a.call_id = d.call_id AND a.n = d.n AND c.id = d.call_id
	    RETURNING date_bin('15 minutes', a.started_at, 'epoch') AS began, a.trunk, a.country, a.prefix, a.seized,
	        a.effective, a.effective AND a.outcome = 'answered' AS answered, a.pdd_ms, a.sip, a.q850,
	        c.answered_seconds AS seconds, c.price - c.access_price AS price, c.vat - c.access_vat AS vat,
	        c.carrier_cost AS cost
	), summed AS (
	    INSERT INTO trunk_quarter (began, trunk, country, prefix, attempts, answered, effective, delayed, delay_ms, seconds,
	        price, vat, cost)
	    SELECT began, trunk, country, prefix, count(*), count(*) FILTER (WHERE answered), count(*) FILTER (WHERE effective),
	        count(*) FILTER (WHERE pdd_ms > 0), sum(pdd_ms), COALESCE(sum(seconds) FILTER (WHERE answered), 0),
	        COALESCE(sum(price) FILTER (WHERE answered), 0), COALESCE(sum(vat) FILTER (WHERE answered), 0),
	        COALESCE(sum(cost) FILTER (WHERE answered), 0)
	    FROM fresh WHERE seized GROUP BY began, trunk, country, prefix ORDER BY began, trunk, country, prefix
	    ON CONFLICT (began, trunk, country, prefix) DO UPDATE SET
	        attempts = trunk_quarter.attempts + EXCLUDED.attempts, answered = trunk_quarter.answered + EXCLUDED.answered,
	        effective = trunk_quarter.effective + EXCLUDED.effective, delayed = trunk_quarter.delayed + EXCLUDED.delayed,
	        delay_ms = trunk_quarter.delay_ms + EXCLUDED.delay_ms, seconds = trunk_quarter.seconds + EXCLUDED.seconds,
	        price = trunk_quarter.price + EXCLUDED.price, vat = trunk_quarter.vat + EXCLUDED.vat,
	        cost = trunk_quarter.cost + EXCLUDED.cost
	), failed AS (
	    INSERT INTO trunk_quarter_failure (began, trunk, country, prefix, sip, q850, attempts)
	    SELECT began, trunk, country, prefix, sip, q850, count(*) FROM fresh WHERE seized AND NOT answered
	    GROUP BY began, trunk, country, prefix, sip, q850 ORDER BY began, trunk, country, prefix, sip, q850
	    ON CONFLICT (began, trunk, country, prefix, sip, q850) DO UPDATE SET
	        attempts = trunk_quarter_failure.attempts + EXCLUDED.attempts
	)
	SELECT count(*) FROM fresh`

// windowed puts a row's quarter of an hour into its window, and its country and prefix away when they are not told
// apart. $1 trunk, $2 and $3 from and to, $4 grain, $5 window, $6 zone.
const windowed = `
	SELECT CASE $5 WHEN '15m' THEN began WHEN 'all' THEN date_bin('15 minutes', $2, 'epoch')
	        ELSE date_trunc($5, began, $6) END AS began,
	    trunk, CASE $4 WHEN 'trunk' THEN '' ELSE country END AS country, CASE $4 WHEN 'prefix' THEN prefix ELSE '' END AS prefix,`

const chosen = `
	WHERE began >= date_bin('15 minutes', $2::timestamptz, 'epoch') AND ($3::timestamptz IS NULL OR began < $3)
	    AND ($1 = '' OR trunk = $1)`

// Figures adds up what was counted, in the order of window, trunk, country and prefix. Days and months are sums of
// quarters of an hour.
func (s *Store) Figures(ctx context.Context, f FigureFilter) ([]Figures, error) {
	args := []any{f.Trunk, f.From, sql.NullTime{Time: f.To, Valid: !f.To.IsZero()}, f.By, f.Window, f.Zone}
	var rows []sums
	err := s.db.SelectContext(ctx, &rows, `
		WITH w AS (`+windowed+`
		    attempts, answered, effective, delayed, delay_ms, seconds, price, vat, cost FROM trunk_quarter`+chosen+`)
		SELECT began, trunk, country, prefix, sum(attempts)::bigint AS attempts, sum(answered)::bigint AS answered,
		    sum(effective)::bigint AS effective, sum(delayed)::bigint AS delayed, sum(delay_ms)::bigint AS delay_ms,
		    sum(seconds)::bigint AS seconds, sum(price)::bigint AS price, sum(vat)::bigint AS vat, sum(cost)::bigint AS cost
		FROM w GROUP BY began, trunk, country, prefix
		ORDER BY began, trunk COLLATE "C", country COLLATE "C", prefix COLLATE "C"`, args...)
	if err != nil {
		return nil, fmt.Errorf("figures of trunks: %w", err)
	}
	var failures []struct {
		From                   time.Time `db:"began"`
		Trunk, Country, Prefix string
		SIP, Q850              int
		Attempts               int64
	}
	err = s.db.SelectContext(ctx, &failures, `
		WITH w AS (`+windowed+` sip, q850, attempts FROM trunk_quarter_failure`+chosen+`)
		SELECT began, trunk, country, prefix, sip, q850, sum(attempts)::bigint AS attempts FROM w
		GROUP BY began, trunk, country, prefix, sip, q850 ORDER BY attempts DESC, sip, q850`, args...)
	if err != nil {
		return nil, fmt.Errorf("failures of trunks: %w", err)
	}
	type key struct {
		from                   int64
		trunk, country, prefix string
	}
	at := map[key]int{}
	figures := make([]Figures, len(rows))
	for i, r := range rows {
		figures[i] = r.figures()
		at[key{r.From.Unix(), r.Trunk, r.Country, r.Prefix}] = i
	}
	for _, f := range failures {
		if i, ok := at[key{f.From.Unix(), f.Trunk, f.Country, f.Prefix}]; ok {
			figures[i].Failures = append(figures[i].Failures, FailureCount{f.SIP, f.Q850, f.Attempts})
		}
	}
	return figures, nil
}

// Tried is how many attempts over a trunk to a country there were, and how many of them were answered.
type Tried struct {
	Trunk    string
	Country  string
	Attempts int64
	Answered int64
}

// TriedSince gives the attempts that began since an instant, of which the quarter of an hour counts.
func (s *Store) TriedSince(ctx context.Context, since time.Time) ([]Tried, error) {
	tried := []Tried{}
	err := s.db.SelectContext(ctx, &tried, `
		SELECT trunk, country, sum(attempts)::bigint AS attempts, sum(answered)::bigint AS answered FROM trunk_quarter
		WHERE began >= date_bin('15 minutes', $1, 'epoch')
		GROUP BY trunk, country ORDER BY trunk COLLATE "C", country COLLATE "C"`, since)
	if err != nil {
		return nil, fmt.Errorf("attempts by trunk and country: %w", err)
	}
	return tried, nil
}
