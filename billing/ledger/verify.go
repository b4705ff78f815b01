package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// Check is how to verify the books.
type Check struct {
	Seals    map[Period]Seal     // kept elsewhere
	Finding  func(Finding)       // told of each finding
	Progress func(entries int64) // told now and then how many entries were read; may be nil
}

// Finding is something in the books that is not as it was posted. What it is about is named as far as it can be.
type Finding struct {
	Entry   *uuid.UUID `json:"entry"`
	Key     string     `json:"key"` // of the entry
	Period  Period     `json:"period"`
	Missing int64      `json:"missing"` // entries that are gone, when that is all that is known of them
	Problem string     `json:"problem"`
}

// Verified is what was read.
type Verified struct {
	Entries int64 `json:"entries"`
	Lines   int64 `json:"lines"`
	Found   int64 `json:"found"` // findings; none: the books are as they were posted
}

// Verify reads all entries as they stand at one moment and tells of everything that was changed, taken away or put in
// since they were posted: an entry that does not fit its own hash, lines without entry, a closed month that does not fit
// its seal, more or fewer entries than the tally knows, a balance row that is not the sum of its lines. Only who rewrites
// hashes and tally as well goes unnoticed, in the months that no seal kept elsewhere vouches for.
//
// It reads rows as a stream: the memory it takes does not grow with the books.
func Verify(ctx context.Context, db *sqlx.DB, c Check) (Verified, error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only reads
	v := &verifier{check: c, tx: tx, sums: map[string]money.Amount{}}
	if err := v.all(ctx); err != nil {
		return v.verified, fmt.Errorf("verify: %w", err)
	}
	return v.verified, nil
}

type verifier struct {
	check    Check
	tx       *sqlx.Tx
	verified Verified

	calendar *calendar
	closed   []Month
	chains   map[Period]*chain // of the closed months
	marks    int64             // of the entries read, by exclusive or
	form     form
	sums     map[string]money.Amount // by book, of one entry
}

func (v *verifier) all(ctx context.Context) error {
	for _, part := range []func(context.Context) error{v.months, v.entries, v.tally, v.balances} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	v.seals()
	return nil
}

func (v *verifier) find(f Finding) {
	v.verified.Found++
	v.check.Finding(f)
}

// months reads the closed months and begins their chains.
func (v *verifier) months(ctx context.Context) (err error) {
	if v.calendar, err = readCalendar(ctx, v.tx, ""); err != nil {
		return err
	}
	err = v.tx.SelectContext(ctx, &v.closed, `
		SELECT month, 'closed' AS state, entries, closed_at, closed_by, seal FROM period ORDER BY month`)
	if err != nil {
		return err
	}
	v.chains = map[Period]*chain{}
	var before Seal
	var open Date // before any month is closed: the day of the opening, if there was one
	err = v.tx.GetContext(ctx, &open, `SELECT COALESCE(min(business_date), $1::date) FROM entry WHERE kind = $2`, string(always), Opening)
	if err != nil {
		return err
	}
	for i, m := range v.closed {
		if i > 0 && m.Period.First() != open {
			v.find(Finding{Problem: "a closed month before it is gone", Period: m.Period})
		}
		v.chains[m.Period] = newChain(m.Period, before)
		before, open = m.Seal, m.Period.Next().First()
	}
	if v.calendar.OpenFrom != open {
		v.find(Finding{Problem: fmt.Sprintf("the first open day is %s, after the last closed month it would be %s", v.calendar.OpenFrom, open)})
	}
	return nil
}

// progressStep is after how many entries Check.Progress is told.
const progressStep = 10_000

// entries reads entries and lines side by side, both by the entry's id, and judges each entry.
func (v *verifier) entries(ctx context.Context) error {
	entries, err := openCursor(ctx, v.tx, "entries", `
		SELECT id, key, content_hash, kind, zone, text, actor, reverses, line_count, hash,
		    isfinite(at) AND isfinite(business_date) AND isfinite(posted_at),
		    CASE WHEN isfinite(at) THEN at ELSE 'epoch' END,
		    CASE WHEN isfinite(business_date) THEN business_date ELSE 'epoch' END,
		    CASE WHEN isfinite(posted_at) THEN posted_at ELSE 'epoch' END
		FROM entry ORDER BY id`, scanRow)
	if err != nil {
		return err
	}
	lines, err := openCursor(ctx, v.tx, "lines", `
		SELECT entry_id, line_count, n, book, account, amount FROM line ORDER BY entry_id, n`, scanLine)
	if err != nil {
		return err
	}
	var own []postedLine
	for {
		entry, err := entries.peek(ctx)
		if err != nil {
			return err
		}
		limit := uuid.Max
		if entry != nil {
			limit = entry.ID
		}
		if own, err = v.linesUpTo(ctx, lines, limit, own[:0]); err != nil || entry == nil {
			return err
		}
		v.entry(entry, own)
		entries.skip()
		if v.check.Progress != nil && v.verified.Entries%progressStep == 0 {
			v.check.Progress(v.verified.Entries)
		}
	}
}

// linesUpTo gives the lines of an entry; those before it are nobody's.
func (v *verifier) linesUpTo(ctx context.Context, lines *cursor[postedLine], entry uuid.UUID, own []postedLine) ([]postedLine, error) {
	var lost uuid.UUID
	for {
		l, err := lines.peek(ctx)
		if err != nil || l == nil {
			return own, err
		}
		switch c := bytes.Compare(l.Entry[:], entry[:]); {
		case c > 0:
			return own, nil
		case c == 0:
			own = append(own, *l)
		case l.Entry != lost:
			lost = l.Entry
			v.find(Finding{Problem: "it has lines, but is gone itself", Entry: copied(lost)})
		}
		v.verified.Lines++
		lines.skip()
	}
}

