package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
)

func periodCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "period",
		Short: "See the months of the books, and close them one after the other.",
	}
	c.AddCommand(periodList(), periodShow(), periodClose(), periodExpense(), periodLevy(), periodPayments())
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
				return lists(ledger.Periods(ctx, s.db.DB, now(ctx)))(cmd)
			})
		},
	}
}

func periodClose() *cobra.Command {
	var dryRun, early bool
	c := &cobra.Command{
		Use:   "close PERIOD",
		Short: "Close a month: rents, bonds, the even split among the members, the enterprises' results; then it is sealed.",
		Long: `Close a month: rents, bonds, the even split among the members, the enterprises' results; then it is sealed.

In this order: the rent of every agreement is posted, and paid where that was ordered; assets wear; the rent that was
collected for an asset pays the interest on its bonds and redeems them; mutual expenses are paid; what is left of the rents,
less a levy that was voted, is divided by days of membership as far as the commune's cash allows, and the odd cents stay in
the pool; each enterprise's earnings and expenses go to its retained result.

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
				started := time.Now()
				outcome, err := s.commune.Close(ctx, ledger.Order{
					Period: period, Actor: operator(), Now: now(ctx), Early: early, DryRun: dryRun,
					Progress: func(doing string) {
						if time.Since(started) > 5*time.Second {
							fmt.Fprintln(cmd.ErrOrStderr(), doing)
						}
					},
				})
				if err != nil {
					return err
				}
				if err := show(cmd, outcome); err != nil || outputFormat(cmd) != formatTable {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout())
				if err := list(cmd, figureRows(outcome.Figures)); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout())
				return list(cmd, journalRows(outcome.Posted))
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would come to, and change nothing")
	c.Flags().BoolVar(&early, "early", false, "also a month that is not over: what still happens in it counts in the next")
	return c
}
