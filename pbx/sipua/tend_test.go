package sipua

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// told is what a Health is told, one line each.
type told chan string

func (h told) Registered(trunk, why string) { h <- fmt.Sprintf("%s registered %s", trunk, why) }
func (h told) Probing(trunk string)         { h <- trunk + " probing" }
func (h told) Probed(trunk, why string)     { h <- fmt.Sprintf("%s probed %s", trunk, why) }

func (h told) want(t *testing.T, line string) {
	t.Helper()
	select {
	case got := <-h:
		if got != line {
			t.Fatalf("told %q, want %q", got, line)
		}
	case <-time.After(wait):
		t.Fatalf("nothing told, want %q", line)
	}
}

// TestRegisterBackOff: a registration that is refused is tried again, later each time, and told; one that stands is not
// lost by a refresh that goes wrong before its time is over.
func TestRegisterBackOff(t *testing.T) {
	registrar, health := newPeer(t), make(told, 100)
	trunk := trunkTo(registrar)
	trunk.Register, trunk.User = true, "us"
	r := start(t, setup{
		trunks: []routing.Trunk{trunk}, config: func(c *Config) { c.Health = health },
		tweak: func(e *Engine) { e.registerRetry = 100 * time.Millisecond },
	}, unreached(t))
	last := time.Now()
	for i, least := range []time.Duration{0, 50, 100, 200} {
		m := registrar.request("REGISTER")
		if waited := time.Since(last); waited < least*time.Millisecond {
			t.Errorf("registration %d after %s, want at least %d ms", i+1, waited, least)
		}
		last = time.Now()
		registrar.respond(m, 403, "")
		health.want(t, "t1 registered not registered: registration refused: 403 Some Reason")
	}
	m := registrar.request("REGISTER")
	last = time.Now()
	registrar.respond(m, 503, "", "Retry-After: 1 (soon)")
	health.want(t, "t1 registered not registered: registration refused: 503 Some Reason")
	m = registrar.request("REGISTER")
	if waited := time.Since(last); waited < time.Second {
		t.Errorf("after %s, and was asked to wait a second", waited)
	}
	registrar.respond(m, 200, "", "Expires: 3600")
	health.want(t, "t1 registered ")
	stopped := r.stopping()
	registrar.respond(registrar.request("REGISTER"), 200, "")
	<-stopped
	health.want(t, "t1 registered ")
}

// TestProbe: any answer but 503 says that a carrier is there, none within the time says that it is not.
func TestProbe(t *testing.T) {
	carrier, health := newPeer(t), make(told, 100)
	trunk := trunkTo(carrier)
	trunk.Probe = 3600
	idle := trunk
	idle.Code, idle.Probe = "idle", 0
	off := trunk
	off.Code, off.Enabled = "off", false
	start(t, setup{
		trunks: []routing.Trunk{trunk, idle, off}, config: func(c *Config) { c.Health = health },
		tweak: func(e *Engine) { e.probeRetry, e.firstResponse = 20*time.Millisecond, 200*time.Millisecond },
	}, unreached(t))
	health.want(t, "t1 probing")
	m := carrier.request("OPTIONS")
	if want := "OPTIONS sip:" + carrier.addr() + " SIP/2.0"; m.first != want || m.get("contact") == "" {
		t.Errorf("got %q, Contact %q", m.first, m.get("contact"))
	}
	health.want(t, "t1 probed no answer to OPTIONS")
	for id := m.get("call-id"); m.get("call-id") == id; { // repeated meanwhile (RFC 3261 section 17.1.2)
		m = carrier.request("OPTIONS")
	}
	carrier.respond(m, 503, "")
	health.want(t, "t1 probed OPTIONS: 503 Some Reason")
	carrier.respond(carrier.request("OPTIONS"), 405, "")
	health.want(t, "t1 probed ")
	carrier.hearsNothing(50 * time.Millisecond) // until the interval is over
}

// TestDomainIsKnown: the servers of a trunk that is a domain are known by their addresses.
func TestDomainIsKnown(t *testing.T) {
	asked := make(chan struct{}, 10)
	r := start(t, setup{
		providers: []pbx.Provider{{Code: "elsewhere", Address: netip.MustParsePrefix("192.0.2.0/24")}},
		trunks:    []routing.Trunk{{Code: "t", Address: "carrier.example", Enabled: true}},
		tweak: func(e *Engine) {
			e.lookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) {
				return "", []*net.SRV{{Target: "one.example.", Port: 5060}, {Target: "two.example.", Port: 5070}}, nil
			}
			e.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
				asked <- struct{}{}
				return []netip.Addr{map[bool]netip.Addr{
					true: netip.MustParseAddr("127.0.0.11"), false: netip.MustParseAddr("127.0.0.12"),
				}[strings.HasPrefix(host, "one")]}, nil
			}
		},
	}, unreached(t))
	<-asked
	<-asked
	for deadline := time.Now().Add(wait); !r.knows(netip.MustParseAddr("127.0.0.12")); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a server of the domain is a stranger")
		}
	}
	if !r.knows(netip.MustParseAddr("127.0.0.11")) || r.knows(netip.MustParseAddr("127.0.0.13")) {
		t.Error("not both servers, or a stranger too")
	}
}
