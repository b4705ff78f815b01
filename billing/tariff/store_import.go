package tariff

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Import is a deck to be stored as the next version of its name.
type Import struct {
	Spec
	// Rows are gone through from the beginning with each attempt; there is more than one only when another command held
	// a lock too long.
	Rows    Rows
	Draft   bool    // stored, and not in force before it is activated
	Changes bool    // the rows take the place of those of their prefixes in the version in force, which are kept otherwise
	Closed  *Closed // with Changes: prefixes that are taken away
	DryRun  bool    // everything is done, and then undone
	Accept  bool    // prices that go up by more than 30 %

	Compare  Compare
	Progress Progress
}

// Progress is told how many rows are done so far, and of what; nil: nobody is.
type Progress func(doing string, rows int)

// progressRows is how many rows are done between two reports.
const progressRows = 1000

func (p Progress) tell(doing string, rows int) {
	if p != nil && rows%progressRows == 0 {
		p(doing, rows)
	}
}

// Imported is what came of an import.
type Imported struct {
	Version
	Diff *Diff // to the version whose place it takes; nil when nothing asked for it
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// Import stores a deck from memory, whatever it does to prices: ErrUnknownTrunk, ErrCurrency. When the answer is lost,
// importing again makes one more version with the same rates, which changes no price.
func (s *Store) Import(ctx context.Context, d Deck) (Version, error) {
	done, err := s.ImportRows(ctx, Import{Spec: d.Spec, Rows: d.All(), Accept: true})
	return done.Version, err
}

// ImportRows stores a deck as the next version of its name in one transaction, all of it or nothing, and keeps none of its
// rows in memory: ErrUnknownTrunk, ErrCurrency, *BadDeck, ErrNoChanges, *TooDear. A dry run compares always; else the
// comparison is made only to find what is too dear.
func (s *Store) ImportRows(ctx context.Context, in Import) (Imported, error) {
	if err := in.check(); err != nil {
		return Imported{}, err
	}
	var done Imported
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) (err error) {
		if done, err = s.store(ctx, tx, in); err == nil && in.DryRun {
			err = errDryRun
		}
		return err
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return Imported{}, fmt.Errorf("import %s deck %s: %w", in.Kind, in.Name, err)
	}
	return done, nil
}

func (s *Store) store(ctx context.Context, tx *sqlx.Tx, in Import) (done Imported, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return done, err
	}
	if err := checkCommune(ctx, tx, in.Spec); err != nil {
		return done, err
	}
	if in.ActiveFrom.IsZero() {
		// The time of the statement and not that of the transaction, which may have waited for another import.
		if err := tx.GetContext(ctx, &in.ActiveFrom, `SELECT clock_timestamp()`); err != nil {
			return done, err
		}
	}
	before, err := versionAt(ctx, tx, in.Kind, in.Name, in.ActiveFrom)
	if err != nil && !(errors.Is(err, ErrNotFound) && !in.Changes) {
		return done, in.noChanges(err)
	}
	if err := insertDeck(ctx, tx, id, in); err != nil {
		return done, err
	}
	rows, err := copyRates(ctx, tx, id, in)
	if err != nil {
		return done, err
	}
	if in.Changes {
		kept, err := keepRates(ctx, tx, id, before, in)
		if err != nil {
			return done, err
		}
		rows += kept
	}
	if _, err := tx.ExecContext(ctx, `UPDATE deck SET row_count = $2 WHERE id = $1`, id, rows); err != nil {
		return done, err
	}
	if err := insertHolidays(ctx, tx, id, in.Holidays); err != nil {
		return done, err
	}
	if done.Version, err = getVersion(ctx, tx, `id = $1`, id); err != nil {
		return done, err
	}
	in.Compare.Progress = in.Progress
	if in.DryRun || !in.Draft && !in.Accept && before.Number > 0 {
		done.Diff, err = s.compare(ctx, tx, before, done.Version, in.ActiveFrom, in.Compare)
	}
	if err == nil && !in.DryRun && !in.Draft && !in.Accept {
		err = done.Diff.tooDear()
	}
	return done, err
}

// noChanges tells why changes have nothing to change.
func (in *Import) noChanges(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrNoChanges
	}
	return err
}

