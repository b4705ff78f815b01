package ledger_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func reverse(t *testing.T, db *sqlx.DB, entry uuid.UUID, reason string, at time.Time) (id uuid.UUID, err error) {
	t.Helper()
	err = inTx(t, db, func(tx *sqlx.Tx) (err error) {
		id, err = ledger.Reverse(t.Context(), tx, ledger.Reversal{Entry: entry, Reason: reason, Actor: "test", At: at})
		return err
	})
	return id, err
}

func TestReverse(t *testing.T) {
	db := pgtest.New(t)
	err := inTx(t, db, func(tx *sqlx.Tx) error { return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:ana", 0) })
	if err != nil {
		t.Fatal(err)
	}
	wrong := mustPost(t, db, topUp("wrong", 5))
	mustClose(t, db, "2027-06")
	var first uuid.UUID
	for _, step := range []struct {
		name    string
		entry   uuid.UUID
		reason  string
		at      time.Time
		err     error
		balance int64
	}{
		{"no such entry", uuid.New(), "why", july, ledger.ErrNoEntry, 5},
		{"no reason", wrong, "", july, ledger.ErrReason, 5},
		{"in the closed period", wrong, "counted twice", noon, ledger.ErrPeriodClosed, 5},
		{"of a closed period, in the open one", wrong, "counted twice", july, nil, 0},
		{"the same again, later", wrong, "counted twice", july.AddDate(0, 0, 1), nil, 0},
		{"for another reason", wrong, "a mistake", july, ledger.ErrReversed, 0},
	} {
		id, err := reverse(t, db, step.entry, step.reason, step.at)
		if first == uuid.Nil {
			first = id
		}
		if !errors.Is(err, step.err) || err == nil && id != first {
			t.Errorf("%s: %v, %v; want %v, %v", step.name, id, err, first, step.err)
		}
		if b, err := ledger.ReadBalance(t.Context(), db, "CALL", "2100:ana"); err != nil || int64(b.Balance) != step.balance {
			t.Errorf("%s: %+v, %v; want %d", step.name, b, err, step.balance)
		}
	}
	posted, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{Key: "reverse:" + wrong.String()})
	if err != nil || len(posted) != 1 || *posted[0].Reverses != wrong || posted[0].Text != "counted twice" ||
		!slices.Equal(posted[0].Lines, []ledger.Line{ledger.Credit("CALL", "1000", 5), ledger.Debit("CALL", "2100:ana", 5)}) {
		t.Errorf("%+v, %v", posted, err)
	}
	// What was taken back wrongly comes back the same way.
	if _, err := reverse(t, db, first, "it was right", july); err != nil {
		t.Error(err)
	}
	mustVerify(t, db)
}

// What was spent since can't be taken back.
func TestReverseOverdraws(t *testing.T) {
	db := pgtest.New(t)
	err := inTx(t, db, func(tx *sqlx.Tx) error { return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:ana", 0) })
	if err != nil {
		t.Fatal(err)
	}
	paid := mustPost(t, db, topUp("paid", 20))
	mustPost(t, db, earn("spent", noon, 1, 1))
	if _, err := reverse(t, db, paid, "bounced", july); !errors.Is(err, ledger.ErrOverdrawn) {
		t.Errorf("%v, want %v", err, ledger.ErrOverdrawn)
	}
}

func TestReverseAtOnce(t *testing.T) {
	db := pgtest.New(t)
	wrong := mustPost(t, db, topUp("wrong", 5))
	var racing sync.WaitGroup
	for range 8 {
		racing.Go(func() {
			if _, err := reverse(t, db, wrong, "counted twice", july); err != nil {
				t.Error(err)
			}
		})
	}
	racing.Wait()
	if all, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{}); err != nil || len(all) != 2 {
		t.Errorf("%d entries, %v; want the wrong one and its reversal", len(all), err)
	}
	// By hand no second entry can name it, under whatever key.
	_, err := db.Exec(`
		WITH e AS (INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, line_count, hash, reverses)
		    VALUES (gen_random_uuid(), 'hand', '', 'hand', now(), now(), 'UTC', '', '', 2, '', $1) RETURNING id)
		INSERT INTO line (entry_id, line_count, n, book, account, amount)
		SELECT id, 2, n, 'CALL', '1000', amount FROM e, (VALUES (1, 5), (2, -5)) AS l (n, amount)`, wrong)
	if postgres.Constraint(err) != "entry_reversed_once" {
		t.Errorf("reversed again by hand: %v", err)
	}
}
