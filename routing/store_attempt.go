package routing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres"
)

const (
	gather   = 200 * time.Millisecond // that the record of a call waits for others, to be stored with them
	patience = 10 * time.Second       // with the database, since nobody waits for it
)

var attemptsSQL = postgres.Prepared(`
	WITH routed AS MATERIALIZED (
	    SELECT call, country, plan, attempts
	    FROM jsonb_to_recordset($1) AS r (call uuid, country text, plan jsonb, attempts jsonb)
	), planned AS (
	    INSERT INTO call_route (call_id, plan) SELECT call, plan FROM routed WHERE plan IS NOT NULL
	    ON CONFLICT (call_id) DO NOTHING
	)
	INSERT INTO attempt (call_id, n, trunk, country, prefix, started_at, pdd_ms, sip, q850, outcome, seized, effective,
	    suspect)
	SELECT r.call, a.n, a.trunk, r.country, a.prefix, a.started, a.pdd, a.sip, a.q850, a.outcome, a.seized, a.effective,
	    a.suspect
	FROM routed r, ROWS FROM (jsonb_to_recordset(r.attempts) AS (trunk text, prefix text, started timestamptz, pdd integer,
	        sip integer, q850 integer, outcome text, seized boolean, effective boolean, suspect text))
	    WITH ORDINALITY AS a (trunk, prefix, started, pdd, sip, q850, outcome, seized, effective, suspect, n)
	ON CONFLICT (call_id, n) DO NOTHING`)

// routed is a call as it is sent to attemptsSQL.
type routed struct {
	Call     uuid.UUID    `json:"call"`
	Country  string       `json:"country"`
	Plan     *Explanation `json:"plan"`     // nil: not known
	Attempts []attempted  `json:"attempts"` // in the order they were made
}

type attempted struct {
	Trunk     string    `json:"trunk"`
	Prefix    string    `json:"prefix"`
	Started   time.Time `json:"started"`
	PDD       int64     `json:"pdd"` // milliseconds
	SIP       int       `json:"sip"`
	Q850      int       `json:"q850"`
	Outcome   string    `json:"outcome"`
	Seized    bool      `json:"seized"`
	Effective bool      `json:"effective"`
	Suspect   string    `json:"suspect"`
}

// RecordAttempts stores the plan that a call was routed by, and all attempts of it in the order they were made. It may be
// repeated: what is stored stays. A plan that is not known any more is none but its number. The call waits a little for
// others, to be stored with them.
func (s *Store) RecordAttempts(ctx context.Context, call uuid.UUID, plan Plan, attempts []Attempt) error {
	r := routed{call, plan.Country, nil, make([]attempted, len(attempts))}
	if !plan.At.IsZero() {
		known := plan.Explain()
		r.Plan = &known
	}
	if r.Country == "" {
		r.Country = CountryOf(plan.Number)
	}
	for i, a := range attempts {
		r.Attempts[i] = attempted{
			a.Trunk, a.Prefix, a.Started, a.PDD.Milliseconds(), a.SIP, a.Q850, a.Outcome, a.seizure(), a.effective(), a.Suspect,
		}
	}
	if _, err := s.calls.Do(ctx, r); err != nil {
		return fmt.Errorf("record %d attempts of call %s: %w", len(attempts), call, err)
	}
	return nil
}

func recordAll(ctx context.Context, tx *sqlx.Tx, calls []routed) ([]postgres.Answer[struct{}], error) {
	all, err := json.Marshal(calls)
	if err == nil {
		_, err = tx.ExecContext(ctx, attemptsSQL, string(all))
	}
	return make([]postgres.Answer[struct{}], len(calls)), err
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
