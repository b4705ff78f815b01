package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
)

func tariffCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tariff",
		Short: "Say what holds for callers' prices by their name, beside the rates of the deck.",
	}
	c.AddCommand(tariffList(), tariffSet())
	return c
}

func tariffList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the tariffs with their terms.",
		Example: "  telecommune tariff list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.Tariffs(ctx))(cmd)
			})
		},
	}
}

func tariffSet() *cobra.Command {
	access := choice{of: []string{"caller", "enterprise"}}
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Set the terms of a tariff, for calls that begin from now on.",
		Long: `Set the terms of a tariff, for calls that begin from now on.

An access number may cost by the minute (access-number set --cost-per-minute). With --access-cost caller the caller pays
that, with VAT on it, for the seconds of each call: it is held, said and billed beside the price of the call. With
--access-cost enterprise, which holds as long as nothing is set, the enterprise bears it.`,
		Example: "  telecommune tariff set retail --access-cost caller",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.SetTariff(ctx, billing.Tariff{Name: args[0], PassesAccess: access.value == "caller"}))(cmd)
			})
		},
		ValidArgsFunction: completeFrom(tariffNames),
	}
	c.Flags().Var(&access, "access-cost", "who pays what access numbers cost: `caller` or enterprise")
	require(c, "access-cost")
	return c
}

func tariffNames(ctx context.Context, s services) ([]string, error) {
	tariffs, err := s.billing.Tariffs(ctx)
	var names []string
	for _, t := range tariffs {
		names = append(names, t.Name)
	}
	return names, err
}
