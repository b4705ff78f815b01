package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// ledgerFigure is a line of `bench ledger`.
type ledgerFigure struct {
	Measured  string  `json:"measured"`
	Posters   int     `json:"posters"`
	PerSecond int64   `json:"entries_per_second"` // the median of the rounds
	Against   string  `json:"against"`
	RatioMin  float64 `json:"ratio_min"` // to the same round of Against
	Ratio     float64 `json:"ratio"`
	RatioMax  float64 `json:"ratio_max"`
	P99       int64   `json:"p99_us"`      // of the time that a posting takes, of all rounds, in microseconds
	Wait      int64   `json:"p99_wait_us"` // of its part before the transaction that it shares begins
}

const (
	ledgerAccounts = 10_000 // with a balance row each
	fewPosters     = 8
)

func benchLedger() *cobra.Command {
	var rounds, entries, posters int
	var folder string
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Measure the posting of entries, in a database of its own.",
		Long: `Measure the posting of entries, in a database of its own.

Each entry has two lines. "single" posts each in a transaction of its own, "grouped" lets those who wait share one, over
10,000 accounts that have a balance row; "hot" is grouped onto two such accounts. "copy" is the server's own COPY of as
many finished rows from a file into the same tables, which moves no balance. The ways take turns in each round, so that a
ratio compares what ran one after the other.`,
		Example: "  telecommune bench ledger --folder /var/tmp",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 || entries < fewPosters || posters < 1 || posters > 10_000 {
				return usagef("want at least one round, %d entries and 1 to 10000 posters", fewPosters)
			}
			return lists(ledgerFigures(cmd.Context(), folder, rounds, entries, posters))(cmd)
		},
	}
	c.Flags().IntVar(&rounds, "rounds", 7, "`NUMBER` of rounds")
	c.Flags().IntVar(&entries, "entries", 5_000, "`NUMBER` of entries that each way posts in a round")
	c.Flags().IntVar(&posters, "posters", 256, "`NUMBER` of those who post at once")
	c.Flags().StringVar(&folder, "folder", os.TempDir(), "`FOLDER` on the disk to measure; a database is made in it and removed")
	return c
}

