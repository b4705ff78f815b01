package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// rateInfo is what `rate explain` shows: the row that prices a call, and the price of one.
type rateInfo struct {
	Number        e164.Number    `json:"number"`
	Prefix        string         `json:"prefix"`
	Destination   string         `json:"destination"`
	Deck          string         `json:"deck"`
	Currency      money.Currency `json:"currency"`
	RatePerMinute money.Amount   `json:"rate_per_minute"`
	ConnectFee    money.Amount   `json:"connect_fee"`
	IntervalFirst int            `json:"interval_first"`
	IntervalNext  int            `json:"interval_next"`
	GraceSeconds  int            `json:"grace_seconds"`
	MinimumCharge money.Amount   `json:"minimum_charge"`
	RoundingUnit  money.Amount   `json:"rounding_unit"`
	RoundingMode  money.Mode     `json:"rounding_mode"`
	BilledSeconds int            `json:"billed_seconds"`
	Price         money.Amount   `json:"price"`
	VAT           money.Amount   `json:"vat"`
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
	var account string
	var at moment
	var seconds int
	c := &cobra.Command{
		Use:   "explain NUMBER",
		Short: "Show the price of a call to a number and how it comes about.",
		Long: `Show the price of a call to a number and how it comes about.

The price includes VAT. Without --account it is that of the deck retail, which accounts have unless told otherwise.`,
		Example: "  telecommune rate explain +380441234567 --seconds 125 --account anna",
		Args:    takes(1),
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
				if !ok {
					return p.noRate(number, when)
				}
				info, err := explainRate(number, row, seconds, p.vat)
				if err != nil {
					return err
				}
				return show(cmd, info)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that calls")
	parsedFlag(c.Flags(), &at, "at", parseMoment, "`TIME` of the call, an instant or a date in the commune's zone (default: now)")
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
		number, row.Prefix, row.Destination, row.Deck, row.Currency, row.RatePerMinute, row.ConnectFee, row.IntervalFirst,
		row.IntervalNext, row.GraceSeconds, row.MinimumCharge, row.RoundingUnit, row.RoundingMode, row.Billed(seconds), price, tax,
	}, nil
}

// payer is whoever a call is explained for.
type payer struct {
	tariff string
	vat    tariff.Percent
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
	return payer{name, e.VAT}, err
}

func (p payer) noRate(number e164.Number, when time.Time) error {
	return fmt.Errorf("deck %s has no rate for %s at %s: such a call is refused; see `telecommune deck list`",
		p.tariff, number, when.UTC().Format(time.RFC3339))
}

// instant is the moment that was typed, in the commune's zone, or now.
func instant(ctx context.Context, s services, typed moment) (time.Time, error) {
	if typed == "" {
		return time.Now(), nil
	}
	zone, err := communeZone(ctx, s)
	return typed.in(zone), err
}
