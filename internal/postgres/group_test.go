package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

var errOdd = errors.New("thirteen is refused")

// A group makes books of numbers. 13 is an error for all, 14 a constraint of the database, 15 a panic, and 16 is refused
// in the answer.
func bookGroup(db *sqlx.DB, gather, patience time.Duration, before func(items []int)) *postgres.Group[int, string] {
	return postgres.NewGroup(db, new(postgres.Guard), gather, patience,
		func(ctx context.Context, tx *sqlx.Tx, items []int) ([]postgres.Answer[string], error) {
			before(items)
			answers := make([]postgres.Answer[string], len(items))
			for i, n := range items {
				code := fmt.Sprint("B", n)
				switch n {
				case 13:
					return nil, errOdd
				case 14:
					code = "not a code"
				case 15:
					panic("fifteen")
				case 16:
					answers[i].Err = errOdd
					continue
				}
				if _, err := tx.ExecContext(ctx, `INSERT INTO book VALUES ($1, '', 'EUR')`, code); err != nil {
					return nil, err
				}
				answers[i].Value = code
			}
			return answers, nil
		})
}

type answered struct {
	n    int
	code string
	err  error
}

// What piles up while transactions run is shared by the next ones, and what can't be written refuses only itself.
func TestGroup(t *testing.T) {
	db := pgtest.New(t)
	entered, hold := make(chan int), make(chan struct{})
	var mu sync.Mutex
	var sizes []int
	g := bookGroup(db, 0, time.Minute, func(items []int) {
		mu.Lock()
		sizes = append(sizes, len(items))
		first := len(sizes) <= postgres.GroupWriters
		mu.Unlock()
		if first {
			entered <- len(items)
			<-hold
		}
	})
	const items = 20
	answers := make(chan answered)
	do := func(n int) {
		code, err := g.Do(t.Context(), n)
		answers <- answered{n, code, err}
	}
	for n := range postgres.GroupWriters {
		go do(n)
		if n := <-entered; n != 1 {
			t.Errorf("who comes alone is in a group of %d", n)
		}
	}
	for n := postgres.GroupWriters; n < items; n++ {
		go do(n)
	}
	for postgres.Waiting(g) < items-postgres.GroupWriters {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	for range items {
		a := <-answers
		if bad := a.n >= 13 && a.n <= 16; bad != (a.err != nil) || !bad && a.code != fmt.Sprint("B", a.n) {
			t.Errorf("%+v", a)
		}
		if a.n == 14 && postgres.Constraint(a.err) != "code_syntax" || (a.n == 13 || a.n == 16) && !errors.Is(a.err, errOdd) {
			t.Errorf("%+v", a)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	// 18 wait when the first of two writers comes back, while one item is still with the other: half of 19.
	if slices.Max(sizes) != 10 {
		t.Errorf("sizes of the groups: %v", sizes)
	}
	var n int
	if err := db.Get(&n, `SELECT count(*) FROM book WHERE code LIKE 'B%'`); err != nil || n != items-4 {
		t.Errorf("%d written, %v", n, err)
	}
}

// Who comes alone waits for others where nobody is in a hurry, and who comes while a transaction runs does as well: what that
// one leaves is not written in bits.
func TestGroupGathers(t *testing.T) {
	groups, hold := make(chan int, 20), make(chan struct{})
	g := bookGroup(pgtest.New(t), 300*time.Millisecond, time.Minute, func(items []int) {
		groups <- len(items)
		<-hold
	})
	var all sync.WaitGroup
	come := func(from, to int) {
		for n := from; n < to; n++ {
			all.Go(func() {
				if _, err := g.Do(t.Context(), n); err != nil {
					t.Error(err)
				}
			})
		}
	}
	come(0, 3)
	if n := <-groups; n != 3 {
		t.Errorf("%d in the first group", n)
	}
	come(3, 9)
	for postgres.Waiting(g) < 6 {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	all.Wait()
	if n := <-groups; n != 6 || len(groups) > 0 {
		t.Errorf("%d in the second group, and %d more groups", n, len(groups))
	}
}

// Who can't wait has what gathers written at once.
func TestGroupFlush(t *testing.T) {
	g := bookGroup(pgtest.New(t), time.Hour, time.Minute, func([]int) {})
	if g.Flush(t.Context()) {
		t.Error("nothing was there to write")
	}
	for n := range 2 { // a second time, too
		written := make(chan error, 1)
		go func() {
			_, err := g.Do(t.Context(), n)
			written <- err
		}()
		for postgres.Waiting(g) == 0 {
			time.Sleep(time.Millisecond)
		}
		if !g.Flush(t.Context()) {
			t.Error("something was there to write")
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}

// A transaction that hangs is given up, and those after it go on. Whoever was in it may have been written.
func TestGroupHangs(t *testing.T) {
	db := pgtest.New(t)
	db.SetMaxIdleConns(1)
	g := bookGroup(db, 0, 300*time.Millisecond, func([]int) {})
	if _, err := g.Do(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	thaw := pgtest.Freeze(t, db)
	if _, err := g.Do(t.Context(), 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Do(left, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := g.Do(t.Context(), 4); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	thaw()
}

// Only what can't be written is looked for by halves; a database that is away is left alone.
func TestGroupSplits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		split bool
	}{
		{"an error of the domain", fmt.Errorf("post: %w", errOdd), true},
		{"a violated constraint", &pq.Error{Severity: "ERROR", Code: "23514"}, true},
		{"a number out of range", &pq.Error{Severity: "ERROR", Code: "22003"}, true},
		{"a lock that is not to be had", &pq.Error{Severity: "ERROR", Code: pqerror.LockNotAvailable}, false},
		{"disk full", &pq.Error{Severity: "ERROR", Code: "53100"}, false},
		{"the server goes down", &pq.Error{Severity: "FATAL", Code: "57P01"}, false},
		{"a connection that broke", fmt.Errorf("commit: %w", driver.ErrBadConn), false},
		{"nobody there", fmt.Errorf("begin: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), false},
		{"no more time", fmt.Errorf("begin: %w", context.DeadlineExceeded), false},
	} {
		if got := postgres.Refused(tt.err); got != tt.split {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
