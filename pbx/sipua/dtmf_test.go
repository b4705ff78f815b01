package sipua

import (
	"testing"
	"time"
)

// TestEvents: each row is a run of packets and the digits that a person pressed.
func TestEvents(t *testing.T) {
	type packet struct {
		ssrc, ts uint32
		code     byte
		end      bool
		duration uint16
		after    time.Duration
	}
	ms := time.Millisecond
	for _, tt := range []struct {
		why     string
		packets []packet
		want    string
	}{
		{"one digit, three end packets", []packet{
			{1, 100, 5, false, 160, 0},
			{1, 100, 5, false, 320, 0},
			{1, 100, 5, true, 480, 0},
			{1, 100, 5, true, 480, 0},
			{1, 100, 5, true, 480, 0},
		}, "5"},
		{"first packet with duration 0", []packet{{1, 100, 1, false, 0, 0}, {1, 100, 1, true, 160, 0}}, "1"},
		{"the same digit twice", []packet{{1, 100, 1, true, 160, 0}, {1, 900, 1, true, 160, 0}}, "11"},
		{"end packets lost", []packet{{1, 100, 1, false, 160, 0}, {1, 900, 2, false, 160, 0}}, "12"},
		{"only an end packet came through", []packet{{1, 100, 11, true, 800, 0}}, "#"},
		{"a packet of the last digit comes late", []packet{
			{1, 100, 1, false, 160, 0}, {1, 900, 2, false, 160, 0}, {1, 100, 1, true, 320, 0}, {1, 900, 2, true, 320, 0},
		}, "12"},
		{"held for more than 8 s", []packet{
			{1, 100, 1, false, 0xFFFF, 0}, {1, 100 + 0xFFFF, 1, false, 160, 0}, {1, 100 + 0xFFFF, 1, true, 320, 0},
		}, "1"},
		{"a new stream starts anywhere", []packet{{1, 90000, 1, true, 160, 0}, {2, 100, 1, true, 160, 0}}, "11"},
		{"timestamps begun anew", []packet{{1, 90000, 1, true, 160, 0}, {1, 100, 1, true, 160, 0}}, "11"},
		{"the same recording played twice", []packet{
			{1, 100, 1, false, 0, 0}, {1, 100, 1, true, 160, 20 * ms}, {1, 100, 1, false, 0, 400 * ms}, {1, 100, 1, true, 160, 20 * ms},
		}, "11"},
		{"timestamps that wrap", []packet{{1, 0xFFFFFF00, 3, true, 160, 0}, {1, 100, 4, true, 160, 0}}, "34"},
		{"flash and tones are no digits", []packet{{1, 100, 16, true, 160, 0}, {1, 900, 70, true, 160, 0}}, ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var e events
			now := time.Unix(0, 0)
			got := ""
			for _, p := range tt.packets {
				now = now.Add(p.after)
				end := byte(0)
				if p.end {
					end = 0x80
				}
				if d, ok := e.read(p.ssrc, p.ts, []byte{p.code, end, byte(p.duration >> 8), byte(p.duration)}, now); ok {
					got += string(d)
				}
			}
			if got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
	var e events
	if _, ok := e.read(1, 1, []byte{1, 0, 0}, time.Now()); ok {
		t.Fatal("a payload that is cut off gave a digit")
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
