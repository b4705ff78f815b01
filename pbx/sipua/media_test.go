package sipua

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"

	"telecommune/pbx"
)

func loopback(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// TestAdmitSource: who is heard, given what the SDP said and who spoke before.
func TestAdmitSource(t *testing.T) {
	const (
		named   = "192.0.2.1:4000" // by the SDP
		nat     = "192.0.2.1:6000" // same host, another port
		gateway = "198.51.100.7:5000"
		other   = "203.0.113.9:4000"
	)
	for _, tt := range []struct {
		why     string
		sources []string
		want    []bool
		goes    string // where we send to in the end
	}{
		{"the SDP's own address", []string{named, other, nat, gateway}, []bool{true, false, false, false}, named},
		{"behind NAT: same host, then kept", []string{nat, "192.0.2.1:6002", nat}, []bool{true, false, true}, nat},
		{"behind NAT: the host of the signalling", []string{gateway, other}, []bool{true, false}, gateway},
		{"the SDP's own address comes later, and stays", []string{nat, named, nat}, []bool{true, true, false}, named},
		{"a stranger first", []string{other, other, named}, []bool{false, false, true}, named},
		{"nobody yet", nil, nil, named},
	} {
		t.Run(tt.why, func(t *testing.T) {
			m := newMedia(loopback(t), netip.AddrPort{}, nil, time.Now)
			m.agree(agreement{remote: netip.MustParseAddrPort(named), signalling: netip.MustParseAddr("198.51.100.7"), send: true, receive: true})
			strangers := int64(0)
			for i, s := range tt.sources {
				if got := m.admit(netip.MustParseAddrPort(s), m.agreed.Load()); got != tt.want[i] {
					t.Errorf("%s at %d: %v", s, i, got)
				}
				if !tt.want[i] {
					strangers++
				}
			}
			if _, to, ok := m.target(); !ok || to.String() != tt.goes {
				t.Errorf("we send to %s", to)
			}
			if m.strange.Load() != strangers {
				t.Errorf("%d strangers counted", m.strange.Load())
			}
		})
	}
}

// TestForwardNumbers: one stream comes out of prompts and two speakers, and keeps the losses and the order of what came
// in.
func TestForwardNumbers(t *testing.T) {
	in, out := loopback(t), loopback(t)
	s := newSender(out)
	a, b := &media{}, &media{}
	to := addrOf(in)
	buf := make([]byte, rtpHeader+frameSamples)
	forward := func(from *media, ssrc uint32, seq uint16, ts uint32) {
		s.forward(from, to, &rtp.Header{SSRC: ssrc, SequenceNumber: seq, Timestamp: ts, PayloadType: 8}, buf)
	}
	start := func(source any) { s.frame(source, to, 8, buf) }

	base := uint32(1<<32 - 96) // wraps with the second packet
	forward(a, 1, 65534, base)
	forward(a, 1, 65535, base+160)
	forward(a, 1, 2, base+4*160) // two lost
	forward(a, 1, 1, base+3*160) // overtaken
	start("prompt")
	start("prompt")
	forward(a, 1, 5, 1000) // after the prompt
	forward(a, 9, 700, 5)  // a new SSRC of the same side
	forward(b, 9, 7, 5)    // the other side of another bridge

	type sent struct {
		seq    int16
		marker bool
	}
	want := []sent{{0, true}, {1, false}, {4, false}, {3, false}, {5, true}, {6, false}, {7, true}, {8, true}, {9, true}}
	var first, last rtp.Packet
	for i, w := range want {
		raw := make([]byte, 2048)
		_ = in.SetReadDeadline(time.Now().Add(wait))
		n, _, err := in.ReadFromUDP(raw)
		if err != nil {
			t.Fatal(err)
		}
		var p rtp.Packet
		if err := p.Unmarshal(raw[:n]); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = p
		}
		if got := (sent{int16(p.SequenceNumber - first.SequenceNumber), p.Marker}); got != w || p.SSRC != first.SSRC {
			t.Errorf("packet %d is %+v, want %+v", i, got, w)
		}
		if i > 3 && int32(p.Timestamp-last.Timestamp) < frameSamples {
			t.Errorf("packet %d: timestamp %d after %d", i, p.Timestamp, last.Timestamp)
		}
		if i != 3 {
			last = p
		}
	}
}

