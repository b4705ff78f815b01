package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
)

func enterpriseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "enterprise",
		Short: "Look after the enterprises: what they sell, and whom they pay.",
	}
	c.AddCommand(enterpriseAdd(), enterpriseList(), enterpriseShow(), enterpriseSet(), enterpriseVAT(), enterpriseWage(), enterprisePayWage(), enterpriseSettle(),
		enterprisePropose(), enterpriseDistribute(), enterpriseWindUp())
	c.AddCommand(enterpriseMoves()...)
	return c
}

func enterpriseShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show CODE",
		Short:   "Show an enterprise.",
		Example: "  telecommune enterprise show CALL",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.Enterprise(ctx, args[0]))(cmd)
			})
		},
	}
}

func enterpriseSet() *cobra.Command {
	var vat tariff.Percent
	c := &cobra.Command{
		Use:     "set CODE",
		Short:   "Set the tax within an enterprise's prices, for calls from now on.",
		Example: "  telecommune enterprise set CALL --vat 19",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.SetVAT(ctx, args[0], vat))(cmd)
			})
		},
	}
	parsedFlag(c.Flags(), &vat, "vat", tariff.ParsePercent, "value added tax in `PERCENT`, such as 19 or 7.7")
	require(c, "vat")
	return c
}
