package pbx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/internal/e164"
	"telecommune/routing"
)

// maxDialled is the most digits of a number as people dial it: 15 of ITU-T E.164 behind an international prefix of
// three, such as 011.
const maxDialled = 18

// ErrDialled is returned by Dialled for what is no telephone number. What is a short number in the country wraps the
// reason of routing for which it isn't called as well.
var ErrDialled = errors.New("not a number that can be dialled")

// Dialled reads a number as it is dialled in a country (ISO 3166, such as DE): `+` or `00` and an international number,
// or one of the country's own forms. Those must be in use by the numbering plan, so emergency and other short numbers
// are none. Anything but digits after an optional `+` is ErrDialled.
func Dialled(s, country string) (e164.Number, error) {
	digits, plus := strings.CutPrefix(s, "+")
	if len(digits) > maxDialled || strings.Trim(digits, "0123456789") != "" {
		return "", fmt.Errorf("%.20q: %w", s, ErrDialled)
	}
	foreign, err := e164.Parse(s)
	if plus && err == nil || valid(foreign.String(), "") != "" {
		return foreign, nil
	}
	// The country's own forms come before a foreign number that no numbering plan knows: 0011 44 20 7183 8750 is the
	// United Kingdom in Australia, not +1 144.
	if national := valid(digits, country); national != "" && !plus {
		return national, nil
	}
	if err == nil {
		return foreign, nil
	}
	if short := routing.OfShort(digits, country); short != "" {
		return "", fmt.Errorf("%q in %s: %w: %w", s, country, ErrDialled, denied(short))
	}
	return "", fmt.Errorf("%q in %s: %w", s, country, ErrDialled)
}

// valid gives the number that s stands for in a country, or none when the numbering plans don't know it.
func valid(s, country string) e164.Number {
	parsed, err := phonenumbers.Parse(s, country)
	if err != nil || !phonenumbers.IsValidNumber(parsed) {
		return ""
	}
	n, err := e164.Parse(phonenumbers.Format(parsed, phonenumbers.E164))
	if err != nil {
		return ""
	}
	return n
}
