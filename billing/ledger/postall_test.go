package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// Groups of random entries, some bad, some repeated, some under a used key, some that an account can't pay: what becomes
// of each, and of the balances, is what becomes of it when they are posted one by one.
func TestPostAllIsPostingOneByOne(t *testing.T) {
	db := pgtest.New(t)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		// Two worlds of the same entries, told apart by their keys and accounts.
		together, alone := fmt.Sprintf("t%d-", round), fmt.Sprintf("a%d-", round)
		for _, world := range []string{together, alone} {
			for i := range 3 {
				open(t, db, world+fmt.Sprint(i), money.Amount(5*i))
			}
		}
		for _, group := range rapid.SliceOfN(rapid.SliceOfN(entries, 1, 12), 1, 3).Draw(t, "groups") {
			got := postAll(t, db, inWorld(together, group))
			for i, e := range inWorld(alone, group) {
				id, err := post(t, db, e)
				if same := sameRefusal(got[i].Err, err); !same || (got[i].Value == uuid.Nil) != (id == uuid.Nil) {
					t.Fatalf("entry %d, %+v: %v together, %v alone", i, e, got[i].Err, err)
				}
			}
			for i := range 3 {
				a, b := balance(t, db, together+fmt.Sprint(i)), balance(t, db, alone+fmt.Sprint(i))
				if a != b {
					t.Fatalf("account %d: %+v together, %+v alone", i, a, b)
				}
			}
		}
	})
	wantVerified(t, db)
}

// wantVerified checks that the books are as they were posted.
func wantVerified(t *testing.T, db *sqlx.DB) {
	t.Helper()
	_, err := ledger.Verify(t.Context(), db, ledger.Check{Finding: func(f ledger.Finding) { t.Errorf("%+v", f) }})
	if err != nil {
		t.Error(err)
	}
}

// entries draws an entry of few keys, accounts and amounts, so that they get in each other's way.
var entries = rapid.Custom(func(t *rapid.T) ledger.Entry {
	amount := money.Amount(rapid.IntRange(-8, 8).Draw(t, "amount"))
	if rapid.IntRange(0, 19).Draw(t, "huge") == 0 {
		amount = ledger.MaxBalance + 1
	}
	account := func(label string) string {
		return rapid.SampledFrom([]string{"2100:0", "2100:1", "2100:2", "4000", "1000"}).Draw(t, label)
	}
	e := ledger.Entry{
		Key: "k" + fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key")), Kind: "test", Actor: "test", At: noon,
		Lines: []ledger.Line{ledger.Debit("CALL", account("debit"), amount), ledger.Credit("CALL", account("credit"), amount)},
	}
	switch rapid.IntRange(0, 24).Draw(t, "bad") {
	case 0:
		e.Lines[0].Amount++
	case 1:
		e.Lines = e.Lines[:1]
	case 2:
		e.Lines = append(e.Lines, ledger.Debit("CALL", account("more"), 3), ledger.Credit("CALL", account("less"), 3))
	}
	return e
})

// inWorld gives entries with keys and accounts of a world.
func inWorld(world string, group []ledger.Entry) []ledger.Entry {
	var moved []ledger.Entry
	for _, e := range group {
		e.Key = world + e.Key
		var lines []ledger.Line
		for _, l := range e.Lines {
			l.Account = strings.Replace(l.Account, "2100:", "2100:"+world, 1)
			lines = append(lines, l)
		}
		e.Lines = lines
		moved = append(moved, e)
	}
	return moved
}

// sameRefusal leaves open what counts when one account of an entry would be overdrawn and another be out of range.
func sameRefusal(a, b error) bool {
	kind := func(err error) error {
		for _, known := range []error{ledger.ErrEntry, ledger.ErrUnbalanced, ledger.ErrConflict, ledger.ErrOverdrawn} {
			if errors.Is(err, known) {
				return known
			}
		}
		if errors.Is(err, money.ErrRange) {
			return ledger.ErrOverdrawn
		}
		return err
	}
	return kind(a) == kind(b)
}

// fataler is *testing.T or *rapid.T.
type fataler interface {
	testingT
	Fatal(...any)
}

