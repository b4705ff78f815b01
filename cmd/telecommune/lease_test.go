package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// TestTrunkIsReturned: calls go over a trunk that CALL rents, and over the next one as soon as serve has seen that the
// agreement is over; when it is let anew, over the first again, until the midnight on which that agreement ends.
func TestTrunkIsReturned(t *testing.T) {
	var ahead atomic.Int64 // of the clock of this machine
	ctx := context.WithValue(t.Context(), clockKey{}, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	dir := freshState(t)
	do := func(line string) outcome {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(ctx, append(words(line), "--state", dir, "-o", "json"), streams{strings.NewReader(""), &out, &errs})
		if code != 0 {
			t.Fatalf("%s: %s", line, errs.String())
		}
		return outcome{out.String(), errs.String(), code}
	}
	carriers := map[string]*simcarrier.Carrier{}
	for _, code := range []string{"alpha", "beta"} {
		c, err := simcarrier.Start(ctx, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone, HangUp: 300 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		carriers[code] = c
	}
	for _, line := range []string{
		"provider add pstn --address 127.0.0.4",
		"access-number add +493023125002 --provider pstn --country DE --service contact",
		"trunk add alpha --asset line --address " + carriers["alpha"].Addr(),
		"trunk add beta --address " + carriers["beta"].Addr(),
		"deck import --retail retail " + file(t, "retail.csv", "prefix,rate_per_minute\n44,0.12\n"),
		"deck import --trunk alpha " + file(t, "alpha.csv", "prefix,rate_per_minute\n44,0.05\n"),
		"deck import --trunk beta " + file(t, "beta.csv", "prefix,rate_per_minute\n44,0.07\n"),
		"account add dora --call-limit 60", "account topup dora 5.00", "phone add +491713920004 --account dora",
		"contact add --account dora --access-number +493023125002 --to +442079460103",
		"member join dora --enterprise CALL",
	} {
		do(line)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	if why := waysTo(t, do); why != "beta, skipped alpha unlet" {
		t.Errorf("before it is anybody's: %s", why)
	}
	a := serving(ctx, t, dir)
	phone, err := simcarrier.NewPhone(ctx, simcarrier.PhoneConfig{
		Server: a.engine.Addr().String(), Listen: freeAddress("127.0.0.4"), Number: "+491713920004",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	// carries makes calls until one goes over a trunk, for a minute at most.
	carries := func(trunk string) bool {
		t.Helper()
		for begun := time.Now(); time.Since(begun) < time.Minute; {
			before, all := len(carriers[trunk].Calls()), len(carriers["alpha"].Calls())+len(carriers["beta"].Calls())
			call, err := phone.Call(ctx, "+493023125002")
			if err != nil {
				t.Fatal(err)
			}
			await(t, "the aunt to answer and hang up", func() bool {
				calls := slices.Concat(carriers["alpha"].Calls(), carriers["beta"].Calls())
				return len(calls) > all && !slices.ContainsFunc(calls, func(r simcarrier.Record) bool { return !r.Done() })
			})
			call.Hangup()
			if len(carriers[trunk].Calls()) > before {
				return true
			}
		}
		return false
	}
	for _, tt := range []struct{ command, carries, ways, refuses string }{
		{"asset gift line --kind trunk --value 24.00 --life 24 --meter seconds --agreement R1 --lessee CALL --rate 0.01", "alpha", "alpha beta, skipped", ""},
		{"agreement notice R1 --end " + today, "beta", "beta, skipped alpha unlet", string(routing.Unlet)},
		{"asset let line --agreement R2 --bids " + file(t, "bids.csv", "bidder,enterprise,amount\ndora,CALL,1.00\n"), "alpha", "alpha beta, skipped", ""},
	} {
		do(tt.command)
		if !carries(tt.carries) {
			t.Errorf("after %s no call goes over %s", tt.command, tt.carries)
		}
		if ways := waysTo(t, do); ways != tt.ways {
			t.Errorf("after %s: %s, want %s", tt.command, ways, tt.ways)
		}
		if shown := decode[map[string]any](t, do("trunk show alpha").out); shown["refuses"] != tt.refuses {
			t.Errorf("after %s trunk show says that it refuses calls for %q", tt.command, shown["refuses"])
		}
	}
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	do("agreement notice R2 --end " + midnight.Format(time.DateOnly))
	if !carries("alpha") {
		t.Error("the trunk is returned before its day")
	}
	ahead.Store(int64(time.Until(midnight)) + 1)
	if !carries("beta") {
		t.Error("at midnight the trunk is not returned")
	}
	if ways := waysTo(t, do); ways != "beta, skipped alpha unlet" {
		t.Errorf("after midnight: %s", ways)
	}
}

// waysTo tells the ways that `route explain` shows to the aunt's number.
func waysTo(t *testing.T, do func(string) outcome) string {
	t.Helper()
	info := decode[routeInfo](t, do("route explain +442079460103 --account dora").out)
	var ways []string
	for _, c := range info.Candidates {
		ways = append(ways, c.Trunk)
	}
	said := strings.Join(ways, " ") + ", skipped"
	for _, s := range info.Skipped {
		said += " " + s.Trunk + " " + string(s.Reason)
	}
	return said
}
