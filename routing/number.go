package routing

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"telecommune/internal/e164"
)

// Rewrite changes the digits that are dialled, written PATTERN=>REPLACEMENT: a regular expression (RE2, as Go's regexp
// has it, without back-tracking) and what each match becomes, with $1 to $9 for its groups. Empty: nothing is changed.
type Rewrite string

const (
	maxRewrite = 300 // bytes
	maxDialled = 40  // characters of what is dialled
)

var (
	// ErrNumberForm is returned by Dial for a number that a trunk's rewrite makes nothing of that can be dialled.
	ErrNumberForm = errors.New("the trunk's number form makes no number of it")

	dialledSyntax     = regexp.MustCompile(`^[0-9+*#]{1,40}$`)
	replacementSyntax = regexp.MustCompile(`^([0-9+*#]|\$[1-9])*$`)
	groupSyntax       = regexp.MustCompile(`\$([1-9])`)
)

// Dial gives the user part of the request URI for n: its digits, Strip of them taken off, Prefix put before, and Rewrite
// applied to that; ErrNumberForm when nothing is left to dial.
func (t Trunk) Dial(n e164.Number) (string, error) {
	digits := n.Digits()
	number := t.Prefix + digits[min(t.Strip, len(digits)):]
	if t.Rewrite == "" {
		return number, nil
	}
	pattern, replacement, err := t.Rewrite.compile()
	if err != nil {
		return "", err
	}
	if number = pattern.ReplaceAllString(number, replacement); !dialledSyntax.MatchString(number) {
		return "", fmt.Errorf("%w: %s becomes %.*q", ErrNumberForm, n, maxDialled, number)
	}
	return number, nil
}

// compile takes the rewrite apart.
func (r Rewrite) compile() (*regexp.Regexp, string, error) {
	expression, replacement, ok := strings.Cut(string(r), "=>")
	switch {
	case len(r) > maxRewrite:
		return nil, "", fmt.Errorf("at most %d bytes", maxRewrite)
	case !ok || expression == "":
		return nil, "", errors.New("PATTERN=>REPLACEMENT, such as ^49=>0")
	case !replacementSyntax.MatchString(replacement):
		return nil, "", errors.New("a replacement of digits, +, *, # and $1 to $9")
	}
	pattern, err := regexp.Compile(expression)
	if err != nil {
		return nil, "", fmt.Errorf("a regular expression (%w)", err)
	}
	return pattern, groupSyntax.ReplaceAllString(replacement, "$${$1}"), nil // $10 is $1 and a 0, not a tenth group
}

// samples are numbers of several lengths that a rewrite must make something of.
var samples = []e164.Number{"+380441234567", "+493012345", "+12025550123"}

// check tells what is wrong with the rewrite, as it would be applied by the trunk.
func (r Rewrite) check(t Trunk) error {
	if r == "" {
		return nil
	}
	pattern, replacement, err := r.compile()
	if err != nil {
		return err
	}
	for group := 9; group > pattern.NumSubexp(); group-- {
		if strings.Contains(replacement, fmt.Sprintf("${%d}", group)) {
			return fmt.Errorf("a group in the pattern for each of the replacement's: it has no $%d", group)
		}
	}
	for _, n := range samples {
		if _, err := t.Dial(n); err != nil {
			return fmt.Errorf("a rewrite that leaves 1 to %d digits, +, * or # (%w)", maxDialled, err)
		}
	}
	return nil
}
