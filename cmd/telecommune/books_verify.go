package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"telecommune/billing/ledger"
	"telecommune/internal/postgres"
)

// verified is what `books verify` shows.
type verified struct {
	ledger.Verified

	Findings []ledger.Finding `json:"findings"`
}

const (
	shownFindings = 1000            // the rest is counted
	progressEvery = 2 * time.Second // a word on the error output, while it reads
)

func booksVerify() *cobra.Command {
	var sealed []string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read all entries and find whatever is not as it was posted.",
		Long: `Read all entries and find whatever is not as it was posted: each against its own hash, closed months against their
seals, the number of entries against the count kept while posting, balances against their lines.

Who may do everything in the database can forge all of that together. Against him helps a seal that was kept elsewhere:
give it with --seal, and it vouches for its month and all months before it. What happened since the last month was closed
has no such witness yet.`,
		Example: `  telecommune books verify
  telecommune books verify --seal 2027-06=5f0c…`,
		Args: takes(0),
	}
	c.Flags().StringArrayVar(&sealed, "seal", nil, "`PERIOD=SEAL` that was kept elsewhere; may be given several times")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		seals, err := parseSeals(sealed)
		if err != nil {
			return err
		}
		return with(cmd, func(ctx context.Context, s services) error {
			v := verified{Findings: []ledger.Finding{}}
			said := time.Now()
			v.Verified, err = ledger.Verify(ctx, s.db.DB, ledger.Check{
				Seals: seals,
				Finding: func(f ledger.Finding) {
					if len(v.Findings) < shownFindings {
						v.Findings = append(v.Findings, f)
					}
				},
				Progress: func(entries int64) {
					if time.Since(said) > progressEvery {
						said = time.Now()
						fmt.Fprintf(cmd.ErrOrStderr(), "%d entries read\n", entries)
					}
				},
			})
			if err != nil {
				return err
			}
			if err := showVerified(cmd, v); err != nil {
				return err
			}
			if v.Found > 0 {
				return fmt.Errorf("the books are not as they were posted: %d findings", v.Found)
			}
			return nil
		})
	}
	return c
}

func showVerified(cmd *cobra.Command, v verified) error {
	if outputFormat(cmd) == formatCSV {
		return list(cmd, v.Findings)
	}
	if err := show(cmd, v); err != nil || outputFormat(cmd) == formatJSON || v.Found == 0 {
		return err
	}
	return list(cmd, v.Findings)
}

// parseSeals reads what --seal was given.
func parseSeals(given []string) (map[ledger.Period]ledger.Seal, error) {
	seals := map[ledger.Period]ledger.Seal{}
	for _, s := range given {
		month, digits, _ := strings.Cut(s, "=")
		period, err := argument("--seal", month, ledger.ParsePeriod)
		if err != nil {
			return nil, err
		}
		if seals[period], err = argument("--seal", digits, ledger.ParseSeal); err != nil {
			return nil, err
		}
	}
	return seals, nil
}

func booksReverse() *cobra.Command {
	var text string
	c := &cobra.Command{
		Use:   "reverse ENTRY --text REASON",
		Short: "Take an entry back by a new one with all signs turned.",
		Long: `Take an entry back by a new one of today with all signs turned, which names it and says why. Credit follows.

An entry is taken back once. What else stands behind it stays: a call remains in the list of calls, a voucher remains
good. To give a caller money back, or to void a voucher, use the command that is made for it.`,
		Example: `  telecommune books reverse 019f8a4c-7c1e-7b52-9d0a-3f2b8c6d1e90 --text "paid in twice by mistake"`,
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			entry, err := argument("ENTRY", args[0], parseEntry)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				err := postgres.InTx(ctx, s.db.DB, func(tx *sqlx.Tx) error {
					_, err := ledger.Reverse(ctx, tx, ledger.Reversal{Entry: entry, Reason: text, Actor: operator(), At: now(ctx)})
					return err
				})
				if err != nil {
					return err
				}
				posted, err := ledger.Journal(ctx, s.db.DB, ledger.JournalFilter{Key: ledger.ReversalKey(entry)})
				if err != nil {
					return err
				}
				if outputFormat(cmd) == formatJSON && len(posted) == 1 {
					return show(cmd, posted[0])
				}
				return list(cmd, journalRows(posted))
			})
		},
	}
	c.Flags().StringVar(&text, "text", "", "`REASON`, as it will stand in the books")
	require(c, "text")
	return c
}

func parseEntry(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errors.New("not the id of an entry: `telecommune books journal` shows them")
	}
	return id, nil
}
