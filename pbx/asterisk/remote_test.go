package asterisk

import (
	"context"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// TestJoined: an Asterisk that somebody else runs, with the lines of docs/asterisk.md, is told of trunks while it runs, and
// again when it was restarted; a trunk that is taken away is forgotten, and a call that runs does not notice.
func TestJoined(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	carrier, err := simcarrier.Start(context.Background(), simcarrier.CarrierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	errs, dial := make(chan error, 1), make(chan struct{})
	r := start(t, func(ctx context.Context, r *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		for {
			select {
			case <-dial:
			case <-ctx.Done():
				return
			}
			to := pbx.Target{Trunk: routing.Trunk{Code: "t"}, Number: friend, RingTimeout: time.Minute, Limit: time.Minute}
			far, err := r.Dial(ctx, in, to)
			if err == nil {
				far.Hangup(pbx.NormalClearing)
			}
			errs <- err
		}
	}, func(c *Config) {
		c.URL, c.User, c.Password, c.Listen = operator.URL, appName, operator.Password, operator.SIP
	})
	reaches := func(what string, want bool) {
		t.Helper()
		for {
			select {
			case dial <- struct{}{}:
			case <-r.ctx.Done():
				t.Fatal(what)
			}
			if err := wait(r, errs); (err == nil) == want {
				return
			}
		}
	}
	running := r.call()
	reaches("no trunk, and yet it carries calls", false)
	r.trunks.Store(&[]routing.Trunk{{Code: "t", Address: carrier.Addr(), Enabled: true, User: "u", Password: "p;w"}})
	reaches("a trunk that was added is not taken up", true)
	r.trunks.Store(&[]routing.Trunk{})
	reaches("a trunk that was removed is not forgotten", false)
	if byPeer, _ := running.EndedByPeer(); byPeer {
		t.Error("the running call was touched")
	}
	r.trunks.Store(&[]routing.Trunk{{Code: "t", Address: carrier.Addr(), Enabled: true}})
	operator.Kill()
	operator.Start()
	for {
		if _, err := r.phone.Call(r.ctx, access.Digits()); err == nil {
			break
		}
		if r.ctx.Err() != nil {
			t.Fatal("no call after a restart")
		}
	}
	reaches("the trunk was not told again", true)
}
