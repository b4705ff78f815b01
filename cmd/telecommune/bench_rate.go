package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// rateFigure is a line of `bench rate`.
type rateFigure struct {
	Rows      int     `json:"rows"` // of the deck
	Measured  string  `json:"measured"`
	Nanos     int64   `json:"ns_per_call"`
	Allocated uint64  `json:"allocations_per_call"`
	Ratio     float64 `json:"ratio"` // to the same with the smallest deck
}

const (
	ratedCalls = 1 << 16 // a round, each to another number, so that no cache holds all their ways through the deck
	rateRounds = 9
)

func benchRate() *cobra.Command {
	var sizes []int
	c := &cobra.Command{
		Use:   "rate",
		Short: "Measure the pricing of calls in memory.",
		Long: `Measure the pricing of calls in memory.

Numbers are spread over the whole deck. "find" looks the row up by longest prefix, "price" does the arithmetic of a call
with increments, "rate" does both and takes the VAT out, "rate in windows" does so with two rows a prefix, one of them for
office hours. The figures are medians of rounds in turn.`,
		Example: "  telecommune bench rate --rows 1000,1000000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range sizes {
				if n < 1 || n > 5_000_000 {
					return usagef("--rows %d: want 1 to 5000000", n)
				}
			}
			var figures []rateFigure
			for _, n := range sizes {
				figures = append(figures, rateFigures(n)...)
			}
			for i := range figures {
				figures[i].Ratio = ratio(figures[i].Nanos, figures[i%(len(figures)/len(sizes))].Nanos)
			}
			return list(cmd, figures)
		},
	}
	c.Flags().IntSliceVar(&sizes, "rows", []int{1_000, 100_000, 1_000_000}, "`NUMBERS` of rows of the decks")
	return c
}

// rateFigures measures with a deck of so many prefixes.
func rateFigures(n int) []rateFigure {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	prefixes := randomPrefixes(random, n)
	numbers := make([]e164.Number, ratedCalls)
	for i := range numbers {
		numbers[i] = e164.Number(("+" + prefixes[random.IntN(n)] + "0123456789")[:13])
	}
	at := time.Now()
	decks := tariff.NewDecks([]tariff.Deck{rateDeck("plain", prefixes, ""), rateDeck("windows", prefixes, "mon-fri 08:00-18:00")})
	row, _ := decks.Retail("plain", numbers[0], at)
	rate := func(name string) func(i int) {
		return func(i int) {
			row, ok := decks.Retail(name, numbers[i], at)
			charge, err := billing.PriceCall(row, row, 19_000_000, 30+i%600)
			if !ok || err != nil || charge.Price == 0 {
				panic(fmt.Sprint("a call without price: ", numbers[i], err))
			}
		}
	}
	names := []string{"find", "price", "rate", "rate in windows"}
	contenders := []*contender{
		{do: func(i int) { decks.Retail("plain", numbers[i], at) }},
		{do: func(i int) { _, _ = row.Price(30 + i%600) }},
		{do: rate("plain")},
		{do: rate("windows")},
	}
	race(rateRounds, ratedCalls, contenders...)
	var figures []rateFigure
	for i, c := range contenders {
		figures = append(figures, rateFigure{
			Rows: n, Measured: names[i], Nanos: median(c.took).Nanoseconds() / ratedCalls, Allocated: median(c.allocated) / ratedCalls,
		})
	}
	return figures
}

// randomPrefixes makes different prefixes of three to nine digits, the longer the more.
func randomPrefixes(random *rand.Rand, n int) []string {
	seen := make(map[string]bool, n)
	prefixes := make([]string, 0, n)
	for len(prefixes) < n {
		p := strconv.Itoa(100_000_000 + random.IntN(900_000_000))[:3+random.IntN(7)]
		if !seen[p] {
			seen[p] = true
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// rateDeck makes a deck with a row for each prefix, and a dearer one for a window when there is one.
func rateDeck(name string, prefixes []string, window tariff.Window) tariff.Deck {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		zone = time.UTC
	}
	deck := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Retail, Name: name, Currency: "EUR", Zone: zone}, Version: 1}
	for i, prefix := range prefixes {
		row := tariff.Retail.Defaults()
		row.Prefix, row.RatePerMinute = prefix, 20_000+money.Amount(i%50)*money.Micro
		row.IntervalFirst, row.IntervalNext = 60, 6
		deck.Rows = append(deck.Rows, row)
		if window != "" {
			row.RatePerMinute, row.Window = 2*row.RatePerMinute, window
			deck.Rows = append(deck.Rows, row)
		}
	}
	return deck
}
