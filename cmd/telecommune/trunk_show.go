package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

// trunkInfo is a trunk with what serve knows of it at this moment.
type trunkInfo struct {
	routing.Trunk
	liveInfo
	trunkToday
}

// liveInfo is what serve knows of a trunk; without serve its health is unknown and the rest is missing.
type liveInfo struct {
	Health     string         `json:"health"`   // healthy, broken, trial or unknown
	Since      *time.Time     `json:"since"`    // when it is healthy, or is not
	Refuses    routing.Reason `json:"refuses"`  // why it takes no call now
	Calls      *int           `json:"calls"`    // channels in use
	UsedDay    *int64         `json:"used_day"` // minutes
	UsedMonth  *int64         `json:"used_month"`
	SpentDay   *money.Amount  `json:"spent_day"`
	SpentMonth *money.Amount  `json:"spent_month"`
	Balance    *money.Amount  `json:"balance"` // with the carrier, if it is prepaid
	Why        string         `json:"why"`     // it is not healthy
}

const healthUnknown = "unknown"

// withLive puts what serve knows beside trunks. That one is let to nobody is known without it.
func withLive(ctx context.Context, s services, serve *control, trunks []routing.Trunk) ([]trunkInfo, error) {
	now := now(ctx)
	leases, err := leasesAt(ctx, s.commune, now)
	if err != nil {
		return nil, err
	}
	live, err := serve.trunks(ctx)
	if err != nil && !errors.Is(err, errNoServe) {
		return nil, err
	}
	infos := make([]trunkInfo, len(trunks))
	for i, t := range trunks {
		infos[i] = trunkInfo{Trunk: t, liveInfo: liveInfo{Health: healthUnknown}}
		if l, known := live[t.Code]; known {
			infos[i].liveInfo = liveInfo{
				string(l.Health), &l.Since, l.Refuses, &l.Calls, &l.MinutesDay, &l.MinutesMonth, &l.SpendDay, &l.SpendMonth, l.Balance, l.Why,
			}
		}
		infos[i].Refuses = cmp.Or(leases.Unlet(t, now), infos[i].Refuses)
	}
	return infos, nil
}

// trunkColumns are what the table of trunks has room for.
var trunkColumns = []string{"code", "carrier", "address", "transport", "channels", "cps", "enabled", "health", "since", "refuses", "calls", "why", "attempts", "asr", "acd"}

func trunkList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the trunks, and how a running serve finds them.",
		Long: `List the trunks, and how a running serve finds them.

Health is healthy, broken (no calls are dialled over it) or trial (the next call decides); since when, and why. Without
serve it is unknown. Refuses says why no call is dialled over it now; unlet, that it is an asset which nobody rents.`,
		Example: "  telecommune trunk list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				trunks, err := s.trunks.Trunks(ctx)
				if err != nil {
					return err
				}
				infos, err := withLive(ctx, s, askServe(c.State), trunks)
				if err != nil {
					return err
				}
				if err := addToday(ctx, s, infos); err != nil {
					return err
				}
				return list(cmd, infos, trunkColumns...)
			})
		},
	}
}

// trunkDetail is all that is known of a trunk.
type trunkDetail struct {
	trunkInfo
	Answers int64  `json:"answers"`        // of the last suspectDays days
	Suspect int64  `json:"suspect"`        // of those that look false
	Sent    string `json:"sent,omitempty"` // what is dialled for the number asked for
}

// suspectDays is how far back false answers are counted.
const suspectDays = 30

func trunkShow() *cobra.Command {
	var number e164.Number
	c := &cobra.Command{
		Use:   "show CODE",
		Short: "Show a trunk, and how a running serve finds it.",
		Long: fmt.Sprintf(`Show a trunk, and how a running serve finds it.

Answers are those of the last %d days, suspect are those among them that look false: nobody said a word, or the answer came
much faster or was over much sooner than is usual of the destination. Passwords are never shown.`, suspectDays),
		Example: `  telecommune trunk show alpha
  telecommune trunk show alpha --number +380441234567`,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				t, err := s.trunks.Trunk(ctx, args[0])
				if err != nil {
					return err
				}
				return showTrunk(cmd, s, t, number)
			})
		},
	}
	parsedFlag(c.Flags(), &number, "number", e164.Parse, "`NUMBER` to show as it would be dialled")
	return c
}

func showTrunk(cmd *cobra.Command, s services, t routing.Trunk, number e164.Number) error {
	c, err := config(cmd)
	if err != nil {
		return err
	}
	infos, err := withLive(cmd.Context(), s, askServe(c.State), []routing.Trunk{t})
	if err != nil {
		return err
	}
	if err := addToday(cmd.Context(), s, infos); err != nil {
		return err
	}
	detail := trunkDetail{trunkInfo: infos[0]}
	since := now(cmd.Context()).AddDate(0, 0, -suspectDays)
	if detail.Answers, detail.Suspect, err = s.trunks.Suspects(cmd.Context(), t.Code, since); err != nil {
		return err
	}
	if number != "" {
		if detail.Sent, err = t.Dial(number); err != nil {
			return err
		}
	}
	return show(cmd, detail)
}
