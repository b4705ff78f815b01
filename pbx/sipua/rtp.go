package sipua

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
)

const (
	frameSamples  = 160 // 20 ms at 8 kHz; one byte each in G.711
	frameDuration = 20 * time.Millisecond
	rtpHeader     = 12
)

// sender writes one RTP stream. A leg hears prompts, tones and the other side in turn, yet all as one source: one SSRC,
// sequence numbers and timestamps without a break, so that its jitter buffer has nothing to trip over.
type sender struct {
	conn *net.UDPConn

	mu     sync.Mutex
	ssrc   uint32
	seq    uint16    // of the newest packet sent
	ts     uint32    // likewise
	at     time.Time // when it was sent
	source any       // what the newest packet came from: a *player, a *tone, a *media
	relay  offsets   // from the other side's numbers to ours, while source is a *media
	other  offsets   // likewise of the stream that came before: some send voice and events under an SSRC each
	events bool      // an RFC 4733 event of ours is being sent; audio is left out meanwhile
}

// offsets carries numbers of a relayed stream over to ours. What is lost or reordered on the way in stays so.
type offsets struct {
	used bool
	ssrc uint32
	seq  uint16
	ts   uint32
}

func newSender(conn *net.UDPConn) *sender {
	return &sender{conn: conn, ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), ts: rand.Uint32()}
}

// turn gives the timestamp of a packet that starts or goes on now: where the clock of the stream is.
func (s *sender) turn(now time.Time) uint32 {
	if s.at.IsZero() {
		return s.ts
	}
	elapsed := uint32(now.Sub(s.at) * 8 / time.Millisecond)
	return s.ts + max(elapsed, frameSamples)
}

// frame sends a frame of our own audio. buf has rtpHeader bytes free before the payload. The first frame of a source
// starts at the clock, with the marker bit; those that follow are a frame apart.
func (s *sender) frame(source any, to netip.AddrPort, pt uint8, buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events {
		return
	}
	now := time.Now()
	first := s.source != source
	ts := s.ts + frameSamples
	if first {
		ts = s.turn(now)
	}
	s.write(to, rtp.Header{Marker: first, PayloadType: pt, SequenceNumber: s.seq + 1, Timestamp: ts}, buf)
	s.source, s.seq, s.ts, s.at = source, s.seq+1, ts, now
}

// forward sends a packet of the other side, with our numbers. buf has rtpHeader bytes free before the payload.
func (s *sender) forward(from *media, to netip.AddrPort, h *rtp.Header, buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events {
		return
	}
	now := time.Now()
	first := false
	if s.source != from {
		s.source, s.relay, s.other = from, offsets{}, offsets{}
	}
	if !s.relay.used || s.relay.ssrc != h.SSRC {
		s.relay, s.other = s.other, s.relay
		if first = !s.relay.used || s.relay.ssrc != h.SSRC; first {
			s.relay = offsets{used: true, ssrc: h.SSRC, ts: s.turn(now) - h.Timestamp}
		}
		s.relay.seq = s.seq + 1 - h.SequenceNumber // two streams share our numbers, and each keeps its own time
	}
	seq, ts := h.SequenceNumber+s.relay.seq, h.Timestamp+s.relay.ts
	s.write(to, rtp.Header{Marker: h.Marker || first, PayloadType: h.PayloadType, SequenceNumber: seq, Timestamp: ts}, buf)
	if int16(seq-s.seq) > 0 {
		s.seq = seq
		if int32(ts-s.ts) > 0 {
			s.ts, s.at = ts, now
		}
	}
}

// write puts the header in place and sends. What the network refuses is lost like any other packet.
func (s *sender) write(to netip.AddrPort, h rtp.Header, buf []byte) {
	h.Version, h.SSRC = 2, s.ssrc
	if _, err := h.MarshalTo(buf); err == nil {
		_, _ = s.conn.WriteToUDPAddrPort(buf, to)
	}
}

// RFC 4733 timing of the events that we make: 100 ms of tone, its end sent three times.
const (
	eventPackets = 5
	eventVolume  = 10 // -10 dBm0
)

// event sends one digit as RFC 4733 events, all of which bear the timestamp of its start; it blocks for 140 ms, or until
// done.
func (s *sender) event(to netip.AddrPort, pt, code uint8, done <-chan struct{}) {
	s.mu.Lock()
	s.events = true
	began := time.Now()
	start := s.turn(began)
	s.mu.Unlock()
	tick := time.NewTicker(frameDuration)
	defer tick.Stop()
	var buf [rtpHeader + 4]byte
	for i := range eventPackets + 2 {
		duration := uint16(min(i+1, eventPackets) * frameSamples)
		end := byte(0)
		if i >= eventPackets-1 {
			end = 0x80
		}
		copy(buf[rtpHeader:], []byte{code, end | eventVolume, byte(duration >> 8), byte(duration)})
		s.mu.Lock()
		s.write(to, rtp.Header{Marker: i == 0, PayloadType: pt, SequenceNumber: s.seq + 1, Timestamp: start}, buf[:])
		s.source, s.seq, s.ts, s.at = nil, s.seq+1, start, began
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
	s.mu.Lock()
	s.events = false
	s.mu.Unlock()
}
