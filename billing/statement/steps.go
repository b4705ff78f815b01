package statement

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

// steps says how a call, and every other by its row, is priced: with the delivered seconds, anybody can compute the price.
func steps(c Call, home money.Currency) string {
	row, from := c.Rate, c.RateFrom
	if row.Deck == "" && row.RatePerMinute == 0 && row.Prefix == "" {
		return "No rate is known for these calls."
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Access {
		say("What its provider asks for calls to it, and VAT on that")
	} else {
		say("Prefix %s", row.Prefix)
	}
	if row.Deck != "" {
		deck := "deck " + row.Deck
		if !from.IsZero() {
			deck += ", in force from " + day(from)
		}
		say("%s", deck)
	}
	if row.Window != "" {
		say("%s", row.Window)
	}
	currency := ""
	if row.ExchangeRate != 0 {
		currency = " " + string(row.Currency)
	}
	say("%s%s a minute", row.RatePerMinute, currency)
	if row.ConnectFee != 0 {
		say("%s%s for the connection", row.ConnectFee, currency)
	}
	switch first, next := row.IntervalFirst, row.IntervalNext; {
	case first == 1 && next == 1:
		say("billed by the second")
	case first == next:
		say("billed in steps of %d s", next)
	default:
		say("billed %d s at first, then in steps of %d s", first, next)
	}
	if row.GraceSeconds != 0 {
		say("free up to %d s", row.GraceSeconds)
	}
	if row.MinimumCharge != 0 {
		say("at least %s%s", row.MinimumCharge, currency)
	}
	if row.ExchangeRate != 0 {
		say("1 %s is %s %s", home, row.ExchangeRate, row.Currency)
	}
	if row.RoundingMode == money.Up {
		say("rounded up to %s", row.RoundingUnit)
	} else {
		say("rounded to the nearest %s", row.RoundingUnit)
	}
	return report.Printable(strings.Join(parts, "; "))
}

// day is a date in words, with the time when it is not a midnight.
func day(t time.Time) string {
	if t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 {
		return t.Format("2 January 2006")
	}
	return t.Format("2 January 2006, 15:04:05")
}

// exactDecimals are what a price before its rounding is shown with at most.
const exactDecimals = 8

// unrounded is the price of a call before it was rounded (economics.md 5.2, D-03), for people to follow the steps: as
// many decimals as it has, but no more than eight; … says that it has more.
func unrounded(row tariff.Row, answered, billed int) string {
	if answered <= row.GraceSeconds {
		return "free"
	}
	micros := new(big.Rat).SetFrac64(int64(row.RatePerMinute), 60)
	micros.Mul(micros, new(big.Rat).SetInt64(int64(billed)))
	micros.Add(micros, new(big.Rat).SetInt64(int64(row.ConnectFee)))
	if least := new(big.Rat).SetInt64(int64(row.MinimumCharge)); micros.Cmp(least) < 0 {
		micros = least
	}
	if row.ExchangeRate != 0 {
		micros.Mul(micros, new(big.Rat).SetFrac64(int64(money.Unit), int64(row.ExchangeRate)))
	}
	units := micros.Quo(micros, new(big.Rat).SetInt64(int64(money.Unit)))
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(exactDecimals), nil)
	shown, rest := new(big.Int).QuoRem(new(big.Int).Mul(units.Num(), scale), units.Denom(), new(big.Int))
	digits := fmt.Sprintf("%0*d", exactDecimals+1, shown)
	whole, decimals := digits[:len(digits)-exactDecimals], digits[len(digits)-exactDecimals:]
	if rest.Sign() != 0 {
		return whole + "." + decimals + "…"
	}
	for len(decimals) > 2 && decimals[len(decimals)-1] == '0' {
		decimals = decimals[:len(decimals)-1]
	}
	return whole + "." + decimals
}
