package routing

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"telecommune/internal/money"
)

// Spent gives what calls in the database took of each of the trunks, up to now, and which of the calls named are among
// them. Both are read at one moment.
func (s *Store) Spent(ctx context.Context, trunks []string, calls []uuid.UUID) (map[string]Spent, []uuid.UUID, error) {
	var rows []struct {
		Trunk        string         `db:"trunk"`
		DaySeconds   int64          `db:"day_seconds"`
		DayCost      money.Amount   `db:"day_cost"`
		MonthSeconds int64          `db:"month_seconds"`
		MonthCost    money.Amount   `db:"month_cost"`
		Prepaid      money.Amount   `db:"prepaid"`
		DayEnds      time.Time      `db:"day_ends"`
		MonthEnds    time.Time      `db:"month_ends"`
		Among        pq.StringArray `db:"among"`
	}
	// One statement sees one state of the database. Days and months are those of the commune's zone.
	err := s.db.SelectContext(ctx, &rows, `
		WITH here AS (SELECT zone, now() AT TIME ZONE zone AS local FROM commune),
		days AS (
			SELECT date_trunc('day', local) AT TIME ZONE zone AS day, date_trunc('month', local) AT TIME ZONE zone AS month,
			    (date_trunc('day', local) + interval '1 day') AT TIME ZONE zone AS day_ends,
			    (date_trunc('month', local) + interval '1 month') AT TIME ZONE zone AS month_ends
			FROM here)
		SELECT t.code AS trunk, d.day_ends, d.month_ends,
		    COALESCE(sum(c.answered_seconds) FILTER (WHERE c.ended_at >= d.day), 0) AS day_seconds,
		    COALESCE(sum(c.carrier_cost) FILTER (WHERE c.ended_at >= d.day), 0) AS day_cost,
		    COALESCE(sum(c.answered_seconds) FILTER (WHERE c.ended_at >= d.month), 0) AS month_seconds,
		    COALESCE(sum(c.carrier_cost) FILTER (WHERE c.ended_at >= d.month), 0) AS month_cost,
		    COALESCE(sum(c.carrier_cost) FILTER (WHERE c.ended_at >= t.prepaid_at), 0) AS prepaid,
		    COALESCE((SELECT array_agg(k.id::text) FROM call k
		        WHERE k.id = ANY ($2::uuid[]) AND k.ended_at IS NOT NULL), '{}') AS among
		FROM trunk t CROSS JOIN days d
		LEFT JOIN call c ON c.trunk = t.code AND c.answered_seconds > 0
		    AND c.ended_at >= LEAST(d.month, COALESCE(t.prepaid_at, d.month))
		WHERE t.code = ANY ($1)
		GROUP BY t.code, d.day, d.month, d.day_ends, d.month_ends`, pq.Array(trunks), pq.Array(calls))
	if err != nil {
		return nil, nil, fmt.Errorf("usage of %d trunks: %w", len(trunks), err)
	}
	spent := map[string]Spent{}
	var among []uuid.UUID
	for i, r := range rows {
		spent[r.Trunk] = Spent{
			Day: Usage{r.DaySeconds, r.DayCost}, Month: Usage{r.MonthSeconds, r.MonthCost}, Prepaid: r.Prepaid,
			DayEnds: r.DayEnds, MonthEnds: r.MonthEnds,
		}
		for _, id := range r.Among {
			call, err := uuid.Parse(id)
			if err != nil {
				return nil, nil, fmt.Errorf("usage of trunks: %w", err)
			}
			if i == 0 { // each row has the same
				among = append(among, call)
			}
		}
	}
	return spent, among, nil
}

// Refresh brings a gate up to date with what is in the database, as far as the trunks have limits.
func (s *Store) Refresh(ctx context.Context, g *Gate, trunks []Trunk) error {
	var limited []string
	for _, t := range trunks {
		if t.limited() {
			limited = append(limited, t.Code)
		}
	}
	if len(limited) == 0 {
		return nil
	}
	spent, among, err := s.Spent(ctx, limited, g.Unsettled())
	if err != nil {
		return err
	}
	g.Settled(spent, among)
	return nil
}

// Records gives how many calls each trunk was tried with since an instant, and how many were answered. Those that the
// caller gave up, or that a trunk was skipped for, say nothing.
func (s *Store) Records(ctx context.Context, since time.Time) (map[string]Record, error) {
	var rows []struct {
		Trunk    string `db:"trunk"`
		Attempts int64  `db:"attempts"`
		Answered int64  `db:"answered"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		SELECT trunk, count(*) AS attempts, count(*) FILTER (WHERE outcome = 'answered') AS answered
		FROM attempt WHERE started_at >= $1 AND outcome IN ('answered', 'busy', 'no_answer', 'failed') GROUP BY trunk`, since)
	if err != nil {
		return nil, fmt.Errorf("records of trunks: %w", err)
	}
	records := map[string]Record{}
	for _, r := range rows {
		records[r.Trunk] = Record{r.Attempts, r.Answered}
	}
	return records, nil
}

// Usual gives how answered calls that ended since an instant went, by the prefix of the caller's rate. Those of which it is
// not known when they were dialled, because their program was killed, have no post-dial delay, and say nothing.
func (s *Store) Usual(ctx context.Context, since time.Time) (map[string]Usual, error) {
	var rows []struct {
		Prefix string `db:"prefix"`
		Calls  int64  `db:"calls"`
		Delay  int64  `db:"delay_ms"`
		Talk   int64  `db:"talk_ms"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		SELECT c.retail_rate->>'prefix' AS prefix, count(*) AS calls,
		    sum(extract(epoch FROM c.answered_at - a.started_at) * 1000)::bigint AS delay_ms,
		    sum(extract(epoch FROM c.ended_at - c.answered_at) * 1000)::bigint AS talk_ms
		FROM call c JOIN attempt a ON a.call_id = c.id AND a.trunk = c.trunk AND a.outcome = 'answered'
		WHERE c.ended_at >= $1 AND c.answered_at >= a.started_at AND a.pdd_ms > 0 AND c.retail_rate->>'prefix' IS NOT NULL
		GROUP BY 1 ORDER BY 2 DESC LIMIT $2`, since, mostSeen)
	if err != nil {
		return nil, fmt.Errorf("usual calls to destinations: %w", err)
	}
	usual := map[string]Usual{}
	for _, r := range rows {
		usual[r.Prefix] = Usual{r.Calls, time.Duration(r.Delay) * time.Millisecond, time.Duration(r.Talk) * time.Millisecond}
	}
	return usual, nil
}

// Suspects counts the answers of a trunk since an instant, and those that look false.
func (s *Store) Suspects(ctx context.Context, trunk string, since time.Time) (answers, suspect int64, err error) {
	var n struct {
		Answers int64 `db:"answers"`
		Suspect int64 `db:"suspect"`
	}
	err = s.db.GetContext(ctx, &n, `
		SELECT count(*) AS answers, count(*) FILTER (WHERE suspect <> '') AS suspect
		FROM attempt WHERE trunk = $1 AND outcome = 'answered' AND started_at >= $2`, trunk, since)
	if err != nil {
		return 0, 0, fmt.Errorf("suspect answers of trunk %s: %w", trunk, err)
	}
	return n.Answers, n.Suspect, nil
}
