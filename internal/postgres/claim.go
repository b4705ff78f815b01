package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// ErrClaimed is returned by Claim.Hold while another program has the name.
var ErrClaimed = errors.New("another program has this name")

// Claim is a name that one program at a time has in a database: an advisory lock of a session, on a connection that is
// kept for nothing else. A program that dies loses it at once; one that lives loses it when its connection breaks, such
// as by a restart of the server, and takes it again at the next Hold.
type Claim struct {
	db   *sqlx.DB
	name string

	mu   sync.Mutex
	conn *sqlx.Conn // nil while the name is not ours
}

// NewClaim prepares a claim; Hold makes it.
func NewClaim(db *sqlx.DB, name string) *Claim { return &Claim{db: db, name: name} }

// Hold asks over the claim's connection whether the name is still ours, and takes it if it is not. ErrClaimed.
func (c *Claim) Hold(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		if _, err := c.conn.ExecContext(ctx, `SELECT`); err == nil { // the session lives, and its lock with it
			return nil
		}
		c.drop()
	}
	conn, err := c.db.Connx(ctx)
	if err != nil {
		return fmt.Errorf("claim %q: %w", c.name, err)
	}
	c.conn = conn
	var ours bool
	err = conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended('claim ' || $1, 0))`, c.name).Scan(&ours)
	if err == nil && !ours {
		err = ErrClaimed
	}
	if err != nil {
		c.drop()
		return fmt.Errorf("claim %q: %w", c.name, err)
	}
	return nil
}

// Release lets go of the name. It does not wait for a Hold that hangs: then the name goes with the connection.
func (c *Claim) Release() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.conn.ExecContext(ctx, `SELECT pg_advisory_unlock_all()`) //nolint:errcheck // it goes with the connection otherwise
	}
	c.drop()
}

// drop closes the connection instead of giving it back to the pool, where the lock would live on.
func (c *Claim) drop() {
	if c.conn != nil {
		c.conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // it is the error just made
		c.conn = nil
	}
}
