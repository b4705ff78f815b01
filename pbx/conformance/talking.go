package conformance

import (
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/pbx/simcarrier"
)

// talking is what may happen in an answered call, and how it ends.
var talking = []scenario{
	{"both hear each other, and digits pass", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone, Event: 97}, contact)
		r.hearTone(c)
		r.must(c.Dial(r.ctx, "1*9#5"))
		c.Hangup()
		if got := r.over(far); got.Heard.Tone < 5 || got.Heard.Digits != "1*9#5" || got.Caller != mobile.String() {
			t.Errorf("the carrier heard %+v of %s", got.Heard, got.Caller)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3})
	}},
	{"an answer after which nobody says a word is marked", func(t *testing.T, start Start) {
		first := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Silence, HangUp: 4 * time.Second}})
		r := newRig(t, start, plan{trunks: trunks(first.Addr())})
		c := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, contact)
		marked := "answered silence"
		if start.NoVoice {
			marked = "answered"
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 4, atMost: 5, attempts: marked})
		c.Hangup()
	}},
	{"a trunk with another codec than the caller's", func(t *testing.T, start Start) {
		pcmu := simcarrier.PCMU
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Codec: &pcmu, Sound: simcarrier.Tone}})
		all := trunks(far.Addr())
		all[0].Codecs = "PCMU"
		r := newRig(t, start, plan{trunks: all})
		c := r.call(simcarrier.PhoneConfig{Codecs: []simcarrier.Codec{simcarrier.PCMA}, Sound: simcarrier.Tone}, contact)
		r.hearTone(c)
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.Heard.Tone >= 5 })
		r.must(err)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, attempts: "answered"})
	}},
	{"the far side hangs up first", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier.xml", values{"HangUp": 1500})
		r := newRig(t, start, plan{trunks: trunks(far.addr)})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		far.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 2, atMost: 2})
		select {
		case <-c.Done():
			t.Error("the caller was cut off as well")
		default:
		}
		c.Hangup()
	}},
	{"two hashes go on to the next number", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, gateway)
		r.dial(c, dialled(friend))
		r.hearTone(c)
		r.must(c.Dial(r.ctx, "##"))
		if got := r.over(far); got.How != simcarrier.ByCaller {
			t.Errorf("%+v", got)
		}
		r.must(c.Dial(r.ctx, dialled(other)))
		r.hearTone(c)
		c.Hangup()
		r.settled(
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, number: friend},
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, number: other},
		)
	}},
	{"the credit ends the call to the second", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), credit: 3 * money.Cent})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		got := r.over(far)
		if lasted := got.Ended.Sub(got.Answered); got.How != simcarrier.ByCaller || lasted < 2900*time.Millisecond {
			t.Errorf("%s after %s", got.How, lasted)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 3, atMost: 3})
		receive(r, c.Done()) // after a word about it
		if account, err := r.bank.Account(r.ctx, member); err != nil || account.Balance != 0 {
			t.Errorf("%s left, %v", account.Balance, err)
		}
	}},
	{"a top-up during the call moves its end", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), credit: 9 * money.Cent})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		_, err := r.bank.TopUp(r.ctx, billing.TopUp{Account: member, Amount: 2 * money.Cent, Key: "second"})
		r.must(err)
		got := r.over(far)
		if lasted := got.Ended.Sub(got.Answered); got.How != simcarrier.ByCaller || lasted < 10900*time.Millisecond {
			t.Errorf("%s after %s", got.How, lasted)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 11, atMost: 11})
		receive(r, c.Done())
	}},
	{"the spend limit ends the call to the second", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), limits: billing.Limits{MaxPerHour: 3 * money.Cent}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		if got := r.over(far); got.How != simcarrier.ByCaller {
			t.Errorf("%+v", got)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 3, atMost: 3})
		receive(r, c.Done())
	}},
	{"lost media of the caller", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), mediaTimeout: 2 * time.Second})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Vanish()
		if got := r.over(far); got.How != simcarrier.ByCaller {
			t.Errorf("%+v", got)
		}
		r.settled(want{outcome: billing.Answered, atLeast: 2, atMost: 4})
	}},
	{"lost media of the far side", func(t *testing.T, start Start) {
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone, Disappears: 500 * time.Millisecond}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), mediaTimeout: 2 * time.Second})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.settled(want{outcome: billing.Answered, atLeast: 2, atMost: 4})
		c.Hangup()
	}},
	{"hold by either side", func(t *testing.T, start Start) {
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{
			Sound: simcarrier.Tone, Hold: 300 * time.Millisecond, HoldFor: 300 * time.Millisecond,
		}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.HoldAnswer != "" })
		r.must(err)
		for _, on := range []bool{true, false} {
			direction, err := c.Hold(r.ctx, on)
			if wanted := map[bool]string{true: "recvonly", false: "sendrecv"}[on]; err != nil || direction != wanted {
				t.Errorf("hold %v: %s %v", on, direction, err)
			}
		}
		r.hearTone(c)
		c.Hangup()
		if got := r.over(far); got.HoldAnswer != "recvonly" {
			t.Errorf("%+v", got)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3})
	}},
	{"UPDATE of either side", func(t *testing.T, start Start) {
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone, Update: 100 * time.Millisecond}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.UpdateReply == 200 })
		r.must(err)
		if status, err := c.Update(r.ctx); err != nil || status != 200 {
			t.Error(status, err)
		}
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
	}},
	{"the engine refreshes the carrier's session timer", func(t *testing.T, start Start) {
		interval := start.session(t, 2*time.Second)
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone, Session: interval}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), patience: patience + 2*interval})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		_, err := far.Await(r.ctx, func(r simcarrier.Record) bool { return r.Refreshed >= 2 || r.Done() })
		r.must(err)
		c.Hangup()
		if got := r.over(far); got.How != simcarrier.ByCaller || got.Refreshed < 2 {
			t.Errorf("%+v", got)
		}
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 2, atMost: 4 + int(interval/time.Second)})
	}},
	{"a session that the carrier does not refresh ends", func(t *testing.T, start Start) {
		interval := start.session(t, 3*time.Second)
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone, Session: interval, Lazy: true}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), patience: patience + 2*interval})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		if got := r.over(far); got.How != simcarrier.ByCaller {
			t.Errorf("%+v", got)
		}
		r.settled(want{outcome: billing.Answered, atLeast: 1, atMost: 1 + int(interval/time.Second)})
		c.Hangup()
	}},
	{"a phone's session timer is agreed to", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{Session: 90 * time.Second}, contact)
		if got := c.SessionExpires(); got == "" {
			t.Error("no Session-Expires in the answer")
		}
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
	}},
}

// session is the session timer of a case: the one wanted, or the least that the engine takes part in, which is waited for
// only in long runs.
func (s Start) session(t *testing.T, wanted time.Duration) time.Duration {
	t.Helper()
	if s.LeastSession > wanted && !long() {
		t.Skipf("this engine's least session timer is %s; TELECOMMUNE_LONG=1 waits for it", s.LeastSession)
	}
	return max(wanted, s.LeastSession)
}
