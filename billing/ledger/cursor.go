package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// cursor reads the rows of a query one after the other and holds few of them. Unlike a query's own rows, several can be
// open on one connection, and so see one moment.
type cursor[T any] struct {
	tx    *sqlx.Tx
	name  string
	scan  func(*sql.Rows, *T) error
	batch []T
	at    int
	ended bool
}

const cursorBatch = 5000 // rows

func openCursor[T any](ctx context.Context, tx *sqlx.Tx, name, query string, scan func(*sql.Rows, *T) error) (*cursor[T], error) {
	if _, err := tx.ExecContext(ctx, `DECLARE `+name+` NO SCROLL CURSOR FOR `+query); err != nil {
		return nil, err
	}
	return &cursor[T]{tx: tx, name: name, scan: scan, batch: make([]T, 0, cursorBatch)}, nil
}

// peek gives the row that is next, nil after the last. It stays as it is until the peek after the next skip.
func (c *cursor[T]) peek(ctx context.Context) (*T, error) {
	if c.at == len(c.batch) && !c.ended {
		if err := c.fetch(ctx); err != nil {
			return nil, fmt.Errorf("read %s: %w", c.name, err)
		}
	}
	if c.at == len(c.batch) {
		return nil, nil
	}
	return &c.batch[c.at], nil
}

func (c *cursor[T]) skip() { c.at++ }

func (c *cursor[T]) fetch(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, fmt.Sprintf(`FETCH %d FROM %s`, cursorBatch, c.name))
	if err != nil {
		return err
	}
	defer rows.Close()
	c.batch, c.at = c.batch[:0], 0
	for rows.Next() {
		var v T
		if err := c.scan(rows, &v); err != nil {
			return err
		}
		c.batch = append(c.batch, v)
	}
	c.ended = len(c.batch) < cursorBatch
	return rows.Err()
}
