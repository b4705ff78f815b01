package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/lib/pq"
)

// prepared are the statements that connections keep. It is complete before the first connection is made.
var prepared = map[string]bool{}

// Prepared marks a statement as one that each connection parses once and plans a few times only; it gives it back as it
// is, for a package variable. It is for what calls and postings wait for, where planning is half of the work. Its plan
// must not depend on how much it is given: arrays are taken to have ten elements.
func Prepared(query string) string {
	prepared[query] = true
	return query
}

// connector makes connections that keep prepared statements.
type connector struct{ *pq.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := inner.(pqConn)
	if !ok {
		return nil, fmt.Errorf("a connection of lib/pq that can't do what it could: %T", inner)
	}
	return &keeper{pqConn: conn, kept: map[string]pqStmt{}}, nil
}

// pqConn is what a connection of lib/pq can do.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keeper is a connection with the statements that it was asked before.
type keeper struct {
	pqConn

	kept map[string]pqStmt // by their text; they end with the connection
}

func (k *keeper) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !prepared[query] {
		return k.pqConn.QueryContext(ctx, query, args)
	}
	st, err := k.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args)
}

func (k *keeper) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !prepared[query] {
		return k.pqConn.ExecContext(ctx, query, args)
	}
	st, err := k.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args)
}

func (k *keeper) statement(ctx context.Context, query string) (pqStmt, error) {
	if st, ok := k.kept[query]; ok {
		return st, nil
	}
	made, err := k.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	st, ok := made.(pqStmt)
	if !ok {
		return nil, fmt.Errorf("a statement of lib/pq that can't do what it could: %T", made)
	}
	k.kept[query] = st
	return st, nil
}
