package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

// rateInfo is what `rate explain` shows: the row that prices a call answered at an instant, and the price of one.
type rateInfo struct {
	Number        e164.Number         `json:"number"`
	At            time.Time           `json:"at"`
	Prefix        string              `json:"prefix"`
	Destination   string              `json:"destination"`
	Deck          string              `json:"deck"`
	EffectiveFrom *time.Time          `json:"effective_from"`
	EffectiveTo   *time.Time          `json:"effective_to"`
	Window        tariff.Window       `json:"window"`
	Currency      money.Currency      `json:"currency"` // of the row
	RatePerMinute money.Amount        `json:"rate_per_minute"`
	ConnectFee    money.Amount        `json:"connect_fee"`
	IntervalFirst int                 `json:"interval_first"`
	IntervalNext  int                 `json:"interval_next"`
	GraceSeconds  int                 `json:"grace_seconds"`
	MinimumCharge money.Amount        `json:"minimum_charge"`
	RoundingUnit  money.Amount        `json:"rounding_unit"`
	RoundingMode  money.Mode          `json:"rounding_mode"`
	ExchangeRate  tariff.ExchangeRate `json:"exchange_rate"` // empty for the commune's own currency
	BilledSeconds int                 `json:"billed_seconds"`
	Price         money.Amount        `json:"price"` // in the commune's currency
	VAT           money.Amount        `json:"vat"`
}

func rateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rate",
		Short: "Look at what calls cost.",
	}
	c.AddCommand(rateExplain())
	return c
}

func rateExplain() *cobra.Command {
	var account, trunk string
	var at moment
	var seconds int
	c := &cobra.Command{
		Use:   "explain NUMBER",
		Short: "Show the price of a call to a number and how it comes about.",
		Long: `Show the price of a call to a number and how it comes about.

The price is in the commune's currency and includes VAT. Without --account it is that of the deck retail, which accounts
have unless told otherwise. With --trunk it is what the trunk's carrier asks, without VAT. The row is the one in force when
the call is answered.`,
		Example: `  telecommune rate explain +380441234567 --seconds 125 --account anna
  telecommune rate explain +380441234567 --seconds 125 --trunk alpha --at 2027-12-25T20:00:00Z`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				p, err := payerOf(ctx, s, account)
				if err != nil {
					return err
				}
				when, err := instant(ctx, s, at)
				if err != nil {
					return err
				}
				decks, err := s.decks.LoadAt(ctx, when)
				if err != nil {
					return err
				}
				row, ok := decks.Retail(p.tariff, number, when)
				if trunk != "" {
					deck, err := deckOf(ctx, s, trunk)
					if err != nil {
						return err
					}
					row, ok = decks.Trunk(deck, number, when)
					p = payer{tariff: trunk}
				}
				if !ok {
					return p.noRate(number, when)
				}
				info, err := explainRate(number, row, seconds, p.vat)
				info.At = when.UTC()
				if err != nil {
					return err
				}
				return show(cmd, info)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that calls")
	c.Flags().StringVar(&trunk, "trunk", "", "`CODE` of the trunk whose carrier's price is shown")
	completeFlag(c, "trunk", trunkCodes)
	c.MarkFlagsMutuallyExclusive("account", "trunk")
	parsedFlag(c.Flags(), &at, "at", parseMoment, "`TIME` of the answer, an instant or a date in the commune's zone (default: now)")
	parsedFlag(c.Flags(), &seconds, "seconds", parseCount, "answered `SECONDS`")
	require(c, "seconds")
	return c
}

func explainRate(number e164.Number, row tariff.Row, seconds int, vat tariff.Percent) (rateInfo, error) {
	price, err := row.Price(seconds)
	if err != nil {
		return rateInfo{}, fmt.Errorf("price of %d seconds: %w", seconds, err)
	}
	tax, err := tariff.VAT(price, vat)
	if err != nil {
		return rateInfo{}, fmt.Errorf("VAT of %s: %w", price, err)
	}
	return rateInfo{
		Number: number, Prefix: row.Prefix, Destination: row.Destination, Deck: row.Deck,
		EffectiveFrom: told(row.EffectiveFrom), EffectiveTo: told(row.EffectiveTo), Window: row.Window,
		Currency: row.Currency, RatePerMinute: row.RatePerMinute, ConnectFee: row.ConnectFee,
		IntervalFirst: row.IntervalFirst, IntervalNext: row.IntervalNext, GraceSeconds: row.GraceSeconds,
		MinimumCharge: row.MinimumCharge, RoundingUnit: row.RoundingUnit, RoundingMode: row.RoundingMode,
		ExchangeRate: row.ExchangeRate, BilledSeconds: row.Billed(seconds), Price: price, VAT: tax,
	}, nil
}

// told is an instant that JSON shows as null when there is none.
func told(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// payer is whoever a call is explained for.
type payer struct {
	enterprise string
	tariff     string
	vat        tariff.Percent
}

// payerOf gives an account as payer, or without one whoever has what accounts have by default.
func payerOf(ctx context.Context, s services, account string) (payer, error) {
	name, enterprise := "retail", "CALL"
	if account != "" {
		a, err := s.billing.Account(ctx, account)
		if err != nil {
			return payer{}, err
		}
		name, enterprise = a.Tariff, a.Enterprise
	}
	e, err := s.billing.Enterprise(ctx, enterprise)
	return payer{enterprise, name, e.VAT}, err
}

func (p payer) noRate(number e164.Number, when time.Time) error {
	return fmt.Errorf("deck %s has no rate for %s at %s: such a call is refused; see `telecommune deck list`",
		p.tariff, number, when.UTC().Format(time.RFC3339))
}

// instant is the moment that was typed, in the commune's zone, or now.
func instant(ctx context.Context, s services, typed moment) (time.Time, error) {
	if typed == "" {
		return now(ctx), nil
	}
	zone, err := communeZone(ctx, s)
	return typed.in(zone), err
}

// deckOf is the name of the deck that costs a trunk's calls; of a trunk that is gone, the one of its own.
func deckOf(ctx context.Context, s services, trunk string) (string, error) {
	t, err := s.trunks.Trunk(ctx, trunk)
	if errors.Is(err, routing.ErrNotFound) {
		return trunk, nil
	}
	return t.DeckName(), err
}
