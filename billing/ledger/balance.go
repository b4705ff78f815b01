package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// MaxBalance is the most that a balance may be, either way, and the most of a limit: 10 billion units.
const MaxBalance = 10_000_000_000 * money.Unit

// Balance is the row of an account that has a limit: what its holder may spend. Post keeps Balance equal to the ledger
// balance of the account with its sign turned (credit positive).
type Balance struct {
	Balance money.Amount `db:"balance"`
	Held    money.Amount `db:"held"`         // set aside for calls that run
	Limit   money.Amount `db:"credit_limit"` // how far below zero the holder may go
}

// OpenBalance makes an account of book keep a balance row. It must have no lines yet. ErrExists, ErrAccount,
// money.ErrRange.
func OpenBalance(ctx context.Context, tx *sqlx.Tx, book, account string, limit money.Amount) error {
	if limit > MaxBalance {
		return fmt.Errorf("limit of %.80q: %w", account, money.ErrRange)
	}
	if !accountSyntax.MatchString(account) {
		return fmt.Errorf("open %.80q: %w", account, ErrAccount)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO balance (book, account, credit_limit) VALUES ($1, $2, $3)`, book, account, limit)
	if err != nil {
		return fmt.Errorf("open %s %s: %w", book, account, translate(err))
	}
	return nil
}

// ReadBalance gives the row of an account, or ErrAccount.
func ReadBalance(ctx context.Context, db sqlx.QueryerContext, book, account string) (Balance, error) {
	return balanceRow(ctx, db, book, account,
		`SELECT balance, held, credit_limit FROM balance WHERE book = $1 AND account = $2`)
}

// Change is by how much more an account holds, or less if negative.
type Change struct {
	Book    string
	Account string
	Held    money.Amount
}

// Hold changes what is held of accounts, each by the sum of its changes. ErrOverdrawn, ErrHeld, ErrAccount. The rows stay
// locked until tx ends.
func Hold(ctx context.Context, tx *sqlx.Tx, changes ...Change) error {
	held := map[name]money.Amount{}
	for _, c := range changes {
		n := name{c.Book, c.Account}
		sum, err := held[n].Add(c.Held)
		if err != nil {
			return fmt.Errorf("hold of %d calls: %w", len(changes), err)
		}
		held[n] = sum
	}
	var books, accounts []string
	var amounts []int64
	for _, n := range slices.SortedFunc(maps.Keys(held), name.compare) {
		books, accounts, amounts = append(books, n.book), append(accounts, n.account), append(amounts, int64(held[n]))
	}
	var changed int
	err := tx.GetContext(ctx, &changed, holdSQL, pq.Array(books), pq.Array(accounts), pq.Array(amounts))
	switch {
	case err != nil:
		return fmt.Errorf("hold of %d calls: %w", len(changes), translate(err))
	case changed < len(held):
		return fmt.Errorf("hold of %d calls: %w", len(changes), ErrAccount)
	}
	return nil
}

// The subqueries keep its plan from depending on how many the accounts are.
var holdSQL = postgres.Prepared(`
WITH locked AS MATERIALIZED (
    SELECT b.book, b.account, c.held
    FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::bigint[])) AS c (book, account, held), LATERAL ( -- in the order of insertSQL
        SELECT book, account FROM balance WHERE balance.book = c.book AND balance.account = c.account FOR UPDATE
    ) AS b
), changed AS (
    UPDATE balance SET held = balance.held + l.held FROM locked l
    WHERE balance.book = l.book AND balance.account = l.account
)
SELECT count(*) FROM locked`)

// SetLimit sets how far below zero an account may go: ErrOverdrawn when it is further down already, money.ErrRange.
func SetLimit(ctx context.Context, tx *sqlx.Tx, book, account string, limit money.Amount) (Balance, error) {
	if limit > MaxBalance {
		return Balance{}, fmt.Errorf("limit of %s %s: %w", book, account, money.ErrRange)
	}
	return balanceRow(ctx, tx, book, account,
		`UPDATE balance SET credit_limit = $3 WHERE book = $1 AND account = $2 RETURNING balance, held, credit_limit`, limit)
}

func balanceRow(ctx context.Context, db sqlx.QueryerContext, book, account, query string, args ...any) (Balance, error) {
	var b Balance
	err := sqlx.GetContext(ctx, db, &b, query, append([]any{book, account}, args...)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrAccount
	}
	if err != nil {
		return Balance{}, fmt.Errorf("balance of %s %s: %w", book, account, translate(err))
	}
	return b, nil
}
