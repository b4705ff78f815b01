package asterisk

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

const (
	access   = e164.Number("+4930901820001")
	friend   = e164.Number("+442079460001")
	patience = 30 * time.Second // bounds each wait
)

// rig is an engine on a real Asterisk, and a phone that calls it.
type rig struct {
	*Engine
	t      *testing.T
	ctx    context.Context
	conf   Config
	ended  chan error // how Run has ended
	stop   func()     // ends it, and waits
	phone  *simcarrier.Phone
	trunks atomic.Pointer[[]routing.Trunk]
}

func start(t *testing.T, handle func(ctx context.Context, r *rig, in pbx.Leg), change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	r.trunks.Store(&[]routing.Trunk{})
	admission := &pbx.Admission{
		Providers: []pbx.Provider{{Code: "loopback", Address: netip.MustParsePrefix("127.0.0.1/32"), TrustCallerID: true}},
		Numbers:   map[e164.Number]pbx.AccessNumber{access: {Number: access}},
	}
	r.conf = Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0",
		Admission: func() *pbx.Admission { return admission }, Trunks: func() []routing.Trunk { return *r.trunks.Load() },
		Log: slog.New(slog.NewTextHandler(logTo{t}, nil)),
	}
	for _, f := range change {
		f(&r.conf)
	}
	r.run(handle)
	server := r.Addr().String()
	if r.conf.URL != "" { // then its address is not ours to know
		server = r.conf.Listen
	}
	var err error
	if r.phone, err = simcarrier.NewPhone(r.ctx, simcarrier.PhoneConfig{Server: server, Number: "+4915112345678", Sound: simcarrier.Tone}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.phone.Close)
	return r
}

// run makes an engine of the rig's configuration and runs it.
func (r *rig) run(handle func(ctx context.Context, r *rig, in pbx.Leg)) {
	r.t.Helper()
	e, err := New(r.conf)
	if err != nil {
		r.t.Fatal(err)
	}
	run, stop := context.WithCancel(context.Background())
	ended, over := make(chan error, 1), make(chan struct{})
	r.Engine, r.ended = e, ended
	r.stop = func() {
		stop()
		<-over
	}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(context.Background(), patience)
	go func() {
		defer close(over)
		ended <- e.Run(run, func(ctx context.Context, in pbx.Leg) { handle(ctx, r, in) })
	}()
	r.t.Cleanup(func() {
		stop()
		<-over
		if len(ended) > 0 {
			if err := <-ended; err != nil {
				r.t.Errorf("Run: %v", err)
			}
		}
	})
	r.t.Cleanup(cancel)
	wait(r, e.Ready())
}

type logTo struct{ t *testing.T }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

func wait[T any](r *rig, from <-chan T) (got T) {
	r.t.Helper()
	select {
	case got = <-from:
	case <-r.ctx.Done():
		r.t.Fatal("waited in vain")
	}
	return got
}

func (r *rig) call() *simcarrier.Call {
	r.t.Helper()
	c, err := r.phone.Call(r.ctx, access.Digits())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestAsteriskKilled: calls are closed at the moment of the loss, up to when they were heard of, and new ones work when it
// is back.
func TestAsteriskKilled(t *testing.T) {
	ends := make(chan pbx.End, 2)
	r := start(t, func(ctx context.Context, _ *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		_ = in.Echo(ctx)
		ends <- in.End()
	})
	hears := func(c *simcarrier.Call) {
		t.Helper()
		if err := c.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone >= 5 }); err != nil {
			t.Fatal(err)
		}
	}
	hears(r.call())
	running, err := processesOf(r.private.arguments())
	if err != nil || len(running) != 1 {
		t.Fatalf("%d processes, %v", len(running), err)
	}
	killed := time.Now()
	if err := running[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if end := wait(r, ends); end.By != pbx.ByFailure || end.At.Sub(killed) > time.Second || killed.Sub(end.At) > current {
		t.Errorf("%+v, killed at %s", end, killed)
	}
	again := r.call()
	hears(again)
	again.Hangup()
	if end := wait(r, ends); end.By != pbx.ByPeer {
		t.Errorf("%+v", end)
	}
}

// TestTrunkOfTheDay: a trunk that is added, moved, disabled or removed is so to Asterisk in a moment, and talks over it do not
// notice.
func TestTrunkOfTheDay(t *testing.T) {
	var carriers []*simcarrier.Carrier
	for range 2 {
		c, err := simcarrier.Start(context.Background(), simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		carriers = append(carriers, c)
	}
	talks := make(chan error, 1)
	r := start(t, func(ctx context.Context, r *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		to := pbx.Target{Trunk: routing.Trunk{Code: "t"}, Number: friend, RingTimeout: time.Minute, Limit: time.Minute}
		far, err := r.Dial(ctx, in, to)
		if err == nil {
			_, err = r.Bridge(in, far)
		}
		if talks <- err; err == nil {
			<-in.Done()
		}
	})
	await := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.ctx.Done():
				t.Fatalf("%s: waited in vain", what)
			}
		}
	}
	told := func(want string) bool {
		r.private.peering.Lock()
		defer r.private.peering.Unlock()
		return strings.Contains(string(r.private.written), want)
	}
	trunk := routing.Trunk{Code: "t", Enabled: true, Probe: 60}
	var running []*simcarrier.Call
	for _, c := range carriers {
		trunk.Address = c.Addr()
		r.trunks.Store(&[]routing.Trunk{trunk})
		await("a call to where the trunk goes now", func() bool {
			call := r.call()
			if err := wait(r, talks); err == nil {
				running = append(running, call) // maybe to where it was
			}
			return len(c.Calls()) > 0
		})
	}
	trunk.Enabled = false
	r.trunks.Store(&[]routing.Trunk{trunk})
	await("a trunk that is disabled", func() bool { return told("qualify_frequency = 0") })
	r.trunks.Store(&[]routing.Trunk{})
	await("a trunk that is removed", func() bool { return !told(trunkEndpoint("t")) })
	await("an Asterisk without it", func() bool {
		status, _ := r.ari.send(r.ctx, http.MethodGet, made("endpoint", trunkEndpoint("t")).path(), nil, nil)
		return status == http.StatusNotFound
	})
	for i, call := range running {
		before := call.Heard().Tone
		if err := call.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone >= before+5 }); err != nil {
			t.Errorf("talk %d of %d was touched: %v", i+1, len(running), err)
		}
	}
}

// TestPaidTimeOfAsterisk: the time is kept when our own timer does not go off.
func TestPaidTimeOfAsterisk(t *testing.T) {
	ends := make(chan pbx.End, 1)
	r := start(t, func(ctx context.Context, _ *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		in.Limit(time.Second)
		l := in.(*leg)
		l.mu.Lock()
		l.timer.Stop()
		l.mu.Unlock()
		<-in.Done()
		ends <- in.End()
	})
	c := r.call()
	end := wait(r, ends)
	wait(r, c.Done())
	if lasted := c.Lasted(); end.By != pbx.ByPaidTime || lasted < time.Second || lasted > 4*time.Second {
		t.Errorf("%+v after %s", end, lasted)
	}
}
