package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/money"
)

func communeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "commune",
		Short: "Look after what holds for all books: currency, time zone, policies, secret key.",
	}
	c.AddCommand(communeShow(), communeSet(), communeForgetKey(), policyCommand())
	return c
}

func communeShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the currency and the time zone of the commune.",
		Example: "  telecommune commune show",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error { return showCommune(ctx, cmd, s) })
		},
	}
}

func showCommune(ctx context.Context, cmd *cobra.Command, s services) error {
	return shows(s.billing.Commune(ctx))(cmd)
}

func communeSet() *cobra.Command {
	var zone string
	var currency money.Currency
	c := &cobra.Command{
		Use:   "set",
		Short: "Set the currency or the time zone of the commune.",
		Long: `Set the currency or the time zone of the commune.

The currency is that of all amounts. It can be set only as long as there are none: no entries in the books, no rate
decks, no account with credit or a limit.

The zone says when a day begins and ends: for the date of entries from now on, for the months of bills, and for dates
that commands are given. Entries keep the date that they have.`,
		Example: "  telecommune commune set --zone Europe/Berlin --currency EUR",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				// The currency first: it is the one that may be refused.
				if cmd.Flags().Changed("currency") {
					if err := s.billing.SetCurrency(ctx, currency); err != nil {
						return err
					}
				}
				if cmd.Flags().Changed("zone") {
					if err := s.billing.SetZone(ctx, zone); err != nil {
						return err
					}
				}
				return showCommune(ctx, cmd, s)
			})
		},
	}
	parsedFlag(c.Flags(), &zone, "zone", parseZone, "time `ZONE` of the IANA database, such as Europe/Berlin")
	parsedFlag(c.Flags(), &currency, "currency", billing.ParseCurrency, "`CURRENCY`, three letters of ISO 4217")
	c.MarkFlagsOneRequired("zone", "currency")
	return c
}

func parseZone(s string) (string, error) {
	if s == "" {
		return "", billing.ErrZone
	}
	_, err := loadZone(s)
	return s, err
}

// forgottenKey is what `commune forget-key` shows.
type forgottenKey struct {
	Revoked int `json:"revoked"` // PINs
}

func communeForgetKey() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "forget-key",
		Short: "Go on without a secret key that is lost, with a new one.",
		Long: `Go on without a secret key that is lost, with a new one.

All PINs are revoked and must be issued anew; vouchers that were not redeemed become worthless. Stop serve first. It is
refused as long as the right ` + keyFile + ` is in the state folder.`,
		Example: "  telecommune commune forget-key --force",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !force {
				return usagef("all PINs and all vouchers that were not redeemed will be lost: say --force")
			}
			c, err := config(cmd)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				_, err := openKey(ctx, s.db, c.State)
				switch {
				case err == nil:
					return errors.New("the secret key of this state folder is the right one: it is not lost")
				case !errors.Is(err, billing.ErrKey) && !errors.Is(err, billing.ErrWrongKey):
					return err
				}
				n, err := s.billing.ForgetKey(ctx)
				if err != nil {
					return err
				}
				return show(cmd, forgottenKey{n})
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "revoke all PINs, and give up all vouchers that were not redeemed")
	return c
}
