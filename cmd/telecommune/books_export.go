package main

import (
	"context"
	"database/sql"
	"io"

	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
)

func booksExport() *cobra.Command {
	format := choice{of: []string{string(ledger.HLedger), string(ledger.Beancount)}}
	var book string
	c := &cobra.Command{
		Use:   "export --format FORMAT",
		Short: "Write the books for hledger or beancount, with the balance of each account asserted at the end.",
		Long: `Write the books for hledger or beancount: accounts declared, every entry with date, key and text, and at the end the
balance of each account as an assertion, so that "hledger check --strict" and "bean-check" find any difference.

The books are in one file, each under its code: CALL:2100:anna in hledger, Liabilities:CALL:2100:X-anna in beancount,
whose names begin with a type and have no small letter, point, underscore or slash where we do. The head of the file says
how they are spelled. With --book only one book is written.`,
		Example: `  telecommune books export --format hledger > books.journal
  telecommune books export --format beancount --book CALL --file books.beancount`,
		Args: takes(0),
	}
	c.Flags().Var(&format, "format", "`FORMAT`: hledger or beancount")
	c.Flags().StringVar(&book, "book", "", "`BOOK`: COM or the code of an enterprise (default: all)")
	file := fileFlag(c.Flags())
	require(c, "format")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			// Accounts, entries and balances are of one moment.
			tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
			if err != nil {
				return err
			}
			defer tx.Rollback() //nolint:errcheck // nothing was written
			return writeOut(cmd, *file, func(w io.Writer) error {
				return ledger.Export(ctx, tx, w, ledger.Format(format.value), book)
			})
		})
	}
	return c
}
