package ledger

import (
	"bytes"
	"context"
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
	results, err := postAll(ctx, tx, []Entry{e})
	if err != nil {
		return uuid.Nil, err
	}
	return results[0].Value, results[0].Err
}

// row makes the row of an entry: ErrPeriodClosed.
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
	ID      uuid.UUID
	Content []byte
}

// is gives its id if it is the one that was asked for, else ErrConflict.
func (x existing) is(content []byte) (uuid.UUID, error) {
	if !bytes.Equal(x.Content, content) {
		return uuid.Nil, ErrConflict
	}
	return x.ID, nil
}

// translate turns what the schema refuses into the errors of this package.
func translate(err error) error {
	var refused *pq.Error
	if !errors.As(err, &refused) {
		return err
	}
	known := map[string]error{
		"line_book_fkey":         ErrAccount,
		"line_book_open":         ErrBookClosed,
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
