package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/statement"
)

func statementCommand() *cobra.Command {
	var period statement.Period
	c := &cobra.Command{
		Use:   "statement ACCOUNT",
		Short: "Show the bill of an account for a month: balance, each call, and where the money went.",
		Example: `  telecommune statement anna
  telecommune statement anna --period 2027-06 -o html > anna.html`,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(accountCodes),
	}
	// It hides the flag that all other commands have.
	format := choice{"text", []string{"text", "html", formatJSON}}
	c.Flags().VarP(&format, "output", "o", "`FORMAT` of the bill: text, html or json")
	parsedFlag(c.Flags(), &period, "period", statement.ParsePeriod, "`MONTH` such as 2027-06 (default: this one)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			now := time.Now()
			if (period == statement.Period{}) {
				zone, err := communeZone(ctx, s)
				if err != nil {
					return err
				}
				period = statement.PeriodOf(now.In(zone))
			}
			bill, err := statement.Make(ctx, s.db.DB, args[0], period, now)
			if err != nil {
				return err
			}
			switch format.value {
			case formatJSON:
				return show(cmd, bill)
			case "html":
				return bill.WriteHTML(cmd.OutOrStdout())
			}
			return bill.WriteText(cmd.OutOrStdout())
		})
	}
	return c
}
