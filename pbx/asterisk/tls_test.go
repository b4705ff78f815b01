package asterisk

import (
	"context"
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// proven starts a carrier that shows a certificate for a host, and gives the trunk that accepts it.
func proven(t *testing.T, code, host string) (*simcarrier.Carrier, routing.Trunk) {
	t.Helper()
	a, err := simcarrier.NewAuthority()
	var shows *tls.Config
	if err == nil {
		shows, err = a.TLS(host)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := simcarrier.Start(context.Background(), simcarrier.CarrierConfig{TLS: shows})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, routing.Trunk{Code: code, Address: c.Addr(), Transport: "tls", TLSCA: a.PEM, Enabled: true}
}

// TestTLSOfTheDay: trunks over TLS come, and come to want another proof, while calls run over them; what they want holds from
// then on, a call that runs goes on over its connection, and an Asterisk that was started anew knows all of it.
func TestTLSOfTheDay(t *testing.T) {
	first, trunk := proven(t, "t", "127.0.0.1")
	other, moved := proven(t, "t", "carrier.example")
	moved.TLSName = "carrier.example"
	errs, dial, hold := make(chan error, 1), make(chan routing.Trunk), make(chan struct{})
	r := start(t, func(ctx context.Context, r *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		for {
			select {
			case trunk := <-dial:
				to := pbx.Target{Trunk: trunk, Number: friend, RingTimeout: time.Minute, Limit: time.Minute}
				far, err := r.Dial(ctx, in, to)
				errs <- err
				if err == nil {
					select {
					case <-hold:
					case <-ctx.Done():
					}
					far.Hangup(pbx.NormalClearing)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	try := func(trunk routing.Trunk) error {
		t.Helper()
		select {
		case dial <- trunk:
		case <-r.ctx.Done():
			t.Fatal("waited in vain")
		}
		return wait(r, errs)
	}
	reaches := func(trunk routing.Trunk) {
		t.Helper()
		r.trunks.Store(&[]routing.Trunk{trunk})
		for {
			err := try(trunk)
			if err == nil {
				return
			}
			if r.ctx.Err() != nil {
				t.Fatalf("not taken up: %v", err)
			}
		}
	}
	r.call()
	reaches(trunk)
	r.call() // beside the one that runs
	wrong := trunk
	wrong.TLSCA = moved.TLSCA
	r.trunks.Store(&[]routing.Trunk{wrong})
	for {
		err := try(wrong)
		if err != nil && strings.Contains(err.Error(), "TLS with 127.0.0.1: ") {
			break
		}
		if err == nil {
			hold <- struct{}{} // Asterisk did not know yet, or the running call's end
		}
		if r.ctx.Err() != nil {
			t.Fatalf("another authority is not asked for: %v", err)
		}
	}
	reaches(moved)
	if n := len(first.Calls()); n == 0 || !slices.ContainsFunc(first.Calls(), func(c simcarrier.Record) bool { return !c.Done() }) {
		t.Errorf("the running call was touched: %+v", first.Calls())
	}
	hold <- struct{}{}
	hold <- struct{}{}
	for _, c := range []*simcarrier.Carrier{first, other} {
		for _, got := range c.Calls() {
			if ended, err := c.Await(r.ctx, func(rec simcarrier.Record) bool { return rec.CallID == got.CallID && rec.Done() }); err != nil || ended.How != simcarrier.ByCaller {
				t.Errorf("%+v, %v", ended, err)
			}
		}
	}

	running, err := processesOf(r.private.arguments())
	if err != nil || len(running) != 1 {
		t.Fatalf("%d processes, %v", len(running), err)
	}
	if err := running[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for up := false; !up; { // a call may come before we are connected again, and nobody leads it
		_, _ = r.phone.Call(r.ctx, access.Digits())
		select {
		case dial <- moved:
			up = wait(r, errs) == nil
		case <-time.After(time.Second):
		case <-r.ctx.Done():
			t.Fatal("the trunk is not known after a restart")
		}
	}
	close(hold)
}

// TestAliases: a name that Asterisk would look for in two places is had by nobody.
func TestAliases(t *testing.T) {
	over := func(code, address, name string) routing.Trunk {
		return routing.Trunk{Code: code, Address: address, Transport: "tls", TLSName: name}
	}
	for _, c := range []struct {
		says   string
		trunks []routing.Trunk
		want   string // of the last
	}{
		{"its own name", []routing.Trunk{over("a", "Sip.example:5061", "sip.example")}, "none"},
		{"another name", []routing.Trunk{over("a", "192.0.2.1:5061", "Sip.example")}, "sip.example"},
		{"two ports of one host", []routing.Trunk{over("a", "192.0.2.1:5061", "sip.example"), over("b", "192.0.2.1:5062", "sip.example")}, "sip.example"},
		{"two hosts", []routing.Trunk{over("a", "192.0.2.1:5061", "sip.example"), over("b", "192.0.2.2:5061", "sip.example")}, "sip.example is at 192.0.2.1"},
		{"the host of another", []routing.Trunk{{Code: "a", Address: "sip.example:5060"}, over("b", "192.0.2.2:5061", "sip.example")}, "where trunk a goes"},
		{"a domain", []routing.Trunk{over("a", "example.net", "sip.example")}, "without port"},
	} {
		a, is := aliasesOf(c.trunks)[c.trunks[len(c.trunks)-1].Code]
		got := a.name
		if a.err != nil {
			got = a.err.Error()
		} else if !is {
			got = "none"
		}
		if !strings.Contains(got, c.want) || (a.err == nil) != (got == c.want) {
			t.Errorf("%s: %q, want %q", c.says, got, c.want)
		}
	}
}

// TestHosts: what Asterisk's resolver is told lies in one file, whatever it was told before.
func TestHosts(t *testing.T) {
	p := &private{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(p.dir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.2"} {
		if err := p.writeHosts(map[string]netip.Addr{"sip.example": netip.MustParseAddr(at)}); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(p.dir, "etc", "hosts-*"))
		if len(files) != 1 {
			t.Fatalf("the files are %q", files)
		}
		told, err := os.ReadFile(files[0])
		conf, _ := os.ReadFile(filepath.Join(p.dir, "etc", "resolver_unbound.conf"))
		if err != nil || string(told) != at+" sip.example\n" || !strings.Contains(string(conf), files[0]) {
			t.Errorf("%v: it says %q, and the configuration %q", err, told, conf)
		}
	}
}

// TestTLSElsewhere: an Asterisk of somebody else's carries a trunk over TLS by the transport that docs/asterisk.md has, and
// says what is missing for another.
func TestTLSElsewhere(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	far, own := proven(t, "own", "127.0.0.1")
	_, missing := proven(t, "missing", "127.0.0.1")
	operator.Secure("own", own.TLSCA)
	errs := make(chan error, 1)
	gate := routing.NewGate()
	r := start(t, func(ctx context.Context, r *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		to := pbx.Target{Trunk: own, Number: friend, RingTimeout: time.Minute, Limit: time.Minute}
		for {
			leg, err := r.Dial(ctx, in, to)
			if err == nil {
				leg.Hangup(pbx.NormalClearing)
			}
			if err == nil || r.ctx.Err() != nil {
				errs <- err
				return
			}
		}
	}, func(c *Config) {
		c.URL, c.User, c.Password, c.Listen, c.Health = operator.URL, appName, operator.Password, operator.SIP, gate
		c.Trunks = func() []routing.Trunk { return []routing.Trunk{own, missing} }
	})
	r.call()
	if err := wait(r, errs); err != nil || len(far.Calls()) == 0 {
		t.Errorf("%v, %d calls", err, len(far.Calls()))
	}
	for gate.Live(missing).Health != routing.Broken {
		if r.ctx.Err() != nil {
			t.Fatal("a trunk without a transport is not broken")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if l := gate.Live(missing); l.Why != "TLS: Asterisk has no transport tls~missing" {
		t.Errorf("broken because of %q", l.Why)
	}
	if l := gate.Live(own); l.Health != routing.Healthy {
		t.Errorf("%+v", l)
	}
}

// TestTransportsAreKept for a later run, while the Asterisk that has them runs; one that starts has others.
func TestTransportsAreKept(t *testing.T) {
	conf := Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0", RTPPorts: "10000-20000",
		Admission: func() *pbx.Admission { return &pbx.Admission{} },
		Trunks: func() []routing.Trunk {
			return []routing.Trunk{{Code: "t", Address: "192.0.2.1:5061", Transport: "tls"}}
		},
	}
	first, err := newPrivate(conf)
	if err != nil {
		t.Fatal(err)
	}
	again, err := newPrivate(conf)
	if err != nil || len(again.transports) != 1 || !slices.Equal(again.transports, first.transports) {
		t.Fatalf("%+v, %+v, %v", first.transports, again.transports, err)
	}
	if err := again.anew(); err != nil || len(again.transports) != 1 || slices.Equal(again.transports, first.transports) {
		t.Errorf("anew %+v, before %+v, %v", again.transports, first.transports, err)
	}
}