// TestForwardTwoStreams: voice and events under an SSRC each come out as one stream, in which each keeps its time.
func TestForwardTwoStreams(t *testing.T) {
	in, out := loopback(t), loopback(t)
	s := newSender(out)
	a := &media{}
	buf := make([]byte, rtpHeader+frameSamples)
	var sent []rtp.Packet
	forward := func(ssrc uint32, pt uint8, seq uint16, ts uint32) {
		s.forward(a, addrOf(in), &rtp.Header{SSRC: ssrc, SequenceNumber: seq, Timestamp: ts, PayloadType: pt}, buf)
		raw := make([]byte, 2048)
		_ = in.SetReadDeadline(time.Now().Add(wait))
		n, _, err := in.ReadFromUDP(raw)
		if err != nil {
			t.Fatal(err)
		}
		var p rtp.Packet
		if err := p.Unmarshal(raw[:n]); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, p)
	}
	for i := range uint16(4) {
		forward(1, 8, 100+i, 1000+160*uint32(i))
		forward(2, 101, 7+i, 55) // one event: all of its packets bear the time of its start
	}
	for i, p := range sent {
		if p.SSRC != sent[0].SSRC || p.SequenceNumber != sent[0].SequenceNumber+uint16(i) || p.Marker != (i < 2) {
			t.Errorf("packet %d: %v", i, p.Header)
		}
		if want := sent[i%2].Timestamp + uint32(i/2*160*(1-i%2)); p.Timestamp != want {
			t.Errorf("packet %d: timestamp %d, want %d", i, p.Timestamp, want)
		}
	}
}

// TestRelayAllocates nothing per packet.
func TestRelayAllocates(t *testing.T) {
	from, packet := relayPair(t)
	a := from.agreed.Load()
	var h rtp.Header
	n := testing.AllocsPerRun(200, func() {
		size, err := h.Unmarshal(packet)
		if err != nil {
			t.Fatal(err)
		}
		from.admit(a.remote, a)
		from.take(a, &h, packet[size-rtpHeader:])
	})
	if n > 0 {
		t.Errorf("%.1f allocations per packet", n)
	}
}

func relayPair(t testing.TB) (from *media, packet []byte) {
	sink := loopback(t)
	from, to := newMedia(loopback(t), netip.AddrPort{}, nil, time.Now), newMedia(loopback(t), netip.AddrPort{}, nil, time.Now)
	for _, m := range []*media{from, to} {
		m.agree(agreement{format: format{pcma, 8}, remote: addrOf(sink), send: true, receive: true})
	}
	from.peer.Store(to)
	return from, rtpPacket(8, false, 1, 160, 5, make([]byte, frameSamples))
}

// BenchmarkRelay is the way of one voice packet from socket to socket, without the read.
func BenchmarkRelay(b *testing.B) {
	from, packet := relayPair(b)
	a := from.agreed.Load()
	var h rtp.Header
	b.ReportAllocs()
	for b.Loop() {
		size, err := h.Unmarshal(packet)
		if err != nil {
			b.Fatal(err)
		}
		from.admit(a.remote, a)
		from.take(a, &h, packet[size-rtpHeader:])
	}
}

// TestRubbish: what is no RTP, or of no agreed type, or cut off, does no harm and is not passed on.
func TestRubbish(t *testing.T) {
	d := dialing(t, "8 101", nil)
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 183, d.carrier.sdp("8 101", eventLine(101)))
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: m.port()}
	good := rtpPacket(8, false, 500, 500, 1, bytes.Repeat([]byte{0x2A}, 160))
	padded := append(bytes.Clone(good), 0, 0, 3)
	padded[0] = 0xA0
	packets := [][]byte{
		{},
		{0x80},
		bytes.Repeat([]byte{0xFF}, 1500),
		rtpPacket(18, false, 1, 1, 1, make([]byte, 20)),
		rtpPacket(101, false, 1, 1, 1, nil),
		rtpPacket(101, false, 1, 1, 1, []byte{1}),
		append([]byte{0x8F}, good[1:20]...),                 // 15 contributing sources, cut off
		append([]byte{0xA0}, append(good[1:20:20], 200)...), // more padding than packet
		append([]byte{0x90}, good[1:14]...),                 // an extension, cut off
		append([]byte{0x40}, good[1:]...),                   // version 1
		padded,
	}
	got := make([]byte, 2048)
	for tries := 0; ; tries++ { // the first ones may come before the 183 is taken
		for _, raw := range packets {
			if _, err := d.carrier.media.WriteToUDP(raw, to); err != nil {
				t.Fatal(err)
			}
		}
		_ = d.caller.media.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, _, err := d.caller.media.ReadFromUDP(got); err == nil {
			got = got[:n]
			break
		}
		if tries == 200 {
			t.Fatal("nothing gets through")
		}
	}
	if len(got) != len(good) || got[0] != 0x80 || got[12] != 0x2A {
		t.Errorf("% x got through", got)
	}
	d.carrier.respond(m, 486, "")
	d.failure()
}

