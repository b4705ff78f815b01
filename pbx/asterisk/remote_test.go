package asterisk

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
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

// TestToldByAnEarlierRun: a run finds what an earlier one has told, and takes out the address and the user that a provider
// had then. What is the operator's own stays.
func TestToldByAnEarlierRun(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	operator.Rewrite("pjsip.conf", func(old string) string {
		return old + "\n[desk]\ntype = endpoint\ncontext = telecommune\nidentify_by = auth_username\nallow = all\n"
	})
	operator.Kill()
	operator.Start()
	a := newARIAs(operator.URL, appName, operator.Password)
	t.Cleanup(a.http.CloseIdleConnections)
	tell := func(providers ...pbx.Provider) { // by a run of its own
		t.Helper()
		startup, err := a.startup(t.Context())
		if err == nil {
			err = (&remote{ari: a}).tell(t.Context(), startup, peerObjects(providers, nil, time.Minute))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	matches := func(o object) []string {
		t.Helper()
		var fields []field
		if status, err := a.send(t.Context(), http.MethodGet, o.path(), nil, &fields); err != nil && status != http.StatusNotFound {
			t.Fatal(err)
		}
		var all []string
		for _, f := range fields {
			if f.Attribute == "match" {
				all = append(all, f.Value)
			}
		}
		return all
	}
	old := pbx.Provider{Code: "pstn", Address: netip.MustParsePrefix("192.0.2.0/24")}
	other := pbx.Provider{Code: "pstn", Address: netip.MustParsePrefix("198.51.100.1/32")}
	was := named(peerObjects([]pbx.Provider{old}, nil, time.Minute))
	tell(old, pbx.Provider{Code: "voip", User: "leaked", Password: "x"})
	if m := matches(was[2]); len(m) != 1 || m[0] != "192.0.2.0/255.255.255.0" {
		t.Fatalf("the provider is told by %v", m)
	}
	tell(other, pbx.Provider{Code: "voip", User: "fresh", Password: "y"})
	for _, o := range append(was, peerObjects([]pbx.Provider{old}, nil, time.Minute)...) {
		if m := matches(o); len(m) > 0 && m[0] != "198.51.100.1/255.255.255.255" {
			t.Errorf("%s %s is told by %v", o.class, o.id, m)
		}
	}
	there, err := a.endpoints(t.Context())
	if _, leaked := there["leaked"]; err != nil || leaked || len(there) != 3 {
		t.Errorf("%v, %v; want desk, fresh and %s", there, err, fromEndpoint("pstn"))
	}
	tell()
	if there, err = a.endpoints(t.Context()); err != nil || len(there) != 1 {
		t.Errorf("%v, %v; want desk", there, err)
	}
}

// TestLedByAnother: a controller of another name keeps away from the calls of one that leads them, and takes an Asterisk that
// nobody leads any more. One of the same name is let in: whether it may is the database's to say.
func TestLedByAnother(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	up := make(chan pbx.Leg, 1)
	handle := func(ctx context.Context, _ *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		up <- in
		<-in.Done()
	}
	r := start(t, handle, func(c *Config) {
		c.URL, c.User, c.Password, c.Listen, c.Node = operator.URL, appName, operator.Password, operator.SIP, "one"
	})
	call := r.call()
	leg := wait(r, up)
	conf := r.conf
	conf.Node = "two"
	other, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Run(r.ctx, func(context.Context, pbx.Leg) {}); !errors.Is(err, errLed) {
		t.Errorf("another node ends by %v", err)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("the one that leads has ended by %v", err)
	case <-leg.Done():
		t.Errorf("its call has ended by %+v", leg.End())
	default:
	}
	if byPeer, _ := call.EndedByPeer(); byPeer {
		t.Error("the call was hung up")
	}
	left := r.ended
	r.run(handle)
	if err := wait(r, left); !errors.Is(err, errReplaced) {
		t.Errorf("the older run of the same name has ended by %v", err)
	}
	r.stop()
	r.conf.Node = "two"
	r.run(handle)
}
