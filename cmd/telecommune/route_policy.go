package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"telecommune/routing"
)

func routePolicy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Say how the trunks to some numbers, or to all, are ranked.",
	}
	c.AddCommand(routePolicySet(), routePolicyList(), routePolicyRemove())
	return c
}

func routePolicySet() *cobra.Command {
	p := routing.Policy{Band: routing.DefaultBand}
	strategy := choice{of: routing.Strategies}
	c := &cobra.Command{
		Use:   "set PREFIX",
		Short: `Set how the trunks to numbers with a prefix are ranked; "" stands for all numbers.`,
		Long: `Set how the trunks to numbers with a prefix are ranked; "" stands for all numbers. The longest prefix counts.

cheapest   by the cost of an expected call, fees and steps included; that is how it goes without any policy
priority   by the trunks' --priority, those of the same by cost
weighted   calls are shared out by the trunks' --weight, second and further tries as well
quality    trunks that cost at most --band percent more than the cheapest by their share of answered calls, then the others
           by cost; a trunk of which nothing is known yet comes first`,
		Example: `  telecommune route policy set "" --strategy priority
  telecommune route policy set 380 --strategy quality --band 15`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Prefix, p.Strategy = strings.TrimPrefix(args[0], "+"), routing.Strategy(strategy.value)
			if p.Strategy != routing.Best && !cmd.Flags().Changed("band") {
				p.Band = 0
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.trunks.SetPolicy(ctx, p); err != nil {
					return err
				}
				return show(cmd, p)
			})
		},
	}
	c.Flags().Var(&strategy, "strategy", "`STRATEGY`: "+strings.Join(routing.Strategies, ", "))
	c.Flags().IntVar(&p.Band, "band", routing.DefaultBand, "`PERCENT` over the cheapest that quality may be worth")
	require(c, "strategy")
	return c
}

func routePolicyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the policies by prefix.",
		Example: "  telecommune route policy list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.trunks.Policies(ctx))(cmd)
			})
		},
	}
}

func routePolicyRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove PREFIX",
		Short:             "Let the policy of a shorter prefix count again.",
		Example:           "  telecommune route policy remove 380",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(policyPrefixes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return s.trunks.RemovePolicy(ctx, strings.TrimPrefix(args[0], "+"))
			})
		},
	}
}

func policyPrefixes(ctx context.Context, s services) ([]string, error) {
	policies, err := s.trunks.Policies(ctx)
	var prefixes []string
	for _, p := range policies {
		prefixes = append(prefixes, p.Prefix)
	}
	return prefixes, err
}
