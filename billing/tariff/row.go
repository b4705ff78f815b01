// Package tariff prices calls: rate rows, the price rule of economics.md section 5.2, and rate decks of retail and of
// carriers with their versions. Pricing is pure; only store.go talks to the database.
package tariff

import (
	"time"

	"telecommune/internal/money"
)

// Row is one line of a rate deck: what calls to numbers with this prefix cost.
type Row struct {
	Prefix        string       `json:"prefix"`
	Destination   string       `json:"destination"`
	RatePerMinute money.Amount `json:"rate_per_minute"`
	ConnectFee    money.Amount `json:"connect_fee"`
	IntervalFirst int          `json:"interval_first"` // seconds
	IntervalNext  int          `json:"interval_next"`  // seconds
	GraceSeconds  int          `json:"grace_seconds"`
	MinimumCharge money.Amount `json:"minimum_charge"`
	RoundingUnit  money.Amount `json:"rounding_unit"`
	RoundingMode  money.Mode   `json:"rounding_mode"`
	EffectiveFrom time.Time    `json:"effective_from,omitzero"`
	EffectiveTo   time.Time    `json:"effective_to,omitzero"`
	Window        Window       `json:"window,omitempty"`     // the times of the week at which it counts
	AllowLoss     bool         `json:"allow_loss,omitempty"` // a call goes out though the carrier asks more than the caller pays

	// Deck names the version the row belongs to, as `name@version`; it is stamped on each call.
	Deck     string         `json:"deck,omitempty"`
	Currency money.Currency `json:"currency,omitempty"`
	// ExchangeRate brings prices of another currency into the commune's. It is that of the instant the row was looked up
	// for, and is stamped with it.
	ExchangeRate ExchangeRate `json:"exchange_rate,omitzero"`
}

// Percent is a share in millionths of a percent: 19 % is 19_000_000.
type Percent int64
