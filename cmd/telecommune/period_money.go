package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// figureRow is a figure of a month, for people.
type figureRow struct {
	Figure string       `json:"figure"`
	Of     string       `json:"of"`
	Amount money.Amount `json:"amount"`
}

// figureRows tells a month from the rents to the dividends, in the order in which they follow from each other.
func figureRows(f commune.Figures) (rows []figureRow) {
	each := func(figure string, amounts map[string]money.Amount) {
		for _, code := range slices.Sorted(maps.Keys(amounts)) {
			rows = append(rows, figureRow{figure, code, amounts[code]})
		}
	}
	one := func(figure string, amount money.Amount) { rows = append(rows, figureRow{figure, "", amount}) }
	each("rent", f.Rents)
	each("interest", f.Interest)
	each("interest paid", f.InterestPaid)
	each("redeemed", f.Redeemed)
	each("rent to the pool", f.Remainder)
	one("mutual expenses", f.MutualExpenses)
	one("levy", f.Levy)
	one("pool", f.Pool)
	each("dividend", f.Dividends)
	one("carried", f.Carry)
	return rows
}

// periodShown is what `period show` shows.
type periodShown struct {
	Period  ledger.Period   `json:"period"`
	Figures commune.Figures `json:"figures"`
}

func periodShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show PERIOD",
		Short:   "Show what a closed month came to, from the rents to each member's dividend.",
		Example: "  telecommune period show 2027-06",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := argument("PERIOD", args[0], ledger.ParsePeriod)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				figures, err := s.commune.Figures(ctx, p)
				if err != nil {
					return err
				}
				if outputFormat(cmd) == formatJSON {
					return show(cmd, periodShown{p, figures})
				}
				return list(cmd, figureRows(figures))
			})
		},
	}
}

// expenseShown is what `period expense` shows.
type expenseShown struct {
	Amount money.Amount `json:"amount"`
	Text   string       `json:"text"`
}

func periodExpense() *cobra.Command {
	var e expenseShown
	c := &cobra.Command{
		Use:     "expense AMOUNT",
		Short:   "Note an expense that all members bear; the month's close pays it before the split.",
		Example: `  telecommune period expense 0.41 --text "bank charge" --on 2027-06-30`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&e.Text, "text", "", "`TEXT` that says what for")
	require(c, "text")
	return acting(c, func(d *doing) (err error) {
		if e.Amount, err = argument("AMOUNT", d.args[0], parsePrice); err != nil {
			return err
		}
		return d.NoteExpense(d.ctx, d.act, e.Amount, e.Text)
	}, func(*doing) (expenseShown, error) { return e, nil })
}

// levyShown is what `period levy` shows.
type levyShown struct {
	Period ledger.Period `json:"period"`
	commune.Levy
}

func periodLevy() *cobra.Command {
	var l levyShown
	c := &cobra.Command{
		Use:   "levy PERIOD",
		Short: "Record a vote of the members to keep a part of a month's pool for renewal, before the split.",
		Long: `Record a vote of the members to keep a part of a month's pool for renewal, before the split.

Without a vote everything is paid out, and what the commune owns wears out. A later vote takes the place of an earlier one;
"--amount 0" takes it back.`,
		Example: "  telecommune period levy 2027-06 --bps 1000",
		Args:    takes(1),
	}
	parsedFlag(c.Flags(), &l.Amount, "amount", parseLimit, "`AMOUNT`, or all there is if that is less")
	parsedFlag(c.Flags(), &l.BPS, "bps", parseCount, "`BASIS-POINTS` of the pool: 1000 is 10 %")
	c.MarkFlagsOneRequired("amount", "bps")
	c.MarkFlagsMutuallyExclusive("amount", "bps")
	return acting(c, func(d *doing) (err error) {
		if l.Period, err = argument("PERIOD", d.args[0], ledger.ParsePeriod); err != nil {
			return err
		}
		return d.VoteLevy(d.ctx, d.act, l.Period, l.Levy)
	}, func(*doing) (levyShown, error) { return l, nil })
}

func periodPayments() *cobra.Command {
	var t commune.Transfers
	var until ledger.Date
	c := &cobra.Command{
		Use:   "payments FROM",
		Short: "Write the dividends that were paid by the bank since a day as a file for the bank: SEPA credit transfers (pain.001).",
		Long: `Write the dividends that were paid by the bank since a day as a file for the bank: SEPA credit transfers (pain.001).

Each transfer bears the key of its payment as end-to-end id, so that a bank notices one that was sent before.`,
		Example: `  telecommune period payments 2027-07-01 --payer "The commune" --iban DE02120300000000202051 --execute 2027-07-03 --file dividends.xml`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&t.Payer, "payer", "", "`NAME` of the commune at its bank")
	parsedFlag(c.Flags(), &t.IBAN, "iban", commune.ParseIBAN, "`IBAN` of the commune")
	parsedFlag(c.Flags(), &t.Execute, "execute", ledger.ParseDate, "`DATE` on which the bank is to pay (default: today)")
	parsedFlag(c.Flags(), &until, "until", ledger.ParseDate, "`DATE` before which they were paid (default: up to now)")
	file := fileFlag(c.Flags())
	require(c, "payer", "iban")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := argument("FROM", args[0], ledger.ParseDate)
		if err != nil {
			return err
		}
		return with(cmd, func(ctx context.Context, s services) error {
			day, err := today(ctx, s)
			if err != nil {
				return err
			}
			if t.Execute == "" {
				t.Execute = day
			}
			if until == "" {
				until = "9999-12-31"
			}
			if t.All, err = s.commune.Transfers(ctx, from, until); err != nil {
				return err
			}
			if len(t.All) == 0 {
				return fmt.Errorf("no dividend was paid by the bank since %s", from)
			}
			t.Made = now(ctx)
			return writeOut(cmd, *file, func(w io.Writer) error { return t.WriteSEPA(w) })
		})
	}
	return c
}
