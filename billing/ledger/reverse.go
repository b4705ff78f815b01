package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// Reversal is an order to take an entry back.
type Reversal struct {
	Entry  uuid.UUID
	Reason string
	Actor  string
	At     time.Time // when it happens
}

// Reverse takes an entry back, once: a new entry with all signs turned, which names the one it reverses. The balance rows
// follow. Repeating it for the same reason gives the same entry, another reason is ErrReversed. It corrects the books
// alone: what else stands behind the entry, such as a call or a voucher, stays as it is. ErrNoEntry, ErrReason, and what
// Post returns.
func Reverse(ctx context.Context, tx *sqlx.Tx, r Reversal) (uuid.UUID, error) {
	id, err := reverse(ctx, tx, r)
	if err != nil {
		return uuid.Nil, fmt.Errorf("reverse %s: %w", r.Entry, err)
	}
	return id, nil
}

// ReversalKey is the key of the entry that takes an entry back.
func ReversalKey(entry uuid.UUID) string { return "reverse:" + entry.String() }

func reverse(ctx context.Context, tx *sqlx.Tx, r Reversal) (uuid.UUID, error) {
	if r.Reason == "" {
		return uuid.Nil, ErrReason
	}
	var lines []Line
	err := tx.SelectContext(ctx, &lines, `SELECT book, account, amount FROM line WHERE entry_id = $1 ORDER BY n`, r.Entry)
	switch {
	case err != nil:
		return uuid.Nil, err
	case len(lines) == 0:
		return uuid.Nil, ErrNoEntry
	}
	for i, l := range lines {
		lines[i].Amount = -l.Amount
		if lines[i].Amount == l.Amount {
			return uuid.Nil, money.ErrRange // the least of all amounts has no opposite
		}
	}
	id, err := post(ctx, tx, Entry{
		Key: ReversalKey(r.Entry), Kind: "reversal", Text: r.Reason, Actor: r.Actor, At: r.At, Lines: lines,
		reverses: r.Entry,
	})
	if errors.Is(err, ErrConflict) {
		err = ErrReversed
	}
	return id, err
}
