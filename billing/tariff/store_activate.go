package tariff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
)

// Activation names a stored version that shall come into force.
type Activation struct {
	Kind    Kind
	Name    string
	Version int
	At      time.Time // zero: now
	Accept  bool      // prices that go up by more than 30 %
	Compare Compare
}

// Activate brings a draft into force at an instant, or moves one that is still to come: ErrNotFound, ErrActivated,
// *TooDear, ErrPast. It is one update of one row: each call sees the version before or this one, whole.
func (s *Store) Activate(ctx context.Context, a Activation) (Version, error) {
	var v Version
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) (err error) {
		v, err = s.activate(ctx, tx, a)
		return err
	})
	if err != nil {
		return Version{}, fmt.Errorf("activate %s deck %s@%d: %w", a.Kind, a.Name, a.Version, err)
	}
	return v, nil
}

func (s *Store) activate(ctx context.Context, tx *sqlx.Tx, a Activation) (Version, error) {
	v, now, err := lockVersion(ctx, tx, a.Kind, a.Name, `version = $3`, a.Version)
	if err != nil {
		return v, err
	}
	if v.State != Draft && v.State != Future {
		return v, fmt.Errorf("%w (%s)", ErrActivated, v.State)
	}
	if a.At.IsZero() {
		a.At = now
	}
	if a.At.Before(now) {
		return v, ErrPast
	}
	before, err := versionAt(ctx, tx, a.Kind, a.Name, a.At)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return v, err
	}
	if !a.Accept && before.Number > 0 && before.Number != v.Number {
		diff, err := s.compare(ctx, tx, before, v, a.At, a.Compare)
		if err == nil {
			err = diff.tooDear()
		}
		if err != nil {
			return v, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE deck SET active_from = $2 WHERE id = $1`, v.ID, a.At.Truncate(time.Microsecond)); err != nil {
		return v, err
	}
	return getVersion(ctx, tx, `id = $1`, v.ID)
}

// Rollback ends the version of a deck that is in force (version 0, or its number), so that the one before is in force
// again; one that is still to come becomes a draft again. It gives the version that was taken back and the one in force
// after: ErrNotFound, ErrNotInForce, ErrNoneBefore. Past calls keep their prices.
func (s *Store) Rollback(ctx context.Context, kind Kind, name string, version int) (back, inForce Version, err error) {
	err = postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) (err error) {
		back, inForce, err = rollback(ctx, tx, kind, name, version)
		return err
	})
	if err != nil {
		return Version{}, Version{}, fmt.Errorf("roll %s deck %s back: %w", kind, name, err)
	}
	return back, inForce, nil
}

func rollback(ctx context.Context, tx *sqlx.Tx, kind Kind, name string, version int) (back, inForce Version, err error) {
	back, now, err := lockVersion(ctx, tx, kind, name, `CASE $3::integer WHEN 0 THEN in_force ELSE version = $3 END`, version)
	if err != nil {
		return back, inForce, err
	}
	switch back.State {
	case Future:
		_, err = tx.ExecContext(ctx, `UPDATE deck SET active_from = NULL WHERE id = $1`, back.ID)
	case Active:
		_, err = tx.ExecContext(ctx, `UPDATE deck SET ended_at = $2 WHERE id = $1`, back.ID, now)
	default:
		err = fmt.Errorf("%s: %w (%s)", back, ErrNotInForce, back.State)
	}
	if err != nil {
		return back, inForce, err
	}
	inForce, err = versionAt(ctx, tx, kind, name, now)
	if errors.Is(err, ErrNotFound) {
		if back.State == Active {
			return back, inForce, ErrNoneBefore
		}
		err = nil
	}
	if err == nil {
		back, err = getVersion(ctx, tx, `id = $1`, back.ID)
	}
	return back, inForce, err
}

// lockVersion finds a version while nobody else imports, activates or rolls back, and tells the time.
func lockVersion(ctx context.Context, tx *sqlx.Tx, kind Kind, name, where string, version int) (v Version, now time.Time, err error) {
	if _, err := tx.ExecContext(ctx, `SELECT FROM commune FOR UPDATE`); err != nil {
		return v, now, err
	}
	v, err = getVersion(ctx, tx, `kind = $1 AND name = $2 AND `+where, kind, name, version)
	if err == nil {
		err = tx.GetContext(ctx, &now, `SELECT clock_timestamp()`)
	}
	return v, now, err
}
