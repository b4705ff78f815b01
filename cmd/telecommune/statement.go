package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/statement"
)

// bills are the formats of a statement, and what writes each.
var bills = map[string]func(statement.Statement, io.Writer) error{
	"text":     statement.Statement.WriteText,
	"html":     statement.Statement.WriteHTML,
	"pdf":      statement.Statement.WritePDF,
	formatCSV:  statement.Statement.WriteCSV,
	formatJSON: func(bill statement.Statement, w io.Writer) error { return writeJSON(w, bill) },
}

func statementCommand() *cobra.Command {
	var period statement.Period
	var short bool
	c := &cobra.Command{
		Use:   "statement ACCOUNT",
		Short: "Show the bill of an account for a month: balance, each call with the steps of its price, and where the money went.",
		Example: `  telecommune statement anna
  telecommune statement anna --period 2027-06 -o pdf --file anna.pdf
  telecommune statement anna --period 2027-06 -o csv --short-numbers > anna.csv`,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(accountCodes),
	}
	// It hides the flag that all other commands have.
	format := choice{"text", []string{"text", "html", "pdf", formatCSV, formatJSON}}
	c.Flags().VarP(&format, "output", "o", "`FORMAT` of the bill: text, html, pdf, csv or json")
	parsedFlag(c.Flags(), &period, "period", statement.ParsePeriod, "`MONTH` such as 2027-06 (default: this one)")
	c.Flags().BoolVar(&short, "short-numbers", false, "hide the last three digits of the numbers called")
	file := fileFlag(c.Flags())
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
			if short {
				bill = bill.ShortNumbers()
			}
			return writeOut(cmd, *file, func(w io.Writer) error { return bills[format.value](bill, w) })
		})
	}
	return c
}
