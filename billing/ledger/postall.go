package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Result is what came of one of several entries: its id, or why it was refused.
type Result = postgres.Answer[uuid.UUID]

// PostAll is Post for many entries, in one statement however many they are, and in three more when one of them is refused
// or was posted before: what becomes of them is what Post would make of them one after the other, and one that is refused
// refuses only itself. Balance rows move once each, by the sum. An error, which a book that does not exist is too, is for
// all: the transaction must be rolled back then.
func PostAll(ctx context.Context, tx *sqlx.Tx, entries []Entry) ([]Result, error) {
	results, err := postAll(ctx, tx, entries)
	if err != nil {
		return nil, fmt.Errorf("post %d entries: %w", len(entries), err)
	}
	for i, r := range results {
		if r.Err != nil {
			results[i].Err = fmt.Errorf("post %s: %w", entries[i].Key, r.Err)
		}
	}
	return results, nil
}

// postAll first posts as if the calendar were the one guessed, no key used and room for everything: the statement does it
// if it is so. Else it looks how things are.
func postAll(ctx context.Context, tx *sqlx.Tx, entries []Entry) ([]Result, error) {
	g := newGroup(entries)
	if done, err := g.post(ctx, tx); done || err != nil {
		return g.results, err
	}
	for range surveys {
		if err := g.survey(ctx, tx); err != nil {
			return nil, err
		}
		if done, err := g.post(ctx, tx); done || err != nil {
			return g.results, err
		}
		// A month was closed or a key used since the survey. The next one sees that, and what was posted all the same.
	}
	return nil, errCalendar
}

// surveys is how often a group is decided anew. Within one transaction the calendar changes once, if ever.
const surveys = 3

var errCalendar = fmt.Errorf("the commune's calendar changed %d times meanwhile", surveys)

// group is entries that are posted together.
type group struct {
	entries  []Entry
	contents [][]byte // nil for one that is refused as it is
	results  []Result
	keys     []string

	// What is known of the books: at first a guess, then what the survey found.
	surveyed bool
	today    *calendar
	posted   map[string]existing
	rows     map[name]room
}

// name is that of an account.
type name struct{ book, account string }

// compare orders accounts. Whatever locks more than one balance row does so in this order.
func (n name) compare(other name) int {
	return cmp.Or(cmp.Compare(n.book, other.book), cmp.Compare(n.account, other.account))
}

// room is how far a balance may yet move.
type room struct {
	Book    string       `db:"book"`
	Account string       `db:"account"`
	Balance money.Amount `db:"balance"`
	Free    money.Amount `db:"free"`
}

// move is what lines do to an account: the sum by which they move it, and how far it goes down and up if they come in an
// unlucky order. All are at most muchMoved.
type move struct {
	name
	sum, down, up money.Amount
}

// muchMoved is more than any balance has room for, and small enough to reckon with.
const muchMoved = 3 * MaxBalance

// newGroup refuses what need not come before the database.
func newGroup(entries []Entry) *group {
	g := &group{
		entries: entries, contents: make([][]byte, len(entries)), results: make([]Result, len(entries)),
		today: guess.Load(), posted: make(map[string]existing, len(entries)),
	}
	for i, e := range entries {
		if err := e.check(); err != nil {
			g.results[i].Err = err
			continue
		}
		g.contents[i] = e.content()
		g.keys = append(g.keys, e.Key)
	}
	return g
}

// post decides, and posts what is not refused. It is not done if things are not as they are known.
func (g *group) post(ctx context.Context, tx *sqlx.Tx) (done bool, err error) {
	rows, lines, sure := g.decide()
	if !sure || len(rows) == 0 {
		return sure, nil
	}
	return insert(ctx, tx, g.today, rows, lines, g.moves(lines))
}

// moves folds the lines of entries, in the order of the accounts. Once it is decided that there is room for them in the
// order in which they come, no other order counts.
func (g *group) moves(lines [][]Line) []move {
	moves := make(map[name]move, 2*len(lines))
	for _, own := range lines {
		for _, l := range own {
			n := name{l.Book, l.Account}
			m := moves[n]
			m.name = n
			m.sum += l.Amount
			if !g.surveyed {
				m.down = min(m.down+min(max(l.Amount, 0), muchMoved), muchMoved)
				m.up = min(m.up-max(min(l.Amount, 0), -muchMoved), muchMoved)
			}
			moves[n] = m
		}
	}
	return slices.SortedFunc(maps.Values(moves), func(a, b move) int { return a.name.compare(b.name) })
}

// survey locks the balance rows of the group and then reads, with eyes that see what was committed by those who had them
// locked, which keys are used and which days are open.
func (g *group) survey(ctx context.Context, tx *sqlx.Tx) error {
	names := g.names()
	books, accounts := make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		books[i], accounts[i] = n.book, n.account
	}
	var rows []room
	err := tx.SelectContext(ctx, &rows, `
		SELECT b.book, b.account, b.balance, b.free
		FROM unnest($1::text[], $2::text[]) AS w (book, account), LATERAL ( -- in the order of insertSQL
		    SELECT book, account, balance, balance - held + credit_limit AS free FROM balance
		    WHERE balance.book = w.book AND balance.account = w.account FOR UPDATE
		) AS b`,
		pq.Array(books), pq.Array(accounts))
	if err != nil {
		return fmt.Errorf("lock balances: %w", err)
	}
	g.rows = make(map[name]room, len(rows))
	for _, r := range rows {
		g.rows[name{r.Book, r.Account}] = r
	}
	var found []struct {
		calendar
		Entry   uuid.NullUUID `db:"entry"`
		Key     string        `db:"key"` // of Entry
		Content []byte        `db:"content_hash"`
	}
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
			g.posted[f.Key] = existing{f.Entry.UUID, f.Content}
		}
	}
	g.surveyed = true
	return g.today.found()
}

// names are the accounts of all entries that may be posted, in their order.
func (g *group) names() []name {
	var names []name
	for i, e := range g.entries {
		for _, l := range e.Lines {
			if g.contents[i] != nil {
				names = append(names, name{l.Book, l.Account})
			}
		}
	}
	slices.SortFunc(names, name.compare)
	return slices.Compact(names)
}

// decide goes through the entries one after the other and gives the rows of those to post, with their lines. It is sure
// unless it would refuse one for a day that is only guessed to be closed.
func (g *group) decide() (rows []row, lines [][]Line, sure bool) {
	for i := range g.entries {
		e := &g.entries[i]
		if g.contents[i] == nil {
			continue
		}
		if before, ok := g.posted[e.Key]; ok {
			id, err := before.is(g.contents[i])
			g.results[i] = Result{Value: id, Err: err}
			continue
		}
		r, err := e.row(g.today, g.contents[i])
		if err != nil && !g.surveyed {
			return nil, nil, false
		}
		if err == nil {
			err = g.take(e.Lines)
		}
		if err != nil {
			g.results[i] = Result{Err: err}
			continue
		}
		g.posted[e.Key] = existing{r.ID, r.Content}
		g.results[i] = Result{Value: r.ID}
		rows, lines = append(rows, r), append(lines, e.Lines)
	}
	return rows, lines, true
}

// take takes the lines of an entry out of the room that their accounts have, as the CHECKs of table balance would have
// it, or leaves it as it was.
func (g *group) take(lines []Line) error {
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
		case r.Balance-max(sum, -muchMoved) > MaxBalance || r.Balance-sum < -MaxBalance:
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
