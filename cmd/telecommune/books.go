package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
	"telecommune/billing/replay"
	"telecommune/internal/money"
)

func booksCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "books",
		Short: "Look into the double-entry books, verify and correct them.",
	}
	c.AddCommand(booksTrial(), booksJournal(), booksVerify(), booksReverse(), booksOpening(), booksReplay(), booksExport(), booksResult(), booksSheet())
	return c
}

func booksTrial() *cobra.Command {
	var f ledger.TrialFilter
	c := &cobra.Command{
		Use:     "trial",
		Short:   "Show the trial balance: what each account was debited and credited; each book sums to zero.",
		Example: "  telecommune books trial --book CALL --at 2027-06-30",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				lines, err := ledger.Trial(ctx, s.db, f)
				if err != nil {
					return err
				}
				if outputFormat(cmd) == formatTable {
					lines = withSums(lines)
				}
				return list(cmd, lines)
			})
		},
	}
	c.Flags().StringVar(&f.Book, "book", "", "`BOOK`: COM or the code of an enterprise")
	parsedFlag(c.Flags(), &f.At, "at", ledger.ParseDate, "`DATE` up to which entries count, with that day")
	return c
}

// withSums puts a line below each book that people can see the zero on.
func withSums(lines []ledger.TrialLine) []ledger.TrialLine {
	var out []ledger.TrialLine
	var sum ledger.TrialLine
	for i, l := range lines {
		out = append(out, l)
		sum.Book, sum.Account = l.Book, "sum"
		sum.Debit += l.Debit // a sum that doesn't fit shows as nonsense here, and nowhere else
		sum.Credit += l.Credit
		sum.Balance += l.Balance
		if i == len(lines)-1 || lines[i+1].Book != l.Book {
			out = append(out, sum)
			sum = ledger.TrialLine{}
		}
	}
	return out
}

// journalRow is a line of an entry in the table of the journal.
type journalRow struct {
	Date    string       `json:"date"`
	Entry   string       `json:"entry"`
	Kind    string       `json:"kind"`
	Text    string       `json:"text"`
	Book    string       `json:"book"`
	Account string       `json:"account"`
	Amount  money.Amount `json:"amount"`
}

func journalRows(entries []ledger.Posted) (rows []journalRow) {
	for _, e := range entries {
		for _, l := range e.Lines {
			rows = append(rows, journalRow{string(e.Date), e.ID.String(), e.Kind, e.Text, l.Book, l.Account, l.Amount})
		}
	}
	return rows
}

func booksJournal() *cobra.Command {
	var f ledger.JournalFilter
	c := &cobra.Command{
		Use:     "journal",
		Short:   "List the entries with their lines, debits positive.",
		Example: "  telecommune books journal --book CALL --account 2100:anna --from 2027-06-01 --to 2027-07-01",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				entries, err := ledger.Journal(ctx, s.db, f)
				if err != nil {
					return err
				}
				if outputFormat(cmd) == formatJSON {
					return list(cmd, entries)
				}
				return list(cmd, journalRows(entries))
			})
		},
	}
	c.Flags().StringVar(&f.Book, "book", "", "`BOOK`: entries with a line in it")
	c.Flags().StringVar(&f.Account, "account", "", "`ACCOUNT` of the books such as 2100:anna: entries with a line on it, or on a sub-account of it")
	parsedFlag(c.Flags(), &f.ID, "entry", parseEntry, "`ID` of one entry")
	parsedFlag(c.Flags(), &f.From, "from", ledger.ParseDate, "first `DATE`")
	parsedFlag(c.Flags(), &f.To, "to", ledger.ParseDate, "`DATE` before which they count")
	return c
}

func booksReplay() *cobra.Command {
	var o replay.Options
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run a scenario of events through the books, show what they come to, and compare it with what is expected.",
		Long: `Run a scenario of events through the books, show what they come to, and compare it with what is expected.

The output is always one JSON object. Differences go to the error output and make the exit code 1. Nothing is kept: the
scenario has books of its own, which go with it.`,
		Example: "  telecommune books replay 01-first-call.json",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			scenario, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				result, differences, err := replay.Run(ctx, s.db.DB, scenario, o)
				if writeErr := writeJSON(cmd.OutOrStdout(), result); writeErr != nil {
					return writeErr
				}
				if err != nil {
					return err
				}
				for _, d := range differences {
					fmt.Fprintln(cmd.ErrOrStderr(), oneLine(d))
				}
				if len(differences) > 0 {
					return fmt.Errorf("%s: %d differences to what it expects", args[0], len(differences))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&o.Until, "until", "", "`EVENT` to stop before; what there should be by then is compared")
	return c
}
