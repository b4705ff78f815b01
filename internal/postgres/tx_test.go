package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestInTxCommitsOrUndoes(t *testing.T) {
	ctx, db := context.Background(), pgtest.New(t)
	insert := func(code string) func(*sqlx.Tx) error {
		return func(tx *sqlx.Tx) error {
			_, err := tx.Exec(`INSERT INTO book VALUES ($1, '', 'EUR')`, code)
			return err
		}
	}
	if err := postgres.InTx(ctx, db, insert("KEPT")); err != nil {
		t.Error(err)
	}
	refused := errors.New("refused")
	err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) error { return errors.Join(insert("ERROR")(tx), refused) })
	if !errors.Is(err, refused) {
		t.Errorf("error of fn: %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic did not come through")
			}
		}()
		err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) error { panic(insert("PANIC")(tx)) })
		t.Errorf("InTx returned %v", err)
	}()
	var codes []string
	if err := db.Select(&codes, `SELECT code FROM book WHERE code IN ('KEPT', 'ERROR', 'PANIC')`); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(codes) != "[KEPT]" {
		t.Errorf("stored: %v, want KEPT alone", codes)
	}
}

func TestInTxTriesAgain(t *testing.T) {
	ctx, db := context.Background(), pgtest.New(t)
	for _, tc := range []struct {
		name     string
		code     pqerror.Code
		failures int
		attempts int
		ok       bool
	}{
		{"a serialisation failure passes", pqerror.TRSerializationFailure, 3, 4, true},
		{"a deadlock passes", pqerror.TRDeadlockDetected, 1, 2, true},
		{"a lock not to be had passes", pqerror.LockNotAvailable, 1, 2, true},
		{"it gives up in the end", pqerror.TRSerializationFailure, 1000, 8, false},
		{"another error stays", pqerror.UniqueViolation, 1, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			attempts := 0
			err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) error {
				if attempts++; attempts > tc.failures {
					return nil
				}
				_, err := tx.Exec(fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION SQLSTATE '%s'; END $$`, tc.code))
				return fmt.Errorf("wrapped: %w", err)
			})
			if (err == nil) != tc.ok || !tc.ok && pq.As(err, tc.code) == nil {
				t.Errorf("error: %v", err)
			}
			if attempts != tc.attempts {
				t.Errorf("%d attempts, want %d", attempts, tc.attempts)
			}
		})
	}
}

// A write that does not get its lock in time gets it later.
func TestExecOutlastsLock(t *testing.T) {
	ctx, db := context.Background(), pgtest.New(t)
	db.SetMaxOpenConns(1) // its settings hold for all that follows
	db.MustExec(`SET lock_timeout = '200ms'`)
	owner := pgtest.Owner(t, db)
	holder := owner.MustBegin()
	holder.MustExec(`UPDATE revision SET n = n`)
	done := make(chan error, 1)
	go func() {
		_, err := postgres.Exec(ctx, db, `UPDATE revision SET n = n + 1`)
		done <- err
	}()
	seen := map[string]bool{}
	await(t, "a second attempt", func() bool {
		var attempts []string
		err := owner.Select(&attempts, `
			SELECT xact_start::text FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attempts {
			seen[a] = true
		}
		return len(seen) > 1
	})
	if err := errors.Join(holder.Rollback(), <-done); err != nil {
		t.Error(err)
	}
}

// What is imported for minutes keeps nobody from changing something else; its revision comes with its end.
func TestImportHoldsNoRevision(t *testing.T) {
	db := pgtest.New(t)
	revision := func() (n int) {
		if err := db.Get(&n, `SELECT n FROM revision`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	start := revision()
	deck := db.MustBegin()
	deck.MustExec(`
		INSERT INTO deck (id, kind, name, version, currency, zone, active_from)
		VALUES (gen_random_uuid(), 'retail', 'retail', 1, 'EUR', 'UTC', now())`)
	if _, err := db.Exec(`UPDATE enterprise SET vat_percent = 19000000`); err != nil {
		t.Errorf("beside an import: %v", err)
	}
	beside := revision()
	if err := deck.Commit(); err != nil {
		t.Error(err)
	}
	if end := revision(); beside <= start || end <= beside {
		t.Errorf("revision %d, then %d, at the end %d", start, beside, end)
	}
}

func TestInTxEndsDeadlock(t *testing.T) {
	ctx, db := context.Background(), pgtest.New(t)
	db.MustExec(`INSERT INTO book VALUES ('A', '', 'EUR'), ('B', '', 'EUR')`)
	meet := make(chan struct{}) // both have their first row
	errs := make(chan error, 2)
	for _, order := range [][2]string{{"A", "B"}, {"B", "A"}} {
		go func() {
			first := true
			errs <- postgres.InTx(ctx, db, func(tx *sqlx.Tx) error {
				for i, code := range order {
					if _, err := tx.Exec(`UPDATE book SET name = name || 'x' WHERE code = $1`, code); err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						select {
						case meet <- struct{}{}:
						case <-meet:
						}
					}
				}
				return nil
			})
		}()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := db.Select(&names, `SELECT name FROM book WHERE code IN ('A', 'B')`); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(names) != "[xx xx]" {
		t.Errorf("each row was changed %v, want twice each", names)
	}
}

func TestConstraint(t *testing.T) {
	db := pgtest.New(t)
	_, unique := db.Exec(`INSERT INTO commune DEFAULT VALUES`)
	_, check := db.Exec(`UPDATE revision SET one_row = false`)
	_, domain := db.Exec(`INSERT INTO book VALUES ('no code', '', 'EUR')`)
	for _, tc := range []struct {
		err  error
		want string
	}{
		{unique, "commune_pkey"},
		{fmt.Errorf("outer: %w", errors.Join(errors.New("x"), check)), "revision_is_one"},
		{domain, "code_syntax"},
		{errors.New("no database error"), ""},
		{nil, ""},
	} {
		if got := postgres.Constraint(tc.err); got != tc.want {
			t.Errorf("Constraint(%v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}

// Somebody came between: the whole is done again, and given up after a while.
func TestInTxAgain(t *testing.T) {
	db := pgtest.New(t)
	tries := 0
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		if tries++; tries < 3 {
			tx.MustExec(`INSERT INTO book VALUES ('AGAIN', '', 'EUR')`)
			return fmt.Errorf("post: %w", postgres.ErrAgain)
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
	var left int
	if err := db.Get(&left, `SELECT count(*) FROM book WHERE code = 'AGAIN'`); err != nil || left != 0 {
		t.Errorf("%d left of what was undone, %v", left, err)
	}
	if err := postgres.InTx(t.Context(), db, func(*sqlx.Tx) error { return postgres.ErrAgain }); !errors.Is(err, postgres.ErrAgain) {
		t.Error(err)
	}
}
