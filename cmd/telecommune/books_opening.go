package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

// errNotDone undoes what was only tried.
var errNotDone = errors.New("dry run")

func booksOpening() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "opening FILE",
		Short: "Begin the books with what there was before: balances, members, assets and their agreements; show the trial balance.",
		Long: `Begin the books with what there was before: balances, members, assets and their agreements; show the trial balance.

For who kept books elsewhere until now. Enterprises and callers' accounts are added first; then this, once, before anything
else is booked. It is one entry on the first day of a month, and no day before that takes entries. What the books say twice
must agree: each sums to zero, cost and wear of an asset are those of its accounts, what the commune owns of an enterprise is
what that says.

The file is TOML. docs/examples/opening.toml shows all that can stand in it, and docs/commune.md explains it.`,
		Example: "  telecommune books opening docs/examples/opening.toml --dry-run",
		Args:    takes(1),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what the books would be, and change nothing")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		opening, err := readFile(args[0], commune.ReadOpening)
		if err != nil {
			return err
		}
		return with(cmd, func(ctx context.Context, s services) error {
			var lines []ledger.TrialLine
			err := s.commune.Do(ctx, func(c *commune.Commune) (err error) {
				// One opening is all there is: its key is always the same.
				act := commune.Act{Key: "act:opening", Actor: operator(), At: now(ctx)}
				if err = c.Open(ctx, act, opening); err != nil {
					return err
				}
				if lines, err = ledger.Trial(ctx, c.Tx(), ledger.TrialFilter{}); err == nil && dryRun {
					err = errNotDone
				}
				return err
			})
			if err != nil && !errors.Is(err, errNotDone) {
				return err
			}
			if outputFormat(cmd) == formatTable {
				lines = withSums(lines)
			}
			return list(cmd, lines)
		})
	}
	return c
}
