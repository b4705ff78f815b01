package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"telecommune/internal/money"
	"telecommune/routing"
)

func routeRule() *cobra.Command {
	c := &cobra.Command{
		Use:   "rule",
		Short: "Look after the house's own rules: prefixes that may be called, or may not.",
	}
	c.AddCommand(ruleSet(), ruleList(), ruleRemove())
	return c
}

func ruleSet() *cobra.Command {
	var rule routing.Rule
	var cap money.Amount
	c := &cobra.Command{
		Use:   "set PREFIX allow|block",
		Short: "Let the numbers below a prefix be called, or none of them.",
		Long: `Let the numbers below a prefix be called, or none of them.

Of several rules the one with the longest prefix counts. "allow" lets numbers be called that are denied by default
(premium, shared cost, satellite, personal, short, unknown to the numbering plans) or are of a country that is not in the
list; emergency numbers stay denied. What a minute may cost at most is what "route limit" says, unless the rule has a
--max-rate of its own. A rule of the same prefix is replaced.`,
		Example: `  telecommune route rule set 4918 allow --max-rate 0.40 --text "shared cost, asked for by the assembly"
  telecommune route rule set 25270 block --text "fraud in June"`,
		Args: takes(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if rule.Prefix, err = argument("PREFIX", args[0], routing.ParsePrefix); err != nil {
				return err
			}
			if rule.Action, err = argument("allow|block", args[1], parseAction); err != nil {
				return err
			}
			if cmd.Flags().Changed("max-rate") {
				if rule.Action == routing.Block {
					return usagef("--max-rate goes with allow")
				}
				rule.MaxRate = &cap
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.trunks.SetRule(ctx, rule); err != nil {
					return err
				}
				return show(cmd, rule)
			})
		},
	}
	parsedFlag(c.Flags(), &cap, "max-rate", parseLimit, "most that a minute may cost the caller, `AMOUNT` with VAT, in the place of the limit for all")
	c.Flags().StringVar(&rule.Text, "text", "", "`TEXT` that says why")
	return c
}

func parseAction(s string) (routing.Action, error) {
	switch a := routing.Action(strings.ToLower(s)); a {
	case routing.Allow, routing.Block:
		return a, nil
	}
	return "", errors.New("want allow or block")
}

func ruleList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the house's own rules by prefix.",
		Example: "  telecommune route rule list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.trunks.Rules(ctx))(cmd)
			})
		},
	}
}

func ruleRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove PREFIX",
		Short:             "Remove a rule; what holds for all counts again.",
		Example:           "  telecommune route rule remove 25270",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(rulePrefixes),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix, err := argument("PREFIX", args[0], routing.ParsePrefix)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error { return s.trunks.RemoveRule(ctx, prefix) })
		},
	}
}

func rulePrefixes(ctx context.Context, s services) ([]string, error) {
	rules, err := s.trunks.Rules(ctx)
	var prefixes []string
	for _, r := range rules {
		prefixes = append(prefixes, r.Prefix)
	}
	return prefixes, err
}

func routeLimit() *cobra.Command {
	c := &cobra.Command{
		Use:   "limit",
		Short: "Look after what holds for all numbers: the dearest minute, and the countries.",
	}
	c.AddCommand(limitShow(), limitSet())
	return c
}

func limitShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show what holds for all numbers.",
		Example: "  telecommune route limit show",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.trunks.Limits(ctx))(cmd)
			})
		},
	}
}

func limitSet() *cobra.Command {
	var cap money.Amount
	var countries string
	c := &cobra.Command{
		Use:     "set",
		Short:   "Set the most that a minute may cost the caller, or the countries that may be called.",
		Example: "  telecommune route limit set --max-rate 0.50 --countries DE,UA,UZ",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			named, err := routing.ParseCountries(countries)
			if cmd.Flags().Changed("countries") && err != nil {
				return usageError{err}
			}
			return with(cmd, func(ctx context.Context, s services) error {
				limits, err := s.trunks.SetLimits(ctx, func(l *routing.Limits) {
					if cmd.Flags().Changed("max-rate") {
						l.MaxRate = cap
					}
					if cmd.Flags().Changed("countries") {
						l.Countries = named
					}
				})
				if err != nil {
					return err
				}
				return show(cmd, limits)
			})
		},
	}
	parsedFlag(c.Flags(), &cap, "max-rate", parseLimit, "most that a minute may cost the caller, `AMOUNT` with VAT")
	c.Flags().StringVar(&countries, "countries", "", "`CODES` of ISO 3166 with commas between them, or all")
	c.MarkFlagsOneRequired("max-rate", "countries")
	return c
}
