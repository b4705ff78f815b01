// Package e164 is the syntax of telephone numbers: up to 15 digits after a plus sign (ITU-T E.164).
// What a caller may dial is decided in routing, how nationals dial in pbx.
package e164

import (
	"errors"
	"fmt"
	"strings"
)

// MaxDigits is the greatest length of an international number, ITU-T E.164 section 6.
const MaxDigits = 15

// Number is an international number written with its plus sign, such as +380441234567. The zero value means "none".
type Number string

// ErrSyntax is returned by Parse for anything but an international number.
var ErrSyntax = errors.New("not an international number: want + or 00 and 4 to 15 digits, such as +380441234567")

// Parse reads `+` or `00` followed by 4 to 15 digits, the first not 0. Spaces, dashes, dots, slashes and brackets that
// people write between digits are dropped; any other byte is ErrSyntax.
func Parse(s string) (Number, error) {
	if len(s) > 40 {
		return "", fmt.Errorf("%q: %w", s[:40]+"…", ErrSyntax)
	}
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()", r) {
			return -1
		}
		return r
	}, s)
	digits, ok := strings.CutPrefix(bare, "+")
	if !ok {
		digits, ok = strings.CutPrefix(bare, "00")
	}
	n, err := FromDigits(digits)
	if !ok || err != nil {
		return "", fmt.Errorf("%q: %w", s, ErrSyntax)
	}
	return n, nil
}

// FromDigits makes a number of the digits after the plus sign.
func FromDigits(digits string) (Number, error) {
	if len(digits) < 4 || len(digits) > MaxDigits || digits[0] == '0' {
		return "", ErrSyntax
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return "", ErrSyntax
		}
	}
	return Number("+" + digits), nil
}

// Digits gives the number without its plus sign, as rate decks and many carriers write it.
func (n Number) Digits() string { return strings.TrimPrefix(string(n), "+") }

// String gives the number with its plus sign.
func (n Number) String() string { return string(n) }
