package conformance

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

const (
	loopback = "127.0.0.1"
	named    = "carrier.example" // nowhere to be found
)

// secure are calls over TLS: whose certificate is accepted, and that nobody else is called.
var secure = []scenario{
	{"a carrier that proves who it is", func(t *testing.T, start Start) {
		far, trunk := tlsCarrier(t, loopback, answering().Default)
		r := newRig(t, start, plan{trunks: []routing.Trunk{trunk}})
		var wants []want
		for range 2 {
			c := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, contact)
			r.hearTone(c)
			c.Hangup()
			wants = append(wants, answeredBy("trunk1", "answered"))
			r.settled(wants...)
		}
		for _, got := range far.Calls() {
			if got.Transport != "tls" || got.How != simcarrier.ByCaller || got.Heard.Tone == 0 {
				t.Errorf("%+v", got)
			}
		}
	}},
	{"a carrier that hangs up first", func(t *testing.T, start Start) {
		far, trunk := tlsCarrier(t, loopback, simcarrier.Behaviour{Sound: simcarrier.Tone, HangUp: time.Second})
		r := newRig(t, start, plan{trunks: []routing.Trunk{trunk}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		if got := r.over(far); got.How != simcarrier.ByCarrier {
			t.Errorf("%+v", got)
		}
		for len(r.exchange.Live()) > 0 && r.exchange.Live()[0].State == "talking" {
			r.tick()
		}
		c.Hangup()
		r.settled(answeredBy("trunk1", "answered"))
	}},
	{"a certificate for the name that the trunk wants", func(t *testing.T, start Start) {
		_, trunk := tlsCarrier(t, named, answering().Default)
		trunk.TLSName = named
		r := newRig(t, start, plan{trunks: []routing.Trunk{trunk}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		r.settled(answeredBy("trunk1", "answered"))
	}},
	{"a certificate for another name", refused(named, func(*testing.T, *routing.Trunk, *tls.Config) {})},
	{"a certificate without the name that the trunk wants", refused(loopback, func(_ *testing.T, trunk *routing.Trunk, _ *tls.Config) {
		trunk.TLSName = named
	})},
	{"a certificate of an unknown authority", refused(loopback, func(t *testing.T, trunk *routing.Trunk, _ *tls.Config) {
		trunk.TLSCA = authority(t).PEM
	})},
	{"a certificate that the system does not know", refused(loopback, func(_ *testing.T, trunk *routing.Trunk, _ *tls.Config) {
		trunk.TLSCA = ""
	})},
	{"a certificate that has expired", refused(loopback, func(t *testing.T, trunk *routing.Trunk, shows *tls.Config) {
		a := authority(t)
		old, err := a.Certify(loopback, time.Now().Add(-time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		trunk.TLSCA, shows.Certificates = a.PEM, []tls.Certificate{old}
	})},
	{"a carrier without a TLS that is safe", refused(loopback, func(_ *testing.T, _ *routing.Trunk, shows *tls.Config) {
		shows.MinVersion, shows.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	})},
}

// refused is the case of a first carrier that is not called, since it shows something else than its trunk wants: the call
// goes to the second, and after five such calls the trunk is broken, with the reason.
func refused(shown string, change func(*testing.T, *routing.Trunk, *tls.Config)) func(*testing.T, Start) {
	return func(t *testing.T, start Start) {
		a := authority(t)
		shows := secured(t, a, shown)
		first := routing.Trunk{Transport: "tls", TLSCA: a.PEM}
		change(t, &first, shows)
		barred := carrier(t, simcarrier.CarrierConfig{TLS: shows, Default: answering().Default})
		first.Address = barred.Addr()
		_, second := tlsCarrier(t, loopback, answering().Default)
		r := newRig(t, start, plan{trunks: []routing.Trunk{first, second}})
		var wants []want
		for range 5 {
			c := r.call(simcarrier.PhoneConfig{}, contact)
			r.hearTone(c)
			c.Hangup()
			wants = append(wants, answeredBy("trunk2", "failed answered"))
			r.settled(wants...)
		}
		if l := r.exchange.Gate.Live(routing.Trunk{Code: "trunk1"}); l.Health != routing.Broken || !strings.Contains(strings.ToLower(l.Why), "tls") {
			t.Errorf("the trunk is %s: %q", l.Health, l.Why)
		}
		if n := len(barred.Calls()); n != 0 {
			t.Errorf("%d calls at a carrier that proved nothing", n)
		}
	}
}

func answeredBy(trunk, attempts string) want {
	return want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: trunk, attempts: attempts}
}

// tlsCarrier starts one that shows a certificate for a host, and gives the trunk that accepts it.
func tlsCarrier(t *testing.T, host string, does simcarrier.Behaviour) (*simcarrier.Carrier, routing.Trunk) {
	t.Helper()
	a := authority(t)
	c := carrier(t, simcarrier.CarrierConfig{TLS: secured(t, a, host), Default: does})
	return c, routing.Trunk{Address: c.Addr(), Transport: "tls", TLSCA: a.PEM}
}

func authority(t *testing.T) *simcarrier.Authority {
	t.Helper()
	a, err := simcarrier.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func secured(t *testing.T, a *simcarrier.Authority, host string) *tls.Config {
	t.Helper()
	c, err := a.TLS(host)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
