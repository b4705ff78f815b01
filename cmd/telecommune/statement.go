package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
)

// months are the formats of a member's month.
var months = map[string]func(commune.MemberMonth, io.Writer) error{
	"text":     commune.MemberMonth.WriteText,
	"html":     commune.MemberMonth.WriteHTML,
	formatJSON: func(m commune.MemberMonth, w io.Writer) error { return writeJSON(w, m) },
}

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
	var short, member bool
	c := &cobra.Command{
		Use:   "statement ACCOUNT|MEMBER",
		Short: "Show the bill of an account for a month, or a member's month: each call or rent, and where the money went.",
		Long: `Show the bill of an account for a month, or a member's month: each call or rent, and where the money went.

A bill has the balance, and each call with the steps of its price. A member's month tells what each asset earned, how the
pool came about and what became of it, and of each figure the entries of the books; of a month that is not closed yet what
a close would give now. A code that both an account and a member have is the account's: --member asks for the other.`,
		Example: `  telecommune statement anna
  telecommune statement anna --period 2027-06 -o pdf --file anna.pdf
  telecommune statement anna --period 2027-06 -o csv --short-numbers > anna.csv
  telecommune statement anna --member --period 2027-06`,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(accountCodes),
	}
	// It hides the flag that all other commands have.
	format := choice{"text", []string{"text", "html", "pdf", formatCSV, formatJSON}}
	c.Flags().VarP(&format, "output", "o", "`FORMAT` of the bill: text, html, pdf, csv or json")
	parsedFlag(c.Flags(), &period, "period", statement.ParsePeriod, "`MONTH` such as 2027-06 (default: this one)")
	c.Flags().BoolVar(&member, "member", false, "the month of the member of this code")
	c.Flags().BoolVar(&short, "short-numbers", false, "hide the last three digits of the numbers called")
	file := fileFlag(c.Flags())
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			now := now(ctx)
			if (period == statement.Period{}) {
				zone, err := communeZone(ctx, s)
				if err != nil {
					return err
				}
				period = statement.PeriodOf(now.In(zone))
			}
			bill, err := statement.Make(ctx, s.db.DB, args[0], period, now)
			if member || errors.Is(err, billing.ErrNotFound) {
				monthErr := memberMonth(ctx, cmd, s, args[0], ledger.Period(period.String()), now, *file)
				if member || !errors.Is(monthErr, commune.ErrUnknown) {
					return monthErr
				}
			}
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

// memberMonth writes a member's month.
func memberMonth(ctx context.Context, cmd *cobra.Command, s services, member string, p ledger.Period, now time.Time, file string) error {
	write, has := months[outputFormat(cmd)]
	if !has {
		return usagef("a member's month is text, html or json")
	}
	m, err := s.commune.MemberMonth(ctx, member, p, now)
	if err != nil {
		return err
	}
	return writeOut(cmd, file, func(w io.Writer) error { return write(m, w) })
}
