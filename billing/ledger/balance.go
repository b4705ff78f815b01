package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
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

// Hold changes what is held of an account by delta, down if negative, and gives the row after it. ErrOverdrawn, ErrHeld,
// ErrAccount. The row stays locked until tx ends.
func Hold(ctx context.Context, tx *sqlx.Tx, book, account string, delta money.Amount) (Balance, error) {
	return balanceRow(ctx, tx, book, account,
		`UPDATE balance SET held = held + $3 WHERE book = $1 AND account = $2 RETURNING balance, held, credit_limit`, delta)
}

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
