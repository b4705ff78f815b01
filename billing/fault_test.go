package billing_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
)

// A faultyDB is a pool whose connections break at the moment that counts: when a write is made durable, which is the
// commit of a transaction or a statement outside one.
type faultyDB struct {
	mu     sync.Mutex
	before int  // so many writes get lost on the way there: not stored
	after  int  // then of so many the answer gets lost: stored
	away   bool // no connection does anything
}

var errBroken = errors.New("connection reset (by the test)")

// breakAt sets what happens to the next writes.
func (f *faultyDB) breakAt(before, after int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faultyDB) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// write makes something durable, or breaks before or after it.
func (f *faultyDB) write(do func() error) error {
	f.mu.Lock()
	before, after := f.before > 0, f.before == 0 && f.after > 0
	if before {
		f.before--
	} else if after {
		f.after--
	}
	f.mu.Unlock()
	if before {
		return errBroken
	}
	err := do()
	if after {
		return errors.Join(errBroken, err)
	}
	return err
}

func (f *faultyDB) gone() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errBroken
	}
	return nil
}

// faulty wraps a pool. Each of its connections is one of db's.
func faulty(t *testing.T, db *sqlx.DB) (*sqlx.DB, *faultyDB) {
	t.Helper()
	f := &faultyDB{}
	wrapped := sqlx.NewDb(sql.OpenDB(connector{db, f}), "postgres")
	t.Cleanup(func() {
		if err := wrapped.Close(); err != nil {
			t.Error(err)
		}
	})
	return wrapped, f
}

type connector struct {
	db *sqlx.DB
	f  *faultyDB
}

func (c connector) Driver() driver.Driver { return c.db.Driver() }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.f.gone(); err != nil {
		return nil, err
	}
	conn, err := c.db.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	wrapped := &faultyConn{f: c.f, pooled: conn}
	return wrapped, conn.Raw(func(inner any) error {
		wrapped.inner = inner.(pqConn)
		return nil
	})
}

// pqConn is what a connection of lib/pq can do.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.NamedValueChecker
}

type faultyConn struct {
	f      *faultyDB
	pooled *sql.Conn
	inner  pqConn
	inTx   bool
}

func (c *faultyConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("nothing is prepared here")
}

func (c *faultyConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}
func (c *faultyConn) Close() error                               { return c.pooled.Close() }
func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error { return c.inner.CheckNamedValue(v) }

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.f.gone(); err != nil {
		return nil, err
	}
	tx, err := c.inner.BeginTx(ctx, o)
	c.inTx = err == nil
	return faultyTx{c, tx}, err
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	return do(c, func() (driver.Result, error) { return c.inner.ExecContext(ctx, query, args) })
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return do(c, func() (driver.Rows, error) { return c.inner.QueryContext(ctx, query, args) })
}

// do runs a statement; outside a transaction it is a write of its own.
func do[T any](c *faultyConn, run func() (T, error)) (result T, err error) {
	if err := c.f.gone(); err != nil {
		return result, err
	}
	if c.inTx {
		return run()
	}
	err = c.f.write(func() error {
		result, err = run()
		return err
	})
	if rows, ok := any(result).(driver.Rows); ok && err != nil && rows != nil {
		err = errors.Join(err, rows.Close()) // the statement runs to its end, only its answer is lost
	}
	return result, err
}

type faultyTx struct {
	c  *faultyConn
	tx driver.Tx
}

func (t faultyTx) Commit() error {
	t.c.inTx = false
	committed := false
	err := t.c.f.write(func() error { committed = true; return t.tx.Commit() })
	if !committed {
		err = errors.Join(err, t.tx.Rollback())
	}
	return err
}

func (t faultyTx) Rollback() error {
	t.c.inTx = false
	return t.tx.Rollback()
}