// ledgerFigures measures in a private cluster, as durable as that of serve.
func ledgerFigures(ctx context.Context, folder string, rounds, entries, posters int) (figures []ledgerFigure, err error) {
	state, err := os.MkdirTemp(folder, "telecommune-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	if err := os.Chmod(state, 0o711); err != nil { // the server may run as another user
		return nil, err
	}
	db, err := postgres.Open(ctx, postgres.Options{State: state, Log: quiet()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b := &ledgerBench{db: db.DB, state: state, entries: entries}
	if err := b.openAccounts(ctx); err != nil {
		return nil, err
	}
	b.ways = []*way{
		{name: "single", posters: posters, run: b.single},
		{name: "grouped", posters: posters, against: "single", run: b.grouped},
		{name: "hot", posters: posters, against: "grouped", hot: true, run: b.grouped},
		{name: "copy", posters: 1, run: b.copied},
		{name: "grouped to copy", posters: posters, against: "copy", run: b.grouped},
		{name: "single, few posters", posters: fewPosters, run: b.single},
		{name: "grouped, few posters", posters: fewPosters, against: "single, few posters", run: b.grouped},
	}
	for range rounds {
		for _, w := range b.ways {
			if err := b.round(ctx, w); err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	for _, w := range b.ways {
		figures = append(figures, b.figure(w))
	}
	return figures, nil
}

type ledgerBench struct {
	db      *sqlx.DB
	state   string
	entries int // of a round
	ways    []*way
}

// way is a way to post.
type way struct {
	name    string
	posters int
	against string
	hot     bool // onto two accounts only
	run     func(ctx context.Context, w *way, entries []ledger.Entry) (time.Duration, error)

	took   []time.Duration // a round each
	mu     sync.Mutex
	posted []time.Duration // an entry each
	waited []time.Duration
}

func (b *ledgerBench) openAccounts(ctx context.Context) error {
	return postgres.InTx(ctx, b.db, func(tx *sqlx.Tx) error {
		for i := range ledgerAccounts {
			if err := ledger.OpenBalance(ctx, tx, "CALL", benchAccount(i), ledger.MaxBalance); err != nil {
				return err
			}
		}
		return nil
	})
}

func benchAccount(i int) string { return fmt.Sprint("2100:bench-", i) }

// round makes entries and posts them.
func (b *ledgerBench) round(ctx context.Context, w *way) error {
	entries := make([]ledger.Entry, b.entries)
	for i := range entries {
		from, to := rand.IntN(ledgerAccounts), rand.IntN(ledgerAccounts)
		if w.hot {
			from, to = i%2, 1-i%2
		}
		amount := money.Amount(1 + rand.IntN(1000))
		entries[i] = ledger.Entry{
			Key: uuid.NewString(), Kind: "bench", Text: "An entry", Actor: "bench", At: time.Now(), Lines: []ledger.Line{
				ledger.Debit("CALL", benchAccount(from), amount), ledger.Credit("CALL", benchAccount(to), amount),
			},
		}
	}
	took, err := w.run(ctx, w, entries)
	w.took = append(w.took, took)
	return err
}

// post lets the posters of a way post entries, and measures how long all of it and each of them takes.
func (w *way) post(entries []ledger.Entry, post func(ledger.Entry) error) (time.Duration, error) {
	var next atomic.Int64
	var posting sync.WaitGroup
	failed := make([]error, w.posters)
	began := time.Now()
	for p := range w.posters {
		posting.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(entries) && failed[p] == nil; i = int(next.Add(1)) - 1 {
				asked := time.Now()
				failed[p] = post(entries[i])
				w.note(&w.posted, time.Since(asked))
			}
		})
	}
	posting.Wait()
	return time.Since(began), errors.Join(failed...)
}

func (w *way) note(to *[]time.Duration, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*to = append(*to, d)
}

func (b *ledgerBench) single(ctx context.Context, w *way, entries []ledger.Entry) (time.Duration, error) {
	return w.post(entries, func(e ledger.Entry) error {
		return postgres.InTx(ctx, b.db, func(tx *sqlx.Tx) error {
			_, err := ledger.Post(ctx, tx, e)
			return err
		})
	})
}

// grouped posts as settlements do, with a look at the clock when a transaction begins.
func (b *ledgerBench) grouped(ctx context.Context, w *way, entries []ledger.Entry) (time.Duration, error) {
	type asked struct {
		entry ledger.Entry
		at    time.Time
	}
	write := func(ctx context.Context, tx *sqlx.Tx, items []asked) ([]ledger.Result, error) {
		group := make([]ledger.Entry, len(items))
		for i, item := range items {
			group[i] = item.entry
			w.note(&w.waited, time.Since(item.at))
		}
		return ledger.PostAll(ctx, tx, group)
	}
	group := postgres.NewGroup(b.db, new(postgres.Guard), 0, time.Minute, write)
	return w.post(entries, func(e ledger.Entry) error {
		_, err := group.Do(ctx, asked{e, time.Now()})
		return err
	})
}

// copied lets the server read entries and lines from files that were made before.
func (b *ledgerBench) copied(ctx context.Context, _ *way, entries []ledger.Entry) (took time.Duration, err error) {
	entryFile, lineFile := filepath.Join(b.state, "entry.copy"), filepath.Join(b.state, "line.copy")
	if err := writeCopies(entryFile, lineFile, entries); err != nil {
		return 0, err
	}
	began := time.Now()
	err = postgres.InTx(ctx, b.db, func(tx *sqlx.Tx) error {
		for _, statement := range []string{
			`SET LOCAL ROLE NONE`, // the app's role may not read the server's files
			`COPY entry (id, key, content_hash, kind, at, business_date, zone, text, actor, posted_at, line_count, hash)
			 FROM '` + entryFile + `'`,
			`COPY line (entry_id, line_count, n, book, account, amount) FROM '` + lineFile + `'`,
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Since(began), err
}

// writeCopies writes entries and lines in the text format of COPY.
func writeCopies(entryFile, lineFile string, entries []ledger.Entry) (err error) {
	create := func(name string) (*bufio.Writer, func() error, error) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644) // the server may run as another user
		w := bufio.NewWriter(f)
		return w, func() error { return errors.Join(w.Flush(), f.Close()) }, err
	}
	entryRows, endEntries, err := create(entryFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endEntries()) }()
	lineRows, endLines, err := create(lineFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endLines()) }()
	for _, e := range entries {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		at := e.At.UTC().Format(time.RFC3339Nano)
		fmt.Fprintf(entryRows, "%s\t%s\t\\\\x%064x\t%s\t%s\t%s\tUTC\t%s\t%s\t%s\t%d\t\\\\x%064x\n",
			id, e.Key, 1, e.Kind, at, e.At.UTC().Format(time.DateOnly), e.Text, e.Actor, at, len(e.Lines), 1)
		for n, l := range e.Lines {
			fmt.Fprintf(lineRows, "%s\t%d\t%d\t%s\t%s\t%d\n", id, len(e.Lines), n+1, l.Book, l.Account, int64(l.Amount))
		}
	}
	return nil
}

// figure sums up what a way took.
func (b *ledgerBench) figure(w *way) ledgerFigure {
	f := ledgerFigure{
		Measured: w.name, Posters: w.posters, Against: w.against, P99: percentile99(w.posted), Wait: percentile99(w.waited),
		PerSecond: int64(float64(b.entries) / median(w.took).Seconds()),
	}
	for _, other := range b.ways {
		if other.name != w.against {
			continue
		}
		ratios := make([]float64, len(w.took))
		for i, took := range w.took {
			ratios[i] = ratio(int64(other.took[i]), int64(took))
		}
		slices.Sort(ratios)
		f.RatioMin, f.Ratio, f.RatioMax = ratios[0], ratios[len(ratios)/2], ratios[len(ratios)-1]
	}
	return f
}

// percentile99 is what 99 of 100 stay below, in microseconds.
func percentile99(all []time.Duration) int64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100].Microseconds()
}
