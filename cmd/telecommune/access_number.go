package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
)

func accessNumberCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "access-number",
		Short: "Look after the numbers that callers dial.",
	}
	c.AddCommand(accessNumberAdd(), accessNumberList(), accessNumberShow(), accessNumberSet(),
		accessNumberRemove())
	return c
}

func accessNumberAdd() *cobra.Command {
	var n pbx.AccessNumber
	service := choice{string(pbx.Gateway), []string{string(pbx.Gateway), string(pbx.Contact), string(pbx.Echo)}}
	c := &cobra.Command{
		Use:     "add NUMBER",
		Short:   "Take calls to a number that a provider delivers.",
		Example: "  telecommune access-number add +49305550100 --provider pstn --country DE",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.Number, err = argument("NUMBER", args[0], e164.Parse); err != nil {
				return err
			}
			n.Service = pbx.Service(service.value)
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.access.AddAccessNumber(ctx, n))(cmd)
			})
		},
	}
	c.Flags().StringVar(&n.Provider, "provider", "", "`CODE` of the provider that delivers its calls")
	accessNumberFlags(c.Flags(), &n)
	c.Flags().Var(&service, "service", "what it does: `gateway` asks for a number, contact is each caller's own contact, echo plays back")
	require(c, "provider", "country")
	completeFlag(c, "provider", providerCodes)
	return c
}

// accessNumberFlags are those of `access-number add` and `access-number set`.
func accessNumberFlags(flags *pflag.FlagSet, n *pbx.AccessNumber) {
	flags.StringVar(&n.Country, "country", "", "`CC`, country of ISO 3166 whose national dialling callers may use")
	flags.StringVar(&n.Language, "language", "en", "`LANGUAGE` of the prompts, ISO 639")
	parsedFlag(flags, &n.PerMinute, "cost-per-minute", money.Parse,
		"`AMOUNT` that the provider charges for a minute of a call to it, without VAT (default 0.00)")
	parsedFlag(flags, &n.ConnectFee, "cost-connect-fee", money.Parse, "`AMOUNT` that the provider charges for each call to it (default 0.00)")
	flags.Var(&interval{&n.IntervalFirst, &n.IntervalNext}, "cost-interval",
		"`FIRST/NEXT` seconds in which the provider counts, such as 60/60 (default 1/1)")
}

func accessNumberSet() *cobra.Command {
	var n pbx.AccessNumber
	c := &cobra.Command{
		Use:     "set NUMBER",
		Short:   "Change an access number, for calls from now on.",
		Example: "  telecommune access-number set +49305550100 --cost-per-minute 0.008 --cost-interval 60/1",
		Args:    takes(1),
	}
	flags := c.Flags()
	accessNumberFlags(flags, &n)
	c.MarkFlagsOneRequired("country", "language", "cost-per-minute", "cost-connect-fee", "cost-interval")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := argument("NUMBER", args[0], e164.Parse)
		if err != nil {
			return err
		}
		change := func(to *pbx.AccessNumber) {
			if flags.Changed("country") {
				to.Country = n.Country
			}
			if flags.Changed("language") {
				to.Language = n.Language
			}
			if flags.Changed("cost-per-minute") {
				to.PerMinute = n.PerMinute
			}
			if flags.Changed("cost-connect-fee") {
				to.ConnectFee = n.ConnectFee
			}
			if flags.Changed("cost-interval") {
				to.IntervalFirst, to.IntervalNext = n.IntervalFirst, n.IntervalNext
			}
		}
		return with(cmd, func(ctx context.Context, s services) error {
			return shows(s.access.SetAccessNumber(ctx, number, change))(cmd)
		})
	}
	return c
}

// accessNumberColumns are what the table of access numbers has room for.
var accessNumberColumns = []string{"number", "provider", "country", "language", "service", "cost_per_minute"}

func accessNumberList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the access numbers.",
		Example: "  telecommune access-number list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.access.AccessNumbers(ctx))(cmd, accessNumberColumns...)
			})
		},
	}
}

func accessNumberShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show NUMBER",
		Short:   "Show an access number.",
		Example: "  telecommune access-number show +49305550100",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.access.AccessNumber(ctx, n))(cmd)
			})
		},
	}
}

func accessNumberRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NUMBER",
		Short:   "Take no more calls to a number.",
		Example: "  telecommune access-number remove +49305550100",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return s.access.RemoveAccessNumber(ctx, n)
			})
		},
	}
}
