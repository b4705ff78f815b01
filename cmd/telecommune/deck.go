package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
)

func deckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deck",
		Short: "Look after rate decks: what callers pay, and what carriers ask.",
	}
	c.AddCommand(
		deckImport(), deckCostPlus(), deckDiff(), deckActivate(), deckRollback(), deckList(), deckExport(), deckFormat(),
	)
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

// rateColumns are what the table of rates has room for.
var rateColumns = []string{
	"prefix", "destination", "rate_per_minute", "connect_fee", "interval_first", "interval_next", "effective_from", "effective_to",
	"window",
}

// versionColumns are what the table of versions has room for.
var versionColumns = []string{"kind", "name", "version", "state", "currency", "active_from", "ended_at", "rows", "source"}

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
				return list(cmd, versions, versionColumns...)
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
		Use:   "export [DECK]",
		Short: "Write a rate deck as CSV that import reads, or with -o json or table.",
		Example: `  telecommune deck export --trunk alpha > alpha.csv
  telecommune deck export alpha@3 > alpha.csv`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFrom(deckVersions),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name := w.deck()
			if (len(args) == 0) == (name == "") {
				return usagef("want one deck, such as alpha@3 or --trunk alpha")
			}
			return with(cmd, func(ctx context.Context, s services) error {
				ref := deckRef{kind, name, version}
				if len(args) > 0 {
					var err error
					if ref, err = argument("DECK", args[0], parseDeckRef); err != nil {
						return err
					}
				}
				v, err := ref.version(ctx, s)
				if err != nil {
					return err
				}
				if holidays {
					return exportHolidays(cmd, s, v)
				}
				return exportRates(cmd, s, v)
			})
		},
	}
	w.add(c, "are written")
	c.Flags().IntVar(&version, "version", 0, "`N`, version of the deck; 0: the one in force")
	c.Flags().BoolVar(&holidays, "holidays", false, "write its holidays instead of its rates")
	return c
}

// asCSV tells whether an export is one, as it is when nothing else was asked for.
func asCSV(cmd *cobra.Command) bool {
	f := cmd.Flag("output")
	return !f.Changed || f.Value.String() == formatCSV
}

func exportHolidays(cmd *cobra.Command, s services, v tariff.Version) error {
	days, err := s.decks.HolidaysOf(cmd.Context(), v)
	if err != nil {
		return err
	}
	if asCSV(cmd) {
		return tariff.WriteHolidays(cmd.OutOrStdout(), days)
	}
	return list(cmd, days)
}

func exportRates(cmd *cobra.Command, s services, v tariff.Version) error {
	rates := s.decks.Rates(cmd.Context(), v)
	if asCSV(cmd) {
		out := bufio.NewWriter(cmd.OutOrStdout())
		return errors.Join(tariff.WriteCSV(out, v.Kind, rates), out.Flush())
	}
	var rows []tariff.Row
	for row, err := range rates {
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return list(cmd, rows, rateColumns...)
}

// loadZone finds a time zone by its name.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("zone %q is not known: want a name such as Europe/Berlin", name)
	}
	return zone, nil
}
