package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
)

// Post adds an entry and its lines, and moves the balance row of each account among them that keeps one, all in one
// statement. Posting the same key again with the same content changes nothing and gives the first entry's id; with
// another content it is ErrConflict. A malformed entry is refused before the database is asked (ErrEntry, ErrAccount,
// ErrUnbalanced, money.ErrRange); ErrAccount also names a book that does not exist, ErrOverdrawn an account that would
// owe more than its limit, ErrPeriodClosed a day that takes no entries any more. After an error the transaction must be
// rolled back.
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
	content := e.content()
	today := guess.Load()
	for range guesses {
		r, closed := e.row(today, content)
		if closed == nil {
			found, err := insert(ctx, tx, today, &r, e.Lines)
			if err == nil {
				return found.is(content)
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return uuid.Nil, translate(err)
			}
		} else if !errors.Is(closed, ErrPeriodClosed) {
			return uuid.Nil, closed
		}
		now, err := look(ctx, tx, e.Key)
		switch {
		case err != nil:
			return uuid.Nil, err
		case now.Entry.Valid:
			return existing{now.Entry.UUID, now.Content}.is(content)
		case closed != nil && now.same(today):
			return uuid.Nil, closed
		}
		today = &now.calendar
	}
	return uuid.Nil, fmt.Errorf("the commune's calendar changed %d times meanwhile", guesses)
}

// guesses is how often an entry is dated anew. Within one transaction the calendar changes once, if ever.
const guesses = 3

// row makes the row of an entry, but for what it is allowed: ErrPeriodClosed.
func (e *Entry) row(today *calendar, content []byte) (row, error) {
	day, err := today.day(e)
	if err != nil {
		return row{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, err
	}
	// PostgreSQL keeps microseconds: the hash is over what will be read back.
	r := row{
		ID: id, Key: e.Key, Content: content, Kind: e.Kind, At: e.At.Round(time.Microsecond), Date: day, Zone: today.Zone,
		Text: e.Text, Actor: e.Actor, PostedAt: time.Now().Round(time.Microsecond), LineCount: len(e.Lines),
		Reverses: uuid.NullUUID{UUID: e.reverses, Valid: e.reverses != uuid.Nil},
	}
	r.Hash = r.hash(e.Lines)
	return r, nil
}

// existing is the entry of a key.
type existing struct {
	ID      uuid.UUID `db:"id"`
	Content []byte    `db:"content_hash"`
}

// is gives its id if it is the one that was asked for, else ErrConflict.
func (x existing) is(content []byte) (uuid.UUID, error) {
	if !bytes.Equal(x.Content, content) {
		return uuid.Nil, ErrConflict
	}
	return x.ID, nil
}

// insert posts a row and gives the entry of its key, this one or one from before. sql.ErrNoRows means that nothing was
// done: the calendar is another, or the key was committed by another transaction while the statement waited for it,
// which only a new statement sees.
func insert(ctx context.Context, tx *sqlx.Tx, today *calendar, r *row, lines []Line) (existing, error) {
	n := len(lines)
	books, accounts, amounts := make([]string, n), make([]string, n), make([]int64, n)
	for i, l := range lines {
		books[i], accounts[i], amounts[i] = l.Book, l.Account, int64(l.Amount)
	}
	var found existing
	err := tx.GetContext(ctx, &found, postSQL, r.ID, r.Key, r.Content, r.Kind, r.At, string(r.Date), r.Zone, r.Text, r.Actor,
		r.Reverses, r.PostedAt, n, r.Hash, mark(r.Hash), string(today.OpenFrom),
		pq.Array(books), pq.Array(accounts), pq.Array(amounts))
	return found, err
}

// look finds what insert stumbled upon.
func look(ctx context.Context, tx *sqlx.Tx, key string) (*found, error) {
	var f found
	err := tx.GetContext(ctx, &f, `
		SELECT c.zone, c.open_from, e.id AS entry, e.content_hash FROM commune c LEFT JOIN entry e ON e.key = $1`, key)
	if err != nil {
		return nil, err
	}
	return &f, f.calendar.found()
}

type found struct {
	calendar
	Entry   uuid.NullUUID `db:"entry"`
	Content []byte        `db:"content_hash"`
}

// postSQL touches no row but the new ones, the balance rows and this connection's tally. An entry that was there before,
// or a calendar that is not the one guessed, leaves `added` empty, and so everything that follows from it.
const postSQL = `
WITH added AS (
    INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, reverses, posted_at, line_count, hash)
    SELECT $1::uuid, $2, $3::bytea, $4, $5::timestamptz, $6::date, $7, $8, $9, $10::uuid, $11::timestamptz, $12::integer, $13::bytea
    FROM commune WHERE zone = $7 AND open_from = $15::date
    ON CONFLICT (key) DO NOTHING
    RETURNING id, content_hash, line_count
), asked AS MATERIALIZED (
    SELECT added.id, added.line_count, l.n, l.book, l.account, l.amount
    FROM added, unnest($16::text[], $17::text[], $18::bigint[]) WITH ORDINALITY AS l (book, account, amount, n)
), lines AS (
    INSERT INTO line (entry_id, line_count, n, book, account, amount)
    SELECT id, line_count, n, book, account, amount FROM asked
), moved AS (
    UPDATE balance SET balance = balance.balance - s.amount
    FROM (SELECT book, account, sum(amount)::bigint AS amount FROM asked GROUP BY book, account) AS s
    WHERE balance.book = s.book AND balance.account = s.account
), tallied AS (
    INSERT INTO tally AS t (slot, entries, marks) SELECT pg_backend_pid() % 65536, 1, $14::bigint FROM added
    ON CONFLICT (slot) DO UPDATE SET entries = t.entries + 1, marks = t.marks # $14::bigint
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
		"balance_limit_range":    money.ErrRange,
		"balance_range":          money.ErrRange,
	}[refused.Constraint]
	switch {
	case known != nil:
		return known
	case refused.Code == "22003": // numeric_value_out_of_range
		return money.ErrRange
	}
	return err
}
