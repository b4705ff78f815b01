package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
)

// verifyFigure is a line of `bench verify`.
type verifyFigure struct {
	Measured  string  `json:"measured"`
	Entries   int64   `json:"entries"`
	Lines     int64   `json:"lines"`
	Seconds   float64 `json:"seconds"`
	PerSecond int64   `json:"entries_per_second"`
	Megabytes int64   `json:"megabytes"` // that the program had taken from the system by then, the server's not counted
}

func benchVerify() *cobra.Command {
	var entries int
	c := &cobra.Command{
		Use:   "verify",
		Short: "Measure the closing of a month and the reading of all books.",
		Long: `Measure the closing of a month and the reading of all books.

It fills a database of its own with a year of calls, five lines each, closes January, during which postings wait, and
then does what "telecommune books verify" does.`,
		Example: "  telecommune bench verify --entries 1000000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var figures []verifyFigure
			err := withScratch(cmd.Context(), func(db scratch) (err error) {
				figures, err = verifyFigures(cmd.Context(), db, entries)
				return err
			})
			if err != nil {
				return err
			}
			return list(cmd, figures)
		},
	}
	parsedFlag(c.Flags(), &entries, "entries", parsePositive, "`NUMBER` of entries (default 1000000)")
	entries = 1_000_000
	return c
}

func verifyFigures(ctx context.Context, db scratch, entries int) ([]verifyFigure, error) {
	if err := daysOfCalls(ctx, db.owner, 365, entries); err != nil {
		return nil, err
	}
	start := time.Now()
	january, err := ledger.Close(ctx, db.app, ledger.Order{Period: "2027-01", Actor: "bench", Now: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return nil, err
	}
	closing := figure("close of a month", january.Entries, 5*(january.Entries-1)+int64(len(january.Posted[0].Lines)), time.Since(start))
	start = time.Now()
	v, err := ledger.Verify(ctx, db.app, ledger.Check{
		Seals:   map[ledger.Period]ledger.Seal{january.Period: january.Seal},
		Finding: func(f ledger.Finding) { err = fmt.Errorf("the books are wrong: %+v", f) },
	})
	if err != nil {
		return nil, err
	}
	return []verifyFigure{closing, figure("verify", v.Entries, v.Lines, time.Since(start))}, nil
}

func figure(measured string, entries, lines int64, took time.Duration) verifyFigure {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return verifyFigure{
		Measured: measured, Entries: entries, Lines: lines, Seconds: math.Round(100*took.Seconds()) / 100,
		PerSecond: int64(float64(entries) / took.Seconds()), Megabytes: int64(memory.Sys >> 20),
	}
}

// daysOfCalls fills the books as so many days of posting from New Year 2027 on would have left them. Lines go first, so that
// entry_hash finds them.
func daysOfCalls(ctx context.Context, owner *sqlx.DB, days, entries int) error {
	conn, err := owner.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it goes back to a pool that is closed next
	for _, statement := range []string{
		`SET session_replication_role = replica`,
		fmt.Sprintf(`CREATE TEMP TABLE made AS
		 SELECT i, (lpad(to_hex(1798761600000 + i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid AS id,
		     '2027-01-01 00:00:00Z'::timestamptz + (i - 1) * interval '%[2]d days' / %[1]d AS at
		 FROM generate_series(1, %[1]d) AS i`, entries, days),
		`INSERT INTO line (entry_id, line_count, n, book, account, amount)
		 SELECT id, 5, n, 'CALL', account, amount FROM made CROSS JOIN LATERAL (VALUES
		     (1, '2100:caller-' || i % 1000, 250000), (2, '4000:trunk-' || i % 8, -210084), (3, '2500', -39916),
		     (4, '5000:trunk-' || i % 8, 90000), (5, '2200:carrier-' || i % 4, -90000)) AS l (n, account, amount)`,
		`WITH unhashed AS (
		     SELECT ROW(id, 'call:' || id, sha256(convert_to(i::text, 'UTF8')), 'call', at, at::date,
		         'Call caller-' || i % 1000 || ' to +380441234567, trunk trunk-' || i % 8 || ', 61 s', 'node-1', 5, at, 'UTC',
		         NULL, NULL)::entry AS e FROM made
		 )
		 INSERT INTO entry (id, key, content_hash, kind, at, business_date, text, actor, line_count, posted_at, zone, hash)
		 SELECT (e).id, (e).key, (e).content_hash, (e).kind, (e).at, (e).business_date, (e).text, (e).actor, (e).line_count,
		     (e).posted_at, (e).zone, entry_hash(e)
		 FROM unhashed`,
		`INSERT INTO tally SELECT -1, count(*), bit_xor(mark(hash)) FROM entry`,
		`DROP TABLE made`,
		`RESET session_replication_role`,
		`VACUUM ANALYZE entry, line`,
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the books: %w", err)
		}
	}
	return nil
}
