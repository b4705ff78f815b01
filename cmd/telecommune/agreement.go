package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

func agreementCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "agreement",
		Short: "Look after the rental agreements: notice, arrears and deposits.",
	}
	c.AddCommand(agreementList(), agreementShow(), agreementNotice(), agreementDeposit(),
		acting(&cobra.Command{
			Use:   "arrears CODE",
			Short: "Give a lessee notice that rent is overdue; agreement and enterprise are in arrears until it is settled.",
			Long: `Give a lessee notice that rent is overdue; agreement and enterprise are in arrears until it is settled.

What may follow has its day each, counted from that on which the oldest rent fell due, and is refused before it: the deposit
is applied ("agreement apply-deposit"), the asset is taken back ("agreement take-back") and let by auction ("asset let"), its
bonds default ("bond default") and it is sold ("asset sell"). "telecommune commune policy list" shows the days.`,
			Example: "  telecommune agreement arrears RA",
			Args:    takes(1),
		}, func(d *doing) error { return d.NoticeArrears(d.ctx, d.act, d.args[0]) }, shownAgreement),
		acting(&cobra.Command{
			Use:     "take-back CODE",
			Short:   "End an agreement whose rent does not come: the asset is vacant from that day on.",
			Example: "  telecommune agreement take-back RA",
			Args:    takes(1),
		}, func(d *doing) error { return d.TakeBack(d.ctx, d.act, d.args[0]) }, shownAgreement),
		acting(&cobra.Command{
			Use:     "apply-deposit CODE",
			Short:   "Pay open rents out of the lessee's deposit, the oldest first, when they are long enough in arrears.",
			Example: "  telecommune agreement apply-deposit RA",
			Args:    takes(1),
		}, func(d *doing) error { return d.ApplyDeposit(d.ctx, d.act, d.args[0]) }, shownAgreement),
		acting(&cobra.Command{
			Use:     "refund-deposit CODE",
			Short:   "Give back what is left of a deposit, when the agreement is over and all its rent is settled.",
			Example: "  telecommune agreement refund-deposit RA",
			Args:    takes(1),
		}, func(d *doing) error { return d.RefundDeposit(d.ctx, d.act, d.args[0]) }, shownAgreement))
	return c
}

func shownAgreement(d *doing) (commune.Contract, error) {
	return d.s.commune.Contract(d.ctx, d.day, d.args[0])
}

func agreementList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the rental agreements that were executed.",
		Example: "  telecommune agreement list",
	}
	return listing(c, func(ctx context.Context, s services, day ledger.Date) ([]commune.Contract, error) {
		return s.commune.Contracts(ctx, day)
	})
}

func agreementShow() *cobra.Command {
	c := &cobra.Command{
		Use:     "show CODE",
		Short:   "Show a rental agreement with its deposit and open rent.",
		Example: "  telecommune agreement show RA",
	}
	return showing(c, func(ctx context.Context, s services, day ledger.Date, code string) (commune.Contract, error) {
		return s.commune.Contract(ctx, day, code)
	})
}

func agreementNotice() *cobra.Command {
	var end ledger.Date
	c := &cobra.Command{
		Use:     "notice CODE",
		Short:   "End an agreement: from a day on its asset is vacant, and may be let again.",
		Example: "  telecommune agreement notice RA --end 2027-09-01",
		Args:    takes(1),
	}
	parsedFlag(c.Flags(), &end, "end", ledger.ParseDate, "first `DATE` on which it does not count any more")
	require(c, "end")
	return acting(c, func(d *doing) error { return d.Notice(d.ctx, d.act, d.args[0], end) }, shownAgreement)
}

func agreementDeposit() *cobra.Command {
	c := &cobra.Command{
		Use:     "deposit CODE AMOUNT",
		Short:   "Take a deposit of the lessee as security for the rent.",
		Example: "  telecommune agreement deposit RA 22.00 --key deposit-RA",
		Args:    takes(2),
	}
	return acting(c, func(d *doing) error {
		amount, err := argument("AMOUNT", d.args[1], parsePrice)
		if err != nil {
			return err
		}
		return d.PayDeposit(d.ctx, d.act, d.args[0], amount)
	}, shownAgreement)
}
