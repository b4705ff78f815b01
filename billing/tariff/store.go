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
	"telecommune/internal/postgres"
)

// Store keeps rate decks in the database. A version is written once and never changed.
type Store struct{ db *sqlx.DB }

// NewStore makes a store over a pool.
func NewStore(db *sqlx.DB) *Store { return &Store{db} }

// Version is one stored version of a deck, without its rows.
type Version struct {
	ID         uuid.UUID      `json:"-" db:"id"`
	Kind       Kind           `json:"kind" db:"kind"`
	Name       string         `json:"name" db:"name"`
	Number     int            `json:"version" db:"version"`
	Currency   money.Currency `json:"currency" db:"currency"`
	Zone       string         `json:"zone" db:"zone"`
	ActiveFrom time.Time      `json:"active_from" db:"active_from"`
	Source     string         `json:"source" db:"source"`
	ImportedAt time.Time      `json:"imported_at" db:"imported_at"`
	Rows       int            `json:"rows" db:"rows"`
	Holidays   int            `json:"holidays" db:"holidays"`
	InForce    bool           `json:"in_force" db:"in_force"` // now
}

func (v *Version) utc() { v.ActiveFrom, v.ImportedAt = v.ActiveFrom.UTC(), v.ImportedAt.UTC() }

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// Import stores a deck as the next version of its name, all of it or nothing: ErrUnknownTrunk, ErrCurrency. When the
// answer is lost, importing again makes one more version with the same rates, which changes no price.
func (s *Store) Import(ctx context.Context, d Deck) (Version, error) { return s.write(ctx, d, nil) }

// DryRun does everything that Import does, with its errors, and then undoes it.
func (s *Store) DryRun(ctx context.Context, d Deck) (Version, error) {
	return s.write(ctx, d, errDryRun)
}

func (s *Store) write(ctx context.Context, d Deck, end error) (Version, error) {
	if err := d.check(); err != nil {
		return Version{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Version{}, err
	}
	var v Version
	err = postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		if err := checkCommune(ctx, tx, d.Spec); err != nil {
			return err
		}
		if err := insertDeck(ctx, tx, id, d.Spec); err != nil {
			return err
		}
		if err := copyRates(ctx, tx, id, d.Rows); err != nil {
			return err
		}
		if err := insertHolidays(ctx, tx, id, d.Holidays); err != nil {
			return err
		}
		v = Version{}
		if err := tx.GetContext(ctx, &v, listVersions+` WHERE id = $1`, id); err != nil {
			return err
		}
		return end
	})
	v.utc()
	if err != nil && !(end != nil && errors.Is(err, end)) {
		return Version{}, fmt.Errorf("import %s deck %s: %w", d.Kind, d.Name, err)
	}
	return v, nil
}

// checkCommune holds the commune's row until the end, so that imports come one after the other: two at once would
// take the same version number.
func checkCommune(ctx context.Context, tx *sqlx.Tx, spec Spec) error {
	var currency money.Currency
	if err := tx.GetContext(ctx, &currency, `SELECT currency FROM commune FOR UPDATE`); err != nil {
		return err
	}
	if spec.Kind == Retail && currency != spec.Currency {
		return fmt.Errorf("%s, and the commune has %s: %w", spec.Currency, currency, ErrCurrency)
	}
	if spec.Kind != Trunk {
		return nil
	}
	// The trunk table is routing's, which tariff must not import; this asks no more than a foreign key would.
	var code string
	err := tx.GetContext(ctx, &code, `SELECT code FROM trunk WHERE code = $1 FOR KEY SHARE`, spec.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknownTrunk
	}
	return err
}

