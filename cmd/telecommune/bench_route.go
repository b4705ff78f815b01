package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

// routeFigure is a line of `bench route`.
type routeFigure struct {
	Measured string  `json:"measured"`
	Figure   float64 `json:"figure"`
	Unit     string  `json:"unit"`
}

const (
	lookUps      = 1 << 16 // a round, each of another number
	lookUpRounds = 9
	bestOf       = 5
	chainBytes   = 64 << 20
)

// routeBench is what numbers are looked up in.
type routeBench struct {
	seed     uint64
	carriers int
	prefixes []string
	random   *rand.Rand
}

func benchRoute() *cobra.Command {
	var prefixes, carriers int
	var seed uint64
	c := &cobra.Command{
		Use:   "route",
		Example: "  telecommune bench route --prefixes 100000 --carriers 20",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := newRouteBench(seed, prefixes, carriers)
			var figures []routeFigure
			one, _ := b.weigh(1)
			all, s := b.weigh(carriers)
			fmt.Println(one, all)
			figures = append(figures, b.lookUps(s)...)
			return list(cmd, figures)
		},
	}
	c.Flags().IntVar(&prefixes, "prefixes", 1_000_000, "`NUMBER` of prefixes that each carrier has a rate for")
	c.Flags().IntVar(&carriers, "carriers", 50, "`NUMBER` of carriers")
	c.Flags().Uint64Var(&seed, "seed", 1, "`NUMBER` that decks and numbers are made of")
	return c
}

func newRouteBench(seed uint64, prefixes, carriers int) *routeBench {
	random := rand.New(rand.NewPCG(seed, 1))
	b := &routeBench{seed: seed, carriers: carriers, prefixes: randomPrefixes(random, prefixes), random: random}
	slices.Sort(b.prefixes)
	return b
}

// decks makes the decks of so many carriers one by one. A carrier asks the same for all prefixes of a network.
func (b *routeBench) decks(carriers int) iter.Seq[tariff.Deck] {
	return func(yield func(tariff.Deck) bool) {
		for carrier := range carriers {
			deck := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Trunk, Name: benchTrunk(carrier), Currency: "EUR"}, Version: 1}
			random := rand.New(rand.NewPCG(b.seed, uint64(carrier)))
			rates := make([]money.Amount, 8192)
			for i := range rates {
				rates[i] = money.Amount(1000 + random.IntN(20_000))
			}
			deck.Rows = make([]tariff.Row, 0, len(b.prefixes))
			for _, prefix := range b.prefixes {
				row := tariff.Trunk.Defaults()
				network := 0
				for _, d := range prefix[:min(len(prefix),5)] {
					network = 10*network + int(d-'0')
				}
				row.Prefix, row.Destination = prefix, prefix[:3]
				row.RatePerMinute = rates[network%len(rates)]
				row.IntervalFirst, row.IntervalNext = 1, 1
				deck.Rows = append(deck.Rows, row)
			}
			if !yield(deck) {
				return
			}
		}
	}
}

func benchTrunk(n int) string { return fmt.Sprintf("carrier-%03d", n) }

func (b *routeBench) weigh(carriers int) (int64, *routing.Snapshot) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	decks := tariff.CollectDecks(b.decks(carriers))
	fmt.Println("build", time.Since(start))
	runtime.GC()
	runtime.ReadMemStats(&after)
	var trunks []routing.Trunk
	for i := range carriers {
		trunks = append(trunks, routing.Trunk{Code: benchTrunk(i), Enabled: true})
	}
	return int64(after.HeapAlloc - before.HeapAlloc), routing.NewSnapshot(trunks, decks)
}

func (b *routeBench) lookUps(s *routing.Snapshot) []routeFigure {
	numbers := make([]e164.Number, lookUps)
	for i := range numbers {
		numbers[i] = e164.Number(("+" + b.prefixes[b.random.IntN(len(b.prefixes))] + "0123456789")[:13])
	}
	chain := make([]uint64, chainBytes/8)
	order := b.random.Perm(len(chain))
	for i := range order {
		chain[order[i]] = uint64(order[(i+1)%len(order)])
	}
	at := time.Now()
	place := uint64(0)
	var best [bestOf]tariff.Offer
	last := 0
	decks := s.Decks()
	contenders := []*contender{
		{do: func(int) { place = chain[place] }},
		{do: func(i int) { decks.Offers(numbers[i], at, best[:]) }},
		{do: func(i int) { last = decks.Offers(numbers[(i+last)%lookUps], at, best[:]) }},
		{do: func(i int) { decks.Trunk("carrier-000", numbers[i], at) }},
		{do: func(i int) { s.Plan(at, numbers[i], tariff.Row{}, 0, 1) }},
	}
	race(lookUpRounds, lookUps, contenders...)
	var figures []routeFigure
	for i, c := range contenders {
		figures = append(figures, routeFigure{[]string{"chain", "best", "best dep", "one", "plan"}[i], float64(median(c.took).Nanoseconds())/lookUps, "ns"})
	}
	return figures
}
