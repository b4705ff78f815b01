package tariff

import (
	"encoding/json"
	"fmt"
	"math"

	"telecommune/internal/money"
)

// Billed gives the seconds that are charged for answered ones: the first interval, then whole steps of the next one
// counted after it (economics.md D-01). An unanswered call has none. A time that does not fit is math.MaxInt.
func (r Row) Billed(answered int) int {
	first, next := max(r.IntervalFirst, 1), max(r.IntervalNext, 1)
	switch {
	case answered <= 0:
		return 0
	case answered <= first:
		return first
	}
	steps := (answered-first-1)/next + 1
	if steps > (math.MaxInt-first)/next {
		return math.MaxInt
	}
	return first + steps*next
}

// Price gives what a call of so many answered seconds costs: connection fee + rate * billed / 60 as an exact fraction,
// at least the minimum charge, brought into the commune's currency when it is in another, rounded once to the row's unit
// (P-01). Unanswered, or answered within the grace time, it is 0 (economics.md 5.2, D-02, D-03). Retail prices include VAT. What does not fit 64 bits is money.ErrRange; a row that is
// none, such as the zero Row, is ErrRow.
func (r Row) Price(answered int) (money.Amount, error) {
	if !r.valid() {
		return 0, ErrRow
	}
	if answered <= r.GraceSeconds {
		return 0, nil
	}
	billed := r.Billed(answered)
	if billed == math.MaxInt {
		return 0, money.ErrRange
	}
	rounding := money.Rounding{Unit: r.RoundingUnit, Mode: r.RoundingMode}
	price, err := r.home(r.ConnectFee, int64(billed), rounding)
	if err != nil || r.MinimumCharge == 0 {
		return price, err
	}
	// Rounding keeps order, so the greater of two rounded sums is the greater of the two sums, rounded.
	least, err := r.home(r.MinimumCharge, 0, rounding)
	if err != nil {
		return 0, err
	}
	return max(price, least), nil
}

// home gives an amount and the price of so many seconds in the commune's currency.
func (r Row) home(amount money.Amount, seconds int64, rounding money.Rounding) (money.Amount, error) {
	if r.ExchangeRate == 0 {
		return money.AddMulDiv(amount, r.RatePerMinute, seconds, 60, rounding)
	}
	return money.AddMulDivAt(int64(r.ExchangeRate), amount, r.RatePerMinute, seconds, 60, rounding)
}

// FirstPaidSecond is the shortest answered time that is charged for; shorter calls are within the grace time.
func (r Row) FirstPaidSecond() int { return r.GraceSeconds + 1 }

// Affordable gives the most answered seconds, up to limit, whose price is at most amount. It may lie within the grace
// time: whoever needs paid time compares with FirstPaidSecond.
func (r Row) Affordable(amount money.Amount, limit int) int {
	return affordable(amount, limit, r.Price)
}

// affordable finds the last affordable second by halving: a price never falls as seconds grow. What can't be priced
// can't be afforded.
func affordable(amount money.Amount, limit int, price func(answered int) (money.Amount, error)) int {
	if amount < 0 {
		return 0
	}
	low, high := 0, max(limit, 0)
	for low < high {
		mid := high - (high-low)/2
		if price, err := price(mid); err == nil && price <= amount {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// valid tells a row that can price from one that nobody filled in.
func (r Row) valid() bool {
	return r.IntervalFirst > 0 && r.IntervalNext > 0 && r.RoundingUnit > 0 && r.GraceSeconds >= 0 &&
		(r.RoundingMode == money.Up || r.RoundingMode == money.HalfUp)
}

const hundredPercent Percent = 100_000_000

// VAT gives the tax within a price: price * v / (100 + v), half up to the millionth (economics.md 5.2).
func VAT(price money.Amount, vat Percent) (money.Amount, error) {
	if vat < 0 || vat > hundredPercent {
		return 0, money.ErrRange
	}
	tax, err := money.MulDiv(int64(price), int64(vat), int64(hundredPercent+vat), money.HalfUp)
	return money.Amount(tax), err
}

// WithVAT gives the row with the tax on its prices, half up to the millionth: what callers pay of a cost that is passed
// on to them.
func (r Row) WithVAT(vat Percent) (Row, error) {
	for _, price := range []*money.Amount{&r.RatePerMinute, &r.ConnectFee, &r.MinimumCharge} {
		gross, err := money.MulDiv(int64(*price), int64(hundredPercent+vat), int64(hundredPercent), money.HalfUp)
		if err != nil {
			return Row{}, err
		}
		*price = money.Amount(gross)
	}
	return r, nil
}

// ParsePercent reads a decimal string from 0 to 100 with at most six decimals, such as 19 or 7.7.
func ParsePercent(s string) (Percent, error) {
	v, err := money.Parse(s) // a percent is counted in millionths, as an amount is
	if err != nil || v < 0 || Percent(v) > hundredPercent {
		return 0, fmt.Errorf("%q: %w", clip(s), ErrPercent)
	}
	return Percent(v), nil
}

// String gives the percentage as a decimal with two to six decimals, such as 19.00.
func (p Percent) String() string { return money.Amount(p).String() }

// MarshalJSON writes the percentage as a decimal string.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads a decimal string as ParsePercent does. A JSON number is ErrPercent.
func (p *Percent) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s: %w", clip(string(b)), ErrPercent)
	}
	v, err := ParsePercent(s)
	if err == nil {
		*p = v
	}
	return err
}
