// Package e164 is the syntax of telephone numbers: up to 15 digits after a plus sign (ITU-T E.164).
// What a caller may dial is decided in routing, how nationals dial in pbx.
package e164

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// MaxDigits is the greatest length of an international number, ITU-T E.164 section 6.
const MaxDigits = 15

// Number is an international number written with its plus sign, such as +380441234567. The zero value means "none".
type Number string

// ErrSyntax is returned by Parse for anything but an international number; the message says what is wrong with it.
var ErrSyntax = errors.New("not an international number")

// What is wrong with a number. The first that holds is told.
var (
	errEmpty   = syntax("it is empty")
	errLong    = syntax("an international number has at most %d digits (E.164)", MaxDigits)
	errShort   = syntax("it has fewer than 4 digits")
	errPlus    = syntax("one + stands at the beginning, and nowhere else")
	errZero    = syntax("no country code begins with 0")
	errScript  = syntax("want the digits 0 to 9; these are of another script")
	errLetters = syntax("it has letters; want digits")
	errStrange = syntax("it has characters that are neither digits nor spaces, dashes, dots, slashes and brackets")
	errNoPlus  = syntax("want + or 00 and the country code, such as +380441234567")
)

func syntax(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

// Parse reads `+` or `00` followed by 4 to 15 digits, the first not 0. Spaces, dashes, dots, slashes and brackets that
// people write between digits are dropped; any other byte is ErrSyntax.
func Parse(s string) (Number, error) {
	n, err := parse(s)
	if err != nil {
		return "", fmt.Errorf("%.40q: %w", s, err)
	}
	return n, nil
}

func parse(s string) (Number, error) {
	if len(s) > 40 {
		return "", errLong
	}
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()", r) {
			return -1
		}
		return r
	}, s)
	digits, plus := strings.CutPrefix(bare, "+")
	if err := onlyDigits(digits); err != nil {
		return "", err
	}
	if !plus {
		if digits, plus = strings.CutPrefix(digits, "00"); !plus {
			return "", errNoPlus
		}
	}
	return FromDigits(digits)
}

// onlyDigits tells what else there is.
func onlyDigits(s string) error {
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
		case r == '+':
			return errPlus
		case unicode.IsDigit(r):
			return errScript
		case unicode.IsLetter(r):
			return errLetters
		default:
			return errStrange
		}
	}
	return nil
}

// FromDigits makes a number of the digits after the plus sign.
func FromDigits(digits string) (Number, error) {
	switch err := onlyDigits(digits); {
	case err != nil:
		return "", err
	case digits == "":
		return "", errEmpty
	case digits[0] == '0':
		return "", errZero
	case len(digits) < 4:
		return "", errShort
	case len(digits) > MaxDigits:
		return "", errLong
	}
	return Number("+" + digits), nil
}

// Digits gives the number without its plus sign, as rate decks and many carriers write it.
func (n Number) Digits() string { return strings.TrimPrefix(string(n), "+") }

// String gives the number with its plus sign.
func (n Number) String() string { return string(n) }
