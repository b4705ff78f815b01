package tariff

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// Store keeps rate decks in the database. A version is written once and never changed.
type Store struct{ db *sqlx.DB }

// NewStore makes a store over a pool.
func NewStore(db *sqlx.DB) *Store { return &Store{db} }

// State tells where a version is in its life.
type State string

const (
	Draft      State = "draft"       // stored, and not activated
	Future     State = "future"      // will come into force
	Active     State = "active"      // in force
	Past       State = "past"        // another took its place; comes back when that is rolled back
	RolledBack State = "rolled_back" // was in force, and never will be again
)

// Version is one stored version of a deck, without its rows.
type Version struct {
	ID         uuid.UUID      `json:"-" db:"id"`
	Kind       Kind           `json:"kind" db:"kind"`
	Name       string         `json:"name" db:"name"`
	Number     int            `json:"version" db:"version"`
	State      State          `json:"state" db:"state"` // now
	Currency   money.Currency `json:"currency" db:"currency"`
	Zone       string         `json:"zone" db:"zone"`
	ActiveFrom *time.Time     `json:"active_from" db:"active_from"` // nil: a draft
	EndedAt    *time.Time     `json:"ended_at" db:"ended_at"`       // nil: not rolled back
	Source     string         `json:"source" db:"source"`
	ImportedAt time.Time      `json:"imported_at" db:"imported_at"`
	Rows       int            `json:"rows" db:"rows"`
	Holidays   int            `json:"holidays" db:"holidays"`
	InForce    bool           `json:"in_force" db:"in_force"` // now
}

// String gives name@version, as it is stamped on calls.
func (v Version) String() string { return fmt.Sprintf("%s@%d", v.Name, v.Number) }

