package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
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
	lookedUp     = 1 << 19 // different numbers, so that no cache holds all that their look-ups touch
	lookUps      = 1 << 10 // a round: shorter than the time that a busy machine leaves a program alone
	lookUpRounds = 301
	bestOf       = 5
	chainBytes   = 64 << 20
	terms        = 400 // different ones that a carrier has: numbers of a network share them
)

func benchRoute() *cobra.Command {
	var prefixes, carriers, rows int
	var seed uint64
	c := &cobra.Command{
		Use:   "route",
		Short: "Measure the choice of trunks in memory, and how long rate decks take to get there.",
		Long: `Measure the choice of trunks in memory, and how long rate decks take to get there.

Every carrier has a rate for every prefix, of three to nine digits. "load" is a load from memory whose address comes out of
the load before, in a chain through 64 MB; what is wanted of "best 5" is two of those and 100 ns. "one trunk" finds the rate
of one carrier, "plan" makes the whole plan of a call with all trunks in it. These take turns in short rounds, of which the
medians count; each look-up of the best waits for the one before. "index" is the memory a prefix that the rates don't take.
"routable" is the time from rows in a database of its own to a snapshot that calls go by, "again" that after an edit of a
trunk.`,
		Example: "  telecommune bench route --prefixes 100000 --carriers 20 --rows 100000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if prefixes < 1 || prefixes > 5_000_000 || carriers < 2 || carriers > 100 || rows < 0 || rows > 2_000_000 {
				return usagef("want 1 to 5000000 prefixes, 2 to 100 carriers and up to 2000000 rows")
			}
			b := newRouteBench(seed, prefixes)
			figures := b.inMemory(carriers)
			if rows > 0 {
				loaded, err := newRouteBench(seed, rows).fromDatabase(cmd.Context())
				if err != nil {
					return err
				}
				figures = append(figures, loaded...)
			}
			return list(cmd, figures)
		},
	}
	c.Flags().IntVar(&prefixes, "prefixes", 1_000_000, "`NUMBER` of prefixes")
	c.Flags().IntVar(&carriers, "carriers", 50, "`NUMBER` of carriers")
	c.Flags().IntVar(&rows, "rows", 1_000_000, "`NUMBER` of rows loaded from a database; 0: none")
	c.Flags().Uint64Var(&seed, "seed", 1, "`NUMBER` that decks and numbers are made of")
	return c
}

type routeBench struct {
	random   *rand.Rand
	prefixes []string
}

func newRouteBench(seed uint64, prefixes int) *routeBench {
	random := rand.New(rand.NewPCG(seed, 1))
	b := &routeBench{random, randomPrefixes(random, prefixes)}
	slices.Sort(b.prefixes)
	return b
}

func benchTrunk(n int) string { return fmt.Sprintf("carrier-%03d", n) }

// deck makes a carrier's deck.
func (b *routeBench) deck(carrier int) tariff.Deck {
	rates := make([]tariff.Row, terms)
	for i := range rates {
		rates[i] = tariff.Trunk.Defaults()
		rates[i].Destination = fmt.Sprint("Network ", i)
		rates[i].RatePerMinute = money.Amount(1_000 + b.random.IntN(20_000))
	}
	deck := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Trunk, Name: benchTrunk(carrier), Currency: "EUR"}, Version: 1}
	deck.Rows = make([]tariff.Row, len(b.prefixes))
	for i, prefix := range b.prefixes {
		deck.Rows[i] = rates[len(prefix)*int(prefix[0])*int(prefix[1])*int(prefix[2])%terms]
		deck.Rows[i].Prefix = prefix
	}
	return deck
}

// decks makes those of so many carriers, one by one, and adds up the time that it takes.
func (b *routeBench) decks(carriers int, took *time.Duration) iter.Seq[tariff.Deck] {
	return func(yield func(tariff.Deck) bool) {
		for carrier := range carriers {
			start := time.Now()
			deck := b.deck(carrier)
			*took += time.Since(start)
			if !yield(deck) {
				return
			}
		}
	}
}

