// Package money holds amounts as whole millionths of a currency unit.
//
// One EUR is 1,000,000. There is no floating point anywhere on the way: decimal strings are read digit by digit, and
// the only rounding functions are the ones in this package (economics.md section 5.1).
package money

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is a sum of money in millionths of a currency unit. The currency stands beside it, in the book, the deck or
// the account it belongs to.
type Amount int64

const (
	// Micro is the smallest amount, one millionth of a unit.
	Micro Amount = 1
	// Cent is a hundredth of a unit; whatever touches a bank is a multiple of it.
	Cent Amount = 10_000
	// Unit is one unit of the currency.
	Unit Amount = 1_000_000
)

// Currency is an ISO 4217 code, such as EUR.
type Currency string

var (
	// ErrSyntax is returned by Parse for anything that is not a plain decimal with at most six decimals.
	ErrSyntax = errors.New("not an amount: want digits with at most 6 decimals, such as 12.50")
	// ErrRange is returned by Parse, Add, MulDiv, AddMulDiv and AddMulDivAt when a result does not fit 64 bits. Amounts never wrap.
	ErrRange = errors.New("amount out of range")
)

// Parse reads a decimal string, `-?[0-9]+(\.[0-9]{1,6})?`. Exponents, signs other than a leading minus, grouping and a
// seventh decimal are ErrSyntax; what does not fit is ErrRange.
func Parse(s string) (Amount, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(digits, ".")
	if whole == "" || len(frac) > 6 || dotted && frac == "" || !isDigits(whole) || !isDigits(frac) {
		return 0, fmt.Errorf("%q: %w", clip(s), ErrSyntax)
	}
	var n uint64
	for _, c := range []byte(whole + frac + "000000"[len(frac):]) {
		digit := uint64(c - '0')
		hi, lo := bits.Mul64(n, 10)
		if hi != 0 || lo > math.MaxInt64-digit {
			return 0, fmt.Errorf("%q: %w", clip(s), ErrRange)
		}
		n = lo + digit
	}
	if negative {
		return -Amount(n), nil
	}
	return Amount(n), nil
}

// String gives the amount as a decimal with two to six decimals, such as 0.008 or -12.50.
func (a Amount) String() string {
	sign, n := "", uint64(a)
	if a < 0 {
		sign, n = "-", -n
	}
	frac := fmt.Sprintf("%06d", n%1_000_000)
	for len(frac) > 2 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	return sign + strconv.FormatUint(n/1_000_000, 10) + "." + frac
}

// MarshalJSON writes the amount as a decimal string; a JSON number could pass through somebody's float.
func (a Amount) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

// UnmarshalJSON reads a decimal string as Parse does. A JSON number is ErrSyntax.
func (a *Amount) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s: %w", clip(string(b)), ErrSyntax)
	}
	v, err := Parse(s)
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Add gives a + b, or ErrRange.
func (a Amount) Add(b Amount) (Amount, error) {
	if sum := a + b; (sum > a) == (b > 0) {
		return sum, nil
	}
	return 0, ErrRange
}

// Mode says how a fraction is brought to a whole number of units.
type Mode string

const (
	// Up rounds away from zero whatever is not whole.
	Up Mode = "up"
	// HalfUp rounds to the nearest, halves up.
	HalfUp Mode = "half_up"
	// Down drops the fraction; the even split uses it.
	Down Mode = "down"
)

// MulDiv gives a * mul / div, exactly in 128 bits and rounded once by mode. All three must be at least 0 and div over
// 0; otherwise, or when the result does not fit, it returns ErrRange.
func MulDiv(a, mul, div int64, mode Mode) (int64, error) {
	if a < 0 || mul < 0 || div <= 0 {
		return 0, ErrRange
	}
	hi, lo := bits.Mul64(uint64(a), uint64(mul))
	return divide(hi, lo, uint64(div), mode)
}

// Rounding says to what a fraction is rounded: a whole multiple of Unit, by Mode.
type Rounding struct {
	Unit Amount
	Mode Mode
}

// AddMulDiv gives base + a*mul/div as an exact fraction, rounded once, to a multiple of r.Unit. No argument may be
// negative, div and r.Unit must be over 0, and div*r.Unit must fit 63 bits; otherwise, or when the result does not fit,
// it returns ErrRange.
func AddMulDiv(base, a Amount, mul, div int64, r Rounding) (Amount, error) {
	hi, lo, err := addMul(base, a, mul, div)
	if err != nil {
		return 0, err
	}
	return r.divide(hi, lo, div)
}

// AddMulDivAt is AddMulDiv of amounts in another currency, of which one unit of ours buys so many millionths. It is
// exact up to the one rounding, too; div*millionths*r.Unit must fit 63 bits.
func AddMulDivAt(millionths int64, base, a Amount, mul, div int64, r Rounding) (Amount, error) {
	hi, lo, err := addMul(base, a, mul, div)
	if err != nil || millionths <= 0 || millionths > math.MaxInt64/div {
		return 0, ErrRange
	}
	over, hi := bits.Mul64(hi, uint64(Unit))
	carried, lo := bits.Mul64(lo, uint64(Unit))
	hi, carry := bits.Add64(hi, carried, 0)
	if over+carry != 0 {
		return 0, ErrRange
	}
	return r.divide(hi, lo, div*millionths)
}

// addMul gives base*div + a*mul. Each product is below 2^126, so their sum does not carry out.
func addMul(base, a Amount, mul, div int64) (hi, lo uint64, err error) {
	if base < 0 || a < 0 || mul < 0 || div <= 0 {
		return 0, 0, ErrRange
	}
	baseHi, baseLo := bits.Mul64(uint64(base), uint64(div))
	hi, lo = bits.Mul64(uint64(a), uint64(mul))
	lo, carry := bits.Add64(lo, baseLo, 0)
	hi, _ = bits.Add64(hi, baseHi, carry)
	return hi, lo, nil
}

// divide gives the 128-bit number hi:lo over div, rounded.
func (r Rounding) divide(hi, lo uint64, div int64) (Amount, error) {
	if r.Unit <= 0 || int64(r.Unit) > math.MaxInt64/div {
		return 0, ErrRange
	}
	units, err := divide(hi, lo, uint64(div)*uint64(r.Unit), r.Mode)
	if err != nil || units > math.MaxInt64/int64(r.Unit) {
		return 0, ErrRange
	}
	return Amount(units) * r.Unit, nil
}

// divide gives the 128-bit number hi:lo over div, rounded once by mode.
func divide(hi, lo, div uint64, mode Mode) (int64, error) {
	if hi >= div {
		return 0, ErrRange
	}
	quo, rem := bits.Div64(hi, lo, div)
	if quo > math.MaxInt64 { // before the step up, which could wrap
		return 0, ErrRange
	}
	if mode == Up && rem > 0 || mode == HalfUp && rem >= div-rem {
		quo++
	}
	if quo > math.MaxInt64 {
		return 0, ErrRange
	}
	return int64(quo), nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// clip keeps an error line short and printable when the input is hostile; %q at the caller escapes it.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
