package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/internal/e164"
	"telecommune/pbx"
)

func accessNumberCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "access-number",
		Short: "Look after the numbers that callers dial.",
	}
	c.AddCommand(accessNumberAdd(), accessNumberList(), accessNumberShow(), accessNumberRemove())
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
				added, err := s.access.AddAccessNumber(ctx, n)
				if err != nil {
					return err
				}
				return show(cmd, added)
			})
		},
	}
	c.Flags().StringVar(&n.Provider, "provider", "", "`CODE` of the provider that delivers its calls")
	c.Flags().StringVar(&n.Country, "country", "", "`CC`, country of ISO 3166 whose national dialling callers may use")
	c.Flags().StringVar(&n.Language, "language", "en", "`LANGUAGE` of the prompts, ISO 639")
	c.Flags().Var(&service, "service", "what it does: `gateway` asks for a number, contact is each caller's own contact, echo plays back")
	require(c, "provider", "country")
	completeFlag(c, "provider", providerCodes)
	return c
}

func accessNumberList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the access numbers.",
		Example: "  telecommune access-number list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				numbers, err := s.access.AccessNumbers(ctx)
				if err != nil {
					return err
				}
				return list(cmd, numbers)
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
				number, err := s.access.AccessNumber(ctx, n)
				if err != nil {
					return err
				}
				return show(cmd, number)
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