// build makes a snapshot of so many carriers, and tells how long that took and what it weighs.
func (b *routeBench) build(carriers int) (s *routing.Snapshot, took time.Duration, bytes int64) {
	before := heap()
	var trunks []routing.Trunk
	for i := range carriers {
		trunks = append(trunks, routing.Trunk{Code: benchTrunk(i), Enabled: true})
	}
	var making time.Duration
	start := time.Now()
	s = routing.NewSnapshot(trunks, tariff.CollectDecks(b.decks(carriers, &making)))
	took = time.Since(start) - making
	return s, took, heap() - before
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// inMemory measures a snapshot of all carriers. What one carrier more weighs is its rates, so that the rest of what the
// first weighs is the index.
func (b *routeBench) inMemory(carriers int) []routeFigure {
	_, _, first := b.build(1)
	s, took, all := b.build(carriers)
	rates := (all - first) / int64(carriers-1)
	n := float64(len(b.prefixes))
	return append(b.lookUps(s, carriers),
		routeFigure{"build", rounded(took.Seconds()), "s"},
		routeFigure{"index", rounded(float64(first-rates) / n), "bytes a prefix"},
		routeFigure{"rates", rounded(float64(rates) / n), "bytes a row"})
}

func rounded(f float64) float64 { return math.Round(100*f) / 100 }

// lookUps measures single look-ups.
func (b *routeBench) lookUps(s *routing.Snapshot, carriers int) []routeFigure {
	numbers := make([]e164.Number, lookedUp)
	for i := range numbers {
		numbers[i] = e164.Number(("+" + b.prefixes[b.random.IntN(len(b.prefixes))] + "0123456789")[:13])
	}
	at, decks, chain := time.Now(), s.Decks(), b.chain()
	var place uint64
	var best [bestOf]tariff.Offer
	found, first := min(bestOf, carriers), benchTrunk(0)
	last := found
	ways := []struct {
		name string
		do   func(i int)
	}{
		{"load", func(int) { place = chain[place] }},
		{"best 5", func(i int) { last = decks.Offers(numbers[(i+last-found)%lookedUp], at, best[:]) }},
		{"one trunk", func(i int) { decks.Trunk(first, numbers[i%lookedUp], at) }},
		{"plan", func(i int) { s.Plan(at, numbers[i%lookedUp], tariff.Row{}, 0, uint64(i)) }},
	}
	took := make([][]time.Duration, len(ways))
	for round := range lookUpRounds {
		for w := range ways {
			start := time.Now()
			for i := range lookUps {
				ways[w].do((round*len(ways)+w)*lookUps + i)
			}
			took[w] = append(took[w], time.Since(start))
		}
	}
	if last != found || place == math.MaxUint64 {
		panic("numbers without trunks")
	}
	figures := make([]routeFigure, len(ways))
	for w := range ways {
		figures[w] = routeFigure{ways[w].name, rounded(float64(median(took[w]).Nanoseconds()) / lookUps), "ns"}
	}
	wanted := routeFigure{"best 5, wanted", rounded(2*figures[0].Figure + 100), "ns"}
	return slices.Insert(figures, 2, wanted)
}

// chain is a ring of places in memory, each of which names the next.
func (b *routeBench) chain() []uint64 {
	chain := make([]uint64, chainBytes/8)
	order := b.random.Perm(len(chain))
	for i, place := range order {
		chain[place] = uint64(order[(i+1)%len(order)])
	}
	return chain
}

// fromDatabase measures how long one carrier's deck takes to be routable.
func (b *routeBench) fromDatabase(ctx context.Context) (figures []routeFigure, err error) {
	err = withScratch(ctx, func(db scratch) error {
		store, decks := routing.NewStore(db.app), tariff.NewStore(db.app)
		if _, err := store.AddTrunk(ctx, routing.Trunk{Code: benchTrunk(0), Address: "192.0.2.20:5060", Enabled: true}); err != nil {
			return err
		}
		if _, err := decks.Import(ctx, b.deck(0)); err != nil {
			return err
		}
		start := time.Now()
		s, err := store.Load(ctx)
		if err != nil {
			return err
		}
		loaded := time.Now()
		if _, err := store.Reload(ctx, s); err != nil {
			return err
		}
		if len(s.Plan(time.Now(), e164.Number("+"+b.prefixes[0]+"0000"), tariff.Row{}, 0, 0).Candidates) == 0 {
			return errors.New("the deck that was loaded carries no calls")
		}
		figures = []routeFigure{
			{"routable", rounded(loaded.Sub(start).Seconds()), "s"}, {"again", rounded(1000 * time.Since(loaded).Seconds()), "ms"},
		}
		return nil
	})
	return figures, err
}
