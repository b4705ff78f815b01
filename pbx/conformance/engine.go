package conformance

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// engine is what a script can ask of Switch and Leg beyond what the exchange's does every day.
var engine = []scenario{
	{"an attempt that rings too long is cancelled", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier_no_answer.xml", nil)
		results := make(chan error, 1)
		r := newRig(t, start, plan{trunks: trunks(far.addr), handle: func(ctx context.Context, r *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			_, err := r.engine.Dial(ctx, in, target(far.addr, time.Second))
			results <- err
		}})
		c := r.call(simcarrier.PhoneConfig{}, echo)
		err := receive(r, results)
		var failed *pbx.DialError
		if !errors.Is(err, pbx.ErrRingTimeout) || !errors.As(err, &failed) || !failed.Rang {
			t.Errorf("%v", err)
		}
		far.wait()
		receive(r, c.Done())
	}},
	{"a panic ends its own call alone", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{handle: func(ctx context.Context, _ *rig, in pbx.Leg) {
			if in.Inbound().Called == contact {
				panic("on purpose")
			}
			_ = in.Answer(ctx)
			_ = in.Echo(ctx)
		}})
		steady := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, echo)
		_, err := r.phone(simcarrier.PhoneConfig{}).Call(r.ctx, contact.Digits())
		var refused *simcarrier.CallError
		if !errors.As(err, &refused) || refused.Status < 480 {
			t.Errorf("%v", err)
		}
		r.hearTone(steady)
		r.hearTone(r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, echo))
	}},
	{"a call is refused with a cause", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{handle: func(ctx context.Context, _ *rig, in pbx.Leg) {
			_ = in.Ring(ctx)
			in.Hangup(pbx.UserBusy)
		}})
		_, err := r.phone(simcarrier.PhoneConfig{}).Call(r.ctx, echo.Digits())
		var refused *simcarrier.CallError
		if !errors.As(err, &refused) || refused.Status != 486 || !strings.Contains(refused.Reason, "cause=17") {
			t.Errorf("%v", err)
		}
	}},
	{"the engine itself ends a leg at its limit", func(t *testing.T, start Start) {
		ends := make(chan pbx.End, 1)
		r := newRig(t, start, plan{handle: func(ctx context.Context, _ *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			in.Limit(time.Hour)
			in.Limit(time.Second)
			<-in.Done()
			ends <- in.End()
		}})
		c := r.call(simcarrier.PhoneConfig{}, echo)
		receive(r, c.Done())
		if end := receive(r, ends); end.By != pbx.ByPaidTime || c.Lasted() < 900*time.Millisecond {
			t.Errorf("%+v after %s", end, c.Lasted())
		}
	}},
	{"digits: most, terminator, time-outs, typed ahead", func(t *testing.T, start Start) {
		type result struct {
			digits string
			err    error
		}
		results := make(chan result, 8)
		ahead := make(chan struct{})
		collect := pbx.Collect{Max: 4, Terminator: '#', First: 500 * time.Millisecond, Next: 500 * time.Millisecond}
		r := newRig(t, start, plan{handle: func(ctx context.Context, _ *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			<-ahead
			for range 5 {
				digits, err := in.Collect(ctx, collect)
				results <- result{digits, err}
			}
			<-in.Done()
			digits, err := in.Collect(context.Background(), collect)
			results <- result{digits, err}
		}})
		c := r.call(simcarrier.PhoneConfig{Event: 110}, echo)
		r.must(c.Dial(r.ctx, "1234"+"56#"+"#"+"7"))
		close(ahead)
		for i, w := range []result{{"1234", nil}, {"56", nil}, {"", nil}, {"7", nil}, {"", pbx.ErrNoDigits}} {
			if got := receive(r, results); got.digits != w.digits || !errors.Is(got.err, w.err) || (w.err == nil) != (got.err == nil) {
				t.Errorf("%d: %q %v, want %q %v", i, got.digits, got.err, w.digits, w.err)
			}
		}
		c.Hangup()
		if got := receive(r, results); !errors.Is(got.err, pbx.ErrEnded) {
			t.Errorf("of a leg that has ended: %v", got.err)
		}
	}},
	{"digits of a phone that sends each by both means", func(t *testing.T, start Start) {
		results := make(chan string, 1)
		r := newRig(t, start, plan{handle: func(ctx context.Context, _ *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			digits, err := in.Collect(ctx, pbx.Collect{Max: 4, First: 10 * time.Second, Next: 10 * time.Second})
			if err != nil {
				t.Error(err)
			}
			results <- digits
			<-in.Done()
		}})
		c := r.call(simcarrier.PhoneConfig{Both: true}, echo)
		r.must(c.Dial(r.ctx, "1123"))
		got := receive(r, results)
		if once := got == "1123"; once == start.Doubles || len(got) != 4 || got[:2] != "11" {
			t.Errorf("%q of 1123; doubles: %v", got, start.Doubles)
		}
		c.Hangup()
	}},
	{"the caller hears a ring tone while nobody sends early media", func(t *testing.T, start Start) {
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Forever: true}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), handle: func(ctx context.Context, r *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			_, _ = r.engine.Dial(ctx, in, target(far.Addr(), time.Minute))
		}})
		c := r.call(simcarrier.PhoneConfig{}, echo)
		r.must(c.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Sound > 5 }))
		c.Hangup()
		if got := r.over(far); got.How != simcarrier.Cancelled {
			t.Errorf("%+v", got)
		}
	}},
	{"a prompt is played into one bridged leg", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		clip := filepath.Join(clips(t), "en", "echo.wav")
		results := make(chan error, 1)
		joined := make(chan struct{})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), handle: func(ctx context.Context, r *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			out, err := r.engine.Dial(ctx, in, target(far.Addr(), time.Minute))
			if err == nil {
				_, err = r.engine.Bridge(in, out)
			}
			<-joined
			for range 5 {
				err = errors.Join(err, in.Play(ctx, prompt.Audio{clip, clip}))
			}
			results <- err
			<-in.Done()
		}})
		c := r.call(simcarrier.PhoneConfig{}, echo)
		r.hearTone(c)
		before := c.Heard()
		close(joined)
		r.must(receive(r, results))
		r.hearTone(c)
		if h := c.Heard(); h.Sound-before.Sound < h.Tone-before.Tone+10 {
			t.Errorf("the caller heard no prompt: %+v, before %+v", h, before)
		}
		c.Hangup()
		if got := r.over(far); got.Heard.Sound > 0 {
			t.Errorf("the far side heard it as well: %+v", got.Heard)
		}
	}},
	{"each attempt is a dialog of its own", func(t *testing.T, start Start) {
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Status: 503}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), handle: func(ctx context.Context, r *rig, in pbx.Leg) {
			_ = in.Answer(ctx)
			for range 3 {
				_, _ = r.engine.Dial(ctx, in, target(far.Addr(), time.Minute))
			}
		}})
		receive(r, r.call(simcarrier.PhoneConfig{}, echo).Done())
		ids := map[string]bool{}
		for _, c := range far.Calls() {
			ids[c.CallID] = true
		}
		if len(ids) != 3 {
			t.Errorf("%d Call-IDs for 3 attempts", len(ids))
		}
	}},
	{"OPTIONS", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{})
		p := newRawPeer(t, r.address)
		ask := strings.NewReplacer("INVITE sip:@", "OPTIONS sip:", "To: <sip:@", "To: <sip:", "1 INVITE", "1 OPTIONS").Replace(p.invite("", "", nil))
		if status := p.final(ask); status != 200 {
			t.Errorf("%d", status)
		}
	}},
}

func target(addr string, ring time.Duration) pbx.Target {
	return pbx.Target{
		Trunk: routing.Trunk{Code: "trunk1", Address: addr}, Number: friend, CallerID: e164.Number(mobile), RingTimeout: ring,
		Limit: time.Minute,
	}
}