// insertDeck takes the time of the statement and not that of the transaction, which may have waited for another import.
func insertDeck(ctx context.Context, tx *sqlx.Tx, id uuid.UUID, spec Spec) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO deck (id, kind, name, version, currency, zone, active_from, source)
		SELECT $1, $2::text, $3::text, 1 + COALESCE(max(version), 0), $4, $5, COALESCE($6, clock_timestamp()), $7
		FROM deck WHERE kind = $2 AND name = $3`,
		id, spec.Kind, spec.Name, spec.Currency, spec.Zone.String(),
		sql.NullTime{Time: spec.ActiveFrom.Truncate(time.Microsecond), Valid: !spec.ActiveFrom.IsZero()}, spec.Source)
	return err
}

func copyRates(ctx context.Context, tx *sqlx.Tx, deck uuid.UUID, rows []Row) error {
	stmt, err := tx.PrepareContext(ctx, `
		COPY rate (deck_id, prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next,
			grace_seconds, minimum_charge, rounding_unit, rounding_mode, effective_from, effective_to, time_window, allow_loss)
		FROM STDIN`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		_, err := stmt.ExecContext(ctx, deck, r.Prefix, r.Destination, int64(r.RatePerMinute), int64(r.ConnectFee),
			r.IntervalFirst, r.IntervalNext, r.GraceSeconds, int64(r.MinimumCharge), int64(r.RoundingUnit),
			string(r.RoundingMode), instantOr(r.EffectiveFrom, "-infinity"), instantOr(r.EffectiveTo, "infinity"), string(r.Window),
			r.AllowLoss)
		if err != nil {
			return errors.Join(err, stmt.Close())
		}
	}
	_, err = stmt.ExecContext(ctx)
	return errors.Join(err, stmt.Close())
}

func insertHolidays(ctx context.Context, tx *sqlx.Tx, deck uuid.UUID, days []Holiday) error {
	for _, h := range days {
		_, err := tx.ExecContext(ctx, `INSERT INTO deck_holiday (deck_id, day, counts_as, name) VALUES ($1, $2::date, $3, $4)`,
			deck, h.Date, h.CountsAs, h.Name)
		if err != nil {
			return err
		}
	}
	return nil
}

func instantOr(t time.Time, never string) any {
	if t.IsZero() {
		return never
	}
	return t
}

// deck reads a version whole.
func (s *Store) deck(ctx context.Context, v Version) (Deck, error) {
	d, err := s.spec(ctx, v)
	if err == nil {
		d.Rows, err = s.rates(ctx, v)
	}
	return d, err
}

// spec reads a version without its rows.
func (s *Store) spec(ctx context.Context, v Version) (Deck, error) {
	d := Deck{Version: v.Number}
	zone, err := time.LoadLocation(v.Zone)
	if err != nil {
		return Deck{}, err
	}
	d.Spec = Spec{Kind: v.Kind, Name: v.Name, Currency: v.Currency, Zone: zone, ActiveFrom: v.ActiveFrom.UTC(), Source: v.Source}
	err = s.db.SelectContext(ctx, &d.Holidays, `
		SELECT to_char(day, 'YYYY-MM-DD') AS date, counts_as, name FROM deck_holiday WHERE deck_id = $1 ORDER BY day`, v.ID)
	return d, err
}

// List gives all versions of all decks, by kind and name, newest first.
func (s *Store) List(ctx context.Context) ([]Version, error) {
	versions := []Version{}
	err := s.db.SelectContext(ctx, &versions, listVersions+` ORDER BY kind, name, version DESC`)
	if err != nil {
		return nil, fmt.Errorf("list decks: %w", err)
	}
	for i := range versions {
		versions[i].utc()
	}
	return versions, nil
}

const listVersions = `
	SELECT id, kind, name, version, currency, zone, active_from, source, imported_at,
		(SELECT count(*) FROM rate WHERE deck_id = d.id) AS rows,
		(SELECT count(*) FROM deck_holiday WHERE deck_id = d.id) AS holidays,
		active_from <= clock_timestamp() AND NOT EXISTS (
			SELECT FROM deck later WHERE later.kind = d.kind AND later.name = d.name AND later.active_from <= clock_timestamp()
				AND (later.active_from, later.version) > (d.active_from, d.version)) AS in_force
	FROM deck d`

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
	var v Version
	err := s.db.GetContext(ctx, &v, `SELECT id, kind, name, version, currency, zone, active_from, source FROM (`+listVersions+`) v
		WHERE kind = $1 AND name = $2 AND CASE $3::integer WHEN 0 THEN in_force ELSE version = $3 END`, kind, name, version)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Deck{}, fmt.Errorf("%s deck %s: %w", kind, name, err)
	}
	d, err := s.deck(ctx, v)
	if err != nil {
		return Deck{}, fmt.Errorf("%s deck %s: %w", kind, name, err)
	}
	return d, nil
}

// rates reads the rows of a version by prefix and time. Infinite times, which Go has not, come as NULL and become zero.
func (s *Store) rates(ctx context.Context, v Version) (rows []Row, err error) {
	found, err := s.db.QueryContext(ctx, `
		SELECT prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next, grace_seconds,
			minimum_charge, rounding_unit, rounding_mode, NULLIF(effective_from, '-infinity'), NULLIF(effective_to, 'infinity'),
			time_window, allow_loss
		FROM rate WHERE deck_id = $1 ORDER BY prefix COLLATE "C", effective_from, time_window COLLATE "C"`, v.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var r Row
		var from, to sql.NullTime
		if err := found.Scan(&r.Prefix, &r.Destination, &r.RatePerMinute, &r.ConnectFee, &r.IntervalFirst, &r.IntervalNext,
			&r.GraceSeconds, &r.MinimumCharge, &r.RoundingUnit, &r.RoundingMode, &from, &to, &r.Window,
			&r.AllowLoss); err != nil {
			return nil, err
		}
		if from.Valid {
			r.EffectiveFrom = from.Time.UTC()
		}
		if to.Valid {
			r.EffectiveTo = to.Time.UTC()
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}
