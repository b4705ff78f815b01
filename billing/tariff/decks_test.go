package tariff_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

var noon = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// deckOf makes a retail deck of prefix=cents pairs; a pair may have @from or @from..to in hours after noon.
func deckOf(name string, version int, activeFrom time.Time, pairs ...string) tariff.Deck {
	d := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Retail, Name: name, Currency: "EUR", ActiveFrom: activeFrom}, Version: version}
	for _, pair := range pairs {
		pair, times, _ := strings.Cut(pair, "@")
		row := tariff.Retail.Defaults()
		var cents int64
		if _, err := fmt.Sscanf(strings.Replace(pair, "=", " ", 1), "%s %d", &row.Prefix, &cents); err != nil {
			panic(err)
		}
		row.RatePerMinute = money.Amount(cents) * money.Cent
		hour := func(s string) (t time.Time) {
			if d, err := time.ParseDuration(s + "h"); err == nil {
				t = noon.Add(d)
			}
			return t
		}
		from, to, _ := strings.Cut(times, "..")
		row.EffectiveFrom, row.EffectiveTo = hour(from), hour(to)
		d.Rows = append(d.Rows, row)
	}
	return d
}

func TestDecks(t *testing.T) {
	decks := tariff.NewDecks([]tariff.Deck{
		deckOf("std", 2, noon, "380=20", "38=15"),
		deckOf("std", 1, noon.Add(-time.Hour), "380=10", "44=5"),
		deckOf("std", 3, noon, "380=30", "3=1", "38044=31@1", "380441=32@..1", "7=1@0..1", "7=2@1..2"),
		deckOf("std", 4, noon.Add(4*time.Hour), "1=1"),
		deckOf("other", 1, noon, "380=99"),
	})
	for _, c := range []struct {
		proves string
		name   string
		number e164.Number
		hours  float64
		want   string
	}{
		{"no version is in force yet", "std", "+380441234567", -2, ""},
		{"the first version up to its successor", "std", "+380441234567", -0.001, "std@1 380 0.10"},
		{"equal starts: the higher version, from its first instant", "std", "+380671234567", 0, "std@3 380 0.30"},
		{"an older version's prefix does not count any more", "std", "+441234567", 0, ""},
		{"the longest prefix", "std", "+380441234567", 0.5, "std@3 380441 0.32"},
		{"a row's end is not in it; the shorter prefix is in force by then", "std", "+380441234567", 1, "std@3 38044 0.31"},
		{"a longer prefix not yet in force falls back to the shorter", "std", "+380449999999", 0.999, "std@3 380 0.30"},
		{"a shorter prefix takes what no longer one has", "std", "+390123456", 0, "std@3 3 0.01"},
		{"one prefix, two times: the first", "std", "+79991234567", 0.5, "std@3 7 0.01"},
		{"one prefix, two times: the second", "std", "+79991234567", 1.5, "std@3 7 0.02"},
		{"one prefix, two times: past both", "std", "+79991234567", 2, ""},
		{"a later version", "std", "+18005551234", 4, "std@4 1 0.01"},
		{"another deck", "other", "+380441234567", 4, "other@1 380 0.99"},
		{"no such deck", "none", "+380441234567", 0, ""},
		{"no number", "std", "", 0, ""},
		{"not a number", "std", "+38x", 0, "std@3 3 0.01"},
	} {
		row, ok := decks.Retail(c.name, c.number, noon.Add(time.Duration(c.hours*float64(time.Hour))))
		got := ""
		if ok {
			got = fmt.Sprintf("%s %s %v", row.Deck, row.Prefix, row.RatePerMinute)
		}
		if got != c.want || ok && row.Currency != "EUR" {
			t.Errorf("%s: %q in %q, want %q", c.proves, got, row.Currency, c.want)
		}
	}
	if _, ok := decks.Trunk("std", "+380441234567", noon); ok {
		t.Error("a retail deck was taken for a trunk's")
	}
}

func TestDecksFindTheLongestPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SliceOfNDistinct(rapid.StringMatching(`[1-9][0-3]{0,5}`), 0, 40, rapid.ID).Draw(t, "prefixes")
		deck := deckOf("std", 1, noon)
		for _, p := range prefixes {
			deck.Rows = append(deck.Rows, tariff.Row{Prefix: p})
		}
		number := rapid.StringMatching(`[1-9][0-3]{3,9}`).Draw(t, "number")
		want := ""
		for _, p := range prefixes {
			if strings.HasPrefix(number, p) && len(p) > len(want) {
				want = p
			}
		}
		row, ok := tariff.NewDecks([]tariff.Deck{deck}).Retail("std", e164.Number("+"+number), noon)
		if row.Prefix != want || ok != (want != "") {
			t.Fatalf("%s: %q, want %q", number, row.Prefix, want)
		}
	})
}

func TestDecksLookUpAllocatesNothing(t *testing.T) {
	decks := tariff.NewDecks([]tariff.Deck{deckOf("std", 1, noon, "3=1", "38=2", "380=3")})
	if n := testing.AllocsPerRun(100, func() { decks.Retail("std", "+380441234567", noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecks(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			decks := tariff.NewDecks([]tariff.Deck{sample(carrier(), n)})
			numbers := make([]e164.Number, 4096)
			for i := range numbers {
				numbers[i] = e164.Number(fmt.Sprintf("+%d", 10_000_000_000+rand.Int64N(89_999_999_999)))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				decks.Trunk("T1", numbers[i%len(numbers)], noon)
			}
		})
	}
}
