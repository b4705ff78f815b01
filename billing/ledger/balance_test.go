package ledger_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// inTx runs one step of a balance.
func inTx(t *testing.T, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error {
	t.Helper()
	return postgres.InTx(t.Context(), db, fn)
}

func TestBalanceFollowsTheBooks(t *testing.T) {
	db := pgtest.New(t)
	open := func(limit money.Amount) error {
		return inTx(t, db, func(tx *sqlx.Tx) error { return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:ana", limit) })
	}
	hold := func(delta money.Amount) error {
		return inTx(t, db, func(tx *sqlx.Tx) error {
			return ledger.Hold(t.Context(), tx, ledger.Change{Book: "CALL", Account: "2100:ana", Held: delta})
		})
	}
	limit := func(limit money.Amount) error {
		return inTx(t, db, func(tx *sqlx.Tx) error {
			_, err := ledger.SetLimit(t.Context(), tx, "CALL", "2100:ana", limit)
			return err
		})
	}
	pay := func(key string, amount money.Amount) error {
		_, err := post(t, db, topUp(key, amount))
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
		err  error
		want ledger.Balance
	}{
		{"open", func() error { return open(5) }, nil, ledger.Balance{Limit: 5}},
		{"open again", func() error { return open(5) }, ledger.ErrExists, ledger.Balance{Limit: 5}},
		{"pay in", func() error { return pay("a", 10) }, nil, ledger.Balance{Balance: 10, Limit: 5}},
		{"pay in again under the same key", func() error { return pay("a", 10) }, nil, ledger.Balance{Balance: 10, Limit: 5}},
		{"hold all", func() error { return hold(15) }, nil, ledger.Balance{Balance: 10, Held: 15, Limit: 5}},
		{"hold more", func() error { return hold(1) }, ledger.ErrOverdrawn, ledger.Balance{Balance: 10, Held: 15, Limit: 5}},
		{"pay out what is held", func() error { return pay("b", -1) }, ledger.ErrOverdrawn, ledger.Balance{Balance: 10, Held: 15, Limit: 5}},
		{"lower the limit below what is held", func() error { return limit(4) }, ledger.ErrOverdrawn, ledger.Balance{Balance: 10, Held: 15, Limit: 5}},
		{"release", func() error { return hold(-15) }, nil, ledger.Balance{Balance: 10, Limit: 5}},
		{"release more", func() error { return hold(-1) }, ledger.ErrHeld, ledger.Balance{Balance: 10, Limit: 5}},
		{"pay out to the limit", func() error { return pay("c", -15) }, nil, ledger.Balance{Balance: -5, Limit: 5}},
		{"pay out more", func() error { return pay("d", -1) }, ledger.ErrOverdrawn, ledger.Balance{Balance: -5, Limit: 5}},
		{"raise the limit", func() error { return limit(6) }, nil, ledger.Balance{Balance: -5, Limit: 6}},
		{"pay in all there may be", func() error { return pay("e", ledger.MaxBalance+5) }, nil, ledger.Balance{Balance: ledger.MaxBalance, Limit: 6}},
		{"pay in more", func() error { return pay("f", 1) }, money.ErrRange, ledger.Balance{Balance: ledger.MaxBalance, Limit: 6}},
		{"pay in more than 64 bits hold", func() error { return pay("g", math.MaxInt64) }, money.ErrRange, ledger.Balance{Balance: ledger.MaxBalance, Limit: 6}},
		{"a limit too high", func() error { return limit(ledger.MaxBalance + 1) }, money.ErrRange, ledger.Balance{Balance: ledger.MaxBalance, Limit: 6}},
		{"the highest limit", func() error { return limit(ledger.MaxBalance) }, nil, ledger.Balance{Balance: ledger.MaxBalance, Limit: ledger.MaxBalance}},
	} {
		if err := step.do(); !errors.Is(err, step.err) {
			t.Fatalf("%s: %v, want %v", step.name, err, step.err)
		}
		if b, err := ledger.ReadBalance(t.Context(), db, "CALL", "2100:ana"); err != nil || b != step.want {
			t.Fatalf("%s: %+v, %v; want %+v", step.name, b, err, step.want)
		}
	}
	if _, err := ledger.ReadBalance(t.Context(), db, "CALL", "2100:bob"); !errors.Is(err, ledger.ErrAccount) {
		t.Errorf("an account without balance row: %v", err)
	}
}

// Postings to one account wait for each other and none is lost.
func TestPostingsAtOnce(t *testing.T) {
	db := pgtest.New(t)
	err := inTx(t, db, func(tx *sqlx.Tx) error { return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:ana", 0) })
	if err != nil {
		t.Fatal(err)
	}
	const racers, each = 16, 10
	var racing sync.WaitGroup
	for r := range racers {
		racing.Go(func() {
			for i := range each {
				if _, err := post(t, db, topUp(fmt.Sprint(r, "/", i), 3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	racing.Wait()
	if b, err := ledger.ReadBalance(t.Context(), db, "CALL", "2100:ana"); err != nil || b.Balance != 3*racers*each {
		t.Errorf("%+v, %v; want a balance of %d", b, err, 3*racers*each)
	}
}
