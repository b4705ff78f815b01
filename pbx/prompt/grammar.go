package prompt

import (
	"slices"
	"strings"

	"telecommune/internal/money"
)

// grammar is how a language says what differs from call to call. Each method gives names of clips in spoken order. A
// further language is one more implementation, its texts, and a line in the table below; the script stays as it is.
type grammar interface {
	// price is the sentence that tells what a minute costs, and the connection when fee is not 0.
	price(perMinute, fee money.Amount, c money.Currency) []string
	// timeToTalk is the sentence that tells how long a call may last.
	timeToTalk(seconds int) []string
}

// grammars is every language there is, by its ISO 639 code. English also speaks for those that are not there.
var grammars = map[string]grammar{"en": english{}}

const fallback = "en"

// decimals splits an amount into whole units, hundredths, and what is left of a hundredth as digits without trailing
// zeros: 1.2595 is 1, 25 and "95". An amount below 0 counts as 0: no price is.
func decimals(a money.Amount) (units, hundredths int, rest string) {
	a = max(a, 0)
	micros := int(a % money.Cent)
	for unit := money.Cent / 10; unit > 0 && micros > 0; unit /= 10 {
		rest += string(rune('0' + micros/int(unit)))
		micros %= int(unit)
	}
	return int(a / money.Unit), int(a % money.Unit / money.Cent), rest
}

// digits gives a clip for each digit.
func digits(s string) []string { return strings.Split(s, "") }

// join makes one list of clips of several.
func join(parts ...[]string) []string { return slices.Concat(parts...) }
