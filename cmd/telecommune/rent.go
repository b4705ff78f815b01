package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

func rentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rent",
		Short: "See the rents of each month, and pay them.",
	}
	c.AddCommand(rentList(), rentPay(),
		rentOf("unpaid AGREEMENT PERIOD", "Take back the order to pay the rent that the close of the open month will post.",
			"  telecommune rent unpaid RA 2027-06", (*commune.Commune).LeaveRentUnpaid),
		rentOf("write-off AGREEMENT PERIOD", "Give up what is open of a month's rent; it is the asset's loss alone.",
			"  telecommune rent write-off RA 2027-06", (*commune.Commune).WriteRentOff))
	return c
}

func rentList() *cobra.Command {
	var agreement string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the rents that were posted, and what became of them.",
		Example: "  telecommune rent list --agreement RA",
	}
	c.Flags().StringVar(&agreement, "agreement", "", "`CODE` of the agreement")
	return listing(c, func(ctx context.Context, s services, _ ledger.Date) ([]commune.RentDue, error) {
		return s.commune.Rents(ctx, agreement)
	})
}

// rentShown is what the commands on a month's rent show: it is posted, or only ordered to be paid by the close.
type rentShown struct {
	commune.Contract

	Period ledger.Period `json:"period"`
}

func shownRent(d *doing) (rentShown, error) {
	c, err := shownAgreement(d)
	return rentShown{c, ledger.Period(d.args[1])}, err
}

func rentPay() *cobra.Command {
	var p commune.RentPayment
	c := &cobra.Command{
		Use:   "pay AGREEMENT PERIOD",
		Short: "Pay a month's rent; of the open month it is an order to its close, which posts and pays it.",
		Long: `Pay a month's rent; of the open month it is an order to its close, which posts and pays it.

Only rent that is collected serves bonds and goes to the members. An order takes the place of an earlier one; "telecommune
rent unpaid" takes it back.`,
		Example: "  telecommune rent pay RA 2027-06 --amount 10.00 --netted 2.50",
		Args:    takes(2),
	}
	parsedFlag(c.Flags(), &p.Amount, "amount", parsePrice, "`AMOUNT` at most (default: all that is open)")
	parsedFlag(c.Flags(), &p.Offset, "netted", parsePrice, "`AMOUNT` of it that is netted with what the commune owes the enterprise for call credit")
	return acting(c, func(d *doing) (err error) {
		p.Agreement = d.args[0]
		if p.Period, err = argument("PERIOD", d.args[1], ledger.ParsePeriod); err != nil {
			return err
		}
		return d.PayRent(d.ctx, d.act, p)
	}, shownRent)
}

// rentOf makes a command on the rent of an agreement for a month.
func rentOf(use, short, example string, op func(*commune.Commune, context.Context, commune.Act, string, ledger.Period) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: takes(2)}
	return acting(c, func(d *doing) error {
		p, err := argument("PERIOD", d.args[1], ledger.ParsePeriod)
		if err != nil {
			return err
		}
		return op(d.Commune, d.ctx, d.act, d.args[0], p)
	}, shownRent)
}
