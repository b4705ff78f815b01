package ledger

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// insert posts rows with their lines, in one statement, and gives the entries of their keys: these or ones from before. A
// key that is missing was not posted: the calendar is another, or the key was committed by another transaction while the
// statement waited for it, which only a new statement sees.
func insert(ctx context.Context, tx *sqlx.Tx, today *calendar, rows []row, lines [][]Line) (map[string]existing, error) {
	n := len(rows)
	ids, keys, contents, kinds := make([]string, n), make([]string, n), make([][]byte, n), make([]string, n)
	times, dates, texts, actors := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	reverses, posted, counts, hashes := make([]*string, n), make([]string, n), make([]int64, n), make([][]byte, n)
	var of, books, accounts []string
	var numbers, amounts []int64
	for i, r := range rows {
		ids[i], keys[i], contents[i], kinds[i] = r.ID.String(), r.Key, r.Content, r.Kind
		times[i], dates[i], texts[i], actors[i] = instant(r.At), string(r.Date), r.Text, r.Actor
		posted[i], counts[i], hashes[i] = instant(r.PostedAt), int64(r.LineCount), r.Hash
		if r.Reverses.Valid {
			id := r.Reverses.UUID.String()
			reverses[i] = &id
		}
		for k, l := range lines[i] {
			of, numbers = append(of, ids[i]), append(numbers, int64(k+1))
			books, accounts, amounts = append(books, l.Book), append(accounts, l.Account), append(amounts, int64(l.Amount))
		}
	}
	var found []existing
	err := tx.SelectContext(ctx, &found, insertSQL, pq.Array(ids), pq.Array(keys), pq.Array(contents), pq.Array(kinds),
		pq.Array(times), pq.Array(dates), pq.Array(texts), pq.Array(actors), pq.Array(reverses), pq.Array(posted),
		pq.Array(counts), pq.Array(hashes), pq.Array(of), pq.Array(numbers), pq.Array(books), pq.Array(accounts),
		pq.Array(amounts), today.Zone, string(today.OpenFrom))
	if err != nil {
		return nil, translate(err)
	}
	entries := make(map[string]existing, len(found))
	for _, e := range found {
		entries[e.Key] = e
	}
	return entries, nil
}

// instant is how a moment is sent among others.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// insertSQL touches no row but the new ones, the balance rows and this connection's tally. An entry that was there
// before, or a calendar that is not the one guessed, leaves `added` without it, and so all that follows from it.
//
// The balance rows are locked first, in the order of their names, by every statement that locks more than one (PostAll,
// Hold): two that met in different orders, or one with a row and the other with a key, would each wait for the other.
const insertSQL = `
WITH asked AS MATERIALIZED (
    SELECT entry, n, book, account, amount
    FROM unnest($13::uuid[], $14::integer[], $15::text[], $16::text[], $17::bigint[]) AS l (entry, n, book, account, amount)
), locked AS MATERIALIZED (
    SELECT b.book, b.account FROM balance b WHERE (b.book, b.account) IN (SELECT book, account FROM asked)
    ORDER BY b.book, b.account FOR UPDATE
), added AS (
    INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, reverses, posted_at, line_count, hash)
    SELECT e.id, e.key, e.content, e.kind, e.at, e.date, c.zone, e.text, e.actor, e.reverses, e.posted_at, e.line_count, e.hash
    FROM commune c, unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::timestamptz[], $6::date[], $7::text[],
        $8::text[], $9::uuid[], $10::timestamptz[], $11::integer[], $12::bytea[])
        AS e (id, key, content, kind, at, date, text, actor, reverses, posted_at, line_count, hash)
    WHERE c.zone = $18 AND c.open_from = $19::date AND (SELECT count(*) FROM locked) >= 0
    ON CONFLICT (key) DO NOTHING
    RETURNING id, key, content_hash, line_count, hash
), lines AS (
    INSERT INTO line (entry_id, line_count, n, book, account, amount)
    SELECT a.id, a.line_count, l.n, l.book, l.account, l.amount FROM added a JOIN asked l ON l.entry = a.id
), moved AS (
    UPDATE balance SET balance = balance.balance - s.amount
    FROM (
        SELECT l.book, l.account, sum(l.amount)::bigint AS amount FROM added a JOIN asked l ON l.entry = a.id
        GROUP BY l.book, l.account
    ) AS s
    WHERE balance.book = s.book AND balance.account = s.account
), tallied AS (
    INSERT INTO tally AS t (slot, entries, marks)
    SELECT pg_backend_pid() % 65536, count(*), bit_xor(mark(hash)) FROM added HAVING count(*) > 0
    ON CONFLICT (slot) DO UPDATE SET entries = t.entries + excluded.entries, marks = t.marks # excluded.marks
)
SELECT id, key, content_hash FROM added
UNION ALL
SELECT id, key, content_hash FROM entry WHERE key = ANY ($2)`
