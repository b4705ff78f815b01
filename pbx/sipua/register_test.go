package sipua

import (
	"strings"
	"testing"

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

	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	last := registrar.request("REGISTER")
	if last.get("expires") != "0" || last.get("cseq") != "3 REGISTER" {
		t.Errorf("Expires %q, CSeq %q", last.get("expires"), last.get("cseq"))
	}
	registrar.respond(last, 200, "")
	<-stopped
}
