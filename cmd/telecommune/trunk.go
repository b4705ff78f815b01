package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/routing"
)

func trunkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trunk",
		Short: "Look after the ways out to carriers.",
	}
	c.AddCommand(trunkAdd(), trunkList(), trunkShow(), trunkSet(),
		trunkSwitch("enable", "Let a trunk carry calls again.", true),
		trunkSwitch("disable", "Route no new calls over a trunk; those that run go on.", false),
		trunkRemove(), trunkQuality(), trunkTest())
	return c
}

func trunkAdd() *cobra.Command {
	var f trunkFlags
	c := &cobra.Command{
		Use:   "add CODE",
		Short: "Add a way out to a carrier; it carries calls as soon as it has a rate deck.",
		Example: `  telecommune trunk add alpha --address 192.0.2.20:5060 --channels 30 --cps 5
  telecommune trunk add beta --address sip.example.net:5060 --user tele --password-file beta.password --register
  telecommune trunk add gamma --address example.net --transport tls --prefix + --caller-id verified --caller-number +4930123456`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := f.change(cmd)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				t := routing.Trunk{Code: args[0], Probe: f.t.Probe, Enabled: true}
				change, err := change(ctx, s)
				if err != nil {
					return err
				}
				change(&t)
				if t, err = s.trunks.AddTrunk(ctx, t); err != nil {
					return err
				}
				return showTrunk(cmd, s, t, "")
			})
		},
	}
	f.add(c.Flags())
	completeFlag(c, "deck", trunkCodes)
	require(c, "address")
	return c
}

func trunkSet() *cobra.Command {
	var f trunkFlags
	c := &cobra.Command{
		Use:   "set CODE",
		Short: "Change a trunk; calls that run keep what they were dialled with.",
		Example: `  telecommune trunk set alpha --channels 60
  telecommune trunk set alpha --hours "mon-fri 08:00-18:00" --spend-day 50.00
  telecommune trunk set alpha --failover "503=stop; q34=next,count" --ring 40
  telecommune trunk set alpha --prepaid-balance 250.00 --prepaid-floor 10.00`,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := f.change(cmd)
			if err != nil {
				return err
			}
			return changeTrunk(cmd, args[0], change)
		},
	}
	f.add(c.Flags())
	completeFlag(c, "deck", trunkCodes)
	var flags []string
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	c.MarkFlagsOneRequired(flags...)
	return c
}

func trunkSwitch(name, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use:               name + " CODE",
		Short:             short,
		Example:           "  telecommune trunk " + name + " alpha",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeTrunk(cmd, args[0], func(context.Context, services) (func(*routing.Trunk), error) {
				return func(t *routing.Trunk) { t.Enabled = on }, nil
			})
		},
	}
}

func changeTrunk(cmd *cobra.Command, code string, prepare func(context.Context, services) (func(*routing.Trunk), error)) error {
	return with(cmd, func(ctx context.Context, s services) error {
		change, err := prepare(ctx, s)
		if err != nil {
			return err
		}
		t, err := s.trunks.SetTrunk(ctx, code, change)
		if err != nil {
			return err
		}
		return showTrunk(cmd, s, t, "")
	})
}

func trunkRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove CODE",
		Short:             "Remove a trunk; its calls and rate decks stay on record.",
		Example:           "  telecommune trunk remove alpha",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return s.trunks.RemoveTrunk(ctx, args[0])
			})
		},
	}
}

func trunkCodes(ctx context.Context, s services) ([]string, error) {
	trunks, err := s.trunks.Trunks(ctx)
	var codes []string
	for _, t := range trunks {
		codes = append(codes, t.Code)
	}
	return codes, err
}
