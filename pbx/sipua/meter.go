package sipua

import (
	"math"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"
)

// meter measures the RTP that comes in on a leg, for test calls.
type meter struct {
	began time.Time

	mu       sync.Mutex
	first    time.Time // when the first packet came
	received int64
	base     uint32 // first sequence number of the newest source
	highest  uint32 // highest of it, with the wraps counted above 16 bits
	expected int64  // of sources before
	ssrc     uint32
	transit  int32  // of the newest packet, in timestamp units
	jitter   uint32 // estimate of RFC 3550 appendix A.8, scaled by 16
	loud     int64  // packets that are not silence
	tones    int64  // packets that are our tone above all
}

const (
	// ourTone is what a test call lets be heard: no harmonic of the ring tones and test tones in use, and a whole number
	// of periods in a frame, so that one bin of the Fourier transform has it all.
	ourTone = 1050
	// quietLevel is the mean square below which a packet is silence: about -50 dBm0.
	quietLevel = 25 * 25
	clockRate  = 8000
)

// take measures a packet: sequence numbers as RFC 3550 appendix A.1 does, jitter as A.8.
func (m *meter) take(h *rtp.Header, c codec, voice bool, payload []byte, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	arrival := uint32(now.Sub(m.began).Microseconds() * clockRate / 1_000_000)
	transit := int32(arrival - h.Timestamp)
	if m.received == 0 || m.ssrc != h.SSRC {
		if m.received == 0 {
			m.first = now
		} else {
			m.expected += int64(m.highest) - int64(m.base) + 1
		}
		m.ssrc, m.base, m.highest, m.transit = h.SSRC, uint32(h.SequenceNumber), uint32(h.SequenceNumber), transit
	}
	m.received++
	if step := int16(h.SequenceNumber - uint16(m.highest)); step > 0 {
		m.highest += uint32(step)
	}
	if !voice {
		return // events of one digit bear one timestamp: they would be taken for jitter
	}
	d := transit - m.transit
	m.transit = transit
	if d < 0 {
		d = -d
	}
	m.jitter += uint32(d) - (m.jitter+8)>>4
	m.listen(c, payload)
}

// listen tells silence from sound, and our own tone from other sound.
func (m *meter) listen(c codec, payload []byte) {
	decode := g711.DecodeUlawFrame
	if c == pcma {
		decode = g711.DecodeAlawFrame
	}
	var energy, re, im float64
	for i, b := range payload {
		v := float64(decode(b))
		sin, cos := math.Sincos(2 * math.Pi * ourTone * float64(i) / clockRate)
		energy, re, im = energy+v*v, re+v*cos, im+v*sin
	}
	n := float64(len(payload))
	if n == 0 || energy/n < quietLevel {
		return
	}
	m.loud++
	// A pure tone of amplitude A has the energy n A²/2, and n A/2 in its bin.
	if tone := 2 * (re*re + im*im) / n; tone > energy/2 {
		m.tones++
	}
}

// lost is how many packets the other side numbered and we did not get; copies don't make up for it below zero.
func (m *meter) lost() int64 {
	if m.received == 0 {
		return 0
	}
	return max(m.expected+int64(m.highest)-int64(m.base)+1-m.received, 0)
}

// jitterMicros is the estimate in microseconds.
func (m *meter) jitterMicros() int64 { return int64(m.jitter>>4) * 1_000_000 / clockRate }
