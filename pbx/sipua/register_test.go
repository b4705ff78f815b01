package sipua

import (
	"strings"
	"sync"
	"testing"
	"time"

	"telecommune/routing"
)

// TestRegister: a trunk that asks for it is registered at, with digest; and the registration is taken back at the end.
func TestRegister(t *testing.T) {
	registrar := newPeer(t)
	trunk := trunkTo(registrar)
	trunk.Register, trunk.User, trunk.Password = true, "us", "secret"
	idle := trunkTo(registrar)
	idle.Code = "idle"
	r := start(t, setup{trunks: []routing.Trunk{trunk, idle}}, unreached(t))

	first := registrar.request("REGISTER")
	if !strings.HasPrefix(first.get("to"), "<sip:us@127.0.0.1>") || first.get("expires") != "600" {
		t.Errorf("To %q, Expires %q", first.get("to"), first.get("expires"))
	}
	registrar.respond(first, 401, "", `WWW-Authenticate: Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth"`)
	second := registrar.request("REGISTER")
	if second.get("call-id") != first.get("call-id") || second.get("cseq") != "2 REGISTER" || !strings.Contains(second.get("authorization"), `username="us"`) {
		t.Errorf("CSeq %q, Authorization %q", second.get("cseq"), second.get("authorization"))
	}
	registrar.respond(second, 200, "", "Expires: 3600")
	// A trunk is no provider, but known: it may ask whether we are there.
	registrar.newCall("x")
	registrar.send(registrar.build("OPTIONS", "sip:"+registrar.engine.String(), ""))
	registrar.status(200)

	stopped := r.stopping()
	last := registrar.request("REGISTER")
	if last.get("expires") != "0" || last.get("cseq") != "3 REGISTER" {
		t.Errorf("Expires %q, CSeq %q", last.get("expires"), last.get("cseq"))
	}
	registrar.respond(last, 200, "")
	<-stopped
}

// stopping stops the engine; the channel is closed when it has.
func (r *rig) stopping() <-chan struct{} {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	return stopped
}

// TestRegisterBrokenOff: an engine that ends while it waits for the registrar takes the registration back, and asks for none.
func TestRegisterBrokenOff(t *testing.T) {
	for range 6 { // half of these would show it
		registrar := newPeer(t)
		trunk := trunkTo(registrar)
		trunk.Register = true
		r := start(t, setup{trunks: []routing.Trunk{trunk}}, unreached(t))
		registrar.request("REGISTER")
		stopped := r.stopping()
		next := registrar.request("REGISTER")
		for next.get("cseq") == "1 REGISTER" { // once more
			next = registrar.request("REGISTER")
		}
		if next.get("expires") != "0" || next.get("cseq") != "2 REGISTER" {
			t.Errorf("Expires %q, CSeq %q", next.get("expires"), next.get("cseq"))
		}
		registrar.respond(next, 200, "")
		<-stopped
	}
}

// TestRegisterTooBrief: what is too brief for the registrar is asked for longer.
func TestRegisterTooBrief(t *testing.T) {
	registrar := newPeer(t)
	trunk := trunkTo(registrar)
	trunk.Register, trunk.User = true, "us"
	r := start(t, setup{trunks: []routing.Trunk{trunk}}, unreached(t))
	first := registrar.request("REGISTER")
	registrar.respond(first, 423, "", "Min-Expires: 1800")
	if second := registrar.request("REGISTER"); second.get("expires") != "1800" || second.get("cseq") != "2 REGISTER" {
		t.Errorf("Expires %q, CSeq %q", second.get("expires"), second.get("cseq"))
	} else {
		registrar.respond(second, 200, "", "Expires: 1800")
	}
	stopped := r.stopping()
	registrar.respond(registrar.request("REGISTER"), 200, "")
	<-stopped
}

// TestRegisterChanges: a trunk whose capacity changes stays registered as it is; one that logs in as another user takes
// the old registration back before it makes the new one.
func TestRegisterChanges(t *testing.T) {
	registrar := newPeer(t)
	var mu sync.Mutex
	trunk := trunkTo(registrar)
	trunk.Register, trunk.User = true, "one"
	asked := make(chan struct{}, 100)
	r := start(t, setup{config: func(c *Config) {
		c.Trunks = func() []routing.Trunk {
			mu.Lock()
			defer mu.Unlock()
			asked <- struct{}{}
			return []routing.Trunk{trunk}
		}
	}}, unreached(t))
	change := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	registrar.respond(registrar.request("REGISTER"), 200, "", "Expires: 3600")
	<-asked
	change(func() { trunk.Channels = 5 })
	<-asked // has seen it
	registrar.hearsNothing(100 * time.Millisecond)
	change(func() { trunk.User = "two" })
	last := registrar.request("REGISTER")
	if last.get("expires") != "0" || !strings.Contains(last.get("to"), "one") {
		t.Fatalf("got Expires %q of %q", last.get("expires"), last.get("to"))
	}
	registrar.hearsNothing(20 * time.Millisecond) // until the answer
	registrar.respond(last, 200, "")
	next := registrar.request("REGISTER")
	if next.get("expires") != "600" || !strings.Contains(next.get("to"), "two") {
		t.Errorf("got Expires %q of %q", next.get("expires"), next.get("to"))
	}
	registrar.respond(next, 200, "", "Expires: 3600")
	stopped := r.stopping()
	registrar.respond(registrar.request("REGISTER"), 200, "")
	<-stopped
}
