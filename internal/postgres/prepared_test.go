package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

var (
	sumSQL  = postgres.Prepared(`SELECT COALESCE(sum(n), 0) FROM unnest($1::bigint[]) AS u (n)`)
	nameSQL = postgres.Prepared(`UPDATE book SET name = $2 WHERE code = $1`)
	napSQL  = postgres.Prepared(`SELECT pg_sleep($1)`)
)

// A connection prepares such a statement once, and goes on with it after an error, a rollback and a context that ended.
func TestPrepared(t *testing.T) {
	db := pgtest.New(t)
	db.SetMaxOpenConns(1)
	sum := func() {
		t.Helper()
		var n int
		if err := db.Get(&n, sumSQL, []int64{1, 2, 39}); err != nil || n != 42 {
			t.Errorf("%d, %v", n, err)
		}
	}
	sum()
	sum()
	if done, err := db.Exec(nameSQL, "COM", "Ours"); err != nil {
		t.Error(err)
	} else if n, err := done.RowsAffected(); n != 1 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	errUndo := errors.New("undo")
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		if _, err := tx.Exec(nameSQL, "COM", "Theirs"); err != nil {
			return err
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Error(err)
	}
	if _, err := db.Exec(sumSQL, "no array"); err == nil {
		t.Error("taken for an array")
	}
	var name string
	if err := db.Get(&name, `SELECT name FROM book WHERE code = 'COM'`); err != nil || name != "Ours" {
		t.Errorf("%q, %v", name, err)
	}
	var kept []string
	err = db.Select(&kept, `SELECT statement FROM pg_prepared_statements WHERE NOT from_sql ORDER BY statement`)
	if err != nil || len(kept) != 2 || kept[0] != sumSQL || kept[1] != nameSQL {
		t.Errorf("%q are prepared, %v", kept, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(soon, napSQL, 60); err == nil {
		t.Error("slept for a minute")
	}
	sum()
}
