package sipua

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// testCall makes an acceptance call to a simulated carrier that behaves so.
func testCall(t *testing.T, b simcarrier.Behaviour, limit, ring time.Duration) (pbx.TestCall, *simcarrier.Carrier) {
	t.Helper()
	carrier, err := simcarrier.Start(t.Context(), simcarrier.CarrierConfig{Default: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	r := start(t, setup{}, func(context.Context, pbx.Leg) {})
	to := pbx.Target{
		Trunk: routing.Trunk{Code: "alpha", Address: carrier.Addr(), Transport: "udp"}, Number: "+380441234567", Limit: limit,
		RingTimeout: ring,
	}
	tested := r.TestCall(t.Context(), to)
	if n := r.traced.Load(); n != 0 {
		t.Errorf("%d ladders are left", n)
	}
	return tested, carrier
}

// steps are the messages of a ladder without their times.
func steps(c pbx.TestCall) []string {
	var all []string
	for _, m := range c.Ladder {
		all = append(all, m.Direction+" "+m.Message)
	}
	return all
}

func TestAcceptanceCall(t *testing.T) {
	answered := []string{"out INVITE", "in 200 OK (INVITE)", "out ACK", "out BYE", "in 200 OK (BYE)"}
	for _, tc := range []struct {
		why      string
		b        simcarrier.Behaviour
		media    pbx.MediaVerdict
		sip      int
		q850     int
		by       pbx.Ender
		ladder   []string
		answered time.Duration // at least
	}{
		{"an echo test", simcarrier.Behaviour{Sound: simcarrier.Echo}, pbx.TwoWay, 200, 16, pbx.ByPaidTime, answered, time.Second},
		{"somebody who talks", simcarrier.Behaviour{Sound: simcarrier.Tone}, pbx.HeardThem, 200, 16, pbx.ByPaidTime, answered, time.Second},
		{"silence", simcarrier.Behaviour{Sound: simcarrier.Silence}, pbx.SilentLine, 200, 16, pbx.ByPaidTime, answered, time.Second},
		{"no media", simcarrier.Behaviour{Sound: simcarrier.NoMedia}, pbx.NoMedia, 200, 16, pbx.ByPaidTime, answered, time.Second},
		{
			"the far side hangs up",
			simcarrier.Behaviour{HangUp: 300 * time.Millisecond, Reason: "Q.850;cause=31"},
			pbx.SilentLine,
			200, 31, pbx.ByPeer,
			[]string{"out INVITE", "in 200 OK (INVITE)", "out ACK", "in BYE", "out 200 OK (BYE)"},
			200 * time.Millisecond,
		},
		{"busy", simcarrier.Behaviour{Status: 486}, pbx.NoMedia, 486, 17, "", []string{"out INVITE", "in 486 Busy Here (INVITE)"}, 0},
		{
			"full",
			simcarrier.Behaviour{Status: 503, Reason: "Q.850;cause=34"},
			pbx.NoMedia, 503, 34, "",
			[]string{"out INVITE", "in 503 Service Unavailable (INVITE)"},
			0,
		},
		{
			"nobody answers",
			simcarrier.Behaviour{Forever: true},
			pbx.NoMedia, 0, 0, "",
			[]string{"out INVITE", "in 180 Ringing (INVITE)", "out CANCEL", "in 200 OK (CANCEL)", "in 487 Request Terminated (INVITE)"},
			0,
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			t.Parallel()
			c, carrier := testCall(t, tc.b, 1200*time.Millisecond, time.Second)
			got := slices.DeleteFunc(steps(c), func(s string) bool { return strings.Contains(s, "100 ") })
			if tc.by == "" && len(got) > 3 { // the answers to CANCEL and INVITE may cross
				slices.Sort(got[3:])
			}
			if !slices.Equal(got, tc.ladder) {
				t.Errorf("ladder %v, want %v", got, tc.ladder)
			}
			if c.Media.Verdict != tc.media || c.SIP != tc.sip || c.Q850 != tc.q850 || c.EndedBy != tc.by {
				t.Errorf("%+v", c)
			}
			if (c.Failure == "") != (tc.answered > 0) || (c.AnsweredAt == nil) != (tc.answered == 0) || c.Answered < tc.answered {
				t.Errorf("answered for %v, failure %q", c.Answered, c.Failure)
			}
			record := carrier.Calls()[0]
			if c.CallID != record.CallID {
				t.Errorf("Call-ID %s, the carrier's is %s", c.CallID, record.CallID)
			}
			if tc.answered == 0 {
				return
			}
			if c.Codec != "PCMA" || *c.PDD > *c.Setup || c.Answered > 2*time.Second {
				t.Errorf("%+v", c)
			}
			if sent, heard := c.Media.Sent, int64(record.Heard.Got); tc.answered >= time.Second && (sent < 40 || heard > sent || heard < sent-5) {
				t.Errorf("sent %d packets, the carrier had %d", sent, heard)
			}
			if c.Media.Lost > 2 {
				t.Errorf("%d packets lost on loopback", c.Media.Lost)
			}
		})
	}
}

// The figures of the meter by hand: RFC 3550 appendix A.1, A.3 and A.8.
func TestMeter(t *testing.T) {
	base := time.Now()
	for _, tc := range []struct {
		why    string
		seq    []uint16
		late   []int // milliseconds after the schedule
		lost   int64
		jitter int64
	}{
		{"on time", []uint16{1, 2, 3, 4}, []int{0, 0, 0, 0}, 0, 0},
		{"over the end of the numbers", []uint16{65534, 65535, 0, 1}, []int{0, 0, 0, 0}, 0, 0},
		{"two lost", []uint16{10, 11, 14, 15}, []int{0, 0, 0, 0}, 2, 0},
		{"lost over the end of the numbers", []uint16{65535, 2}, []int{0, 0}, 2, 0},
		{"out of order", []uint16{10, 12, 11, 13}, []int{0, 0, 0, 0}, 0, 0},
		{"a copy", []uint16{10, 11, 11, 12}, []int{0, 0, 0, 0}, 0, 0},
		{"late by 16 ms once, and early again: 128 + 120 units by 16", []uint16{1, 2, 3}, []int{0, 16, 0}, 0, 1875},
	} {
		m := &meter{began: base}
		for i, seq := range tc.seq {
			step := int(seq - tc.seq[0])
			at := base.Add(time.Duration(step)*frameDuration + time.Duration(tc.late[i])*time.Millisecond)
			m.take(&rtp.Header{SequenceNumber: seq, Timestamp: uint32(1000 + step*frameSamples), SSRC: 7}, pcma, true, nil, at)
		}
		if m.lost() != tc.lost || m.jitterMicros() != tc.jitter || m.received != int64(len(tc.seq)) {
			t.Errorf("%s: %d lost, jitter %d µs; want %d, %d", tc.why, m.lost(), m.jitterMicros(), tc.lost, tc.jitter)
		}
	}
	m := &meter{began: base}
	for i, ssrc := range []uint32{1, 1, 2, 2} { // another source begins with other numbers: nothing is lost
		m.take(&rtp.Header{SequenceNumber: uint16(1000*ssrc) + uint16(i), SSRC: ssrc}, pcma, true, nil, base)
	}
	if m.lost() != 0 {
		t.Errorf("%d lost over a change of source", m.lost())
	}
}

// Our own tone is told from other sounds in both codecs, also when it comes back in other frames and quieter.
func TestMeterKnowsOurTone(t *testing.T) {
	for _, c := range []codec{pcma, pcmu} {
		tone, ring := testTone(c), ringTones[c]()
		for why, tc := range map[string]struct {
			payload     []byte
			loud, tones int64
		}{
			"our tone":            {tone[:160], 1, 1},
			"in other frames":     {tone[77:237], 1, 1},
			"its silence":         {tone[5000:5160], 0, 0},
			"a ring tone":         {ring[:160], 1, 0},
			"an empty packet":     {nil, 0, 0},
			"noise of all values": {noise(), 1, 0},
		} {
			m := &meter{began: time.Now()}
			m.listen(c, tc.payload)
			if m.loud != tc.loud || m.tones != tc.tones {
				t.Errorf("%s in %s: loud %d, ours %d; want %d, %d", why, c, m.loud, m.tones, tc.loud, tc.tones)
			}
		}
	}
}

func noise() []byte {
	b := make([]byte, 160)
	for i := range b {
		b[i] = byte(i * 73)
	}
	return b
}

// A trunk that is not there is told within the time that Dial gives it.
func TestAcceptanceCallToNobody(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := start(t, setup{tweak: func(e *Engine) { e.firstResponse = 300 * time.Millisecond }}, func(context.Context, pbx.Leg) {})
	c := r.TestCall(t.Context(), pbx.Target{
		Trunk: routing.Trunk{Code: "alpha", Address: conn.LocalAddr().String(), Transport: "udp"}, Number: "+380441234567",
		RingTimeout: 5 * time.Second,
	})
	if c.Failure == "" || c.SIP != 0 || c.AnsweredAt != nil || !slices.Equal(steps(c), []string{"out INVITE"}) {
		t.Errorf("%+v", c)
	}
}
