package ledger

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres"
)

// insert posts rows with their lines and moves balances, in one statement, and tells whether it did. It does nothing when
// the calendar is another one, a key is used, or an account may not have room. It is postgres.ErrAgain when somebody else
// commits one of the keys, or takes the room, at this very moment.
func insert(ctx context.Context, tx *sqlx.Tx, today *calendar, rows []row, lines [][]Line, moves []move) (done bool, err error) {
	var e entryColumns
	var l lineColumns
	for i, r := range rows {
		e.add(r)
		for k, line := range lines[i] {
			l.add(r, k+1, line)
		}
	}
	var m moveColumns
	for _, move := range moves {
		m.add(move)
	}
	args := append(append(e.args(), l.args()...), m.args()...)
	var posted int
	err = tx.GetContext(ctx, &posted, insertSQL, append(args, today.Zone, string(today.OpenFrom), int64(MaxBalance))...)
	refused := postgres.Constraint(err)
	switch {
	case refused == "balance_not_overdrawn" || refused == "balance_range":
		return false, postgres.ErrAgain
	case err != nil:
		return false, translate(err)
	case posted != 0 && posted != len(rows):
		return false, postgres.ErrAgain
	}
	return posted != 0, nil
}

// entryColumns are rows of table entry, as they are sent.
type entryColumns struct {
	ids, keys, kinds, times, dates, texts, actors, posted []string
	contents, hashes                                      [][]byte
	reverses                                              []*string
	counts                                                []int64
}

func (c *entryColumns) add(r row) {
	c.ids, c.keys, c.kinds = append(c.ids, r.ID.String()), append(c.keys, r.Key), append(c.kinds, r.Kind)
	c.times, c.dates = append(c.times, instant(r.At)), append(c.dates, string(r.Date))
	c.texts, c.actors = append(c.texts, r.Text), append(c.actors, r.Actor)
	c.posted, c.counts = append(c.posted, instant(r.PostedAt)), append(c.counts, int64(r.LineCount))
	c.contents, c.hashes = append(c.contents, r.Content), append(c.hashes, r.Hash)
	var reverses *string
	if r.Reverses.Valid {
		id := r.Reverses.UUID.String()
		reverses = &id
	}
	c.reverses = append(c.reverses, reverses)
}

func (c *entryColumns) args() []any {
	return []any{
		pq.Array(c.ids), pq.Array(c.keys), pq.Array(c.contents), pq.Array(c.kinds), pq.Array(c.times), pq.Array(c.dates),
		pq.Array(c.texts), pq.Array(c.actors), pq.Array(c.reverses), pq.Array(c.posted), pq.Array(c.counts), pq.Array(c.hashes),
	}
}

// lineColumns are rows of table line.
type lineColumns struct {
	entries, books, accounts []string
	counts, numbers, amounts []int64
}

func (c *lineColumns) add(r row, n int, l Line) {
	c.entries, c.counts, c.numbers = append(c.entries, r.ID.String()), append(c.counts, int64(r.LineCount)), append(c.numbers, int64(n))
	c.books, c.accounts, c.amounts = append(c.books, l.Book), append(c.accounts, l.Account), append(c.amounts, int64(l.Amount))
}

func (c *lineColumns) args() []any {
	return []any{
		pq.Array(c.entries), pq.Array(c.counts), pq.Array(c.numbers), pq.Array(c.books), pq.Array(c.accounts), pq.Array(c.amounts),
	}
}

// moveColumns say what becomes of rows of table balance.
type moveColumns struct {
	books, accounts  []string
	sums, downs, ups []int64
}

func (c *moveColumns) add(m move) {
	c.books, c.accounts = append(c.books, m.book), append(c.accounts, m.account)
	c.sums, c.downs, c.ups = append(c.sums, int64(m.sum)), append(c.downs, int64(m.down)), append(c.ups, int64(m.up))
}

func (c *moveColumns) args() []any {
	return []any{pq.Array(c.books), pq.Array(c.accounts), pq.Array(c.sums), pq.Array(c.downs), pq.Array(c.ups)}
}

// instant is how a moment is sent among others.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// insertSQL touches no row but the new ones, the balance rows and this connection's tally. It joins nothing that could be
// large: either all is posted or nothing is.
//
// The balance rows move last, so that accounts that many post to are locked for the shortest time, and in the order in
// which they are named, as in every statement that locks more than one (here, survey, Hold): two that met in different
// orders would each wait for the other. LATERAL keeps to that order, and to the index however many rows there are.
var insertSQL = postgres.Prepared(`
WITH move AS MATERIALIZED (
    SELECT book, account, amount, down, up
    FROM unnest($19::text[], $20::text[], $21::bigint[], $22::bigint[], $23::bigint[]) AS m (book, account, amount, down, up)
), room AS MATERIALIZED (
    SELECT b.free >= m.down AND b.balance - m.down >= -$26::bigint AND b.balance + m.up <= $26 AS enough
    FROM move m, LATERAL (
        SELECT balance, balance - held + credit_limit AS free FROM balance
        WHERE balance.book = m.book AND balance.account = m.account LIMIT 1
    ) AS b
), added AS (
    INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, reverses, posted_at, line_count, hash)
    SELECT e.id, e.key, e.content, e.kind, e.at, e.date, c.zone, e.text, e.actor, e.reverses, e.posted_at, e.line_count, e.hash
    FROM commune c, unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::timestamptz[], $6::date[], $7::text[],
        $8::text[], $9::uuid[], $10::timestamptz[], $11::integer[], $12::bytea[])
        AS e (id, key, content, kind, at, date, text, actor, reverses, posted_at, line_count, hash)
    WHERE c.zone = $24 AND c.open_from = $25::date AND (SELECT COALESCE(bool_and(enough), true) FROM room)
        AND NOT EXISTS (
            SELECT FROM unnest($2) AS k (key), LATERAL (SELECT FROM entry WHERE entry.key = k.key LIMIT 1) AS used
        )
    ON CONFLICT (key) DO NOTHING
    RETURNING hash
), done AS MATERIALIZED (
    SELECT count(*) AS entries, bit_xor(mark(hash)) AS marks FROM added
), lines AS (
    INSERT INTO line (entry_id, line_count, n, book, account, amount)
    SELECT entry_id, line_count, n, book, account, amount
    FROM unnest($13::uuid[], $14::integer[], $15::integer[], $16::text[], $17::text[], $18::bigint[])
        AS l (entry_id, line_count, n, book, account, amount)
    WHERE (SELECT entries FROM done) = cardinality($1::uuid[])
), moved AS (
    UPDATE balance SET balance = balance.balance - m.amount FROM move m
    WHERE balance.book = m.book AND balance.account = m.account AND (SELECT entries FROM done) = cardinality($1::uuid[])
), tallied AS (
    INSERT INTO tally AS t (slot, entries, marks) SELECT pg_backend_pid() % 65536, entries, marks FROM done WHERE entries > 0
    ON CONFLICT (slot) DO UPDATE SET entries = t.entries + excluded.entries, marks = t.marks # excluded.marks
)
SELECT entries FROM done`)
