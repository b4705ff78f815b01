package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/money"
)

func carrierCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "carrier",
		Short: "Look after what carriers ask for.",
	}
	invoice := &cobra.Command{
		Use:   "invoice",
		Short: "Take down carriers' invoices, compare them with the calls, and pay them.",
	}
	invoice.AddCommand(invoiceAdd(), invoiceList(), invoicePay())
	c.AddCommand(invoice)
	return c
}

func invoiceAdd() *cobra.Command {
	var n billing.NewInvoice
	c := &cobra.Command{
		Use:   "add NUMBER",
		Short: "Take down a carrier's invoice and book how far it differs from what its calls accrued.",
		Long: `Take down a carrier's invoice and book how far it differs from what its calls accrued.

NUMBER is the carrier's own, and makes the command repeatable. The amount is what will be paid, in the commune's currency.
With --period the calls of those days, which should be over, are compared; days that another invoice was for are refused.
Without, nothing was accrued: such as a monthly fee, or calls that an invoice forgot. The difference goes to the costs
(5000).`,
		Example: `  telecommune carrier invoice add 2027-0815 --carrier alpha --amount 812.40 --period 2027-06
  telecommune carrier invoice add W24 --carrier beta --amount 90.00 --period 2027-06-07/2027-06-13`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Number, n.Actor = args[0], operator()
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.AddInvoice(ctx, n))(cmd)
			})
		},
	}
	carrierFlag(c, &n.Carrier, "`CODE` of the carrier, as trunks name it, or of a provider of access numbers")
	parsedFlag(c.Flags(), &n.Amount, "amount", money.Parse, "`AMOUNT` that it asks for")
	parsedFlag(c.Flags(), &n.Days, "period", billing.ParseDays, "`DAYS` of its calls: a month, or first and last day (default: it is for no calls)")
	c.Flags().StringVar(&n.Text, "text", "", "`REASON` of the difference, for the books")
	require(c, "carrier", "amount")
	return c
}

func invoiceList() *cobra.Command {
	var f billing.InvoiceFilter
	c := &cobra.Command{
		Use:     "list",
		Short:   "List carriers' invoices with what was accrued, in the order in which they came.",
		Example: "  telecommune carrier invoice list --open",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				invoices, err := s.billing.Invoices(ctx, f)
				if err != nil {
					return err
				}
				return list(cmd, invoices, "carrier", "number", "from", "to", "amount", "accrued", "difference", "currency",
					"received_at", "paid_at")
			})
		},
	}
	carrierFlag(c, &f.Carrier, "`CODE` of a carrier")
	c.Flags().BoolVar(&f.Open, "open", false, "only those that are not paid")
	return c
}

func invoicePay() *cobra.Command {
	var p billing.InvoicePayment
	c := &cobra.Command{
		Use:     "pay NUMBER",
		Short:   "Book that a carrier's invoice is paid, once.",
		Example: "  telecommune carrier invoice pay 2027-0815 --carrier alpha",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Number, p.Actor = args[0], operator()
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.PayInvoice(ctx, p))(cmd)
			})
		},
	}
	carrierFlag(c, &p.Carrier, "`CODE` of the carrier")
	c.Flags().StringVar(&p.Text, "text", "", "`TEXT` for the books")
	require(c, "carrier")
	return c
}

// carrierFlag declares the flag that names a carrier.
func carrierFlag(c *cobra.Command, to *string, usage string) {
	c.Flags().StringVar(to, "carrier", "", usage)
	completeFlag(c, "carrier", carrierCodes)
}

// carrierCodes are whom calls may owe: the carriers of trunks, and the providers of access numbers that cost something.
func carrierCodes(ctx context.Context, s services) ([]string, error) {
	trunks, err := s.trunks.Trunks(ctx)
	if err != nil {
		return nil, err
	}
	providers, err := s.access.Providers(ctx)
	var codes []string
	for _, t := range trunks {
		codes = append(codes, t.Carrier)
	}
	for _, p := range providers {
		codes = append(codes, p.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes), err
}
