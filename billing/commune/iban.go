package commune

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrIBAN is returned by ParseIBAN.
var ErrIBAN = errors.New("not an IBAN: want something like DE02120300000000202051, check what was typed")

var ibanSyntax = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$`)

// ParseIBAN reads the number of a bank account, blanks or not, by the check digits of ISO 13616: with the first four
// characters behind the others, and letters as 10 to 35, it is 1 modulo 97. ErrIBAN.
func ParseIBAN(s string) (string, error) {
	iban := strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if !ibanSyntax.MatchString(iban) {
		return "", fmt.Errorf("%.40q: %w", s, ErrIBAN)
	}
	rest := 0
	for _, c := range iban[4:] + iban[:4] {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	if rest != 1 {
		return "", fmt.Errorf("%.40q: %w", s, ErrIBAN)
	}
	return iban, nil
}
