package ledger

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// TrialFilter chooses lines for a trial balance. Its zero value means all books, up to now.
type TrialFilter struct {
	Book string // none: all
	At   Date   // up to and with this business date; none: all
}

// TrialLine is one account in the trial balance.
type TrialLine struct {
	Book    string       `json:"book"`
	Account string       `json:"account"`
	Debit   money.Amount `json:"debit"`   // sum of its debits
	Credit  money.Amount `json:"credit"`  // sum of its credits
	Balance money.Amount `json:"balance"` // debit positive
}

// Trial gives the trial balance: each account that was ever posted to, by book and account. In each book the balances
// sum to zero. A sum beyond 64 bits is money.ErrRange: PostgreSQL adds in numeric, so it never wraps.
func Trial(ctx context.Context, db sqlx.QueryerContext, f TrialFilter) ([]TrialLine, error) {
	lines := []TrialLine{}
	err := sqlx.SelectContext(ctx, db, &lines, `
		SELECT l.book, l.account,
		    COALESCE(sum(l.amount) FILTER (WHERE l.amount > 0), 0)::bigint AS debit,
		    COALESCE(-sum(l.amount) FILTER (WHERE l.amount < 0), 0)::bigint AS credit,
		    sum(l.amount)::bigint AS balance
		FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE ($1 = '' OR l.book = $1) AND ($2 = '' OR e.business_date <= NULLIF($2, '')::date)
		GROUP BY l.book, l.account
		ORDER BY l.book COLLATE "C", l.account COLLATE "C"`, f.Book, string(f.At))
	if err != nil {
		return nil, fmt.Errorf("trial balance: %w", translate(err))
	}
	return lines, nil
}
