package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/clock"
	"telecommune/internal/money"
	"telecommune/routing"
)

// qualityColumns are what the table of figures has room for.
var qualityColumns = []string{
	"from", "trunk", "country", "prefix", "attempts", "answered", "asr", "ner", "acd", "pdd_ms", "answered_seconds", "cost",
	"margin", "failures",
}

func trunkQuality() *cobra.Command {
	by := choice{string(routing.ByTrunk), []string{string(routing.ByTrunk), string(routing.ByCountry), string(routing.ByPrefix)}}
	window := choice{string(routing.Whole), []string{string(routing.Quarter), string(routing.Day), string(routing.Month), string(routing.Whole)}}
	var from, to moment
	c := &cobra.Command{
		Use:   "quality [CODE]",
		Short: "Show how good trunks are: answers, delays, failures by cause, minutes, cost and margin.",
		Long: `Show how good trunks are: answers, delays, failures by cause, minutes, cost and margin.

Of attempts over the trunk: asr is the percentage that was answered (ITU-T E.411), ner the percentage that reached the far
party, whether it answered, was busy, declined or let it ring (E.425). acd is the average conversation in seconds, pdd_ms
the average time from the INVITE to the ringing in milliseconds. margin is what callers paid, less VAT, less cost.
Failures are SIP status/Q.850 cause:attempts. Calls count in the window in which they were tried, once they are over.`,
		Example: `  telecommune trunk quality
  telecommune trunk quality alpha --by prefix --window day --from 2027-06-01 --to 2027-07-01 -o csv`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				f := routing.FigureFilter{By: routing.Grain(by.value), Window: routing.Window(window.value)}
				if len(args) == 1 {
					t, err := s.trunks.Trunk(ctx, args[0])
					if err != nil {
						return err
					}
					f.Trunk = t.Code
				}
				return lists(figuresOf(ctx, s, f, from, to))(cmd, qualityColumns...)
			})
		},
	}
	c.Flags().Var(&by, "by", "`GRAIN`: trunk, country (of each trunk) or prefix (of each country)")
	c.Flags().Var(&window, "window", "`TIME` that one row is of: 15m, day, month, or all")
	parsedFlag(c.Flags(), &from, "from", parseMoment, "`TIME` from which attempts began, an instant or a date in the commune's zone (default: today)")
	parsedFlag(c.Flags(), &to, "to", parseMoment, "`TIME` before which they began")
	return c
}

// figuresOf counts what is not counted yet and adds up, from today on unless told otherwise.
func figuresOf(ctx context.Context, s services, f routing.FigureFilter, from, to moment) ([]routing.Figures, error) {
	zone, err := communeZone(ctx, s)
	if err != nil {
		return nil, err
	}
	f.Zone, f.From, f.To = zone.String(), from.in(zone), to.in(zone)
	if from == "" {
		today := now(ctx).In(zone)
		f.From = clock.Midnight(today.Year(), today.Month(), today.Day(), zone)
	}
	if err := s.trunks.Count(ctx); err != nil {
		return nil, err
	}
	return s.trunks.Figures(ctx, f)
}

// trunkToday is the main figures of a trunk today.
type trunkToday struct {
	Attempts int64           `json:"attempts"`
	Answered int64           `json:"answered"`
	ASR      *tariff.Percent `json:"asr"`
	NER      *tariff.Percent `json:"ner"`
	ACD      *int64          `json:"acd"`
	PDD      *int64          `json:"pdd_ms"`
	Seconds  int64           `json:"answered_seconds"`
	Cost     money.Amount    `json:"cost"`
	Margin   money.Amount    `json:"margin"`
}

// addToday puts today's figures beside trunks.
func addToday(ctx context.Context, s services, infos []trunkInfo) error {
	figures, err := figuresOf(ctx, s, routing.FigureFilter{By: routing.ByTrunk, Window: routing.Whole}, "", "")
	if err != nil {
		return err
	}
	today := map[string]trunkToday{}
	for _, f := range figures {
		today[f.Trunk] = trunkToday{f.Attempts, f.Answered, f.ASR, f.NER, f.ACD, f.PDD, f.Seconds, f.Cost, f.Margin}
	}
	for i := range infos {
		infos[i].trunkToday = today[infos[i].Code]
	}
	return nil
}
