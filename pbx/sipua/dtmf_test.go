package sipua

import (
	"testing"
	"time"

	"github.com/pion/rtp"
)

// TestEvents: each row is a run of packets and the digits that a person pressed.
func TestEvents(t *testing.T) {
	type packet struct {
		seq      uint16
		ts       uint32
		code     byte
		end      bool
		duration uint16
	}
	const gap = 400 * time.Millisecond // between packets, where it matters
	for _, tt := range []struct {
		why     string
		after   time.Duration
		packets []packet
		want    string
	}{
		{"one digit, three end packets", 0, []packet{
			{1, 100, 5, false, 160}, {2, 100, 5, false, 320}, {3, 100, 5, true, 480}, {4, 100, 5, true, 480}, {5, 100, 5, true, 480},
		}, "5"},
		{"first packet with duration 0", 0, []packet{{1, 100, 1, false, 0}, {2, 100, 1, true, 160}}, "1"},
		{"the same digit twice", 0, []packet{{1, 100, 1, true, 160}, {2, 900, 1, true, 160}}, "11"},
		{"end packets lost", 0, []packet{{1, 100, 1, false, 160}, {5, 900, 2, false, 160}}, "12"},
		{"end packets of the same digit lost", 0, []packet{{1, 100, 1, false, 160}, {5, 900, 1, false, 160}}, "11"},
		{"only an end packet came through", 0, []packet{{9, 100, 11, true, 800}}, "#"},
		{"packets of the last digit come late", 0, []packet{
			{1, 100, 1, false, 160}, {4, 900, 2, false, 160}, {2, 100, 1, true, 320}, {3, 100, 1, true, 320}, {5, 900, 2, true, 320},
		}, "12"},
		{"the start comes after its end", 0, []packet{{2, 100, 1, true, 160}, {1, 100, 1, false, 0}}, "1"},
		{"doubled on the way", 0, []packet{{1, 100, 1, false, 0}, {1, 100, 1, false, 0}, {2, 100, 1, true, 160}, {2, 100, 1, true, 160}}, "1"},
		{"held for more than 8 s", gap, []packet{
			{1, 100, 1, false, 0xFFFF}, {2, 100 + 0xFFFF, 1, false, 160}, {3, 100 + 0xFFFF, 1, true, 320},
		}, "1"},
		{"timestamps begun anew", 0, []packet{{1, 90000, 1, true, 160}, {2, 100, 1, true, 160}}, "11"},
		{"timestamps that stand still", 0, []packet{
			{1, 100, 1, false, 160}, {2, 100, 1, true, 320}, {3, 100, 1, false, 160}, {4, 100, 1, true, 320}, {5, 100, 2, true, 160},
		}, "112"},
		{"the same recording played twice", gap, []packet{{1, 100, 1, false, 0}, {2, 100, 1, true, 160}, {1, 100, 1, false, 0}, {2, 100, 1, true, 160}}, "11"},
		{"numbers that wrap", 0, []packet{{65535, 0xFFFFFF00, 3, true, 160}, {0, 100, 4, true, 160}}, "34"},
		{"flash and tones are no digits", 0, []packet{{1, 100, 16, true, 160}, {2, 900, 70, true, 160}}, ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var e events
			now := time.Unix(0, 0)
			got := ""
			for _, p := range tt.packets {
				now = now.Add(tt.after)
				end := byte(0)
				if p.end {
					end = 0x80
				}
				h := rtp.Header{SSRC: 1, SequenceNumber: p.seq, Timestamp: p.ts}
				if d, ok := e.read(&h, []byte{p.code, end, byte(p.duration >> 8), byte(p.duration)}, now); ok {
					got += string(d)
				}
			}
			if got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
	var e events
	now := time.Unix(0, 0)
	if _, ok := e.read(&rtp.Header{}, []byte{1, 0, 0}, now); ok {
		t.Fatal("a payload that is cut off gave a digit")
	}
	e.read(&rtp.Header{SSRC: 1, SequenceNumber: 9, Timestamp: 9}, []byte{1, 0x80, 0, 0}, now)
	if _, ok := e.read(&rtp.Header{SSRC: 2, SequenceNumber: 1, Timestamp: 1}, []byte{1, 0x80, 0, 0}, now); !ok {
		t.Fatal("the first digit of a new stream is missed")
	}
}

func TestParseInfo(t *testing.T) {
	for _, tt := range []struct {
		contentType, body string
		digit             byte
		known, ok         bool
	}{
		{"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5', true, true},
		{"application/dtmf-relay; charset=utf-8", " signal = # \n", '#', true, true},
		{"application/dtmf-relay", "Signal=11\r\n", '#', true, true},
		{"application/dtmf-relay", "Signal=d\r\n", 'D', true, true},
		{"application/dtmf", "*", '*', true, true},
		{"application/dtmf", "10", '*', true, true},
		{"application/dtmf-relay", "Duration=5\r\n", 0, true, false},
		{"application/dtmf-relay", "Signal=flash\r\n", 0, true, false},
		{"application/dtmf", "", 0, true, false},
		{"application/sdp", "v=0", 0, false, false},
		{"", "Signal=5", 0, false, false},
		{";;;", "Signal=5", 0, false, false},
	} {
		digit, known, ok := parseInfo(tt.contentType, []byte(tt.body))
		if digit != tt.digit || known != tt.known || ok != tt.ok {
			t.Errorf("%q %q: got %q %v %v", tt.contentType, tt.body, digit, known, ok)
		}
	}
}

// TestDoubledDigits: a phone that sends each digit by both means dials it once.
func TestDoubledDigits(t *testing.T) {
	for _, tt := range []struct {
		why   string
		typed []press
		want  string
	}{
		{"each by both means", []press{{digit: '1', by: byEvent}, {digit: '1', by: byInfo}, {digit: '1', by: byEvent}, {digit: '1', by: byInfo}, {digit: '2', by: byInfo}, {digit: '2', by: byEvent}}, "112"},
		{"by one", []press{{digit: '1', by: byInfo}, {digit: '1', by: byInfo}}, "11"},
		{"one after the other", []press{{digit: '1', by: byEvent}, {digit: '2', by: byInfo}, {digit: '1', by: byEvent}}, "121"},
	} {
		l := newLeg(&Engine{}, &dialog{})
		for _, p := range tt.typed {
			l.digit(p.digit, p.by, false)
		}
		got := ""
		for range len(l.digits) {
			got += string(<-l.digits)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
		l.cancel()
	}
}
