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
		trunkRemove())
	return c
}

// trunkColumns are what the table of trunks has room for.
var trunkColumns = []string{"code", "carrier", "address", "transport", "register", "channels", "cps", "enabled"}

// trunkFlags are those of `trunk add` and `trunk set`: t has what was given.
type trunkFlags struct {
	t            routing.Trunk
	transport    choice
	passwordFile string
}

func (f *trunkFlags) add(flags *pflag.FlagSet) {
	f.transport = choice{"udp", []string{"udp", "tcp"}}
	flags.StringVar(&f.t.Address, "address", "", "`HOST:PORT` of the carrier")
	flags.StringVar(&f.t.Carrier, "carrier", "", "`CODE` of the carrier in the books; by default the trunk's own")
	flags.Var(&f.transport, "transport", "`PROTOCOL` for SIP: udp or tcp")
	flags.StringVar(&f.t.User, "user", "", "digest `USER`")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password of the user, - for the input")
	flags.BoolVar(&f.t.Register, "register", false, "register with the carrier, to be reached by it")
	flags.IntVar(&f.t.Channels, "channels", 0, "most calls at once, `N`; 0: no limit")
	flags.IntVar(&f.t.CPS, "cps", 0, "most new calls a second, `N`; 0: no limit")
	flags.StringVar(&f.t.Prefix, "prefix", "", "`DIGITS` put before the number, after --strip")
	flags.IntVar(&f.t.Strip, "strip", 0, "`N` leading digits taken off the number, which comes without its +")
	flags.IntVar(&f.t.Priority, "priority", 100, "`N` from 1 to 1000, lower ones are tried first where `route policy` says priority")
	flags.IntVar(&f.t.Weight, "weight", 100, "`N` from 1 to 1000, its share of the calls where `route policy` says weighted")
}

// change gives what the given flags do to a trunk. The password is read now, the trunk changed later.
func (f *trunkFlags) change(cmd *cobra.Command) (func(*routing.Trunk), error) {
	given := cmd.Flags().Changed
	if given("password-file") {
		password, err := readSecret(cmd, f.passwordFile)
		if err != nil {
			return nil, err
		}
		f.t.Password = password
	}
	f.t.Transport = f.transport.value
	return func(t *routing.Trunk) {
		for flag, set := range map[string]func(){
			"address":       func() { t.Address = f.t.Address },
			"carrier":       func() { t.Carrier = f.t.Carrier },
			"transport":     func() { t.Transport = f.t.Transport },
			"user":          func() { t.User = f.t.User },
			"password-file": func() { t.Password = f.t.Password },
			"register":      func() { t.Register = f.t.Register },
			"channels":      func() { t.Channels = f.t.Channels },
			"cps":           func() { t.CPS = f.t.CPS },
			"prefix":        func() { t.Prefix = f.t.Prefix },
			"strip":         func() { t.Strip = f.t.Strip },
			"priority":      func() { t.Priority = f.t.Priority },
			"weight":        func() { t.Weight = f.t.Weight },
		} {
			if given(flag) {
				set()
			}
		}
	}, nil
}

func trunkAdd() *cobra.Command {
	var f trunkFlags
	c := &cobra.Command{
		Use:   "add CODE",
		Short: "Add a way out to a carrier; it carries calls as soon as it has a rate deck.",
		Example: `  telecommune trunk add alpha --address 192.0.2.20:5060 --channels 30 --cps 5
  telecommune trunk add beta --address sip.example.net:5060 --user tele --password-file beta.password --register`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := f.change(cmd)
			if err != nil {
				return err
			}
			t := routing.Trunk{Code: args[0], Enabled: true}
			change(&t)
			return with(cmd, func(ctx context.Context, s services) error {
				t, err := s.trunks.AddTrunk(ctx, t)
				if err != nil {
					return err
				}
				return show(cmd, t)
			})
		},
	}
	f.add(c.Flags())
	require(c, "address")
	return c
}

func trunkSet() *cobra.Command {
	var f trunkFlags
	c := &cobra.Command{
		Use:               "set CODE",
		Short:             "Change a trunk; calls that run keep what they were dialled with.",
		Example:           "  telecommune trunk set alpha --channels 60",
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
			return changeTrunk(cmd, args[0], func(t *routing.Trunk) { t.Enabled = on })
		},
	}
}

func changeTrunk(cmd *cobra.Command, code string, change func(*routing.Trunk)) error {
	return with(cmd, func(ctx context.Context, s services) error {
		t, err := s.trunks.SetTrunk(ctx, code, change)
		if err != nil {
			return err
		}
		return show(cmd, t)
	})
}

func trunkList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the trunks.",
		Example: "  telecommune trunk list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				trunks, err := s.trunks.Trunks(ctx)
				if err != nil {
					return err
				}
				return list(cmd, trunks, trunkColumns...)
			})
		},
	}
}

func trunkShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show CODE",
		Short:             "Show a trunk.",
		Example:           "  telecommune trunk show alpha",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				t, err := s.trunks.Trunk(ctx, args[0])
				if err != nil {
					return err
				}
				return show(cmd, t)
			})
		},
	}
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
