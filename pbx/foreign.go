package pbx

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"telecommune/internal/e164"
)

// MaxForeign bounds a foreign string, in bytes.
const MaxForeign = 64

// Printable makes a foreign string harmless: valid UTF-8, no control characters, at most MaxForeign bytes.
func Printable(s string) string {
	if len(s) > 4*MaxForeign {
		s = s[:4*MaxForeign]
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > MaxForeign {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// CallerNumber reads a number where that is possible without knowing the caller's country: with + or 00 in front, or, of
// a provider that is trusted, bare digits in the length of international numbers, as carriers hand them over. Numbers
// that begin with a single 0 are national and give none.
func CallerNumber(user string, trusted bool) e164.Number {
	if n, err := e164.Parse(user); err == nil {
		return n
	}
	if trusted && len(user) >= 7 {
		if n, err := e164.FromDigits(user); err == nil {
			return n
		}
	}
	return ""
}

// Find gives the access number that a provider names, written with + or 00 or bare.
func (a *Admission) Find(user string) (e164.Number, bool) {
	n, err := e164.Parse(user)
	if err != nil {
		n, err = e164.FromDigits(user)
	}
	_, ok := a.Numbers[n]
	return n, err == nil && ok
}
