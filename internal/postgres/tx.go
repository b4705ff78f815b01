package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// txAttempts is how often InTx tries in all. Its pauses add up to half a second; what an attempt waits for a lock comes
// on top, up to the lock_timeout of AsApp each time.
const txAttempts = 8

// ErrAgain is what a function that InTx runs returns when another transaction came between what it read and what it wrote.
var ErrAgain = errors.New("another transaction came between")

// InTx runs fn in a transaction and commits when it returns nil. A serialisation failure (40001), a deadlock (40P01),
// a lock not to be had in time (55P03) or ErrAgain undoes everything and runs fn again, a bounded number of times or until
// ctx ends; so fn must do nothing outside the transaction that can't be done twice. Who waits for a lock that is never let go
// waits 40 s in all: a context that ends sooner is for those who can't. An error of the commit itself may mean "stored all
// the same": what fn writes bears a key that makes a repetition harmless.
func InTx(ctx context.Context, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := inTxOnce(ctx, db, fn)
		if attempt == txAttempts || !passing(err) {
			return err
		}
		pause := time.Millisecond << attempt
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause + rand.N(pause)): // jitter, so that two that met don't meet again
		}
	}
}

// Exec is InTx for a single statement.
func Exec(ctx context.Context, db *sqlx.DB, query string, args ...any) (result sql.Result, err error) {
	err = InTx(ctx, db, func(tx *sqlx.Tx) error {
		result, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

func inTxOnce(ctx context.Context, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it is sql.ErrTxDone; before, fn's error or panic counts
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// passing tells whether the same transaction may well succeed when tried again.
func passing(err error) bool {
	return errors.Is(err, ErrAgain) || pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable) != nil
}

// Constraint gives the name of the constraint that an error says was violated, or "".
func Constraint(err error) string {
	if e := pq.As(err); e != nil {
		return e.Constraint
	}
	return ""
}
