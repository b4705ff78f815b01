package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/routing"
)

func callCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "call",
		Short: "Look at calls, those that run and those of the past.",
	}
	c.AddCommand(callList(), callShow(), callHangup())
	return c
}

// callInfo is a call with the attempts to reach its number.
type callInfo struct {
	billing.Call
	Attempts []routing.Attempt `json:"attempts"`
}

// callColumns are what the table of calls has room for.
var callColumns = []string{"id", "started_at", "account", "caller", "number", "trunk", "answered_seconds", "price", "outcome"}

func callList() *cobra.Command {
	var account string
	var from, to moment
	c := &cobra.Command{
		Use:   "list",
		Short: "List calls by when they began; one without an end is running.",
		Example: `  telecommune call list --account anna --from 2027-06-01 --to 2027-07-01
  telecommune call list -o json`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				calls, err := callsBetween(ctx, s, account, from, to)
				if err != nil {
					return err
				}
				ids := make([]uuid.UUID, len(calls))
				for i, c := range calls {
					ids[i] = c.ID
				}
				attempts, err := s.trunks.AttemptsOf(ctx, ids)
				if err != nil {
					return err
				}
				rows := make([]callInfo, len(calls))
				for i, c := range calls {
					rows[i] = newCallInfo(c, attempts[c.ID])
					if c.EndedAt == nil && outputFormat(cmd) == formatTable {
						rows[i].Outcome = "(running)"
					}
				}
				return list(cmd, rows, callColumns...)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that made them")
	parsedFlag(c.Flags(), &from, "from", parseMoment, "`TIME` from which they began, an instant or a date in the commune's zone")
	parsedFlag(c.Flags(), &to, "to", parseMoment, "`TIME` before which they began")
	return c
}

// callsBetween lists calls of an account that exists, or of all.
func callsBetween(ctx context.Context, s services, account string, from, to moment) ([]billing.Call, error) {
	if account != "" {
		if _, err := s.billing.Account(ctx, account); err != nil {
			return nil, err
		}
	}
	zone, err := communeZone(ctx, s)
	if err != nil {
		return nil, err
	}
	return s.billing.Calls(ctx, billing.CallFilter{Account: account, From: from.in(zone), To: to.in(zone)})
}

// communeZone is the zone that dates without one are meant in.
func communeZone(ctx context.Context, s services) (*time.Location, error) {
	commune, err := s.billing.Commune(ctx)
	if err != nil {
		return nil, err
	}
	return loadZone(commune.Zone)
}

func callShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a call, the attempts to reach its number, and the plan that it was routed by.",
		Example: "  telecommune call show 01987a3c-5f2e-7c1d-8a4b-0123456789ab",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argument("ID", args[0], parseCallID)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error { return showCall(cmd, s, id) })
		},
	}
}

// callStory is a call with all that is known of how it was reached.
type callStory struct {
	callInfo
	Route *routing.Explanation `json:"route"` // the plan it was routed by; null when none was made
}

func showCall(cmd *cobra.Command, s services, id uuid.UUID) error {
	c, err := s.billing.Call(cmd.Context(), id)
	if err != nil {
		return err
	}
	attempts, err := s.trunks.Attempts(cmd.Context(), id)
	if err != nil {
		return err
	}
	route, err := s.trunks.Route(cmd.Context(), id)
	if err != nil {
		return err
	}
	if err := show(cmd, callStory{newCallInfo(c, attempts), route}); err != nil || outputFormat(cmd) != formatTable {
		return err
	}
	if err := listAttempts(cmd, attempts); err != nil || route == nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "\nThe plan it was routed by:")
	return listRoute(cmd, *route, route.Candidates)
}

// listAttempts writes attempts as a table below a call.
func listAttempts(cmd *cobra.Command, attempts []routing.Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout())
	rows := make([]attemptRow, len(attempts))
	for i, a := range attempts {
		rows[i] = attemptRow{i + 1, a.Trunk, a.Started, a.PDD.Milliseconds(), a.SIP, a.Q850, a.Outcome, a.Suspect}
	}
	return list(cmd, rows)
}

func newCallInfo(c billing.Call, attempts []routing.Attempt) callInfo {
	return callInfo{c, append([]routing.Attempt{}, attempts...)}
}

// attemptRow is an attempt in the table below a call.
type attemptRow struct {
	N       int       `json:"attempt"`
	Trunk   string    `json:"trunk"`
	Started time.Time `json:"started_at"`
	PDD     int64     `json:"pdd_ms"`
	SIP     int       `json:"sip"`
	Q850    int       `json:"q850"`
	Outcome string    `json:"outcome"`
	Suspect string    `json:"suspect"` // why the answer looks false
}

func parseCallID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errors.New("not the id of a call, which `telecommune call list` shows")
	}
	return id, nil
}

// settleTime is how long `call hangup` waits for the end of a call to be in the books.
const settleTime = 10 * time.Second

func callHangup() *cobra.Command {
	return &cobra.Command{
		Use:     "hangup ID",
		Short:   "End a running call, settle it and show it; it asks serve, which must be running.",
		Example: "  telecommune call hangup 01987a3c-5f2e-7c1d-8a4b-0123456789ab",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argument("ID", args[0], parseCallID)
			if err != nil {
				return err
			}
			c, err := config(cmd)
			if err != nil {
				return err
			}
			if err := askServe(c.State).hangup(cmd.Context(), id); err != nil {
				return fmt.Errorf("call %s: %w", id, err)
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if err := awaitEnd(ctx, s, id); err != nil {
					return err
				}
				return showCall(cmd, s, id)
			})
		},
	}
}

// awaitEnd waits until a call that was hung up is settled.
func awaitEnd(ctx context.Context, s services, id uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := s.billing.Call(ctx, id)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("call %s was told to end, and is not settled yet", id)
		case err != nil:
			return err
		case c.EndedAt != nil:
			return nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