// TestThirdAddress: RTP of a stranger to a bridged call is heard by nobody and draws no audio to him.
func TestThirdAddress(t *testing.T) {
	b := bridged(t)
	stop := b.caller.talk(b.callerPort, bytes.Repeat([]byte{0x2A}, 160))
	defer stop()
	b.carrier.heard(2, ofType(8))
	stranger := loopback(t)
	for i := range 10 {
		packet := rtpPacket(8, false, uint16(i), uint32(i*160), 1, bytes.Repeat([]byte{0x55}, 160))
		_, _ = stranger.WriteToUDP(packet, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: b.callerPort})
	}
	for _, packet := range b.carrier.heard(20, ofType(8)) {
		if packet[12] == 0x55 {
			t.Fatal("the stranger was heard")
		}
	}
	_ = stranger.SetReadDeadline(time.Now().Add(frameDuration))
	if _, _, err := stranger.ReadFromUDP(make([]byte, 100)); err == nil {
		t.Fatal("the stranger hears the call")
	}
}

// bridgeRig is two bridged legs.
type bridgeRig struct {
	*rig
	caller, carrier         *peer
	callerPort, carrierPort int // of the engine's RTP
	in, far                 pbx.Leg
	bridge                  pbx.Bridge
	ends                    report[[2]pbx.End]
}

func bridged(t *testing.T, change ...func(*setup)) *bridgeRig {
	t.Helper()
	b := &bridgeRig{carrier: newPeer(t), ends: make(report[[2]pbx.End], 1)}
	up := make(report[pbx.Bridge], 1)
	var s setup
	for _, c := range change {
		c(&s)
	}
	b.rig = start(t, s, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		e := in.(*leg).e
		far, err := e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(b.carrier), Number: "+380441234567"})
		if err != nil {
			t.Errorf("Dial: %v", err)
			return
		}
		bridge, err := e.Bridge(in, far)
		if err != nil {
			t.Errorf("Bridge: %v", err)
			return
		}
		b.in, b.far = in, far
		up <- bridge
		<-in.Done()
		<-far.Done()
		b.ends <- [2]pbx.End{in.End(), far.End()}
	})
	b.caller = phone(b.rig)
	b.callerPort = b.caller.call(b.caller.sdp("8 97", eventLine(97))).port()
	m := b.carrier.request("INVITE")
	b.carrierPort = m.port()
	b.carrier.respond(m, 200, b.carrier.sdp("8 101", eventLine(101)))
	b.carrier.request("ACK")
	b.carrier.answered(m)
	b.bridge = up.get(t)
	return b
}

// TestBridgeDigits: the caller's digits are told, and relayed in whichever way they came.
func TestBridgeDigits(t *testing.T) {
	b := bridged(t)
	b.caller.digits(b.callerPort, 97, "7")
	events := b.carrier.heard(6, ofType(101))
	for _, e := range events {
		if e[12] != 7 || binary.BigEndian.Uint32(e[4:]) != binary.BigEndian.Uint32(events[0][4:]) {
			t.Errorf("relayed event % x", e)
		}
	}
	b.caller.send(b.caller.build("INFO", b.caller.contact, "Signal=8\r\n", "Content-Type: application/dtmf-relay"))
	b.caller.status(200)
	events = b.carrier.heard(eventPackets+2, ofType(101))
	for i, e := range events {
		if e[12] != 8 || (e[1]&0x80 != 0) != (i == 0) || (e[13]&0x80 != 0) != (i >= eventPackets-1) {
			t.Errorf("our event %d: % x", i, e)
		}
	}
	for _, want := range []byte("78") {
		select {
		case d := <-b.bridge.Digits():
			if d != want {
				t.Errorf("told %q, want %q", d, want)
			}
		case <-time.After(wait):
			t.Fatal("no digit told")
		}
	}
	b.bridge.Close()
	b.caller.digits(b.callerPort, 97, "9")
	if got, err := b.in.Collect(t.Context(), pbx.Collect{Max: 1, First: wait}); got != "9" || err != nil {
		t.Errorf("after the bridge: %q %v", got, err)
	}
	if b.in.End().By != "" || b.far.End().By != "" {
		t.Error("Close ended a leg")
	}
	b.caller.bye()
}

