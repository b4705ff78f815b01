package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Result is what came of one of several entries: its id, or why it was refused.
type Result = postgres.Answer[uuid.UUID]

// PostAll is Post for many entries, in three statements however many they are: what becomes of them is what Post would
// make of them one after the other, and one that is refused refuses only itself. Balance rows move once each, by the sum.
// An error, which a book that does not exist is too, is for all: the transaction must be rolled back then.
func PostAll(ctx context.Context, tx *sqlx.Tx, entries []Entry) ([]Result, error) {
	g := newGroup(entries)
	for range guesses {
		if err := g.survey(ctx, tx); err != nil {
			return nil, err
		}
		rows, lines := g.decide()
		if len(rows) == 0 {
			return g.results, nil
		}
		posted, err := insert(ctx, tx, g.today, rows, lines)
		if err != nil {
			return nil, fmt.Errorf("post %d entries: %w", len(rows), err)
		}
		if allPosted(rows, posted) {
			return g.results, nil
		}
		// A month was closed or a key used since the survey. The next one sees that, and what was posted all the same.
	}
	return nil, errCalendar
}

func allPosted(rows []row, posted map[string]existing) bool {
	for _, r := range rows {
		if posted[r.Key].ID != r.ID {
			return false
		}
	}
	return true
}

// group is entries that are posted together.
type group struct {
	entries  []Entry
	contents [][]byte
	results  []Result
	keys     []string
	books    []string // of all lines, with accounts
	accounts []string

	// What the survey found.
	today  *calendar
	posted map[string]existing
	rows   map[name]room
}

// name is that of an account.
type name struct{ book, account string }

// room is how far a balance may yet move.
type room struct {
	Book    string       `db:"book"`
	Account string       `db:"account"`
	Balance money.Amount `db:"balance"`
	Free    money.Amount `db:"free"`
}

// newGroup refuses what need not come before the database.
func newGroup(entries []Entry) *group {
	g := &group{entries: entries, contents: make([][]byte, len(entries)), results: make([]Result, len(entries))}
	for i, e := range entries {
		if err := e.check(); err != nil {
			g.refuse(i, err)
			continue
		}
		g.contents[i] = e.content()
		g.keys = append(g.keys, e.Key)
		for _, l := range e.Lines {
			g.books, g.accounts = append(g.books, l.Book), append(g.accounts, l.Account)
		}
	}
	return g
}

func (g *group) refuse(i int, err error) {
	g.results[i] = Result{Err: fmt.Errorf("post %s: %w", g.entries[i].Key, err)}
}

// survey locks the balance rows of the group and then reads, with eyes that see what was committed by those who had them
// locked, which keys are used and which days are open.
func (g *group) survey(ctx context.Context, tx *sqlx.Tx) error {
	var rows []room
	err := tx.SelectContext(ctx, &rows, `
		SELECT book, account, balance, balance - held + credit_limit AS free FROM balance
		WHERE (book, account) IN (SELECT l.book, l.account FROM unnest($1::text[], $2::text[]) AS l (book, account))
		ORDER BY book, account FOR UPDATE`, // the order of insertSQL
		pq.Array(g.books), pq.Array(g.accounts))
	if err != nil {
		return fmt.Errorf("lock balances: %w", err)
	}
	g.rows = make(map[name]room, len(rows))
	for _, r := range rows {
		g.rows[name{r.Book, r.Account}] = r
	}
	var found []found
	err = tx.SelectContext(ctx, &found, `
		SELECT c.zone, c.open_from, e.id AS entry, COALESCE(e.key, '') AS key, e.content_hash
		FROM commune c LEFT JOIN entry e ON e.key = ANY ($1)`, pq.Array(g.keys))
	if err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	g.posted = make(map[string]existing, len(g.entries))
	for _, f := range found {
		g.today = &f.calendar
		if f.Entry.Valid {
			g.posted[f.Key] = existing{f.Entry.UUID, f.Key, f.Content}
		}
	}
	return g.today.found()
}

// decide goes through the entries one after the other and gives the rows of those to post, with their lines.
func (g *group) decide() (rows []row, lines [][]Line) {
	for i := range g.entries {
		e := &g.entries[i]
		if g.contents[i] == nil {
			continue
		}
		if before, ok := g.posted[e.Key]; ok {
			id, err := before.is(g.contents[i])
			if g.results[i] = (Result{Value: id}); err != nil {
				g.refuse(i, err)
			}
			continue
		}
		r, err := e.row(g.today, g.contents[i])
		if err == nil {
			err = g.move(e.Lines)
		}
		if err != nil {
			g.refuse(i, err)
			continue
		}
		g.posted[e.Key] = existing{r.ID, r.Key, r.Content}
		g.results[i] = Result{Value: r.ID}
		rows, lines = append(rows, r), append(lines, e.Lines)
	}
	return rows, lines
}

// move takes the lines of an entry out of the room that their accounts have, as the CHECKs of table balance would have
// it, or leaves it as it was.
func (g *group) move(lines []Line) error {
	sums := map[name]money.Amount{}
	for _, l := range lines {
		n := name{l.Book, l.Account}
		if _, ok := g.rows[n]; !ok {
			continue
		}
		sum, err := sums[n].Add(l.Amount)
		if err != nil {
			return err
		}
		sums[n] = sum
	}
	for n, sum := range sums {
		r := g.rows[n]
		switch {
		case sum > r.Free:
			return ErrOverdrawn
		case r.Balance-max(sum, -3*MaxBalance) > MaxBalance || r.Balance-sum < -MaxBalance:
			return money.ErrRange
		}
	}
	for n, sum := range sums {
		r := g.rows[n]
		r.Balance, r.Free = r.Balance-sum, r.Free-sum
		g.rows[n] = r
	}
	return nil
}
