package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func exchangeRateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "exchange-rate",
		Short: "Look after the exchange rates of currencies that carriers ask their prices in.",
	}
	c.AddCommand(exchangeRateSet(), exchangeRateList())
	return c
}

func exchangeRateSet() *cobra.Command {
	var from moment
	c := &cobra.Command{
		Use:   "set CURRENCY RATE",
		Short: "Set how much of another currency one unit of the commune's buys, from a time on.",
		Long: `Set how much of another currency one unit of the commune's buys, from a time on.

With EUR as the commune's currency, "set USD 1.0856" means that 1 EUR is 1.0856 USD. It counts up to the next rate of the
currency, for calls answered meanwhile; each call keeps the one it was costed with. A rate of the same time is replaced.`,
		Example: "  telecommune exchange-rate set USD 1.0856 --from 2027-07-01",
		Args:    takes(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			currency, err := argument("CURRENCY", args[0], billing.ParseCurrency)
			if err != nil {
				return err
			}
			rate, err := argument("RATE", args[1], tariff.ParseExchangeRate)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				zone, err := communeZone(ctx, s)
				if err != nil {
					return err
				}
				return shows(s.decks.SetExchangeRate(ctx, tariff.DatedRate{Currency: currency, From: from.in(zone), Rate: rate}))(cmd)
			})
		},
	}
	parsedFlag(c.Flags(), &from, "from", parseMoment, "`TIME` from which it counts, an instant or a date in the commune's zone (default: now)")
	return c
}

func exchangeRateList() *cobra.Command {
	var currency money.Currency
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the exchange rates, of each currency the newest first.",
		Example: "  telecommune exchange-rate list --currency USD",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				all, err := s.decks.ExchangeRates(ctx)
				if err != nil {
					return err
				}
				var rates []tariff.DatedRate
				for _, r := range all {
					if currency == "" || r.Currency == currency {
						rates = append(rates, r)
					}
				}
				return list(cmd, rates)
			})
		},
	}
	parsedFlag(c.Flags(), &currency, "currency", billing.ParseCurrency, "`CURRENCY` whose rates are listed")
	return c
}
