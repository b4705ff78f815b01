package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/pbx/sipua"
	"telecommune/routing"
)

func trunkTest() *cobra.Command {
	r := testRequest{Seconds: 10, Most: money.Unit / 2}
	c := &cobra.Command{
		Use:   "test CODE NUMBER",
		Short: "Make an acceptance call over a trunk: its SIP messages, codec, delays, media both ways, cause and cost.",
		Long: fmt.Sprintf(`Make an acceptance call over a trunk: its SIP messages, codec, delays, media both ways, cause and cost.

The call lets a tone be heard and listens. media says what came back: two_way (our tone: call an echo test to have it),
heard (something else), silent, or none. Loss and jitter are those of what came in (RFC 3550). The trunk may be disabled.
What the carrier asks is posted as cost of the trunk, and the call stands in "call list" with outcome "test".

The call is made by serve when that runs, by whatever engine it has, else by an engine of the command's own on another
port. Asterisk shows no SIP messages: the ladder then tells what it said of the call, and first_ms is not measured.
It lasts at most %d seconds, is not made when it could cost more than --max-cost, and Ctrl-C ends it. Exit code 1: it was
not answered, or not a packet came back.`, maxTest),
		Example:           "  telecommune trunk test alpha +4930123456 --seconds 5",
		Args:              takes(2),
		ValidArgsFunction: completeFrom(trunkCodes),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Trunk, r.Actor = args[0], operator()
			if r.Number, err = argument("NUMBER", args[1], e164.Parse); err != nil {
				return err
			}
			if r.Seconds > maxTest {
				return usagef("a test call lasts at most %d seconds", maxTest)
			}
			c, err := config(cmd)
			if err != nil {
				return err
			}
			report, err := askServe(c.State).test(cmd.Context(), r)
			if errors.Is(err, errNoServe) {
				err = with(cmd, func(ctx context.Context, s services) error {
					report, err = testWithout(ctx, c, s, r)
					return err
				})
			}
			if err != nil {
				return err
			}
			return showTest(cmd, report)
		},
	}
	parsedFlag(c.Flags(), &r.Seconds, "seconds", parsePositive, "`SECONDS` from the answer to our hang-up")
	parsedFlag(c.Flags(), &r.Most, "max-cost", parseLimit, "most that the call may cost, `AMOUNT`")
	parsedFlag(c.Flags(), &r.Caller, "caller", e164.Parse, "`NUMBER` of the caller, shown as the trunk's --caller-id has it (default: none, or the trunk's --caller-number)")
	return c
}

// testWithout makes an acceptance call with an engine of our own, on a port that is free, for its length.
func testWithout(ctx context.Context, c Config, s services, r testRequest) (report testReport, err error) {
	routes, err := s.trunks.Load(ctx)
	if err != nil {
		return testReport{}, err
	}
	host, _, err := net.SplitHostPort(c.SIP)
	if err != nil {
		return testReport{}, fmt.Errorf("address for SIP: %w", err)
	}
	nobody := &pbx.Admission{}
	engine, err := sipua.New(sipua.Config{
		Listen: net.JoinHostPort(host, "0"), RTPPorts: c.RTPPorts, Public: c.public(), UserAgent: "telecommune",
		Admission: func() *pbx.Admission { return nobody }, Now: clockOf(ctx),
	})
	if err != nil {
		return testReport{}, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(running, func(context.Context, pbx.Leg) {}) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	a := &acceptance{engine: engine, gate: routing.NewGate(), routes: func() *routing.Snapshot { return routes }, bank: s.billing, now: clockOf(ctx)}
	return a.call(ctx, r)
}

// showTest writes the report, and tells as an error that the trunk did not pass.
func showTest(cmd *cobra.Command, r testReport) error {
	if err := show(cmd, r); err != nil {
		return err
	}
	if outputFormat(cmd) == formatTable {
		out := cmd.OutOrStdout()
		fmt.Fprintln(out)
		if err := list(cmd, []pbx.TestMedia{r.Media}); err != nil {
			return err
		}
		fmt.Fprintln(out)
		if err := list(cmd, r.Ladder); err != nil {
			return err
		}
	}
	switch {
	case r.AnsweredAt == nil:
		return fmt.Errorf("the test call was not answered: %s", r.Failure)
	case r.Media.Verdict == pbx.NoMedia:
		return errors.New("the test call was answered, but not a packet of media came")
	}
	return nil
}
