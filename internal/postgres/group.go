package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// MaxGroup is how many items one transaction of a Group takes.
	MaxGroup = 512
	// groupWriters is how many transactions of a Group run at once: while one waits for the disk, the server works for
	// the other.
	groupWriters = 2
	// maxWaiting is how many items wait for their transaction.
	maxWaiting = 1 << 14
)

// ErrFull is returned by Group.Do when too many wait already. Nothing was sent then.
var ErrFull = errors.New("too much waits to be written")

// Group makes one transaction of what several callers want to write: of what came while those before it ran, and, where
// nobody is in a hurry, of what comes within a short while. Two run at once and share what there is evenly, since two
// equal ones are done sooner than a large and a small one. Constructed, a group does nothing; goroutines work while there
// is something to write, and end with the last of it.
type Group[T, R any] struct {
	db       *sqlx.DB
	guard    *Guard
	gather   time.Duration
	patience time.Duration
	write    Write[T, R]

	hurry chan struct{} // ends a gathering

	mu        sync.Mutex
	inside    map[*waiter[T, R]]bool // all that have no answer yet
	waiting   []*waiter[T, R]
	gathering bool
	writers   int // at work, the one that gathers among them
	writing   int // items in their transactions
}

// Write writes all items in tx and answers for each, in their order. An error undoes all of them; if it is not the
// database that failed, half of them are tried without the other half, down to those that can't be written even alone.
// So it must do nothing outside tx that can't be done twice.
type Write[T, R any] func(ctx context.Context, tx *sqlx.Tx, items []T) ([]Answer[R], error)

// Answer is what came of one item: a value, or why it was refused.
type Answer[R any] struct {
	Value R
	Err   error
}

type waiter[T, R any] struct {
	item     T
	answer   chan Answer[R] // has room for the one answer, so nobody waits for a caller that left
	answered chan struct{}  // closed then
}

// NewGroup makes a group. Who finds a writer free waits as long as gather for others to come, since what a transaction
// costs the server is mostly its own; with 0 he goes alone. A transaction may take as long as patience, then
// its callers get an error and the next one begins; what a database that hangs leaves behind is counted by the guard.
func NewGroup[T, R any](db *sqlx.DB, guard *Guard, gather, patience time.Duration, write Write[T, R]) *Group[T, R] {
	return &Group[T, R]{
		db: db, guard: guard, gather: gather, patience: patience, write: write,
		hurry: make(chan struct{}, 1), inside: map[*waiter[T, R]]bool{},
	}
}

// Do writes an item together with those of other callers and gives its answer. An error of the database may mean "stored
// all the same", and when ctx ends the item is still written if it can be: it bears a key that makes a repetition
// harmless. ErrFull, ErrHangs.
func (g *Group[T, R]) Do(ctx context.Context, item T) (R, error) {
	w := &waiter[T, R]{item, make(chan Answer[R], 1), make(chan struct{})}
	if !g.enter(w) {
		var zero R
		return zero, ErrFull
	}
	select {
	case a := <-w.answer:
		return a.Value, a.Err
	case <-ctx.Done():
		var zero R
		return zero, ctx.Err()
	}
}

// Flush has all that is with the group now written at once, and waits for it or for the end of ctx. It tells whether there was
// anything.
func (g *Group[T, R]) Flush(ctx context.Context) bool {
	g.mu.Lock()
	inside := slices.Collect(maps.Keys(g.inside))
	if g.gathering {
		select {
		case g.hurry <- struct{}{}:
		default:
		}
	}
	g.mu.Unlock()
	for _, w := range inside {
		select {
		case <-w.answered:
		case <-ctx.Done():
		}
	}
	return len(inside) > 0
}

func (g *Group[T, R]) enter(w *waiter[T, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) >= maxWaiting {
		return false
	}
	g.waiting, g.inside[w] = append(g.waiting, w), true
	if g.writers < groupWriters && !g.gathering {
		g.writers++
		g.gathering = g.gather > 0
		go g.work()
	}
	return true
}

// work writes group after group until there is none for it.
func (g *Group[T, R]) work() {
	if g.gather > 0 {
		select {
		case <-time.After(g.gather):
		case <-g.hurry:
		}
		g.mu.Lock()
		g.gathering = false
		g.mu.Unlock()
	}
	for group := g.next(0); len(group) > 0; group = g.next(len(group)) {
		items := make([]T, len(group))
		for i, w := range group {
			items[i] = w.item
		}
		ctx, cancel := context.WithTimeout(context.Background(), g.patience)
		answers, err := Await(ctx, g.guard, func(ctx context.Context) ([]Answer[R], error) { return g.split(ctx, items), nil }, nil)
		cancel()
		for i, w := range group {
			a := Answer[R]{Err: err}
			if err == nil {
				a = answers[i]
			}
			g.leave(w, a)
		}
		runtime.Gosched() // who was answered and has more to write, as a loop has, comes now and not in the group after the next
	}
}

// leave gives an item its answer.
func (g *Group[T, R]) leave(w *waiter[T, R], a Answer[R]) {
	g.mu.Lock()
	delete(g.inside, w)
	g.mu.Unlock()
	w.answer <- a
	close(w.answered)
}

// next gives a writer that has written some items its next ones: its share of all there are, so that there be as many for
// the others. There are none when nobody waits, or when what waits is being gathered for another writer, and with that the
// writer is gone.
func (g *Group[T, R]) next(written int) []*waiter[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing -= written
	n := 0
	if !g.gathering {
		share := (len(g.waiting) + g.writing + g.writers - 1) / g.writers
		n = min(len(g.waiting), share, MaxGroup)
	}
	group := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	if g.writing += n; n == 0 {
		g.writers--
	}
	return group
}

// split writes items in one transaction, or in several when one can't be written.
func (g *Group[T, R]) split(ctx context.Context, items []T) []Answer[R] {
	answers, err := g.once(ctx, items)
	switch half := len(items) / 2; {
	case err == nil:
		return answers
	case half > 0 && refused(err) && ctx.Err() == nil:
		return append(g.split(ctx, items[:half]), g.split(ctx, items[half:])...)
	}
	answers = make([]Answer[R], len(items))
	for i := range answers {
		answers[i].Err = err
	}
	return answers
}

// once is calm, so that an item that makes write panic refuses itself alone.
func (g *Group[T, R]) once(ctx context.Context, items []T) ([]Answer[R], error) {
	return calmly(ctx, func(ctx context.Context) (answers []Answer[R], err error) {
		err = InTx(ctx, g.db, func(tx *sqlx.Tx) error {
			answers, err = g.write(ctx, tx, items)
			return err
		})
		return answers, err
	})
}

// refused tells whether a transaction failed for what it was to write, and not because the database is away, overloaded
// or hangs.
func refused(err error) bool {
	if e := pq.As(err); e != nil {
		switch e.Code.Class() {
		case "40", "53", "55", "57", "58": // rollback, resources, locks, intervention, system
			return false
		}
		return e.Severity == "ERROR"
	}
	for _, away := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, away) {
			return false
		}
	}
	var network net.Error
	return !errors.As(err, &network)
}
