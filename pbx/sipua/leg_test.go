package sipua

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"telecommune/pbx"
)

// TestLimit: the engine itself ends the leg, counted from its answer; a later limit extends.
func TestLimit(t *testing.T) {
	ends := make(report[time.Duration], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		in.Limit(100 * time.Millisecond)
		_ = in.Answer(ctx)
		in.Limit(400 * time.Millisecond)
		<-in.Done()
		if end := in.End(); end.By != pbx.ByPaidTime || end.SIP != 200 || end.Q850 != 16 {
			t.Errorf("ended %+v", end)
		}
		ends <- in.End().At.Sub(in.AnsweredAt())
	})
	p := phone(r)
	p.call(p.sdp("8"))
	p.respond(p.request("BYE"), 200, "")
	if d := ends.get(t); d < 400*time.Millisecond {
		t.Errorf("ended after %s", d)
	}
}

// TestCollect: what ends the wait for digits.
func TestCollect(t *testing.T) {
	ms := time.Millisecond
	long, short := wav(t, 20*time.Second, 1000), wav(t, 60*ms, 1000)
	for _, tt := range []struct {
		why    string
		c      pbx.Collect
		before string // typed before Collect
		typed  string
		want   string
		err    error
	}{
		{"the most", pbx.Collect{Max: 3, First: wait, Next: wait}, "", "1234", "123", nil},
		{"the terminator", pbx.Collect{Max: 9, Terminator: '#', First: wait, Next: wait}, "", "12#", "12", nil},
		{"the terminator alone", pbx.Collect{Max: 9, Terminator: '#', First: wait, Next: wait}, "", "#", "", nil},
		{"a pause", pbx.Collect{Max: 9, First: wait, Next: 50 * ms}, "", "12", "12", nil},
		{"nothing", pbx.Collect{Prompt: []string{short}, Max: 9, First: 50 * ms, Next: wait}, "", "", "", pbx.ErrNoDigits},
		{"a digit stops the prompt", pbx.Collect{Prompt: []string{long}, Max: 2, First: wait, Next: wait}, "", "42", "42", nil},
		{"typed ahead, and not wanted", pbx.Collect{Prompt: []string{short}, Max: 2, First: 100 * ms, Next: wait, Fresh: true}, "42", "", "", pbx.ErrNoDigits},
		{"typed ahead", pbx.Collect{Prompt: []string{long}, Max: 2, First: wait, Next: wait}, "42", "", "42", nil},
	} {
		t.Run(tt.why, func(t *testing.T) {
			answered, ready, got := make(chan struct{}), make(chan struct{}), make(report[string], 1)
			r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
				_ = in.Answer(ctx)
				close(answered)
				for len(in.(*leg).digits) < len(tt.before) {
					time.Sleep(ms)
				}
				close(ready)
				s, err := in.Collect(ctx, tt.c)
				if !errors.Is(err, tt.err) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				got <- s
			})
			p := phone(r)
			port := p.call(p.sdp("8 101", eventLine(101))).port()
			<-answered
			p.digits(port, 101, tt.before)
			<-ready
			p.digits(port, 101, tt.typed)
			if s := got.get(t); s != tt.want {
				t.Errorf("collected %q, want %q", s, tt.want)
			}
		})
	}
}

// TestTypedAheadBounded: more digits than anybody waits for are dropped, and nothing blocks.
func TestTypedAheadBounded(t *testing.T) {
	l := newLeg(&Engine{}, &dialog{})
	defer l.cancel()
	for range 10 * digitBuffer {
		l.digit('1', byEvent, false)
	}
	if len(l.digits) != digitBuffer {
		t.Errorf("%d digits are kept", len(l.digits))
	}
}

// TestPlayErrors: a prompt that is missing or of another format is an error, not noise, and the leg stays up.
func TestPlayErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.wav")
	good, err := os.ReadFile(wav(t, 20*time.Millisecond, 1))
	if err != nil {
		t.Fatal(err)
	}
	good[22] = 2 // stereo
	if err := os.WriteFile(bad, good, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(report[bool], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Play(ctx, nil); !errors.Is(err, errNotAnswered) {
			t.Errorf("before the answer: %v", err)
		}
		_ = in.Answer(ctx)
		if err := in.Play(ctx, []string{bad}); !errors.Is(err, errWAV) {
			t.Errorf("stereo: %v", err)
		}
		if err := in.Play(ctx, []string{filepath.Join(dir, "none.wav")}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
		defer cancel()
		if err := in.Play(short, []string{wav(t, wait, 1)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("broken off: %v", err)
		}
		done <- in.End().By == ""
		<-ctx.Done()
		if err := in.Play(context.Background(), []string{bad}); !errors.Is(err, pbx.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
		if _, err := in.Collect(ctx, pbx.Collect{Max: 1}); !errors.Is(err, pbx.ErrEnded) {
			t.Errorf("Collect after the end: %v", err)
		}
	})
	p := phone(r)
	p.call(p.sdp("8"))
	if !done.get(t) {
		t.Error("the leg is gone")
	}
	p.bye()
}

func TestEcho(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		if err := in.Echo(ctx); !errors.Is(err, pbx.ErrEnded) {
			t.Errorf("Echo: %v", err)
		}
	})
	p := phone(r)
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.call(p.sdp("0 101")).port()}
	echo := make([]byte, 2048)
	for seq := uint16(0); ; seq++ { // the first may come before Echo
		_, _ = p.media.WriteToUDP(rtpPacket(0, false, seq, 1, 1, []byte("hello")), to)
		_ = p.media.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, _, err := p.media.ReadFromUDP(echo); err == nil {
			if string(echo[12:n]) != "hello" {
				t.Errorf("heard %q", echo[12:n])
			}
			break
		}
		if seq == 200 {
			t.Fatal("no echo")
		}
	}
	p.bye()
}

// TestWildcard: on all addresses at once, of both families, each peer is told the address that it can reach.
func TestWildcard(t *testing.T) {
	hello := wav(t, 100*time.Millisecond, 1000)
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		typed := make(report[string], 1)
		r := start(t, setup{config: func(c *Config) { c.Listen = listen }}, func(ctx context.Context, in pbx.Leg) {
			_ = in.Answer(ctx)
			got, _ := in.Collect(ctx, pbx.Collect{Prompt: []string{hello}, Max: 1, First: wait})
			typed <- got
		})
		p := phone(r)
		p.engine = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.port()}
		ok := p.call(p.sdp("8 101", eventLine(101)))
		if want := "sip:telecommune@" + p.engine.String(); p.contact != want {
			t.Errorf("%s: Contact is %q, want %q", listen, p.contact, want)
		}
		p.heard(2, ofType(8))
		p.digits(ok.port(), 101, "7")
		if got := typed.get(t); got != "7" {
			t.Errorf("%s: collected %q", listen, got)
		}
		p.respond(p.request("BYE"), 200, "")
	}
}
