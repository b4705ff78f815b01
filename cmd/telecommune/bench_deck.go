package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
)

// deckFigure is a line of `bench deck`.
type deckFigure struct {
	Measured  string  `json:"measured"`
	Rows      int     `json:"rows"`
	Seconds   float64 `json:"seconds"`
	PerSecond int64   `json:"rows_per_second"`
	Megabytes int64   `json:"megabytes"` // that the program had taken from the system by then, the server's not counted
}

func benchDeck() *cobra.Command {
	var rows int
	c := &cobra.Command{
		Use:   "deck",
		Short: "Measure the import of a rate deck, from the file to the rows that calls are routed by.",
		Long: `Measure the import of a rate deck, from the file to the rows that calls are routed by.

In a database of its own it imports a deck that was made by a seed, then one in which every tenth price is another, with
the comparison that looks for prices over 30 %, and loads the decks as serve does.`,
		Example: "  telecommune bench deck --rows 1000000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var figures []deckFigure
			err := withScratch(cmd.Context(), func(db scratch) (err error) {
				figures, err = deckFigures(cmd.Context(), db, rows)
				return err
			})
			if err != nil {
				return err
			}
			return list(cmd, figures)
		},
	}
	parsedFlag(c.Flags(), &rows, "rows", parsePositive, "`NUMBER` of rows of the deck, up to 2000000 (default 1000000)")
	rows = 1_000_000
	return c
}

func deckFigures(ctx context.Context, db scratch, rows int) (figures []deckFigure, err error) {
	file, err := os.CreateTemp("", "telecommune-bench-deck-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	prefixes := randomPrefixes(rand.New(rand.NewPCG(uint64(rows), 1)), rows)
	slices.Sort(prefixes)
	store := tariff.NewStore(db.app)
	for version, measured := range []string{"import", "import of the next version, compared"} {
		size, err := writeBenchDeck(file, prefixes, version)
		if err != nil {
			return nil, err
		}
		spec := tariff.Spec{Kind: tariff.Retail, Name: "bench", Currency: "EUR"}
		figure, err := deckFigureOf(measured, rows, func() error {
			in := tariff.Import{Spec: spec, Rows: tariff.ReadCSV(io.NewSectionReader(file, 0, size), spec)}
			_, err := store.ImportRows(ctx, in)
			return err
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	loaded, err := deckFigureOf("load", rows, func() error {
		_, err := store.LoadAt(ctx, time.Now())
		return err
	})
	return append(figures, loaded), err
}

func deckFigureOf(measured string, rows int, do func() error) (deckFigure, error) {
	start := time.Now()
	err := do()
	took := time.Since(start)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return deckFigure{
		Measured: measured, Rows: rows, Seconds: float64(took.Milliseconds()) / 1000,
		PerSecond: int64(float64(rows) / took.Seconds()), Megabytes: int64(memory.Sys >> 20),
	}, err
}

// writeBenchDeck writes a deck whose prices differ a little from version to version, and gives its size.
func writeBenchDeck(file *os.File, prefixes []string, version int) (int64, error) {
	if err := errors.Join(file.Truncate(0), seekStart(file)); err != nil {
		return 0, err
	}
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "prefix,destination,rate_per_minute,interval_first,interval_next,effective_from")
	for i, prefix := range prefixes {
		rate := 20_000 + i%50
		if i%10 == 0 {
			rate += 1000 * version
		}
		fmt.Fprintf(out, "%s,Destination %s,0.%06d,60,6,2026-01-01\n", prefix, prefix[:3], rate)
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	return file.Seek(0, io.SeekCurrent)
}

func seekStart(file *os.File) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}
