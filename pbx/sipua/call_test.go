package sipua

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// rtpPacket builds a packet.
func rtpPacket(pt uint8, marker bool, seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := make([]byte, 12, 12+len(payload))
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

// digits sends digits as RFC 4733 events.
func (p *peer) digits(port int, pt uint8, digits string) {
	p.t.Helper()
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	for _, d := range []byte(digits) {
		for i := range 6 {
			end := byte(0)
			if i >= 3 {
				end = 0x80
			}
			p.eventSeq++
			payload := []byte{eventCode(d), end | 10, 0, byte(min(i, 3) * 40)}
			if _, err := p.media.WriteToUDP(rtpPacket(pt, i == 0, p.eventSeq, p.eventTime, 77, payload), to); err != nil {
				p.t.Fatal(err)
			}
		}
		p.eventTime += 1600
	}
}

// heard reads RTP until n packets for which want is true have come.
func (p *peer) heard(n int, want func(b []byte) bool) [][]byte {
	p.t.Helper()
	var got [][]byte
	deadline := time.Now().Add(wait)
	for len(got) < n {
		buf := make([]byte, 2048)
		_ = p.media.SetReadDeadline(deadline)
		size, _, err := p.media.ReadFromUDP(buf)
		if err != nil {
			p.t.Fatalf("heard %d of %d packets: %v", len(got), n, err)
		}
		if want(buf[:size]) {
			got = append(got, buf[:size])
		}
	}
	return got
}

func ofType(pt uint8) func([]byte) bool {
	return func(b []byte) bool { return b[1]&0x7f == pt }
}

// wav writes a prompt of d whose samples are all v.
func wav(t *testing.T, d time.Duration, v int16) string {
	t.Helper()
	n := int(d * 8 / time.Millisecond)
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(2*n))
	for range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%d-%d.wav", n, v))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// report carries what a script saw back to the test.
type report[T any] chan T

func (r report[T]) get(t *testing.T) T {
	t.Helper()
	select {
	case v := <-r:
		return v
	case <-time.After(wait):
		t.Fatal("the script reports nothing")
		panic("unreachable")
	}
}

func trunkTo(p *peer) routing.Trunk {
	return routing.Trunk{Code: "t1", Address: p.addr(), Transport: "udp", Enabled: true}
}

// TestWholeCall walks the way of a real call: answer, prompt, digits, dial, bridge, both ways heard, BYE.
func TestWholeCall(t *testing.T) {
	hello := wav(t, 100*time.Millisecond, 1000)
	ends := make(report[pbx.End], 2)
	codes := make(report[string], 1)
	carrier := newPeer(t)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
		}
		pin, err := in.Collect(ctx, pbx.Collect{Prompt: prompt.Audio{hello}, Max: 4, First: wait, Next: wait})
		if err != nil {
			t.Errorf("Collect: %v", err)
		}
		codes <- pin
		far, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567", CallerID: in.Inbound().Caller})
		if err != nil {
			t.Errorf("Dial: %v", err)
			return
		}
		b, err := in.(*leg).e.Bridge(in, far)
		if err != nil {
			t.Errorf("Bridge: %v", err)
			return
		}
		defer b.Close()
		<-in.Done()
		far.Hangup(pbx.NormalClearing)
		ends <- in.End()
		ends <- far.End()
	})
	caller := phone(r)

	ok := caller.call(caller.sdp("8 0 96", eventLine(96)))
	caller.heard(3, ofType(8))
	caller.digits(ok.port(), 96, "1123")
	if pin := codes.get(t); pin != "1123" {
		t.Fatalf("collected %q", pin)
	}
	invite := carrier.request("INVITE")
	carrier.respond(invite, 180, "")
	carrier.respond(invite, 200, carrier.sdp("8 101", eventLine(101)))
	carrier.request("ACK")

	voice := make([]byte, 160)
	for i := range 3 {
		_, _ = caller.media.WriteToUDP(rtpPacket(8, false, uint16(i), uint32(i*160), 5, voice), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ok.port()})
		_, _ = carrier.media.WriteToUDP(rtpPacket(8, false, uint16(i), uint32(i*160), 6, voice), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: invite.port()})
		time.Sleep(20 * time.Millisecond)
	}
	carrier.heard(1, ofType(8))
	caller.heard(1, ofType(8))
	caller.digits(ok.port(), 96, "5")
	carrier.heard(1, ofType(101)) // under the payload type of that side

	caller.bye()
	bye := carrier.request("BYE")
	carrier.respond(bye, 200, "")
	if end := ends.get(t); end.By != pbx.ByPeer || end.SIP != 200 || end.Q850 != 16 {
		t.Errorf("the caller's leg ended %+v", end)
	}
	if end := ends.get(t); end.By != pbx.ByUs {
		t.Errorf("the far leg ended %+v", end)
	}
	if bye.get("reason") != "Q.850;cause=16" {
		t.Errorf("BYE bears Reason %q", bye.get("reason"))
	}
}