// TestSilenceWhileOnHold: the far side of a caller on hold gets silence, and his voice again after it.
func TestSilenceWhileOnHold(t *testing.T) {
	b := bridged(t)
	stop := b.caller.talk(b.callerPort, bytes.Repeat([]byte{0x2A}, 160))
	before := b.carrier.heard(2, ofType(8))
	stop()
	b.caller.reinvite(b.caller.sdp("8 97", eventLine(97), "a=sendonly"))
	b.caller.status(200)
	b.caller.ack("")
	silence := b.carrier.heard(20, func(p []byte) bool { return p[12] == pcma.silence() })
	stop = b.caller.talk(b.callerPort, bytes.Repeat([]byte{0x2A}, 160))
	after := b.carrier.heard(5, func(p []byte) bool { return p[12] == 0x2A })
	stop()
	checkContinuous(t, append(append(before[1:], silence...), after[2:]...))
	b.caller.bye()
}

// TestPromptIntoBridge: a warning is heard by the caller alone, in the place of the far side's voice.
func TestPromptIntoBridge(t *testing.T) {
	b := bridged(t)
	stop := b.carrier.talk(b.carrierPort, bytes.Repeat([]byte{0x2A}, 160))
	defer stop()
	before := b.caller.heard(3, ofType(8))
	played := make(chan error, 1)
	go func() { played <- b.in.Play(t.Context(), []string{wav(t, 200*time.Millisecond, 1000)}) }()
	prompt := b.caller.heard(10, func(p []byte) bool { return p[12] != 0x2A })
	after := b.caller.heard(3, func(p []byte) bool { return p[12] == 0x2A })
	if err := <-played; err != nil {
		t.Errorf("Play: %v", err)
	}
	checkContinuous(t, append(append(before[2:], prompt...), after...))
	b.caller.bye()
}

func TestBridgeRefused(t *testing.T) {
	b := bridged(t)
	if _, err := b.Bridge(b.in, b.far); !errors.Is(err, errBridged) {
		t.Errorf("bridged twice: %v", err)
	}
	if _, err := b.Bridge(b.in, b.in); err == nil {
		t.Error("bridged with itself")
	}
	b.bridge.Close()
	b.caller.bye()
	<-b.in.Done()
	if _, err := b.Bridge(b.in, b.far); !errors.Is(err, pbx.ErrEnded) {
		t.Errorf("an ended leg: %v", err)
	}
}

// TestLostMedia: a leg that falls silent is ended, one on hold is not.
func TestLostMedia(t *testing.T) {
	ends := make(report[pbx.End], 2)
	r := start(t, setup{config: func(c *Config) { c.MediaTimeout = 300 * time.Millisecond }}, answering(t, ends))
	held := phone(r)
	held.call(held.sdp("8", "a=inactive"))
	p := phone(r)
	port := p.call(p.sdp("8")).port()
	stop := p.talk(port, make([]byte, 160))
	time.Sleep(600 * time.Millisecond)
	stop()
	bye := p.request("BYE")
	p.respond(bye, 200, "")
	if end := ends.get(t); end.By != pbx.ByLostMedia {
		t.Errorf("ended %+v", end)
	}
	held.bye()
	if end := ends.get(t); end.By != pbx.ByPeer {
		t.Errorf("the held leg ended %+v", end)
	}
}

func TestPortRange(t *testing.T) {
	for _, bad := range []string{"x", "10000", "20000-10000", "0-100", "10-70000", "10000-"} {
		if _, err := newPortRange(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	r, err := newPortRange("41001-41005")
	if err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr("127.0.0.1")
	first, err := r.open(ip)
	if err != nil {
		t.Skip("skipped: ports 41002 to 41005 are in use on this machine")
	}
	second, err := r.open(ip)
	if err != nil {
		t.Skip("skipped: ports 41002 to 41005 are in use on this machine")
	}
	if localPort(first) != 41002 || localPort(second) != 41004 {
		t.Errorf("got %d and %d", localPort(first), localPort(second))
	}
	if _, err := r.open(ip); !errors.Is(err, errNoPort) {
		t.Errorf("a third: %v", err)
	}
	first.Close()
	if third, err := r.open(ip); err != nil || localPort(third) != 41002 {
		t.Errorf("given back: %v", err)
	} else {
		third.Close()
	}
	second.Close()
}
