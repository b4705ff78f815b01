package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/billing/tariff"
)

// dryRun is what a dry run shows: the version there would be, how its first rows were understood, and what it changes.
type dryRun struct {
	tariff.Version
	DryRun bool         `json:"dry_run"`
	Rates  []tariff.Row `json:"rates"`
	Diff   *tariff.Diff `json:"diff"`
}

// comparing are the flags of commands that compare two versions.
type comparing struct {
	against string
	worst   int
}

func (f *comparing) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.against, "against", "retail", "`NAME` of the callers' prices that must be higher than the carrier's")
	parsedFlag(flags, &f.worst, "worst", parsePositive, "`NUMBER` of differences and destinations to show, the worst first; all with -o csv (default 20)")
	f.worst = 20
}

// compare says what to compare with; calls tells whether those of the last 30 days are priced anew.
func (f *comparing) compare(ctx context.Context, s services, calls bool) (tariff.Compare, error) {
	seller, err := s.billing.Enterprise(ctx, "CALL")
	c := tariff.Compare{Against: f.against, VAT: seller.VAT, Worst: f.worst}
	if calls {
		c.Calls = s.billing.PastCalls(ctx)
	}
	return c, err
}

// storing are the flags of commands that store a version.
type storing struct {
	comparing
	dry, accept bool
}

func (f *storing) add(flags *pflag.FlagSet) {
	f.comparing.add(flags)
	flags.BoolVar(&f.dry, "dry-run", false, "only show what would be stored, and what it changes")
	flags.BoolVar(&f.accept, "accept", false, "take prices that go up by more than 30 %")
}

// store stores a deck, or only shows what it would change.
func (f *storing) store(cmd *cobra.Command, s services, in tariff.Import) (err error) {
	in.DryRun, in.Accept = f.dry, f.accept
	if in.Compare, err = f.compare(cmd.Context(), s, f.dry); err != nil {
		return err
	}
	told := newProgress(cmd.ErrOrStderr())
	in.Progress = told.rows
	first := []tariff.Row{}
	in.Rows = tap(in.Rows, &first, f.worst)
	var all *csvWriter[tariff.Difference]
	if f.dry && outputFormat(cmd) == formatCSV {
		all = newCSVWriter[tariff.Difference](cmd.OutOrStdout())
		in.Compare.Each = all.write
	}
	done, err := s.decks.ImportRows(cmd.Context(), in)
	told.end()
	switch {
	case err != nil:
		return err
	case !f.dry:
		return show(cmd, done.Version)
	case all != nil:
		return all.end()
	}
	if outputFormat(cmd) == formatJSON {
		return show(cmd, dryRun{done.Version, true, first, done.Diff})
	}
	out := cmd.OutOrStdout()
	if err := list(cmd, first, rateColumns...); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := show(cmd, dryRun{Version: done.Version, DryRun: true}); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return showDiff(cmd, done.Diff)
}

// tap keeps the first rows that go by.
func tap(rows tariff.Rows, first *[]tariff.Row, most int) tariff.Rows {
	return func(yield func(tariff.Row, error) bool) {
		*first = (*first)[:0]
		for row, err := range rows {
			if err == nil && len(*first) < most {
				*first = append(*first, row)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// differenceColumns are what the table of differences has room for.
var differenceColumns = []string{
	"prefix", "destination", "window", "from", "change", "prefix_before", "rate_before", "prefix_after", "rate_after", "percent", "anomalies",
}

// showDiff shows a difference as tables.
func showDiff(cmd *cobra.Command, d *tariff.Diff) error {
	out := cmd.OutOrStdout()
	if err := show(cmd, *d); err != nil {
		return err
	}
	if len(d.Worst) > 0 {
		fmt.Fprintln(out)
		if err := list(cmd, d.Worst, differenceColumns...); err != nil {
			return err
		}
	}
	if d.Effect == nil {
		return nil
	}
	fmt.Fprintln(out)
	if err := show(cmd, *d.Effect); err != nil || len(d.Effect.Worst) == 0 {
		return err
	}
	fmt.Fprintln(out)
	return list(cmd, d.Effect.Worst)
}
