package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
)

func periodCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "period",
		Short: "See the months of the books, and close them one after the other.",
	}
	c.AddCommand(periodList(), periodClose())
	return c
}

func periodList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the months with their entries, and the seals of those that are closed.",
		Long: `List the months with their entries, and the seals of those that are closed.

Keep the seals where nobody who can write into the database can reach them: on paper, in a letter to the members.
"telecommune books verify --seal" compares the books with one, and each vouches for all months before it as well.`,
		Example: "  telecommune period list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				months, err := ledger.Periods(ctx, s.db.DB, time.Now())
				if err != nil {
					return err
				}
				return list(cmd, months)
			})
		},
	}
}

func periodClose() *cobra.Command {
	var dryRun, early bool
	c := &cobra.Command{
		Use:   "close PERIOD",
		Short: "Close a month: what the enterprises earned goes to their results, and its entries are sealed.",
		Long: `Close a month: what the enterprises earned goes to their results, and its entries are sealed.

A closed month takes no entries any more, and can't be opened again. A call of it that is settled later counts on the
first day that is open; whatever else was forgotten is posted there too. Months are closed in their order. Closing one
again changes nothing.

With --dry-run nothing is changed: it shows what the close would post, also while the month runs.`,
		Example: "  telecommune period close 2027-06 --dry-run",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			period, err := argument("PERIOD", args[0], ledger.ParsePeriod)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				outcome, err := ledger.Close(ctx, s.db.DB, ledger.Order{
					Period: period, Actor: operator(), Now: time.Now(), Early: early, DryRun: dryRun,
				})
				if err != nil {
					return err
				}
				if err := show(cmd, outcome); err != nil || outputFormat(cmd) != formatTable {
					return err
				}
				return list(cmd, journalRows(outcome.Posted))
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would come to, and change nothing")
	c.Flags().BoolVar(&early, "early", false, "also a month that is not over: what still happens in it counts in the next")
	return c
}
