package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// JournalFilter chooses entries. Its zero value means all.
type JournalFilter struct {
	Book    string // entries with a line in this book
	Account string // entries with a line on this account
	From    Date   // business date, with this day
	To      Date   // business date, without this day
	Key     string // the entry of this key
}

// Journal gives whole entries with their lines, by business date and then in the order they were posted.
func Journal(ctx context.Context, db sqlx.QueryerContext, f JournalFilter) ([]Posted, error) {
	rows, err := db.QueryxContext(ctx, `
		SELECT e.id, e.key, e.kind, e.text, e.actor, e.at, e.business_date, e.posted_at, l.book, l.account, l.amount
		FROM entry e JOIN line l ON l.entry_id = e.id
		WHERE ($1 = '' AND $2 = '' OR EXISTS (
		        SELECT FROM line x WHERE x.entry_id = e.id AND ($1 = '' OR x.book = $1) AND ($2 = '' OR x.account = $2)))
		    AND ($3 = '' OR e.business_date >= NULLIF($3, '')::date)
		    AND ($4 = '' OR e.business_date < NULLIF($4, '')::date)
		    AND ($5 = '' OR e.key = $5)
		ORDER BY e.business_date, e.id, l.n`, f.Book, f.Account, string(f.From), string(f.To), f.Key)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer rows.Close()
	posted := []Posted{}
	for rows.Next() {
		var row struct {
			ID       uuid.UUID    `db:"id"`
			Key      string       `db:"key"`
			Kind     string       `db:"kind"`
			Text     string       `db:"text"`
			Actor    string       `db:"actor"`
			At       time.Time    `db:"at"`
			Date     Date         `db:"business_date"`
			PostedAt time.Time    `db:"posted_at"`
			Book     string       `db:"book"`
			Account  string       `db:"account"`
			Amount   money.Amount `db:"amount"`
		}
		if err := rows.StructScan(&row); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		if n := len(posted); n == 0 || posted[n-1].ID != row.ID {
			posted = append(posted, Posted{row.ID, row.Key, row.Kind, row.Text, row.Actor, row.At, row.Date, row.PostedAt, nil})
		}
		last := &posted[len(posted)-1]
		last.Lines = append(last.Lines, Line{row.Book, row.Account, row.Amount})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return posted, nil
}
