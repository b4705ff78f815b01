package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// TestAcceptanceCalls tests a trunk whose carrier treats each number in its own way, without serve: what is told, what
// exit code comes of it, and what stands in the books afterwards.
func TestAcceptanceCalls(t *testing.T) {
	carrier, err := simcarrier.Start(t.Context(), simcarrier.CarrierConfig{Numbers: map[string]simcarrier.Behaviour{
		"442079460101": {Sound: simcarrier.Echo, Ring: 200 * time.Millisecond},
		"442079460102": {Sound: simcarrier.Silence},
		"442079460103": {Status: 486},
		"442079460104": {Status: 503, Reason: "Q.850;cause=34"},
		"442079460105": {Sound: simcarrier.NoMedia},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer carrier.Close()
	ok(t, "trunk", "add", "q-alpha", "--address", carrier.Addr(), "--carrier", "q-carrier")
	ok(t, "trunk", "disable", "q-alpha")
	ok(t, "deck", "import", "--trunk", "q-alpha", file(t, "q.csv", "prefix,rate_per_minute,interval_first\n44,0.06,60\n870,0.01,1\n"))
	for _, tt := range []struct {
		why, number string
		code        int
		says        string
		sip, q850   int
		media       pbx.MediaVerdict
		cost        string
	}{
		{"echo", "+442079460101", 0, "", 200, 16, pbx.TwoWay, "0.06"},
		{"silence", "+442079460102", 0, "", 200, 16, pbx.SilentLine, "0.06"},
		{"busy", "+442079460103", exitFailed, "486", 486, 17, pbx.NoMedia, "0.00"},
		{"full", "+442079460104", exitFailed, "503", 503, 34, pbx.NoMedia, "0.00"},
		{"no media", "+442079460105", exitFailed, "not a packet", 200, 16, pbx.NoMedia, "0.06"},
	} {
		r := tcWith(t, "", "trunk", "test", "q-alpha", tt.number, "--seconds", "1", "-o", "json", "--state", state)
		report := decode[testReport](t, r.out)
		if r.code != tt.code || !strings.Contains(r.err, tt.says) {
			t.Errorf("%s: exit %d, %s", tt.why, r.code, r.err)
		}
		if report.SIP != tt.sip || report.Q850 != tt.q850 || report.Media.Verdict != tt.media || report.Cost.String() != tt.cost ||
			(report.Entry == nil) != (tt.cost == "0.00") || len(report.Ladder) < 2 {
			t.Errorf("%s: %+v", tt.why, report)
		}
		call := object(t, "call", "show", report.ID.String())
		if call["outcome"] != "test" || call["account"] != "" || call["carrier_cost"] != tt.cost || call["number"] != tt.number {
			t.Errorf("%s is in the records as %v", tt.why, call)
		}
	}
	if r := tc(t, "trunk", "test", "q-alpha", "+442079460101", "--seconds", "1"); r.code != 0 ||
		!strings.Contains(r.out, "180 Ringing (INVITE)") || !strings.Contains(r.out, "two_way") || !strings.Contains(r.out, "BYE") {
		t.Errorf("the table: %s%s", r.out, r.err)
	}
	// Four answered calls: the enterprise owes their carrier, and nobody paid.
	for _, row := range decode[[]map[string]any](t, ok(t, "books", "trial", "-o", "json")) {
		want := map[any]string{"5000:q-alpha": "0.24", "2200:q-carrier": "-0.24"}[row["account"]]
		if want != "" && row["balance"] != want || row["account"] == "4000:q-alpha" {
			t.Errorf("books: %v", row)
		}
	}
	if figures := object(t, "trunk", "show", "q-alpha"); figures["attempts"].(interface{ String() string }).String() != "0" {
		t.Errorf("test calls count as attempts: %v", figures)
	}
	dialled := len(carrier.Calls())
	for _, refusal := range []struct{ line, says string }{
		{"q-alpha +442079460101 --max-cost 0.05", "cost 0.06, more than 0.05"},
		{"q-alpha +380441234567", "no rate"},
		{"q-alpha +870773111234", "satellite"},
		{"q-alpha +44999", "emergency"},
		{"q-nobody +442079460101", "no such trunk"},
	} {
		args := append([]string{"trunk", "test"}, strings.Fields(refusal.line)...)
		refused(t, exitFailed, []string{refusal.says}, args...)
	}
	refused(t, exitUsage, []string{"at most 120"}, "trunk", "test", "q-alpha", "+442079460101", "--seconds", "121")
	if n := len(carrier.Calls()); n != dialled {
		t.Errorf("%d calls were made that should not be", n-dialled)
	}
}

// TestAcceptanceCallIsLikeOthers: a test call costs by the deck that its trunk shares with another, and shows the number
// that the trunk's policy has it show.
func TestAcceptanceCallIsLikeOthers(t *testing.T) {
	carrier, err := simcarrier.Start(t.Context(), simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Echo}})
	if err != nil {
		t.Fatal(err)
	}
	defer carrier.Close()
	ok(t, "trunk", "add", "s-alpha", "--address", "192.0.2.20:5060")
	ok(t, "deck", "import", "--trunk", "s-alpha", file(t, "s.csv", "prefix,rate_per_minute,interval_first\n44,0.06,60\n"))
	ok(t, "trunk", "add", "s-beta", "--address", carrier.Addr(), "--carrier", "s-carrier", "--deck", "s-alpha")
	const number, ours, caller = "+442079460101", "+493023125001", "+493023125002"
	for i, tt := range []struct{ set, caller, shown string }{
		{"--caller-id pass", "", "anonymous"},
		{"--caller-id pass", caller, caller},
		{"--caller-id pass --caller-number " + ours, "", ours},
		{"--caller-id fixed", caller, ours},
		{"--caller-id verified", caller, caller},
		{"--caller-id withheld", caller, "anonymous"},
	} {
		ok(t, append([]string{"trunk", "set", "s-beta"}, strings.Fields(tt.set)...)...)
		args := []string{"trunk", "test", "s-beta", number, "--seconds", "1"}
		if tt.caller != "" {
			args = append(args, "--caller", tt.caller)
		}
		report := object(t, args...)
		if report["deck"] != "s-alpha@1" || report["cost"] != "0.06" || report["entry"] == nil {
			t.Errorf("by the deck of another trunk: %v", report)
		}
		if calls := carrier.Calls(); len(calls) != i+1 || calls[i].Caller != tt.shown {
			t.Errorf("%s, caller %q: %+v, want %s to be shown", tt.set, tt.caller, calls, tt.shown)
		}
	}
	for _, row := range decode[[]map[string]any](t, ok(t, "books", "trial", "-o", "json")) {
		want := map[any]string{"5000:s-beta": "0.36", "2200:s-carrier": "-0.36"}[row["account"]]
		if want != "" && row["balance"] != want || row["account"] == "5000:s-alpha" {
			t.Errorf("books: %v", row)
		}
	}
}

// TestAcceptanceCallEndedEarly interrupts a test call: it is hung up, and written down with what it cost.
func TestAcceptanceCallEndedEarly(t *testing.T) {
	carrier, err := simcarrier.Start(t.Context(), simcarrier.CarrierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer carrier.Close()
	ok(t, "trunk", "add", "e-alpha", "--address", carrier.Addr())
	ok(t, "deck", "import", "--trunk", "e-alpha", file(t, "e.csv", "prefix,rate_per_minute,interval_first\n44,0.06,60\n"))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		_, _ = carrier.Await(ctx, func(r simcarrier.Record) bool { return r.Heard.Got > 5 })
		interrupt()
	}()
	c := defaultConfig()
	c.State, c.SIP, c.RTPPorts = state, "127.0.0.1:0", ""
	bank, db := bankOf(t)
	s := services{db: db, billing: bank, trunks: routing.NewStore(db.DB)}
	report, err := testWithout(ctx, c, s, testRequest{Trunk: "e-alpha", Number: e164.Number("+442079460101"), Seconds: 60, Most: 1_000_000})
	if err != nil || report.Answered > 10*time.Second || report.Cost.String() != "0.06" || report.Entry == nil {
		t.Errorf("%+v, %v", report, err)
	}
	if r, err := carrier.Await(t.Context(), simcarrier.Record.Done); err != nil || r.How != simcarrier.ByCaller {
		t.Errorf("at the carrier: %+v, %v", r, err)
	}
}
