package prompt

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"telecommune/internal/money"
)

// said turns clips back into the text that is heard.
func said(clips []string) string {
	texts, words := Texts("en"), []string{}
	for _, clip := range clips {
		words = append(words, texts[clip])
	}
	return strings.Join(words, " ")
}

func TestEnglishNumbers(t *testing.T) {
	for n, want := range map[int]string{
		0:         "zero",
		1:         "one",
		12:        "twelve",
		20:        "twenty",
		21:        "twenty one",
		40:        "forty",
		99:        "ninety nine",
		100:       "one hundred",
		101:       "one hundred and one",
		120:       "one hundred and twenty",
		999:       "nine hundred and ninety nine",
		1000:      "one thousand",
		1001:      "one thousand and one",
		1100:      "one thousand one hundred",
		12_345:    "twelve thousand three hundred and forty five",
		100_000:   "one hundred thousand",
		999_999:   "nine hundred and ninety nine thousand nine hundred and ninety nine",
		1_234_567: "one two three four five six seven",
		-3:        "zero",
	} {
		if got := said(english{}.number(n)); got != want {
			t.Errorf("number %d = %q, want %q", n, got, want)
		}
	}
}

func TestEnglishPrices(t *testing.T) {
	for _, tc := range []struct {
		rate, fee money.Amount
		currency  money.Currency
		want      string
	}{
		{0, 0, "EUR", "This call is free."},
		{19_000, 0, "EUR", "This call costs one point nine cents a minute"},
		{10_000, 0, "EUR", "This call costs one cent a minute"},
		{10_500, 0, "EUR", "This call costs one point zero five cents a minute"},
		{8_000, 0, "EUR", "This call costs zero point eight cents a minute"},
		{1, 0, "EUR", "This call costs zero point zero zero zero one cents a minute"},
		{250_000, 0, "EUR", "This call costs twenty five cents a minute"},
		{1_000_000, 0, "EUR", "This call costs one euro a minute"},
		{2_000_000, 0, "EUR", "This call costs two euros a minute"},
		{1_010_000, 0, "USD", "This call costs one dollar and one cent a minute"},
		{1_259_500, 0, "EUR", "This call costs one euro and twenty five point nine five cents a minute"},
		{10_000, 0, "GBP", "This call costs one penny a minute"},
		{3_000_000, 0, "GBP", "This call costs three pounds a minute"},
		{20_000, 0, "XDR", "This call costs two hundredths a minute"},
		{19_000, 50_000, "EUR", "This call costs one point nine cents a minute plus five cents to connect"},
		{0, 50_000, "EUR", "This call costs five cents to connect"},
	} {
		if got := said(english{}.price(tc.rate, tc.fee, tc.currency)); got != tc.want {
			t.Errorf("price of %s + %s %s = %q, want %q", tc.rate, tc.fee, tc.currency, got, tc.want)
		}
	}
}

func TestEnglishTimes(t *testing.T) {
	for seconds, want := range map[int]string{
		1:    "You can talk for one second",
		8:    "You can talk for eight seconds",
		59:   "You can talk for fifty nine seconds",
		60:   "You can talk for one minute",
		119:  "You can talk for one minute", // whole minutes: rather less than it will be
		7200: "You can talk for one hundred and twenty minutes",
	} {
		if got := said(english{}.timeToTalk(seconds)); got != want {
			t.Errorf("time of %d s = %q, want %q", seconds, got, want)
		}
	}
}

// Whatever is said, there is a text for each clip, and it is not long.
func TestEnglishHasAllItSays(t *testing.T) {
	texts := Texts("en")
	rapid.Check(t, func(t *rapid.T) {
		amount := func(name string) money.Amount { return money.Amount(rapid.Int64().Draw(t, name)) }
		currency := rapid.SampledFrom([]money.Currency{"EUR", "USD", "GBP", "CHF", "JPY", ""}).Draw(t, "currency")
		clips := english{}.price(amount("rate"), amount("fee"), currency)
		clips = append(clips, english{}.timeToTalk(rapid.Int().Draw(t, "seconds"))...)
		if len(clips) > 70 {
			t.Fatalf("%d clips", len(clips))
		}
		for _, clip := range clips {
			if texts[clip] == "" {
				t.Fatalf("no text for %q", clip)
			}
		}
	})
}
