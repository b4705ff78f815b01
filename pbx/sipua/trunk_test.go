package sipua

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// TestCodecsOfTrunk: a trunk is offered its codecs in its order, and what it chooses is turned into the caller's and back.
func TestCodecsOfTrunk(t *testing.T) {
	carrier, ends := newPeer(t), make(report[pbx.End], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		e, trunk := in.(*leg).e, trunkTo(carrier)
		trunk.Codecs = "PCMU,PCMA"
		far, err := e.Dial(ctx, in, pbx.Target{Trunk: trunk, Number: "+380441234567"})
		if err != nil {
			t.Errorf("Dial: %v", err)
			return
		}
		if _, err := e.Bridge(in, far); err != nil {
			t.Errorf("Bridge: %v", err)
		}
		<-in.Done()
		far.Hangup(normal)
		ends <- far.End()
	})
	p := phone(r)
	port := p.call(p.sdp("8")).port()
	m := carrier.request("INVITE")
	if !strings.Contains(m.body, " RTP/AVP 0 8 101\r\n") {
		t.Errorf("offered\n%s", m.body)
	}
	if m.get("p-asserted-identity") != "" {
		t.Error("an identity was asserted that nobody gave")
	}
	carrier.respond(m, 200, carrier.sdp("0"))
	carrier.request("ACK")
	carrier.answered(m)

	toCarrier, toCaller := bytes.Repeat([]byte{0xD5}, 160), bytes.Repeat([]byte{0x80}, 160) // silence, and as loud as can be
	stopCaller, stopCarrier := p.talk(port, toCarrier), carrier.talkIn(0, m.port(), toCaller)
	got := p.heard(1, func(b []byte) bool { return len(b) == 172 && b[12] == 0xAA })
	if got[0][1]&0x7f != 8 {
		t.Errorf("payload type %d", got[0][1]&0x7f)
	}
	carrier.heard(1, func(b []byte) bool { return len(b) == 172 && b[1]&0x7f == 0 && b[12] == 0xFE }) // or 0xFF: both are silence
	stopCaller()
	stopCarrier()
	p.bye()
	if end := ends.get(t); end.Voice.IsZero() || time.Since(end.Voice) > wait {
		t.Errorf("a voice was heard, first at %s", end.Voice)
	}
	carrier.respond(carrier.request("BYE"), 200, "")
}

// TestQuiet: silence and comfort noise are no voice, in either law.
func TestQuiet(t *testing.T) {
	for _, c := range []struct {
		proves string
		codec  codec
		voice  []byte
		want   bool
	}{
		{"nothing", pcma, nil, true},
		{"silence", pcma, bytes.Repeat([]byte{0xD5}, 160), true},
		{"silence", pcmu, bytes.Repeat([]byte{0xFF}, 160), true},
		{"noise that comforts", pcma, bytes.Repeat([]byte{0xD5, 0x55, 0xD0, 0x50}, 40), true},
		{"noise that comforts", pcmu, bytes.Repeat([]byte{0xFF, 0x7F, 0xF0, 0x70}, 40), true},
		{"a click", pcma, append([]byte{0x2A, 0xAA}, bytes.Repeat([]byte{0xD5}, 158)...), true},
		{"a low voice", pcma, bytes.Repeat([]byte{0xE5, 0x65}, 80), false},
		{"a low voice", pcmu, bytes.Repeat([]byte{0xCF, 0x4F}, 80), false},
	} {
		if got := c.codec.quiet(c.voice); got != c.want {
			t.Errorf("%s in %s: quiet %v", c.proves, c.codec, got)
		}
	}
}

// TestDialDomain: of a domain's servers the next is tried when one is overloaded or not there, and none when the call was
// refused for good; a domain without SRV records is the server itself.
func TestDialDomain(t *testing.T) {
	busy, good := newPeer(t), newPeer(t)
	port := func(p *peer) uint16 { return uint16(p.conn.LocalAddr().(*net.UDPAddr).Port) }
	asked := make(chan string, 10)
	lookup := func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
		asked <- service + " " + proto + " " + name
		if name != "carrier.example" {
			return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		return "", []*net.SRV{
			{Target: "nowhere.example.", Port: 5060}, {Target: "localhost.", Port: port(busy)}, {Target: "localhost.", Port: port(good)},
		}, nil
	}
	out := make(report[error], 2)
	r := start(t, setup{tweak: func(e *Engine) { e.lookupSRV = lookup }}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		for _, domain := range []string{"carrier.example", "nobody.invalid"} {
			_, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: routing.Trunk{Code: "t", Address: domain}, Number: "+380441234567"})
			out <- err
		}
	})
	p := phone(r)
	p.call(p.sdp("8"))
	m := busy.request("INVITE")
	if want := "INVITE sip:380441234567@carrier.example SIP/2.0"; m.first != want {
		t.Errorf("got %q, want %q", m.first, want)
	}
	busy.respond(m, 503, "")
	busy.request("ACK")
	again := good.request("INVITE")
	if again.get("call-id") == m.get("call-id") {
		t.Error("another server, and the same dialog")
	}
	good.respond(again, 486, "")
	good.request("ACK")
	var failed *pbx.DialError
	if err := out.get(t); !errors.As(err, &failed) || failed.SIP != 486 {
		t.Errorf("%v", err)
	}
	if err := out.get(t); !errors.As(err, &failed) || failed.SIP != 0 || !strings.Contains(err.Error(), "nobody.invalid") {
		t.Errorf("%v", err)
	}
	if got := <-asked; got != "sip udp carrier.example" {
		t.Errorf("asked for %q", got)
	}
	p.respond(p.request("BYE"), 200, "")
}