func open(t fataler, db *sqlx.DB, code string, limit money.Amount) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:"+code, limit)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func balance(t fataler, db *sqlx.DB, code string) ledger.Balance {
	t.Helper()
	b, err := ledger.ReadBalance(t.Context(), db, "CALL", "2100:"+code)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func postAll(t fataler, db *sqlx.DB, group []ledger.Entry) (results []ledger.Result) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) (err error) {
		results, err = ledger.PostAll(t.Context(), tx, group)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func newWriter(db *sqlx.DB) *postgres.Group[ledger.Entry, uuid.UUID] {
	return postgres.NewGroup(db, new(postgres.Guard), 0, time.Minute, ledger.PostAll)
}

// Two programs' writers on one database, one account that can pay for few: each poster is answered for itself, and one
// whose entry no group can take refuses only itself.
func TestWritersAtOnce(t *testing.T) {
	db := pgtest.New(t)
	open(t, db, "ana", 0)
	open(t, db, "bob", 100)
	open(t, db, "cyd", 100)
	if _, err := post(t, db, topUp("start", 10)); err != nil {
		t.Fatal(err)
	}
	writers := []*postgres.Group[ledger.Entry, uuid.UUID]{newWriter(db), newWriter(db)}
	entry := func(key, debit, credit string, amount money.Amount) ledger.Entry {
		return ledger.Entry{Key: key, Kind: "test", Actor: "test", At: noon, Lines: []ledger.Line{
			ledger.Debit("CALL", debit, amount), ledger.Credit("CALL", credit, amount),
		}}
	}
	const racers = 60
	var posting sync.WaitGroup
	var counted sync.Mutex
	paid, ids := 0, map[uuid.UUID]bool{}
	for i := range racers {
		w := writers[i%2]
		posting.Go(func() {
			_, err := w.Do(t.Context(), entry(fmt.Sprint("pay", i), "2100:ana", "4000", 1))
			counted.Lock()
			defer counted.Unlock()
			if err == nil {
				paid++
			} else if !errors.Is(err, ledger.ErrOverdrawn) {
				t.Error(err)
			}
		})
		posting.Go(func() {
			id, err := w.Do(t.Context(), entry("the same", "1000", "2100:bob", 7))
			if err != nil {
				t.Error(err)
			}
			counted.Lock()
			defer counted.Unlock()
			ids[id] = true
		})
		posting.Go(func() { // both ways at once, through two balance rows
			debit, credit := "2100:bob", "2100:cyd"
			if i%4 < 2 {
				debit, credit = credit, debit
			}
			if _, err := w.Do(t.Context(), entry(fmt.Sprint("swap", i), debit, credit, 1)); err != nil && !errors.Is(err, ledger.ErrOverdrawn) {
				t.Error(err)
			}
		})
		posting.Go(func() {
			bad := entry(fmt.Sprint("bad", i), "1000", "2100", 1)
			bad.Lines[0].Book, bad.Lines[1].Book = "NONE", "NONE"
			if _, err := w.Do(t.Context(), bad); !errors.Is(err, ledger.ErrAccount) {
				t.Errorf("a book that does not exist: %v", err)
			}
		})
	}
	posting.Wait()
	if paid != 10 || len(ids) != 1 {
		t.Errorf("%d paid of 10, %d entries of one key", paid, len(ids))
	}
	if b := balance(t, db, "ana"); b.Balance != 0 {
		t.Errorf("%+v", b)
	}
	wantVerified(t, db)
}

// A poster that does not wait loses nothing and doubles nothing.
func TestPosterLeaves(t *testing.T) {
	db := pgtest.New(t)
	w := newWriter(db)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const n = 20
	for i := range n {
		if _, err := w.Do(gone, topUp(fmt.Sprint(i), 1)); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for i := range n {
		if _, err := w.Do(t.Context(), topUp(fmt.Sprint(i), 1)); err != nil {
			t.Error(err)
		}
	}
	if all, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{}); err != nil || len(all) != n {
		t.Errorf("%d entries, want %d; %v", len(all), n, err)
	}
}

func TestPostAllRange(t *testing.T) {
	db := pgtest.New(t)
	open(t, db, "ana", 0)
	results := postAll(t, db, []ledger.Entry{
		topUp("all", ledger.MaxBalance), topUp("more", 1), topUp("much more", math.MaxInt64), topUp("back", -ledger.MaxBalance),
	})
	for i, want := range []error{nil, money.ErrRange, money.ErrRange, nil} {
		if !errors.Is(results[i].Err, want) {
			t.Errorf("%d: %v, want %v", i, results[i].Err, want)
		}
	}
	if b := balance(t, db, "ana"); b.Balance != 0 {
		t.Errorf("%+v", b)
	}
}
