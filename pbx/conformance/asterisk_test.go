package conformance_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"telecommune/pbx/asterisk"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/conformance"
)

// onAsterisk makes the engine on a real Asterisk, and says what is Asterisk's own.
var onAsterisk = conformance.Start{New: startAsterisk, Traits: conformance.Traits{
	Transcodes:   true,             // it offers both codecs to a trunk, the caller's first
	Lax:          true,             // PJSIP drops what it can't parse before anybody sees it
	Patient:      true,             // ARI does not tell of a 100, by which a trunk that is there would be known
	NoVoice:      true,             // ARI tells of talking only where a function of the dialplan listens all the time
	Doubles:      true,             // PJSIP takes INFO whatever dtmf_mode says, and ARI does not tell how a digit came
	Pace:         30,               // what serve lets in; at a hundred its queues stall
	LeastSession: 90 * time.Second, // PJSIP ignores a shorter timer
}}

func startAsterisk(t *testing.T, c conformance.Config) conformance.Engine {
	t.Helper()
	e, err := asterisk.New(asterisk.Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0", Admission: c.Admission,
		Trunks: c.Trunks, MediaTimeout: c.MediaTimeout, MaxCalls: c.MaxCalls, MaxCPS: c.MaxCPS, Log: c.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAsterisk(t *testing.T) { conformance.Run(t, onAsterisk) }

func TestAsteriskLoad(t *testing.T) { conformance.Load(t, onAsterisk) }

// joined is the engine on an Asterisk that runs elsewhere, with the address that it does not know.
type joined struct {
	*asterisk.Engine
	sip netip.AddrPort
}

func (j joined) Addr() net.Addr { return net.UDPAddrFromAddrPort(j.sip) }

// TestAsteriskElsewhere: a whole call by an Asterisk that has the lines of docs/asterisk.md, and nothing else of ours.
func TestAsteriskElsewhere(t *testing.T) {
	start := onAsterisk
	start.New = func(t *testing.T, c conformance.Config) conformance.Engine {
		t.Helper()
		operator := asterisktest.NewOperator(t)
		e, err := asterisk.New(asterisk.Config{
			URL: operator.URL, User: "telecommune", Password: operator.Password, Admission: c.Admission, Trunks: c.Trunks,
			MediaTimeout: c.MediaTimeout, Log: c.Log,
		})
		if err != nil {
			t.Fatal(err)
		}
		return joined{e, netip.MustParseAddrPort(operator.SIP)}
	}
	conformance.Brief(t, start)
}
