package conformance

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
)

// testCalls is how a carrier treats the test calls of the case below, and what they have to tell.
var testCalls = []struct {
	why      string
	number   e164.Number
	b        simcarrier.Behaviour
	media    pbx.MediaVerdict
	sip      int
	q850     int
	by       pbx.Ender
	answered time.Duration // at least
}{
	{"an echo test", "+442079460100", simcarrier.Behaviour{Sound: simcarrier.Echo}, pbx.TwoWay, 200, 16, pbx.ByPaidTime, 2 * time.Second},
	{"somebody who talks", "+442079460101", simcarrier.Behaviour{Sound: simcarrier.Tone}, pbx.HeardThem, 200, 16, pbx.ByPaidTime, 2 * time.Second},
	{"silence", "+442079460102", simcarrier.Behaviour{Sound: simcarrier.Silence}, pbx.SilentLine, 200, 16, pbx.ByPaidTime, 2 * time.Second},
	{"no media", "+442079460103", simcarrier.Behaviour{Sound: simcarrier.NoMedia}, pbx.NoMedia, 200, 16, pbx.ByPaidTime, 2 * time.Second},
	{"the far side hangs up", "+442079460104", simcarrier.Behaviour{HangUp: time.Second, Reason: "Q.850;cause=31"}, pbx.SilentLine, 200, 31, pbx.ByPeer, 900 * time.Millisecond},
	{"busy", "+442079460105", simcarrier.Behaviour{Status: 486}, pbx.NoMedia, 486, 17, "", 0},
	{"full", "+442079460106", simcarrier.Behaviour{Status: 503, Reason: "Q.850;cause=34"}, pbx.NoMedia, 503, 34, "", 0},
	{"nobody answers", "+442079460107", simcarrier.Behaviour{Forever: true}, pbx.NoMedia, 0, 0, "", 0},
}

// acceptance is test calls over trunks, which have no caller.
var acceptance = []scenario{
	{"test calls tell how a carrier is", func(t *testing.T, start Start) {
		numbers := map[string]simcarrier.Behaviour{}
		for _, c := range testCalls {
			numbers[c.number.Digits()] = c.b
		}
		far := carrier(t, simcarrier.CarrierConfig{Numbers: numbers})
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		var all sync.WaitGroup
		defer all.Wait()
		for _, c := range testCalls {
			all.Go(func() {
				to := target(far.Addr(), 5*time.Second)
				to.Number, to.Limit = c.number, 2*time.Second
				got := r.engine.TestCall(r.ctx, to)
				if got.Media.Verdict != c.media || got.SIP != c.sip || got.Q850 != c.q850 || got.EndedBy != c.by ||
					(got.Failure == "") != (c.answered > 0) || (got.AnsweredAt == nil) != (c.answered == 0) ||
					got.Answered < c.answered || got.Answered > c.answered+time.Second || len(got.Ladder) < 2 {
					t.Errorf("%s: %+v", c.why, got)
				}
				record, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return strings.HasSuffix(string(c.number), r.Number) && r.Done() })
				if err != nil || record.CallID != got.CallID {
					t.Errorf("%s: Call-ID %s, the carrier's is %s, %v", c.why, got.CallID, record.CallID, err)
				}
				if c.answered < 2*time.Second {
					return
				}
				sent, heard := got.Media.Sent, int64(record.Heard.Got)
				if got.Codec != "PCMA" || *got.PDD > *got.Setup || got.Media.Lost > 2 || sent < 80 || heard > sent+10 || heard < sent-5 {
					t.Errorf("%s: %+v, the carrier had %+v", c.why, got, record.Heard)
				}
			})
		}
	}},
	{"a test call can be broken off", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		ctx, stop := context.WithCancel(r.ctx)
		defer stop()
		done := make(chan pbx.TestCall, 1)
		go func() {
			to := target(far.Addr(), 5*time.Second)
			to.Limit = time.Minute
			done <- r.engine.TestCall(ctx, to)
		}()
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return !r.Answered.IsZero() })
		r.must(err)
		stop()
		if got := receive(r, done); got.Answered > 20*time.Second || got.AnsweredAt == nil && got.Failure == "" {
			t.Errorf("%+v", got)
		}
		_, err = far.Await(r.ctx, simcarrier.Record.Done)
		r.must(err)
	}},
}
