package tariff

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"telecommune/internal/money"
)

// ExchangeRate is what one unit of the commune's currency buys of another, in millionths: at 1 EUR for 1.0856 USD it is
// 1_085_600. Zero stands for the commune's own currency.
type ExchangeRate int64

const maxExchangeRate ExchangeRate = 1_000_000 * 1_000_000

// ParseExchangeRate reads a decimal over 0 with at most six decimals, or returns ErrExchangeRate.
func ParseExchangeRate(s string) (ExchangeRate, error) {
	v, err := money.Parse(s) // a rate is counted in millionths, as an amount is
	if x := ExchangeRate(v); err == nil && x > 0 && x <= maxExchangeRate {
		return x, nil
	}
	return 0, fmt.Errorf("%q: %w", clip(s), ErrExchangeRate)
}

// String gives the rate as a decimal, nothing for the commune's own currency.
func (x ExchangeRate) String() string {
	if x == 0 {
		return ""
	}
	return money.Amount(x).String()
}

// MarshalJSON writes the rate as a decimal string.
func (x ExchangeRate) MarshalJSON() ([]byte, error) { return json.Marshal(x.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (x *ExchangeRate) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		*x = 0
		return err
	}
	*x, err = ParseExchangeRate(s)
	return err
}

// DatedRate is an exchange rate from an instant on, up to the next one of its currency.
type DatedRate struct {
	Currency money.Currency `json:"currency" db:"currency"`
	From     time.Time      `json:"from" db:"effective_from"`
	Rate     ExchangeRate   `json:"rate" db:"rate"`
}

// exchange knows the rates into one currency.
type exchange struct {
	home  money.Currency
	rates map[money.Currency][]DatedRate // newest first
}

func newExchange(home money.Currency, rates []DatedRate) exchange {
	x := exchange{home, map[money.Currency][]DatedRate{}}
	for _, r := range rates {
		x.rates[r.Currency] = append(x.rates[r.Currency], r)
	}
	for _, of := range x.rates {
		slices.SortFunc(of, func(a, b DatedRate) int { return b.From.Compare(a.From) })
	}
	return x
}

// at finds the rate of a currency at an instant.
func (x exchange) at(currency money.Currency, at time.Time) (ExchangeRate, bool) {
	if !x.foreign(currency) {
		return 0, true
	}
	for _, r := range x.rates[currency] {
		if !at.Before(r.From) {
			return r.Rate, true
		}
	}
	return 0, false
}

// foreign tells whether prices in a currency need a rate.
func (x exchange) foreign(currency money.Currency) bool { return currency != x.home && x.home != "" }
