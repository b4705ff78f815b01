package asterisk

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
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

// TestLeftElsewhere: what an earlier run has told and nobody wants any more is forgotten, whatever its name; what the operator
// has is left alone, even where it looks like ours. Who has told all asks for nothing.
func TestLeftElsewhere(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	operator.Kill()
	operator.Rewrite("pjsip.conf", func(s string) string {
		return s + "\n[look%alike]\ntype = endpoint\ncontext = telecommune\nauth = look%alike\naors = look%alike\nset_var = PROVIDER=x\n" +
			"[look%alike]\ntype = auth\nusername = x\npassword = y\n[look%alike]\ntype = aor\n"
	})
	operator.Start()
	here := netip.MustParsePrefix("127.0.0.1/32")
	asked := newARIAs(operator.URL, appName, operator.Password)
	theirs := group{"a/phone", []object{made("auth", "a/phone", "username", "x", "password", "y"), made("aor", "a/phone"), made("endpoint", "a/phone", "context", location, "auth", "a/phone")}}
	if err := (&remote{ari: asked}).put(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	tell := func(r *remote, providers []pbx.Provider, trunks ...routing.Trunk) {
		t.Helper()
		if err := r.tell(t.Context(), "started", peerObjects(providers, trunks, nil, time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	there := func(want ...string) {
		t.Helper()
		got, err := asked.endpoints(t.Context())
		want = append(want, "a/phone", "look%alike")
		slices.Sort(want)
		if names := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(names, want) {
			t.Errorf("endpoints %v, %v; want %v", names, err, want)
		}
	}
	old := routing.Trunk{Code: "old", Address: "127.0.0.1:1", User: "u", Password: "p", Enabled: true, Register: true}
	tell(&remote{ari: asked}, []pbx.Provider{{Code: "before", Address: here}, {Code: "p", User: "bob", Password: "p"}}, old)
	there("from~before", "bob", "trunk~old")

	now := []pbx.Provider{{Code: "now", Address: here}, {Code: "p", User: "carol", Password: "p"}}
	next := &remote{ari: asked}
	tell(next, now)
	there("from~now", "carol")
	phone, err := simcarrier.NewPhone(t.Context(), simcarrier.PhoneConfig{Server: operator.SIP, Number: "+4915112345678"})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	_, err = phone.Call(t.Context(), access.Digits())
	var why *simcarrier.CallError
	if !errors.As(err, &why) || why.Status != 503 { // of the dialplan, since nobody leads it
		t.Errorf("a call from the address that was another's: %v", err)
	}
	operator.Kill()
	tell(next, now)
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
