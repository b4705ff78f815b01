package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
)

// TestBesideServe sets a service up by commands, which bring their database with them, lets serve take it over, and makes
// a real call: commands then see it, the full trunk it leaves, and can end it.
func TestBesideServe(t *testing.T) {
	dir := freshState(t)
	ctx := t.Context()
	carrier, err := simcarrier.Start(ctx, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Echo}})
	if err != nil {
		t.Fatal(err)
	}
	defer carrier.Close()
	beside := func(line string) outcome {
		return tcWith(t, "", append(strings.Fields(line), "--state", dir, "-o", "json")...)
	}
	for _, line := range []string{
		"provider add pstn --address 127.0.0.3",
		"access-number add +493023125002 --provider pstn --country DE --service contact",
		"trunk add alpha --channels 1 --address " + carrier.Addr(),
		"deck import --retail retail " + file(t, "retail.csv", "prefix,rate_per_minute\n44,0.12\n"),
		"deck import --trunk alpha " + file(t, "alpha.csv", "prefix,rate_per_minute\n44,0.05\n"),
		"account add dora", "account topup dora 5.00", "phone add +491713920004 --account dora",
		"contact add --account dora --access-number +493023125002 --to +442079460103",
	} {
		if r := beside(line); r.code != 0 {
			t.Fatalf("%s: %s", line, r.err)
		}
	}
	explained := decode[routeInfo](t, beside("route explain +442079460103").out)
	if len(explained.Candidates) != 1 || explained.Candidates[0].Capacity != capacityUnknown {
		t.Errorf("without serve: %+v", explained)
	}
	args := []string{"call", "hangup", "01987a3c-5f2e-7c1d-8a4b-0123456789ab", "--state", dir}
	checkRefusal(t, tcWith(t, "", args...), exitFailed, []string{"serve is not running"}, args)

	a := serving(ctx, t, dir)

	second := []string{"serve", "--state", dir, "--sip", "127.0.0.1:0", "--http", "127.0.0.1:0"}
	checkRefusal(t, tcWith(t, "", second...), exitFailed, []string{dir, "in use"}, second)

	phone, err := simcarrier.NewPhone(ctx, simcarrier.PhoneConfig{
		Server: a.engine.Addr().String(), Listen: "127.0.0.3:0", Number: "+491713920004",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	if explained := decode[routeInfo](t, beside("route explain +442079460103").out); len(explained.Candidates) != 1 ||
		explained.Candidates[0].Capacity != capacityFree {
		t.Errorf("with serve: %+v", explained)
	}
	call, err := phone.Call(ctx, "+493023125002")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := carrier.Await(ctx, func(r simcarrier.Record) bool { return !r.Answered.IsZero() }); err != nil {
		t.Fatal(err)
	}

	calls := decode[[]map[string]any](t, beside("call list").out)
	if len(calls) != 1 || calls[0]["ended_at"] != nil || calls[0]["account"] != "dora" {
		t.Fatalf("while it runs: %v", calls)
	}
	if table := tcWith(t, "", "call", "list", "--state", dir).out; !strings.Contains(table, "(running)") {
		t.Errorf("the table does not mark it:\n%s", table)
	}
	explained = decode[routeInfo](t, beside("route explain +442079460103").out)
	if len(explained.Candidates) != 0 || len(explained.Skipped) != 1 || explained.Skipped[0].Reason != "full" {
		t.Errorf("while the only channel is taken: %+v", explained)
	}
	busy := decode[[]map[string]any](t, beside("trunk list").out)[0]
	if busy["health"] != "healthy" || busy["refuses"] != "full" || fmt.Sprint(busy["calls"]) != "1" || busy["since"] == nil {
		t.Errorf("the trunk that is full: %v", busy)
	}
	a.gate.Registered("alpha", "not registered: 403")
	broken := decode[map[string]any](t, beside("trunk show alpha").out)
	if broken["health"] != "broken" || broken["refuses"] != "unhealthy" || broken["why"] != "not registered: 403" {
		t.Errorf("the trunk that is broken: %v", broken)
	}
	a.gate.Registered("alpha", "")
	live, err := askServe(dir).live(ctx)
	if err != nil || len(live) != 1 || live[0].ID.String() != calls[0]["id"] {
		t.Errorf("on the line: %+v, %v", live, err)
	}

	r := beside("call hangup " + calls[0]["id"].(string))
	if r.code != 0 {
		t.Fatal(r.err)
	}
	hungUp := decode[map[string]any](t, r.out)
	if hungUp["ended_at"] == nil || hungUp["entry"] == nil || hungUp["outcome"] != "answered" {
		t.Errorf("hung up: %v", hungUp)
	}
	select {
	case <-call.Done():
	case <-time.After(10 * time.Second):
		t.Error("the phone was not hung up")
	}
	for range 2 { // a test call takes the one channel, and gives it back
		if r := beside("trunk test alpha +442079460103 --seconds 1"); r.code != 0 || decode[testReport](t, r.out).Media.Verdict != pbx.TwoWay {
			t.Errorf("test call by serve: exit %d, %s%s", r.code, r.out, r.err)
		}
	}
	again := []string{"call", "hangup", calls[0]["id"].(string), "--state", dir}
	checkRefusal(t, tcWith(t, "", again...), exitFailed, []string{"no such call in progress"}, again)

	for _, f := range decode[[]finding](t, beside("doctor").out) {
		if f.Check == "serve" && f.Status == good {
			return
		}
	}
	t.Error("doctor does not see serve")
}

func TestControlOfNobody(t *testing.T) {
	for what, dir := range map[string]string{
		"no folder":                    filepath.Join(t.TempDir(), "none"),
		"no socket":                    t.TempDir(),
		"a path too long for a socket": filepath.Join(t.TempDir(), strings.Repeat("long", 40)),
	} {
		if _, err := askServe(dir).live(t.Context()); err != errNoServe {
			t.Errorf("%s: %v, want %v", what, err, errNoServe)
		}
	}
}

// serving runs a serve on a state folder until the test ends.
func serving(ctx context.Context, t *testing.T, dir string) *app {
	t.Helper()
	c := defaultConfig()
	c.State, c.SIP, c.HTTP, c.RTPPorts, c.Prompts = dir, "127.0.0.1:0", "127.0.0.1:0", "", nil
	a, err := openApp(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	t.Cleanup(func() {
		a.exchange.HangupAll()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}
