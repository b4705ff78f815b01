package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// JournalFilter chooses entries. Its zero value means all.
type JournalFilter struct {
	Book    string    // entries with a line in this book
	Account string    // entries with a line on this account, or on one of its sub-accounts
	From    Date      // business date, with this day
	To      Date      // business date, without this day
	Key     string    // the entry of this key
	ID      uuid.UUID // the entry of this id
}

// Journal gives whole entries with their lines, by business date and then in the order they were posted.
func Journal(ctx context.Context, db sqlx.QueryerContext, f JournalFilter) ([]Posted, error) {
	posted := []Posted{}
	err := eachPosted(ctx, db, f, func(p Posted) error {
		posted = append(posted, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return posted, nil
}

// eachPosted calls do with one whole entry after the other, in the order of Journal, and keeps none: the books may be
// larger than the memory. An error of do ends it.
func eachPosted(ctx context.Context, db sqlx.QueryerContext, f JournalFilter, do func(Posted) error) error {
	rows, err := db.QueryxContext(ctx, `
		SELECT e.id, e.key, e.kind, e.text, e.actor, e.at, e.business_date, e.zone, e.reverses, e.posted_at,
		    l.book, l.account, l.amount
		FROM entry e JOIN line l ON l.entry_id = e.id
		WHERE ($1 = '' AND $2 = '' OR EXISTS (
		        SELECT FROM line x WHERE x.entry_id = e.id AND ($1 = '' OR x.book = $1) AND ($2 = '' OR x.account = $2 OR starts_with(x.account, $2 || ':'))))
		    AND ($3 = '' OR e.business_date >= NULLIF($3, '')::date)
		    AND ($4 = '' OR e.business_date < NULLIF($4, '')::date)
		    AND ($5 = '' OR e.key = $5)
		    AND ($6::uuid = $7::uuid OR e.id = $6::uuid)
		ORDER BY e.business_date, e.id, l.n`, f.Book, f.Account, string(f.From), string(f.To), f.Key, f.ID, uuid.Nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	var p Posted
	for rows.Next() {
		var next Posted
		var l Line
		err := rows.Scan(&next.ID, &next.Key, &next.Kind, &next.Text, &next.Actor, &next.At, &next.Date, &next.Zone, &next.Reverses,
			&next.PostedAt, &l.Book, &l.Account, &l.Amount)
		if err != nil {
			return err
		}
		if next.ID != p.ID {
			if len(p.Lines) > 0 {
				if err := do(p); err != nil {
					return err
				}
			}
			p = next
		}
		p.Lines = append(p.Lines, l)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(p.Lines) == 0 {
		return nil
	}
	return do(p)
}
