package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func deckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deck",
		Short: "Look after rate decks: what callers pay, and what carriers ask.",
	}
	c.AddCommand(deckImport(), deckCostPlus(), deckList(), deckExport())
	return c
}

// whose are the flags that say which deck is meant.
type whose struct{ trunk, retail string }

func (w *whose) add(c *cobra.Command, purpose string) {
	c.Flags().StringVar(&w.trunk, "trunk", "", "`CODE` of the trunk whose carrier's prices "+purpose)
	c.Flags().StringVar(&w.retail, "retail", "", "`NAME` of the callers' prices that "+purpose)
	c.MarkFlagsMutuallyExclusive("trunk", "retail")
	completeFlag(c, "trunk", trunkCodes)
}

func (w *whose) deck() (tariff.Kind, string) {
	if w.trunk != "" {
		return tariff.Trunk, w.trunk
	}
	return tariff.Retail, w.retail
}

// dryRun is what `deck import --dry-run` shows: the version there would be, with its rates.
type dryRun struct {
	tariff.Version
	DryRun bool         `json:"dry_run"`
	Rates  []tariff.Row `json:"rates"`
}

func deckImport() *cobra.Command {
	var w whose
	var from moment
	var zone, holidays string
	var currency money.Currency
	var dry bool
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a rate deck as the next version of its name, all of it or nothing.",
		Long: `Import a rate deck as the next version of its name, all of it or nothing.

The file is CSV with a header row; columns by name in any order: prefix (digits, no +) and rate_per_minute are needed;
destination, connect_fee, interval_first, interval_next (seconds), grace_seconds, minimum_charge, rounding_unit,
rounding_mode (up, half_up), effective_from, effective_to, window, allow_loss (yes, no: whether a call goes out that costs
more than the caller pays) may be there. Callers' prices include VAT.

A window is days and hours in the zone, such as "mon-fri 08:00-18:00; sat": the row counts only then, and the prefix's row
without window at all other times. Holidays are CSV as well: date, counts_as (mon to sun, or hol for a kind of day of its
own; sun when left out) and name. A deck without --holidays keeps those of its version before.`,
		Example: `  telecommune deck import alpha.csv --trunk alpha --currency USD --dry-run
  telecommune deck import retail.csv --retail retail --from 2027-07-01 --holidays holidays.csv`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				commune, err := s.billing.Commune(ctx)
				if err != nil {
					return err
				}
				in, err := loadZone(cmp.Or(zone, commune.Zone))
				if err != nil {
					return err
				}
				spec := tariff.Spec{
					Currency: cmp.Or(currency, commune.Currency), Zone: in,
					ActiveFrom: from.in(in), Source: filepath.Base(args[0]),
				}
				spec.Kind, spec.Name = w.deck()
				if spec.Holidays, err = readHolidays(ctx, s.decks, spec, holidays); err != nil {
					return err
				}
				deck, err := readDeck(args[0], spec)
				if err != nil {
					return err
				}
				return storeDeck(cmd, s.decks, deck, dry)
			})
		},
	}
	w.add(c, "the file has")
	c.MarkFlagsOneRequired("trunk", "retail")
	parsedFlag(c.Flags(), &from, "from", parseMoment, "`TIME` from which it counts, an instant or a date in its zone (default: now)")
	parsedFlag(c.Flags(), &currency, "currency", billing.ParseCurrency, "`CURRENCY` of the prices, ISO 4217 (default: the commune's)")
	c.Flags().StringVar(&zone, "zone", "", "time `ZONE` of dates and windows in the file, such as Europe/Berlin (default: the commune's)")
	c.Flags().StringVar(&holidays, "holidays", "", "`FILE` with the days that count as others (default: those of the version before)")
	c.Flags().BoolVar(&dry, "dry-run", false, "only show what would be imported")
	return c
}

func readDeck(file string, spec tariff.Spec) (tariff.Deck, error) {
	return read(file, func(r io.Reader) (tariff.Deck, error) { return tariff.ParseDeck(r, spec) })
}

// readHolidays reads a list of holidays, or takes over that of the version before.
func readHolidays(ctx context.Context, s *tariff.Store, spec tariff.Spec, file string) ([]tariff.Holiday, error) {
	if file == "" {
		return s.Holidays(ctx, spec.Kind, spec.Name)
	}
	return read(file, tariff.ParseHolidays)
}

// read opens a file and parses it.
func read[T any](file string, parse func(io.Reader) (T, error)) (v T, err error) {
	f, err := os.Open(file)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if v, err = parse(f); err != nil {
		return v, fmt.Errorf("%s: %w", file, err)
	}
	return v, nil
}

// storeDeck stores a deck, or only shows it.
func storeDeck(cmd *cobra.Command, s *tariff.Store, deck tariff.Deck, dry bool) error {
	if !dry {
		v, err := s.Import(cmd.Context(), deck)
		if err != nil {
			return err
		}
		return show(cmd, v)
	}
	v, err := s.DryRun(cmd.Context(), deck)
	if err != nil {
		return err
	}
	switch outputFormat(cmd) {
	case formatCSV:
		return deck.WriteCSV(cmd.OutOrStdout())
	case formatTable:
		if err := list(cmd, deck.Rows, rateColumns...); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	return show(cmd, dryRun{v, true, deck.Rows})
}

// rateColumns are what the table of rates has room for.
var rateColumns = []string{
	"prefix", "destination", "rate_per_minute", "connect_fee", "interval_first", "interval_next", "effective_from", "effective_to",
	"window",
}

func deckList() *cobra.Command {
	var w whose
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the versions of the rate decks, the newest first.",
		Example: "  telecommune deck list --retail retail",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				all, err := s.decks.List(ctx)
				if err != nil {
					return err
				}
				kind, name := w.deck()
				var versions []tariff.Version
				for _, v := range all {
					if name == "" || v.Kind == kind && v.Name == name {
						versions = append(versions, v)
					}
				}
				return list(cmd, versions)
			})
		},
	}
	w.add(c, "are listed")
	return c
}

func deckExport() *cobra.Command {
	var w whose
	var version int
	var holidays bool
	c := &cobra.Command{
		Use:     "export",
		Short:   "Write a rate deck as CSV that import reads, or with -o json or table.",
		Example: "  telecommune deck export --trunk alpha > alpha.csv",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				kind, name := w.deck()
				deck, err := s.decks.Deck(ctx, kind, name, version)
				if err != nil {
					return err
				}
				f := cmd.Flag("output")
				asCSV := !f.Changed || f.Value.String() == formatCSV
				switch {
				case holidays && asCSV:
					return tariff.WriteHolidays(cmd.OutOrStdout(), deck.Holidays)
				case holidays:
					return list(cmd, deck.Holidays)
				case asCSV:
					return deck.WriteCSV(cmd.OutOrStdout())
				}
				return list(cmd, deck.Rows, rateColumns...)
			})
		},
	}
	w.add(c, "are written")
	c.MarkFlagsOneRequired("trunk", "retail")
	c.Flags().IntVar(&version, "version", 0, "`N`, version of the deck; 0: the one in force")
	c.Flags().BoolVar(&holidays, "holidays", false, "write its holidays instead of its rates")
	return c
}

// loadZone finds a time zone by its name.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("zone %q is not known: want a name such as Europe/Berlin", name)
	}
	return zone, nil
}
