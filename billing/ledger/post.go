package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
)

// Post adds an entry and its lines, and moves the balance row of each account among them that keeps one, all in one
// statement. Posting the same key again with the same content changes nothing and gives the first entry's id; with
// another content it is ErrConflict. A malformed entry is refused before the database is asked (ErrEntry, ErrAccount,
// ErrUnbalanced, money.ErrRange); ErrAccount also names a book that does not exist, ErrOverdrawn an account that would
// owe more than its limit. After an error the transaction must be rolled back.
func Post(ctx context.Context, tx *sqlx.Tx, e Entry) (uuid.UUID, error) {
	id, err := post(ctx, tx, e)
	if err != nil {
		return uuid.Nil, fmt.Errorf("post %s: %w", e.Key, err)
	}
	return id, nil
}

func post(ctx context.Context, tx *sqlx.Tx, e Entry) (uuid.UUID, error) {
	if err := e.check(); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, err
	}
	n := len(e.Lines)
	books, accounts, amounts := make([]string, n), make([]string, n), make([]int64, n)
	for i, l := range e.Lines {
		books[i], accounts[i], amounts[i] = l.Book, l.Account, int64(l.Amount)
	}
	content := e.content()
	var found struct {
		ID   uuid.UUID `db:"id"`
		Hash []byte    `db:"content_hash"`
	}
	err = tx.GetContext(ctx, &found, postSQL, id, e.Key, content, e.Kind, e.At, string(e.Date), e.Text, e.Actor,
		n, pq.Array(books), pq.Array(accounts), pq.Array(amounts))
	if errors.Is(err, sql.ErrNoRows) {
		// Another transaction committed this key while the statement waited for it: only a new statement sees it.
		err = tx.GetContext(ctx, &found, `SELECT id, content_hash FROM entry WHERE key = $1`, e.Key)
	}
	if err != nil {
		return uuid.Nil, translate(err)
	}
	if !bytes.Equal(found.Hash, content) {
		return uuid.Nil, ErrConflict
	}
	return found.ID, nil
}

// postSQL touches no row but the new ones and the balance rows. An entry that was there before leaves `added` empty,
// and so everything that follows from it.
const postSQL = `
WITH added AS (
    INSERT INTO entry (id, key, content_hash, kind, at, business_date, text, actor, line_count)
    VALUES ($1, $2, $3, $4, $5, COALESCE(NULLIF($6, '')::date, ($5::timestamptz AT TIME ZONE (SELECT zone FROM commune))::date), $7, $8, $9)
    ON CONFLICT (key) DO NOTHING
    RETURNING id, content_hash, line_count
), asked AS MATERIALIZED (
    SELECT added.id, added.line_count, l.n, l.book, l.account, l.amount
    FROM added, unnest($10::text[], $11::text[], $12::bigint[]) WITH ORDINALITY AS l (book, account, amount, n)
), lines AS (
    INSERT INTO line (entry_id, line_count, n, book, account, amount)
    SELECT id, line_count, n, book, account, amount FROM asked
), moved AS (
    UPDATE balance SET balance = balance.balance - s.amount
    FROM (SELECT book, account, sum(amount)::bigint AS amount FROM asked GROUP BY book, account) AS s
    WHERE balance.book = s.book AND balance.account = s.account
)
SELECT id, content_hash FROM added
UNION ALL
SELECT id, content_hash FROM entry WHERE key = $2
LIMIT 1`

// translate turns what the schema refuses into the errors of this package.
func translate(err error) error {
	var refused *pq.Error
	if !errors.As(err, &refused) {
		return err
	}
	known := map[string]error{
		"line_book_fkey":         ErrAccount,
		"balance_book_fkey":      ErrAccount,
		"balance_pkey":           ErrExists,
		"balance_not_overdrawn":  ErrOverdrawn,
		"balance_held_positive":  ErrHeld,
		"balance_limit_positive": money.ErrRange,
	}[refused.Constraint]
	switch {
	case known != nil:
		return known
	case refused.Code == "22003": // numeric_value_out_of_range
		return money.ErrRange
	}
	return err
}
