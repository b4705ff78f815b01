package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/routing"
)

// routeInfo is what `route explain` shows.
type routeInfo struct {
	routing.Explanation
	Candidates []candidateInfo `json:"candidates"` // in the place of the explanation's
}

// candidateInfo is a trunk that may carry the call.
type candidateInfo struct {
	routing.Way
	Capacity capacity `json:"capacity"`
}

// capacity tells whether a trunk has a channel left.
type capacity string

const (
	capacityFree    capacity = "free"
	capacityUnknown capacity = "unknown" // serve does not run, or another time than now is meant
)

func routeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "route",
		Short: "Look at the ways that calls take, say how they are ranked and what may be called.",
	}
	c.AddCommand(routeExplain(), routePolicy(), routeRule(), routeLimit())
	return c
}

func routeExplain() *cobra.Command {
	var account string
	var at moment
	c := &cobra.Command{
		Use:   "explain NUMBER",
		Short: "Show the trunks that would carry a call to a number, in the order they are tried, and why others would not.",
		Long: fmt.Sprintf(`Show the trunks that would carry a call to a number, in the order they are tried, and why others would not.

Cost is that of a call of %d seconds. The policy of the number ranks the trunks; where they share the calls by weight, this
is one of the orders. A trunk that costs more than the caller pays is skipped, unless the caller's rate allows a loss;
without --account the caller pays by the deck retail, or when that has no rate for the number, nothing is compared. Which
trunks are full, broken or used up only a running serve knows; without it, or for another time than now, their capacity is unknown. For a time
in the past rate decks and exchange rates are those of then; trunks, and what may be called, are as they are now.

"telecommune call show ID" tells the same of a call that was made, as it was decided.`, routing.ExpectedSeconds),
		Example: "  telecommune route explain +380441234567 --account anna",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			c, err := config(cmd)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				when, err := instant(ctx, s, at)
				if err != nil {
					return err
				}
				plan, err := planFor(ctx, s, number, account, when)
				if err != nil {
					return err
				}
				known := capacityUnknown
				if at == "" {
					if plan, known, err = askCapacity(ctx, askServe(c.State), plan); err != nil {
						return err
					}
				}
				return showRoute(cmd, plan, known)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that calls")
	parsedFlag(c.Flags(), &at, "at", parseMoment, "`TIME` of the call, an instant or a date in the commune's zone (default: now)")
	return c
}

// planFor plans a call as the call script would.
func planFor(ctx context.Context, s services, number e164.Number, account string, when time.Time) (routing.Plan, error) {
	p, err := payerOf(ctx, s, account)
	if err != nil {
		return routing.Plan{}, err
	}
	snapshot, err := s.trunks.LoadAt(ctx, when)
	if err != nil {
		return routing.Plan{}, err
	}
	leases, err := leasesAt(ctx, s.commune, when)
	if err != nil {
		return routing.Plan{}, err
	}
	snapshot = snapshot.Let(leases).For(p.enterprise)
	retail, ok := snapshot.Decks().Retail(p.tariff, number, when)
	plan := snapshot.Route(when, number, tariff.Quote{Row: retail}, p.vat, 0)
	if plan.Denied == "" && !ok && account != "" && !snapshot.Ours(number) {
		return routing.Plan{}, p.noRate(number, when)
	}
	return plan, nil
}

// askCapacity takes out the trunks that take no calls now, if a serve runs that knows.
func askCapacity(ctx context.Context, serve *control, plan routing.Plan) (routing.Plan, capacity, error) {
	live, err := serve.trunks(ctx)
	if errors.Is(err, errNoServe) {
		return plan, capacityUnknown, nil
	}
	if err != nil {
		return plan, capacityUnknown, err
	}
	return plan.Without(func(t routing.Trunk) routing.Reason { return live[t.Code].Refuses }), capacityFree, nil
}

func showRoute(cmd *cobra.Command, plan routing.Plan, known capacity) error {
	info := routeInfo{plan.Explain(), []candidateInfo{}}
	for _, way := range info.Explanation.Candidates {
		info.Candidates = append(info.Candidates, candidateInfo{way, known})
	}
	if outputFormat(cmd) == formatJSON {
		return show(cmd, info)
	}
	return listRoute(cmd, info.Explanation, info.Candidates)
}

// listRoute writes an explanation as tables, or its candidates as CSV.
func listRoute[T any](cmd *cobra.Command, e routing.Explanation, candidates []T) error {
	out := cmd.OutOrStdout()
	if e.Denied != "" && outputFormat(cmd) == formatTable {
		fmt.Fprintf(out, "%s may not be called: %s\n\n", e.Number, e.Denied)
	}
	if err := list(cmd, candidates); err != nil || outputFormat(cmd) == formatCSV || len(e.Skipped) == 0 {
		return err
	}
	fmt.Fprintln(out)
	return list(cmd, e.Skipped)
}
