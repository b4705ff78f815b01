package sipua

import (
	"encoding/binary"
	"mime"
	"strings"
	"time"

	"github.com/pion/rtp"
)

// digits are the events 0 to 15 of RFC 4733 section 3.2.
const digits = "0123456789*#ABCD"

// events reads RFC 4733 telephone events of one stream. A digit is told at its first packet, whichever that is: its
// start may be lost, its end may be lost, its duration may be 0.
type events struct {
	any      bool
	ssrc     uint32
	seq      uint16
	ts       uint32
	code     uint8
	duration uint16
	ended    bool
	at       time.Time
}

// lateEvent is how long after the newest packet an older one is taken for overtaken or doubled on the way. After that it
// is a sender that began anew, such as a recording played a second time.
const lateEvent = 100 * time.Millisecond

// read takes one packet and gives the digit that it begins, if it does.
func (e *events) read(h *rtp.Header, payload []byte, now time.Time) (digit byte, ok bool) {
	if len(payload) < 4 || int(payload[0]) >= len(digits) {
		return 0, false
	}
	code, end, duration := payload[0], payload[1]&0x80 != 0, binary.BigEndian.Uint16(payload[2:])
	fresh := !e.any || h.SSRC != e.ssrc
	if !fresh && int16(h.SequenceNumber-e.seq) <= 0 {
		if now.Sub(e.at) < lateEvent {
			return 0, false
		}
		fresh = true
	}
	if !fresh {
		if h.Timestamp == e.ts {
			// Some senders forget to move the timestamp on between two digits.
			fresh = e.ended && !end || code != e.code
		} else {
			// A key held for over 8 s goes on in a new segment, which starts where the last one is full (2.5.1.3).
			fresh = code != e.code || e.ended || e.duration != 0xFFFF
		}
	}
	*e = events{true, h.SSRC, h.SequenceNumber, h.Timestamp, code, duration, end || !fresh && e.ended, now}
	return digits[code], fresh
}

// parseInfo reads the digit of a SIP INFO: `Signal=5` in application/dtmf-relay, or the digit alone in application/dtmf.
// known is false for any other content type.
func parseInfo(contentType string, body []byte) (digit byte, known, ok bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || len(body) > 1000 {
		return 0, false, false
	}
	signal := ""
	switch kind {
	case "application/dtmf":
		signal = strings.TrimSpace(string(body))
	case "application/dtmf-relay":
		for line := range strings.Lines(string(body)) {
			if key, value, ok := strings.Cut(line, "="); ok && strings.EqualFold(strings.TrimSpace(key), "signal") {
				signal = strings.TrimSpace(value)
			}
		}
	default:
		return 0, false, false
	}
	switch signal = strings.ToUpper(signal); signal {
	case "10":
		signal = "*"
	case "11":
		signal = "#"
	}
	if len(signal) != 1 || !strings.Contains(digits, signal) {
		return 0, true, false
	}
	return signal[0], true, true
}
