package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/money"
)

func enterpriseVAT() *cobra.Command {
	c := &cobra.Command{
		Use:   "vat",
		Short: "See what VAT is due, and book what was paid to the tax office.",
	}
	c.AddCommand(vatDue(), vatPay())
	return c
}

func vatDue() *cobra.Command {
	return &cobra.Command{
		Use:   "due CODE",
		Short: "List the VAT in each month's calls, what was paid of it and what is due.",
		Long: `List the VAT in each month's calls, what was paid of it and what is due.

What is paid goes to the oldest month. VAT in calls is exact to the millionth; what is below a cent stays due and is paid
with a later month.`,
		Example: "  telecommune enterprise vat due CALL",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.VATDue(ctx, args[0]))(cmd)
			})
		},
	}
}

func vatPay() *cobra.Command {
	p := billing.VATPayment{}
	c := &cobra.Command{
		Use:     "pay CODE AMOUNT",
		Short:   "Book that VAT was paid to the tax office, and list what is due after it.",
		Long:    "Book that VAT was paid to the tax office, and list what is due after it.\n\n" + repeatable,
		Example: "  telecommune enterprise vat pay CALL 318.00 --key vat-2027-06 --text return-of-June",
		Args:    takes(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if p.Amount, err = argument("AMOUNT", args[1], money.Parse); err != nil {
				return err
			}
			p.Enterprise, p.Actor = args[0], operator()
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.PayVAT(ctx, p))(cmd)
			})
		},
	}
	keyFlag(c, &p.Key)
	c.Flags().StringVar(&p.Text, "text", "", "`TEXT` for the books, such as the return that it is for")
	return c
}
