package routing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"telecommune/internal/postgres"
)

var attemptsSQL = postgres.Prepared(`
	WITH planned AS (
	    INSERT INTO call_route (call_id, plan) VALUES ($1, $2) ON CONFLICT (call_id) DO NOTHING
	)
	INSERT INTO attempt (call_id, n, trunk, country, prefix, started_at, pdd_ms, sip, q850, outcome, seized, effective,
	    suspect)
	SELECT $1, a.n, a.trunk, $3, a.prefix, a.started_at, a.pdd_ms, a.sip, a.q850, a.outcome, a.seized, a.effective,
	    a.suspect
	FROM unnest($4::text[], $5::text[], $6::timestamptz[], $7::integer[], $8::integer[], $9::integer[], $10::text[],
	        $11::boolean[], $12::boolean[], $13::text[])
	    WITH ORDINALITY AS a (trunk, prefix, started_at, pdd_ms, sip, q850, outcome, seized, effective, suspect, n)
	ON CONFLICT (call_id, n) DO NOTHING`)

// RecordAttempts stores the plan that a call was routed by, and all attempts of it in the order they were made. It may be
// repeated: what is stored stays.
func (s *Store) RecordAttempts(ctx context.Context, call uuid.UUID, plan Plan, attempts []Attempt) error {
	n := len(attempts)
	trunks, prefixes, outcomes := make([]string, n), make([]string, n), make([]string, n)
	started, seized, effective := make([]time.Time, n), make([]bool, n), make([]bool, n)
	pdd, sip, q850, suspect := make([]int64, n), make([]int64, n), make([]int64, n), make([]string, n)
	for i, a := range attempts {
		trunks[i], prefixes[i], started[i], outcomes[i] = a.Trunk, a.Prefix, a.Started, a.Outcome
		pdd[i], sip[i], q850[i] = a.PDD.Milliseconds(), int64(a.SIP), int64(a.Q850)
		seized[i], effective[i] = a.seizure(), a.effective()
		suspect[i] = a.Suspect
	}
	explanation, err := json.Marshal(plan.Explain())
	if err != nil {
		return fmt.Errorf("plan of call %s: %w", call, err)
	}
	_, err = s.db.ExecContext(ctx, attemptsSQL,
		call, string(explanation), CountryOf(plan.Number), pq.Array(trunks), pq.Array(prefixes), pq.Array(started),
		pq.Array(pdd), pq.Array(sip), pq.Array(q850), pq.Array(outcomes), pq.Array(seized), pq.Array(effective),
		pq.Array(suspect))
	if err != nil {
		return fmt.Errorf("record %d attempts of call %s: %w", n, call, err)
	}
	return nil
}

// Route gives the plan that a call was routed by; nil for one that was not, or was before plans were kept.
func (s *Store) Route(ctx context.Context, call uuid.UUID) (*Explanation, error) {
	var plan []byte
	err := s.db.GetContext(ctx, &plan, `SELECT plan FROM call_route WHERE call_id = $1`, call)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	e := &Explanation{}
	if err == nil {
		err = json.Unmarshal(plan, e)
	}
	if err != nil {
		return nil, fmt.Errorf("plan of call %s: %w", call, err)
	}
	return e, nil
}

// Attempts gives the attempts of a call in the order they were made.
func (s *Store) Attempts(ctx context.Context, call uuid.UUID) ([]Attempt, error) {
	attempts, err := s.AttemptsOf(ctx, []uuid.UUID{call})
	return append([]Attempt{}, attempts[call]...), err
}

// AttemptsOf gives the attempts of several calls, of each in the order they were made.
func (s *Store) AttemptsOf(ctx context.Context, calls []uuid.UUID) (map[uuid.UUID][]Attempt, error) {
	var rows []struct {
		Call    uuid.UUID `db:"call_id"`
		Trunk   string    `db:"trunk"`
		Prefix  string    `db:"prefix"`
		Started time.Time `db:"started_at"`
		PDD     int64     `db:"pdd_ms"`
		SIP     int       `db:"sip"`
		Q850    int       `db:"q850"`
		Outcome string    `db:"outcome"`
		Suspect string    `db:"suspect"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		SELECT call_id, trunk, prefix, started_at, pdd_ms, sip, q850, outcome, suspect FROM attempt
		WHERE call_id = ANY ($1::uuid[]) ORDER BY call_id, n`, pq.Array(calls))
	if err != nil {
		return nil, fmt.Errorf("attempts of %d calls: %w", len(calls), err)
	}
	attempts := map[uuid.UUID][]Attempt{}
	for _, r := range rows {
		a := Attempt{r.Trunk, r.Prefix, r.Started.UTC(), time.Duration(r.PDD) * time.Millisecond, r.SIP, r.Q850, r.Outcome, r.Suspect}
		attempts[r.Call] = append(attempts[r.Call], a)
	}
	return attempts, nil
}