// copied is for what outlives the cursor's row.
func copied(id uuid.UUID) *uuid.UUID { return &id }

// postedLine is a line as it stands in its table.
type postedLine struct {
	Line

	Entry     uuid.UUID
	LineCount int
	N         int
}

// readRow is an entry as somebody may have left it.
type readRow struct {
	row

	finite bool // its times are times: PostgreSQL also has infinity
}

func scanRow(rows *sql.Rows, r *readRow) error {
	return rows.Scan(&r.ID, &r.Key, &r.Content, &r.Kind, &r.Zone, &r.Text, &r.Actor, &r.Reverses, &r.LineCount, &r.Hash,
		&r.finite, &r.At, &r.Date, &r.PostedAt)
}

func scanLine(rows *sql.Rows, l *postedLine) error {
	return rows.Scan(&l.Entry, &l.LineCount, &l.N, &l.Book, &l.Account, &l.Amount)
}

// entry judges an entry with its lines.
func (v *verifier) entry(r *readRow, lines []postedLine) {
	v.verified.Entries++
	whole := r.finite && len(r.Hash) == sha256.Size
	if whole {
		v.marks ^= mark(r.Hash)
	}
	v.form.entry(&r.row)
	clear(v.sums)
	complete := len(lines) == r.LineCount
	for i, l := range lines {
		v.form.line(l.N, l.LineCount, l.Line)
		v.sums[l.Book] += l.Amount // what wraps is not what the hash says either
		complete = complete && l.N == i+1
	}
	problem := ""
	switch {
	case !complete:
		problem = "it does not have its lines"
	case !whole || !bytes.Equal(v.form.sum(), r.Hash):
		problem = "it or one of its lines is not what was posted"
	}
	for book, sum := range v.sums {
		if problem == "" && sum != 0 {
			problem = fmt.Sprintf("it is off by %s in %s", sum, book)
		}
	}
	month := PeriodOf(r.Date)
	switch chain := v.chains[month]; {
	case chain != nil:
		chain.add(r.Hash)
	case problem == "" && r.Date < v.calendar.OpenFrom:
		problem = "its month counts as closed, and was not closed"
	}
	if problem != "" {
		v.find(Finding{Problem: problem, Entry: copied(r.ID), Key: r.Key, Period: month})
	}
}

// seals compares the closed months with their seals, and those with the ones kept elsewhere.
func (v *verifier) seals() {
	for _, m := range v.closed {
		chain := v.chains[m.Period]
		switch {
		case chain.entries != m.Entries:
			v.find(Finding{
				Problem: fmt.Sprintf("it has %d entries, sealed were %d", chain.entries, m.Entries), Period: m.Period,
			})
		case !bytes.Equal(chain.seal[:], m.Seal):
			v.find(Finding{Problem: "it does not fit its seal", Period: m.Period})
		}
	}
	for p, seal := range v.check.Seals {
		chain := v.chains[p]
		switch {
		case chain == nil:
			v.find(Finding{Problem: "it is not closed, but there is a seal of it", Period: p})
		case !bytes.Equal(chain.seal[:], seal):
			v.find(Finding{Problem: "it does not fit the seal that was kept", Period: p})
		}
	}
}

// tally compares what was read with what was counted when it was posted.
func (v *verifier) tally(ctx context.Context) error {
	var posted struct {
		Entries int64 `db:"entries"`
		Marks   int64 `db:"marks"`
	}
	err := v.tx.GetContext(ctx, &posted, `SELECT COALESCE(sum(entries), 0)::bigint AS entries, COALESCE(bit_xor(marks), 0) AS marks FROM tally`)
	if err != nil {
		return err
	}
	switch missing := posted.Entries - v.verified.Entries; {
	case missing > 0:
		v.find(Finding{Problem: fmt.Sprintf("of %d entries %d are gone", posted.Entries, missing), Missing: missing})
	case missing < 0:
		v.find(Finding{Problem: fmt.Sprintf("%d entries were put in by something else than the program", -missing)})
	case posted.Marks != v.marks:
		v.find(Finding{Problem: "they are as many as were posted, but not the same"})
	}
	return nil
}

// balances compares the rows of accounts with a limit with the lines.
func (v *verifier) balances(ctx context.Context) error {
	var off []struct {
		Book    string `db:"book"`
		Account string `db:"account"`
		Balance string `db:"balance"`
		Lines   string `db:"lines"`
	}
	err := v.tx.SelectContext(ctx, &off, `
		SELECT b.book, b.account, b.balance::text, COALESCE(l.sum, 0)::text AS lines
		FROM balance b LEFT JOIN (SELECT book, account, -sum(amount) AS sum FROM line GROUP BY book, account) l
		    USING (book, account)
		WHERE b.balance <> COALESCE(l.sum, 0)
		ORDER BY b.book, b.account LIMIT 1000`)
	if err != nil {
		return err
	}
	for _, b := range off {
		v.find(Finding{Problem: fmt.Sprintf("the balance of %s %s is %s millionths, its lines come to %s", b.Book, b.Account, b.Balance, b.Lines)})
	}
	return nil
}
