package tariff

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"telecommune/internal/money"
)

// maxNumber is the longest number that is read, in bytes.
const maxNumber = 40

var (
	decimalSyntax = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	sheetSyntax   = regexp.MustCompile(`^(-?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?$`)
)

// amount reads a price that is not negative, times a factor. It is exact: what has more than six decimals is refused, or
// rounded as the format says.
func (f *Format) amount(c cell, factor int64) (money.Amount, error) {
	text := c.text
	if !c.number {
		var err error
		if text, err = f.decimal(text); err != nil {
			return 0, err
		}
	}
	if v, err := money.Parse(text); err == nil && v >= 0 && factor == 1 {
		return v, nil
	}
	if len(text) > maxNumber || !decimalSyntax.MatchString(text) {
		return 0, fmt.Errorf("%q: want a number that is not negative, with %s before its decimals", clip(c.text), f.Decimal)
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("%q: want a number", clip(c.text))
	}
	exact.Mul(exact, big.NewRat(factor*int64(money.Unit), 1))
	whole, rest := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	switch up := rest.Lsh(rest, 1).Cmp(exact.Denom()); {
	case rest.Sign() == 0:
	case f.Round == "":
		return 0, fmt.Errorf("%q: more than 6 decimals a minute; a format may say round = \"up\"", clip(c.text))
	case f.Round == money.Up, up >= 0:
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return 0, fmt.Errorf("%q: %w", clip(c.text), money.ErrRange)
	}
	return money.Amount(whole.Int64()), nil
}

// decimal brings a number to the form with a point and without marks between thousands.
func (f *Format) decimal(text string) (string, error) {
	whole, fraction, dotted := strings.Cut(text, f.Decimal)
	if f.Thousands != "" && strings.Contains(whole, f.Thousands) {
		groups := strings.Split(whole, f.Thousands)
		for i, group := range groups {
			if i > 0 && len(group) != 3 || i == 0 && (group == "" || len(group) > 3 || group[0] == '0') {
				return "", fmt.Errorf("%q: want three digits after each %s", clip(text), f.Thousands)
			}
		}
		whole = strings.Join(groups, "")
	}
	if f.Decimal != "." && strings.Contains(whole+fraction, ".") {
		return "", fmt.Errorf("%q: want %s before the decimals", clip(text), f.Decimal)
	}
	if dotted {
		return whole + "." + fraction, nil
	}
	return whole, nil
}

// sheetDigits is how many digits of a number a spreadsheet shows; those after them are how its binary form misses.
const sheetDigits = 15

// sheetNumber gives a number of a spreadsheet as it is shown there at full length: its text has up to 17 digits and an
// exponent, and the sixteenth and further ones are rounded away. It never becomes a binary fraction.
func sheetNumber(raw string) (string, error) {
	m := sheetSyntax.FindStringSubmatch(raw)
	if m == nil || m[2]+m[3] == "" || len(raw) > maxNumber {
		return "", errors.New("not a number")
	}
	exponent := 0
	if m[4] != "" {
		exponent, _ = strconv.Atoi(m[4]) //nolint:errcheck // three digits
	}
	digits := strings.TrimLeft(m[2]+m[3], "0")
	if digits == "" {
		return "0", nil
	}
	exponent -= len(m[3]) // the number is digits * 10^exponent
	if over := len(digits) - sheetDigits; over > 0 {
		digits, exponent = roundDigits(digits, sheetDigits), exponent+over
	}
	for strings.HasSuffix(digits, "0") && exponent < 0 {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	switch {
	case exponent > maxNumber || exponent < -maxNumber:
		return "", money.ErrRange
	case exponent >= 0:
		return m[1] + digits + strings.Repeat("0", exponent), nil
	}
	if short := 1 - exponent - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	point := len(digits) + exponent
	return m[1] + digits[:point] + "." + digits[point:], nil
}

// roundDigits keeps the first n digits, the last of them rounded half up. There may be one more when all were nines.
func roundDigits(digits string, n int) string {
	kept, _ := new(big.Int).SetString(digits[:n], 10)
	if digits[n] >= '5' {
		kept.Add(kept, big.NewInt(1))
	}
	return kept.String()
}

// serialDay is a date in a spreadsheet: whole days since 1899-12-30, or in some since 1904-01-01.
func serialDay(c cell) (time.Time, error) {
	days, err := strconv.Atoi(c.text)
	if err != nil || days < 0 || days > 3_000_000 {
		return time.Time{}, errors.New("not a day")
	}
	if c.since1904 {
		return time.Date(1904, 1, 1+days, 0, 0, 0, 0, time.UTC), nil
	}
	return time.Date(1899, 12, 30+days, 0, 0, 0, 0, time.UTC), nil
}