func (v *Version) utc() {
	v.ImportedAt = v.ImportedAt.UTC()
	for _, t := range []*time.Time{v.ActiveFrom, v.EndedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// spec is what is known of the version beside its rows and holidays.
func (v *Version) spec() (Spec, error) {
	zone, err := time.LoadLocation(v.Zone)
	s := Spec{Kind: v.Kind, Name: v.Name, Currency: v.Currency, Zone: zone, Source: v.Source}
	if v.ActiveFrom != nil {
		s.ActiveFrom = v.ActiveFrom.UTC()
	}
	return s, err
}

// deck reads a version whole.
func (s *Store) deck(ctx context.Context, v Version) (Deck, error) {
	d, err := s.spec(ctx, v)
	if err != nil {
		return Deck{}, err
	}
	for row, err := range s.Rates(ctx, v) {
		if err != nil {
			return Deck{}, err
		}
		d.Rows = append(d.Rows, row)
	}
	return d, nil
}

// spec reads a version without its rows.
func (s *Store) spec(ctx context.Context, v Version) (d Deck, err error) {
	if d.Spec, err = v.spec(); err != nil {
		return Deck{}, err
	}
	d.Version = v.Number
	if v.EndedAt != nil {
		d.EndedAt = v.EndedAt.UTC()
	}
	d.Holidays, err = holidaysOf(ctx, s.db, v.ID)
	return d, err
}

func holidaysOf(ctx context.Context, q sqlx.QueryerContext, deck uuid.UUID) (days []Holiday, err error) {
	err = sqlx.SelectContext(ctx, q, &days, `
		SELECT to_char(day, 'YYYY-MM-DD') AS date, counts_as, name FROM deck_holiday WHERE deck_id = $1 ORDER BY day`, deck)
	return days, err
}

// List gives all versions of all decks, by kind and name, newest first.
func (s *Store) List(ctx context.Context) ([]Version, error) {
	versions := []Version{}
	err := s.db.SelectContext(ctx, &versions, selectVersions+` ORDER BY kind, name, version DESC`)
	if err != nil {
		return nil, fmt.Errorf("list decks: %w", err)
	}
	for i := range versions {
		versions[i].utc()
	}
	return versions, nil
}

// selectVersions reads the database's clock once, so that in_force and state agree.
const selectVersions = `
	SELECT id, kind, name, version, currency, zone, active_from, ended_at, source, imported_at, rows, holidays, in_force, CASE
		WHEN active_from IS NULL THEN 'draft'
		WHEN in_force THEN 'active'
		WHEN ended_at <= now THEN 'rolled_back'
		WHEN active_from > now THEN 'future'
		ELSE 'past' END AS state
	FROM (
		SELECT id, kind, name, version, currency, zone, active_from, ended_at, source, imported_at, row_count AS rows,
			(SELECT count(*) FROM deck_holiday WHERE deck_id = d.id) AS holidays, now,
			COALESCE(active_from <= now AND (ended_at IS NULL OR ended_at > now) AND NOT EXISTS (
				SELECT FROM deck later WHERE later.kind = d.kind AND later.name = d.name AND later.active_from <= now
					AND (later.ended_at IS NULL OR later.ended_at > now)
					AND (later.active_from, later.version) > (d.active_from, d.version)), false) AS in_force
		FROM deck d CROSS JOIN (SELECT clock_timestamp() AS now) AS clock
	) AS v`

// HolidaysOf gives those of a version.
func (s *Store) HolidaysOf(ctx context.Context, v Version) ([]Holiday, error) {
	days, err := holidaysOf(ctx, s.db, v.ID)
	if err != nil {
		return nil, fmt.Errorf("holidays of deck %s: %w", v, err)
	}
	return days, nil
}

// Holidays gives those of the newest version of a deck, none when there is no version yet.
func (s *Store) Holidays(ctx context.Context, kind Kind, name string) ([]Holiday, error) {
	days := []Holiday{}
	err := s.db.SelectContext(ctx, &days, `
		SELECT to_char(day, 'YYYY-MM-DD') AS date, counts_as, h.name FROM deck_holiday h
		WHERE deck_id = (SELECT id FROM deck WHERE kind = $1 AND name = $2 ORDER BY version DESC LIMIT 1) ORDER BY day`, kind, name)
	if err != nil {
		return nil, fmt.Errorf("holidays of %s deck %s: %w", kind, name, err)
	}
	return days, nil
}

// Deck reads one version with its rows, or ErrNotFound; version 0 is the one in force now.
func (s *Store) Deck(ctx context.Context, kind Kind, name string, version int) (Deck, error) {
	v, err := s.Version(ctx, kind, name, version)
	if err != nil {
		return Deck{}, err
	}
	d, err := s.deck(ctx, v)
	if err != nil {
		return Deck{}, fmt.Errorf("%s deck %s: %w", kind, name, err)
	}
	return d, nil
}

// Version finds one version, or ErrNotFound; version 0 is the one in force now.
func (s *Store) Version(ctx context.Context, kind Kind, name string, version int) (Version, error) {
	v, err := getVersion(ctx, s.db, `kind = $1 AND name = $2 AND CASE $3::integer WHEN 0 THEN in_force ELSE version = $3 END`,
		kind, name, version)
	if err != nil {
		return Version{}, fmt.Errorf("%s deck %s: %w", kind, name, err)
	}
	return v, nil
}

func getVersion(ctx context.Context, q sqlx.QueryerContext, where string, args ...any) (Version, error) {
	var v Version
	err := sqlx.GetContext(ctx, q, &v, selectVersions+` WHERE `+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	v.utc()
	return v, err
}

const selectRates = `
	SELECT prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next, grace_seconds,
		minimum_charge, rounding_unit, rounding_mode, NULLIF(effective_from, '-infinity'), NULLIF(effective_to, 'infinity'),
		time_window, allow_loss
	FROM rate WHERE deck_id = $1`

const inOrder = ` ORDER BY prefix COLLATE "C", effective_from, time_window COLLATE "C"`

// Rates gives the rows of a version by prefix and time.
func (s *Store) Rates(ctx context.Context, v Version) Rows {
	return func(yield func(Row, error) bool) {
		found, err := s.db.QueryContext(ctx, selectRates+inOrder, v.ID)
		if err != nil {
			yield(Row{}, fmt.Errorf("read deck %s: %w", v, err))
			return
		}
		defer found.Close() //nolint:errcheck // what went wrong is told by found.Err
		for found.Next() {
			row, err := scanRate(found)
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(Row{}, fmt.Errorf("read deck %s: %w", v, err))
		}
	}
}

// scanRate reads a row. Infinite times, which Go has not, come as NULL and become zero.
func scanRate(found *sql.Rows) (r Row, err error) {
	var from, to sql.NullTime
	if err := found.Scan(&r.Prefix, &r.Destination, &r.RatePerMinute, &r.ConnectFee, &r.IntervalFirst, &r.IntervalNext,
		&r.GraceSeconds, &r.MinimumCharge, &r.RoundingUnit, &r.RoundingMode, &from, &to, &r.Window, &r.AllowLoss); err != nil {
		return Row{}, err
	}
	if from.Valid {
		r.EffectiveFrom = from.Time.UTC()
	}
	if to.Valid {
		r.EffectiveTo = to.Time.UTC()
	}
	return r, nil
}
