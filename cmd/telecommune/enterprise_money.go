package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func enterpriseAdd() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "add CODE",
		Short:   "Found an enterprise with a book of its own, owned whole by the commune.",
		Example: `  telecommune enterprise add HOST --name "Hosting"`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&name, "name", "", "`NAME` of the enterprise")
	require(c, "name")
	return acting(c, func(d *doing) error { return d.AddEnterprise(d.ctx, d.act, d.args[0], name) },
		func(d *doing) (billing.Enterprise, error) { return d.s.billing.Enterprise(d.ctx, d.args[0]) })
}

func enterpriseList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the enterprises with their states; each is the commune's, whole.",
		Example: "  telecommune enterprise list",
	}
	return listing(c, func(ctx context.Context, s services, _ ledger.Date) ([]commune.Enterprise, error) {
		return s.commune.Enterprises(ctx)
	})
}

// wageShown is what the commands on remuneration show.
type wageShown struct {
	Enterprise string       `json:"enterprise"`
	Member     string       `json:"member"`
	Amount     money.Amount `json:"amount"`
}

func enterpriseWage() *cobra.Command {
	c := &cobra.Command{
		Use:     "wage ENTERPRISE MEMBER AMOUNT",
		Short:   "Book remuneration that a member earned in an enterprise. It never touches the even split.",
		Example: "  telecommune enterprise wage CALL anna 12.00 --key june-anna",
		Args:    takes(3),
	}
	return wageCommand(c, (*commune.Commune).EarnWage)
}

func enterprisePayWage() *cobra.Command {
	c := &cobra.Command{
		Use:     "pay-wage ENTERPRISE MEMBER AMOUNT",
		Short:   "Pay remuneration that was booked.",
		Example: "  telecommune enterprise pay-wage CALL anna 12.00 --key june-anna-paid",
		Args:    takes(3),
	}
	return wageCommand(c, (*commune.Commune).PayWage)
}

func wageCommand(c *cobra.Command, op func(*commune.Commune, context.Context, commune.Act, commune.Wage) error) *cobra.Command {
	var w wageShown
	return acting(c, func(d *doing) (err error) {
		w.Enterprise, w.Member = d.args[0], d.args[1]
		if w.Amount, err = argument("AMOUNT", d.args[2], parsePrice); err != nil {
			return err
		}
		return op(d.Commune, d.ctx, d.act, commune.Wage(w))
	}, func(*doing) (wageShown, error) { return w, nil })
}

// settledShown is what `enterprise settle` shows.
type settledShown struct {
	Enterprise string       `json:"enterprise"`
	Amount     money.Amount `json:"amount"`
}

func enterpriseSettle() *cobra.Command {
	var w settledShown
	c := &cobra.Command{
		Use:     "settle ENTERPRISE AMOUNT",
		Short:   "Pay an enterprise what the commune owes it for dividends that became call credit.",
		Example: "  telecommune enterprise settle CALL 1.51",
		Args:    takes(2),
	}
	return acting(c, func(d *doing) (err error) {
		w.Enterprise = d.args[0]
		if w.Amount, err = argument("AMOUNT", d.args[1], parsePrice); err != nil {
			return err
		}
		return d.Settle(d.ctx, d.act, w.Enterprise, w.Amount)
	}, func(*doing) (settledShown, error) { return w, nil })
}