// checkCommune holds the commune's row until the end, so that imports and activations come one after the other: two at
// once would take the same version number.
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

// versionAt finds the version of a deck that is in force at an instant, or ErrNotFound. Rolled back is what was rolled
// back by now.
func versionAt(ctx context.Context, tx *sqlx.Tx, kind Kind, name string, at time.Time) (Version, error) {
	return getVersion(ctx, tx, `id = (
		SELECT id FROM deck WHERE kind = $1 AND name = $2 AND active_from <= $3 AND ended_at IS NULL
		ORDER BY active_from DESC, version DESC LIMIT 1)`, kind, name, at.Truncate(time.Microsecond))
}

func insertDeck(ctx context.Context, tx *sqlx.Tx, id uuid.UUID, in Import) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO deck (id, kind, name, version, currency, zone, active_from, source)
		SELECT $1, $2::text, $3::text, 1 + COALESCE(max(version), 0), $4, $5, $6, $7
		FROM deck WHERE kind = $2 AND name = $3`,
		id, in.Kind, in.Name, in.Currency, in.Zone.String(),
		sql.NullTime{Time: in.ActiveFrom.Truncate(time.Microsecond), Valid: !in.Draft}, in.Source)
	return err
}

// copyRates stores the rows as they come, and gives their number.
func copyRates(ctx context.Context, tx *sqlx.Tx, deck uuid.UUID, in Import) (rows int, err error) {
	stmt, err := tx.PrepareContext(ctx, `
		COPY rate (deck_id, prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next,
			grace_seconds, minimum_charge, rounding_unit, rounding_mode, effective_from, effective_to, time_window, allow_loss)
		FROM STDIN`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for r, err := range in.Rows {
		if err != nil {
			return 0, err
		}
		_, err := stmt.ExecContext(ctx, deck, r.Prefix, r.Destination, int64(r.RatePerMinute), int64(r.ConnectFee),
			r.IntervalFirst, r.IntervalNext, r.GraceSeconds, int64(r.MinimumCharge), int64(r.RoundingUnit),
			string(r.RoundingMode), instantOr(r.EffectiveFrom, "-infinity"), instantOr(r.EffectiveTo, "infinity"), string(r.Window),
			r.AllowLoss)
		if err != nil {
			return 0, err
		}
		rows++
		in.Progress.tell("stored", rows)
	}
	_, err = stmt.ExecContext(ctx)
	return rows, err
}

func instantOr(t time.Time, never string) any {
	if t.IsZero() {
		return never
	}
	return t
}

// keepRates adds to a deck of changes what is left of the version before: rows of prefixes that nothing was said about,
// and others up to the moment at which the changed or closed one begins to count.
func keepRates(ctx context.Context, tx *sqlx.Tx, deck uuid.UUID, before Version, in Import) (int, error) {
	if before.Currency != in.Currency {
		return 0, fmt.Errorf("changes in %s of a deck in %s: %w", in.Currency, before.Currency, ErrNoChanges)
	}
	prefixes, since := in.Closed.columns()
	result, err := tx.ExecContext(ctx, `
		WITH changed AS (
			SELECT prefix, min(since) AS since FROM (
				SELECT prefix, GREATEST(effective_from, $3) AS since FROM rate WHERE deck_id = $1
				UNION ALL
				SELECT prefix, GREATEST(since, $3) FROM unnest($4::text[], $5::timestamptz[]) AS closed (prefix, since)
			) AS said GROUP BY prefix
		)
		INSERT INTO rate (deck_id, prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next,
			grace_seconds, minimum_charge, rounding_unit, rounding_mode, effective_from, effective_to, time_window,
			allow_loss)
		SELECT $1, r.prefix, destination, rate_per_minute, connect_fee, interval_first, interval_next,
			grace_seconds, minimum_charge, rounding_unit, rounding_mode, effective_from, LEAST(effective_to, since), time_window,
			allow_loss
		FROM rate r LEFT JOIN changed c ON c.prefix = r.prefix
		WHERE deck_id = $2 AND effective_to > $3 AND (since IS NULL OR effective_from < since AND since > $3)`,
		deck, before.ID, in.ActiveFrom.Truncate(time.Microsecond), pq.Array(prefixes), pq.Array(since))
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
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
