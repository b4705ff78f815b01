package main

import (
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure on this machine what docs/performance.md reports.",
	}
	c.AddCommand(benchRate(), benchRoute(), benchDeck(), benchLedger(), benchVerify(), benchClose(), benchStatement(), benchCalls())
	return c
}

// contender is one of several ways that are measured side by side.
type contender struct {
	do        func(i int) // one operation, the i-th
	took      []time.Duration
	allocated []uint64
}

// race lets contenders run in turns, so that what else the machine does strikes them all alike. Each does so many
// operations a round.
func race(rounds, operations int, contenders ...*contender) {
	for range rounds {
		for _, c := range contenders {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			for i := range operations {
				c.do(i)
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			c.took = append(c.took, took)
			c.allocated = append(c.allocated, after.Mallocs-before.Mallocs)
		}
	}
}

// ratio gives how many times b goes into a, to two decimals.
func ratio(a, b int64) float64 { return math.Round(100*float64(a)/float64(max(b, 1))) / 100 }

// median gives the middle one of a contender's rounds.
func median[T ~int64 | ~uint64](rounds []T) T {
	sorted := slices.Sorted(slices.Values(rounds))
	return sorted[len(sorted)/2]
}
