package conformance

import (
	"net"
	"strings"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/pbx/simcarrier"
)

// input is what comes from people and machines that do it wrong, or mean ill. Each gets a clear answer, and the next
// call works.
var input = []scenario{
	{"INVITE without a header that it needs", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		var wants []want
		for _, header := range []string{"From", "To", "Call-ID", "Max-Forwards", "CSeq", "Contact"} {
			switch status := r.raw(echo.Digits(), goodSDP, map[string]string{header: ""}); {
			case status == 400 || status == 0 && start.Lax:
			case status == 200 && start.Lax && header == "Max-Forwards":
				wants = append(wants, want{outcome: billing.GaveUp, or: billing.Served})
			default:
				t.Errorf("without %s: %d", header, status)
			}
		}
		r.works()
		r.settled(append(wants, want{outcome: billing.Served})...)
	}},
	{"a caller's name of 10 kB", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		var wants []want
		for _, part := range []string{`'; DROP TABLE call; --`, `<script>alert(1)</script>`, "a\x00b", "a\r\n b", `\"\\`, "\xff\xfe", "日本語"} {
			name := strings.Repeat(part, 10_000/len(part))
			from := `"` + name + `" <sip:` + mobile.String() + `@127.0.0.1>;tag=TAG`
			switch status := r.raw(echo.Digits(), goodSDP, map[string]string{"From": from}); {
			case status == 200:
				wants = append(wants, want{outcome: billing.GaveUp, or: billing.Served})
			case status == 400 || status == 0 && start.Lax:
			default:
				t.Errorf("%.20q: %d", part, status)
			}
		}
		r.works()
		r.settled(append(wants, want{outcome: billing.Served})...)
	}},
	{"descriptions that can't be used", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		for name, row := range map[string]struct {
			sdp      string
			statuses []int
		}{
			"no audio":              {strings.ReplaceAll(goodSDP, "m=audio", "m=image"), []int{488}},
			"only an unknown codec": {strings.ReplaceAll(strings.ReplaceAll(goodSDP, "AVP 8", "AVP 99"), "8 PCMA", "99 FUTURE"), []int{488}},
			"not a description":     {"good morning", []int{400, 488}},
			"a port out of range":   {strings.ReplaceAll(goodSDP, "audio PORT", "audio 99999"), []int{400, 488}},
		} {
			status := r.raw(echo.Digits(), row.sdp, nil)
			ok := false
			for _, s := range row.statuses {
				ok = ok || s == status
			}
			if !ok {
				t.Errorf("%s: %d, want one of %v", name, status, row.statuses)
			}
		}
		r.works()
		r.settled(want{outcome: billing.Served})
	}},
	{"media to 0.0.0.0 is a call on hold", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		if status := r.raw(echo.Digits(), strings.ReplaceAll(goodSDP, "IP4 127.0.0.1\r\nt=", "IP4 0.0.0.0\r\nt="), nil); status != 200 {
			t.Errorf("%d", status)
		}
		r.works()
		r.settled(want{outcome: billing.GaveUp, or: billing.Served}, want{outcome: billing.Served})
	}},
	{"the access number stands in To", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		to := "<sip:" + echo.String() + "@127.0.0.1>"
		if status := r.raw("office", goodSDP, map[string]string{"To": to}); status != 200 {
			t.Errorf("%d", status)
		}
		r.settled(want{outcome: billing.GaveUp, or: billing.Served})
	}},
	{"access numbers that are none", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		for _, user := range []string{"4930000000000", "49309018;x", "a%40b", "1&2", "%00", strings.Repeat("9", 3000), "'%20OR%201=1"} {
			if status := r.raw(user, goodSDP, nil); status != 404 && status != 400 {
				t.Errorf("%.20q: %d", user, status)
			}
		}
		r.works()
		r.settled(want{outcome: billing.Served})
	}},
	{"numbers that can't be dialled", func(t *testing.T, start Start) {
		// No voice may be heard while a hundred digits are dialled.
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9"), mediaTimeout: 40 * time.Second})
		c := r.call(simcarrier.PhoneConfig{INFO: true}, gateway)
		for _, digits := range []string{"**#", "1#", "0#"} {
			r.dial(c, digits)
		}
		receive(r, c.Done())
		c = r.call(simcarrier.PhoneConfig{INFO: true}, gateway)
		r.must(c.WaitQuiet(r.ctx))
		_ = c.Dial(r.ctx, strings.Repeat("7", 100)+"#") // it may end before the last digit
		receive(r, c.Done())
		r.settled(want{outcome: billing.NoNumber}, want{outcome: billing.NoNumber})
	}},
	{"an emergency number ends the call, so that the phone is free for it", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		c := r.call(simcarrier.PhoneConfig{}, gateway)
		r.must(c.WaitQuiet(r.ctx))
		_ = c.Dial(r.ctx, "110#") // the call may end before the key is released
		receive(r, c.Done())
		r.settled(want{outcome: billing.Emergency, sip: 403})
	}},
	{"voice from a third address is not let in", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact) // sends silence
		r.hearTone(c)
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.Heard.Got > 5 })
		r.must(err)
		intruder, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 3)}, net.UDPAddrFromAddrPort(c.RemoteRTP()))
		r.must(err)
		defer intruder.Close()
		for i := range 50 {
			packet := append([]byte{0x80, 8, 0, byte(i), 0, 0, byte(i), 0, 1, 2, 3, 4}, make([]byte, 160)...)
			for j := range packet[12:] {
				packet[12+j] = []byte{0x2a, 0xaa}[j/4%2] // 1000 Hz, square and loud
			}
			if _, err := intruder.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
		r.must(c.Dial(r.ctx, "5")) // what came before it has come through
		got, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.Heard.Digits == "5" })
		r.must(err)
		if got.Heard.Sound > 0 {
			t.Errorf("the far side heard the intruder: %+v", got.Heard)
		}
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3})
	}},
}

// works makes a plain call: the engine goes on.
func (r *rig) works() {
	r.t.Helper()
	c := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, echo)
	r.hearTone(c)
	c.Hangup()
}
