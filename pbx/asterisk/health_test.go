package asterisk

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// TestHealthOfTrunks: a carrier that answers OPTIONS, dies and comes back is healthy, broken and tried again; so is one that
// refuses the registration for a while; one that never answered OPTIONS is not judged by them.
func TestHealthOfTrunks(t *testing.T) {
	gate := routing.NewGate()
	carrier := func(c simcarrier.CarrierConfig) *simcarrier.Carrier {
		t.Helper()
		started, err := simcarrier.Start(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(started.Close)
		return started
	}
	probed, registrar := carrier(simcarrier.CarrierConfig{}), carrier(simcarrier.CarrierConfig{User: "us", Password: "theirs"})
	silent := carrier(simcarrier.CarrierConfig{})
	silent.Close()
	trunks := map[string]routing.Trunk{
		"probed":   {Code: "probed", Address: probed.Addr(), Probe: 1, Enabled: true},
		"silent":   {Code: "silent", Address: silent.Addr(), Probe: 1, Enabled: true},
		"register": {Code: "register", Address: registrar.Addr(), User: "us", Password: "ours", Register: true, Enabled: true},
	}
	r := start(t, func(context.Context, *rig, pbx.Leg) {}, func(c *Config) { c.Health = gate })
	take := func() {
		all := slices.Collect(maps.Values(trunks))
		r.trunks.Store(&all)
	}
	take()
	await := func(trunk string, health routing.Health) {
		t.Helper()
		for gate.Live(trunks[trunk]).Health != health {
			if r.ctx.Err() != nil {
				t.Fatalf("%s is %+v, want %s", trunk, gate.Live(trunks[trunk]), health)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	await("register", routing.Broken)
	if why := gate.Live(trunks["register"]).Why; why != "not registered: Asterisk says Rejected" {
		t.Errorf("not registered: %q", why)
	}
	other := trunks["register"]
	other.Password = "theirs"
	trunks["register"] = other
	take()
	probed.Close()
	await("register", routing.OnTrial)
	await("probed", routing.Broken)
	carrier(simcarrier.CarrierConfig{Listen: probed.Addr()})
	await("probed", routing.OnTrial)
	if live := gate.Live(trunks["silent"]); live.Health != routing.Healthy {
		t.Errorf("one that never answered is %+v", live)
	}
}

// asterisk answers as the test has it.
type asterisk struct {
	online, known bool
	registration  string
	bars          string
	err           error
}

func (a *asterisk) barred(string) string { return a.bars }

func (a *asterisk) reachable(context.Context) (map[string]bool, error) {
	if !a.known {
		return nil, a.err
	}
	return map[string]bool{"trunk~t": a.online}, a.err
}

func (a *asterisk) registrations(context.Context) (map[string]string, error) {
	if a.registration == "" {
		return nil, a.err
	}
	return map[string]string{"trunk~t": a.registration}, a.err
}

type told []string

func (h *told) Registered(trunk, why string) { *h = append(*h, trunk+" registered "+why) }
func (h *told) Probing(trunk string)         { *h = append(*h, trunk+" probing") }
func (h *told) Probed(trunk, why string)     { *h = append(*h, trunk+" probed "+why) }

// TestWatch: each OPTIONS is told once; what Asterisk does not say, or does not know yet, says nothing; a trunk that was
// changed begins anew.
func TestWatch(t *testing.T) {
	var h told
	a := &asterisk{}
	w := newWatch(&h, a)
	now := time.Now()
	trunk := routing.Trunk{Code: "t", Enabled: true, Probe: 10, Register: true}
	for _, step := range []struct {
		says   string
		change func()
		after  time.Duration
		want   []string
	}{
		{"a trunk that is new", func() {}, 0, []string{"t probing", "t registered "}},
		{"nothing is due", func() {}, time.Second, nil},
		{"Asterisk has no such endpoint yet", func() {}, 10 * time.Second, nil},
		{"it is there", func() { a.known, a.online = true, true }, 10 * time.Second, []string{"t probed "}},
		{"it is asked once", func() {}, 5 * time.Second, nil},
		{"it is not there", func() { a.online = false }, 5 * time.Second, []string{"t probed no answer to OPTIONS"}},
		{"Asterisk fails", func() { a.err = errors.New("no") }, 10 * time.Second, nil},
		{"registered", func() { a.err, a.registration = nil, "Registered" }, 0, []string{"t probed no answer to OPTIONS", "t registered "}},
		{"not any more", func() { a.registration = "Unregistered" }, 5 * time.Second, []string{"t registered not registered: Asterisk says Unregistered"}},
		{"moved", func() { trunk.Address = "elsewhere" }, time.Second, []string{"t probing", "t registered "}},
		{"not asked for long", func() {}, 5 * time.Second, nil},
		{"refused", func() { a.registration = "Rejected" }, 5 * time.Second, []string{"t probed no answer to OPTIONS", "t registered not registered: Asterisk says Rejected"}},
		{"it can't be carried", func() { a.bars = "no way" }, 0, []string{"t probing", "t registered ", "t registered no way"}},
		{"which is said once", func() {}, time.Minute, nil},
		{"for another reason", func() { a.bars = "none" }, 0, []string{"t registered none"}},
		{"it can", func() { a.bars = "" }, 0, []string{
			"t probing", "t registered ", "t registered ", "t registered not registered: Asterisk says Rejected",
		}},
		{"out of use", func() { trunk.Enabled = false }, time.Second, []string{"t probing", "t registered "}},
		{"and quiet", func() {}, time.Minute, nil},
	} {
		step.change()
		now, h = now.Add(step.after), nil
		if err := w.look(t.Context(), now, []routing.Trunk{trunk}); !errors.Is(err, a.err) {
			t.Fatal(err)
		}
		if !slices.Equal(h, step.want) {
			t.Errorf("%s: told %q, want %q", step.says, h, step.want)
		}
	}
}

func TestParseRegistrations(t *testing.T) {
	const said = `
 <Registration/ServerURI..............................>  <Auth....................>  <Status.......>
==========================================================================================

 trunk~a/sip:127.0.0.1:7070                              trunk~a                     Unregistered      (exp. 30s ago)
 trunk~b/sip:[::1]:7070;transport=tcp                    trunk~b                     Registered        (exp. 3590s)

Objects found: 2
`
	got := parseRegistrations(said)
	if !maps.Equal(got, map[string]string{"trunk~a": "Unregistered", "trunk~b": "Registered"}) {
		t.Errorf("%q", got)
	}
}
