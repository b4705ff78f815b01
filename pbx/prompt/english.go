package prompt

import (
	"strconv"

	"telecommune/internal/money"
)

// english is the grammar of English. Its clips are in texts/en.txt.
type english struct{}

// coin is the names of a currency's unit and of its hundredth, for one and for more.
type coin struct{ unit, units, part, parts string }

var englishCoins = map[money.Currency]coin{
	"EUR": {"euro", "euros", "cent", "cents"},
	"USD": {"dollar", "dollars", "cent", "cents"},
	"GBP": {"pound", "pounds", "penny", "pence"},
	"CHF": {"franc", "francs", "cent", "cents"},
}

var englishOther = coin{"unit", "units", "hundredth", "hundredths"}

func (e english) price(perMinute, fee money.Amount, c money.Currency) []string {
	switch {
	case perMinute == 0 && fee == 0:
		return []string{"free-call"}
	case perMinute == 0:
		return join([]string{"this-call-costs"}, e.money(fee, c), []string{"to-connect"})
	case fee == 0:
		return join([]string{"this-call-costs"}, e.money(perMinute, c), []string{"a-minute"})
	}
	return join([]string{"this-call-costs"}, e.money(perMinute, c), []string{"a-minute", "plus"},
		e.money(fee, c), []string{"to-connect"})
}

func (e english) timeToTalk(seconds int) []string {
	n, one, more := seconds/60, "minute", "minutes"
	if seconds < 60 {
		n, one, more = seconds, "second", "seconds"
	}
	return join([]string{"you-can-talk-for"}, e.number(n), []string{plural(n == 1, one, more)})
}

// money says an amount: "one euro and twenty five cents", "one point nine cents".
func (e english) money(a money.Amount, c money.Currency) []string {
	coin, ok := englishCoins[c]
	if !ok {
		coin = englishOther
	}
	units, parts, rest := decimals(a)
	var said []string
	if units > 0 {
		said = append(e.number(units), plural(units == 1, coin.unit, coin.units))
		if parts == 0 && rest == "" {
			return said
		}
		said = append(said, "and")
	}
	said = append(said, e.number(parts)...)
	if rest != "" {
		said = append(append(said, "point"), digits(rest)...)
	}
	return append(said, plural(parts == 1 && rest == "", coin.part, coin.parts))
}

// number says a whole number from 0 on: "twelve thousand three hundred and forty five".
func (e english) number(n int) []string {
	switch {
	case n < 0:
		return e.number(0)
	case n <= 20 || n < 100 && n%10 == 0:
		return []string{strconv.Itoa(n)}
	case n < 100:
		return join(e.number(n-n%10), e.number(n%10))
	case n < 1000:
		return e.above(n, 100, "hundred")
	case n < 1_000_000:
		return e.above(n, 1000, "thousand")
	}
	return digits(strconv.Itoa(n)) // nobody talks or pays for so long
}

// above says a number of hundreds or thousands and what comes after. "And" stands before the last two digits.
func (e english) above(n, scale int, name string) []string {
	said, rest := append(e.number(n/scale), name), n%scale
	if rest == 0 {
		return said
	}
	if rest < 100 {
		said = append(said, "and")
	}
	return append(said, e.number(rest)...)
}

func plural(one bool, singular, plural string) string {
	if one {
		return singular
	}
	return plural
}
