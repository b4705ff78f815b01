package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

// document is what people read, in each of its forms; as JSON it is the object itself.
type document interface {
	WriteText(w io.Writer) error
	WriteHTML(w io.Writer) error
}

// documenting makes a command that writes a document, to the output or to a file.
func documenting[T document](c *cobra.Command, read func(context.Context, services, []string) (T, error)) *cobra.Command {
	// It hides the flag that all other commands have.
	format := choice{"text", []string{"text", "html", formatJSON}}
	c.Flags().VarP(&format, "output", "o", "`FORMAT` of the document: text, html or json")
	file := fileFlag(c.Flags())
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			d, err := read(ctx, s, args)
			if err != nil {
				return err
			}
			return writeOut(cmd, *file, func(w io.Writer) error {
				switch format.value {
				case "html":
					return d.WriteHTML(w)
				case formatJSON:
					return writeJSON(w, d)
				}
				return d.WriteText(w)
			})
		})
	}
	return c
}

// bookOf is the book that an argument names, the commune's without one.
func bookOf(args []string) string {
	if len(args) == 0 {
		return commune.Book
	}
	return args[0]
}

func booksResult() *cobra.Command {
	var period ledger.Period
	c := &cobra.Command{
		Use:   "result [BOOK]",
		Short: "Show what an enterprise, or the commune, earned and spent in a month, and what became of it.",
		Long: `Show what an enterprise, or the commune, earned and spent in a month, and what became of it.

BOOK is the code of an enterprise; without it it is the commune's, COM. The result is that before closing: it is the same
when the month is closed and its accounts are at zero. What closing brought to which equity stands below it. Accounts of
people, such as wages, are one figure.`,
		Example: "  telecommune books result CALL --period 2027-06\n  telecommune books result --period 2027-06 -o html --file result.html",
		Args:    cobra.MaximumNArgs(1),
	}
	parsedFlag(c.Flags(), &period, "period", ledger.ParsePeriod, "`MONTH` such as 2027-06 (default: this one)")
	return documenting(c, func(ctx context.Context, s services, args []string) (ledger.IncomeStatement, error) {
		day, err := today(ctx, s)
		if err != nil {
			return ledger.IncomeStatement{}, err
		}
		if period == "" {
			period = ledger.PeriodOf(day)
		}
		return ledger.IncomeStatementOf(ctx, s.db.DB, bookOf(args), period)
	})
}

func booksSheet() *cobra.Command {
	var at ledger.Date
	c := &cobra.Command{
		Use:   "sheet [BOOK]",
		Short: "Show the balance sheet of the commune, or of an enterprise, at the end of a day.",
		Long: `Show the balance sheet of the commune, or of an enterprise, at the end of a day.

BOOK is the code of an enterprise; without it it is the commune's, COM. What was earned and is not closed yet counts as
equity, so that both sides are equal on any day. Accounts of people, such as callers' credit, are one figure.`,
		Example: "  telecommune books sheet --at 2027-06-30\n  telecommune books sheet CALL -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	parsedFlag(c.Flags(), &at, "at", ledger.ParseDate, "`DATE` (default: today)")
	return documenting(c, func(ctx context.Context, s services, args []string) (ledger.BalanceSheet, error) {
		day, err := today(ctx, s)
		if err != nil {
			return ledger.BalanceSheet{}, err
		}
		if at == "" {
			at = day
		}
		return ledger.BalanceSheetOf(ctx, s.db.DB, bookOf(args), at)
	})
}
