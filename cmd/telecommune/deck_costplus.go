package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func deckCostPlus() *cobra.Command {
	var name string
	var rule tariff.CostPlus
	var from moment
	var storing storing
	c := &cobra.Command{
		Use:   "cost-plus",
		Short: "Make the next version of callers' prices from what carriers ask.",
		Long: `Make the next version of callers' prices from what carriers ask.

A minute costs ((carrier's rate + percent) + amount) + VAT, at least the floor; a connection fee (carrier's fee + percent)
+ VAT; both rounded once, up to 0.0001. The carriers' rows, and exchange rates, are those in force when the prices begin to
count, and the prices stay as they are until the command is given again. With one trunk its time-of-day windows are kept.
With several the cheapest of them makes the price of a prefix, each by the dearest of its hours.`,
		Example: "  telecommune deck cost-plus --retail retail --trunks alpha,beta --percent 25 --add 0.005 --floor 0.01 --dry-run",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				zone, err := communeZone(ctx, s)
				if err != nil {
					return err
				}
				if !cmd.Flags().Changed("vat") {
					seller, err := s.billing.Enterprise(ctx, "CALL")
					if err != nil {
						return err
					}
					rule.VAT = seller.VAT
				}
				at := from.in(zone)
				if at.IsZero() {
					at = now(ctx)
				}
				decks, err := s.decks.LoadAt(ctx, at)
				if err != nil {
					return err
				}
				deck, err := rule.Apply(decks, name, at)
				if err != nil {
					return err
				}
				if from == "" {
					deck.ActiveFrom = time.Time{} // from its import on, by the database's clock
				}
				return storing.store(cmd, s, tariff.Import{Spec: deck.Spec, Rows: deck.All()})
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&name, "retail", "", "`NAME` of the callers' prices that are made")
	flags.StringSliceVar(&rule.Trunks, "trunks", nil, "`CODES` of the trunks whose carriers' prices they are made from")
	completeFlag(c, "trunks", trunkCodes)
	parsedFlag(flags, &rule.Percent, "percent", parseMarkup, "`PERCENT` put on what the carrier asks, such as 25 or 12.5")
	parsedFlag(flags, &rule.Add, "add", parseLimit, "`AMOUNT` put on a minute, without VAT")
	parsedFlag(flags, &rule.Floor, "floor", parseLimit, "`AMOUNT` that a minute costs at least, VAT included")
	parsedFlag(flags, &rule.VAT, "vat", tariff.ParsePercent, "`PERCENT` of value added tax put on top (default: that of CALL)")
	parsedFlag(flags, &from, "from", parseMoment, "`TIME` from which they count, an instant or a date in the commune's zone (default: now)")
	storing.add(flags)
	require(c, "retail", "trunks")
	return c
}

// parseMarkup reads a percentage that may be over 100.
func parseMarkup(s string) (tariff.Percent, error) {
	v, err := money.Parse(s)
	if err != nil || v < 0 {
		return 0, errors.New("want a percentage with at most 6 decimals, such as 25 or 12.5")
	}
	return tariff.Percent(v), nil
}
