package conformance

import (
	"context"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// failures are calls that don't come about, and how they are tried elsewhere.
var failures = []scenario{
	{"503 goes to the second trunk", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_refuses.xml", values{"Status": 503, "Rings": 0}), sippCarrier(t, "carrier.xml", nil)
		r := newRig(t, start, plan{trunks: trunks(first.addr, second.addr)})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		first.wait()
		second.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "failed answered"})
	}},
	{"a trunk that is not there goes to the second", func(t *testing.T, start Start) {
		second := carrier(t, answering())
		gone := carrier(t, simcarrier.CarrierConfig{})
		gone.Close()
		all := trunks(gone.Addr(), second.Addr())
		all[0].Transport = "tcp" // refused at once; over UDP it takes the time of a transaction
		r := newRig(t, start, plan{trunks: all})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "failed answered"})
	}},
	{"404 goes to the second trunk, and two of them are believed", func(t *testing.T, start Start) {
		refuses := values{"Status": 404, "Rings": 0}
		first, second := sippCarrier(t, "carrier_refuses.xml", refuses), sippCarrier(t, "carrier_refuses.xml", refuses)
		third := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.addr, second.addr, third.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		first.wait()
		second.wait()
		r.settled(want{outcome: billing.Failed, sip: 404, trunk: "trunk2", attempts: "failed failed"})
		c.Hangup()
	}},
	{"603 speaks for every way to the party", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_refuses.xml", values{"Status": 603}), carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.addr, second.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		first.wait()
		r.settled(want{outcome: billing.Busy, sip: 603, trunk: "trunk1", attempts: "busy"})
		c.Hangup()
		if n := len(second.Calls()); n != 0 {
			t.Errorf("%d calls at the second carrier", n)
		}
	}},
	{"a trunk that hangs goes to the second", func(t *testing.T, start Start) {
		if start.Patient && !long() {
			t.Skip("this engine waits for 32 s; TELECOMMUNE_LONG=1 does, too")
		}
		first, second := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Deaf: true}}), carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.Addr(), second.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "failed answered"})
	}},
	{"a trunk's own ring time", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_no_answer.xml", nil), carrier(t, answering())
		all := trunks(first.addr, second.Addr())
		all[0].RingSeconds = 1
		r := newRig(t, start, plan{trunks: all})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		first.wait() // it was cancelled
		r.settled(want{outcome: billing.NotAnswered, trunk: "trunk1", attempts: "no_answer"})
		c.Hangup()
	}},
	{"a trunk's own failover", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_refuses.xml", values{"Status": 486}), sippCarrier(t, "carrier.xml", nil)
		all := trunks(first.addr, second.addr)
		all[0].Failover = "486=next"
		r := newRig(t, start, plan{trunks: all})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		first.wait()
		second.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "busy answered"})
	}},
	{"a full trunk is passed over, not tried", func(t *testing.T, start Start) {
		first, second := carrier(t, answering()), sippCarrier(t, "carrier.xml", nil)
		all := trunks(first.Addr(), second.addr)
		all[0].Channels = 1
		r := newRig(t, start, plan{trunks: all, callLimit: 60})
		one := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(one)
		two := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(two)
		two.Hangup()
		second.wait()
		one.Hangup()
		r.settled(
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 9, trunk: "trunk1", attempts: "answered"},
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "full answered"},
		)
		if n := len(first.Calls()); n != 1 {
			t.Errorf("%d calls at the first carrier", n)
		}
	}},
	{"a prepaid carrier is passed over when a call could take it below its floor, also after a restart", balanceUsedUp},
	{"a dead trunk is passed over, and used again when it is back", deadAndBack},
	{"a busy number is not tried again", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_refuses.xml", values{"Status": 486}), carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.addr, second.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		first.wait()
		r.settled(want{outcome: billing.Busy, sip: 486, trunk: "trunk1", attempts: "busy"})
		c.Hangup()
		if n := len(second.Calls()); n != 0 {
			t.Errorf("%d calls at the second carrier", n)
		}
	}},
	{"the carrier says that nobody answers", func(t *testing.T, start Start) {
		first, second := sippCarrier(t, "carrier_refuses.xml", values{"Status": 480}), carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.addr, second.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		first.wait()
		r.settled(want{outcome: billing.NotAnswered, sip: 480, attempts: "no_answer"})
		c.Hangup()
	}},
	{"more calls at once than are taken", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), maxCalls: 2, callLimit: 60})
		first, second := r.call(simcarrier.PhoneConfig{}, contact), r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(first)
		r.hearTone(second)
		sippCaller(t, r.address, contact.Digits(), "caller_crowd.xml", values{"Sound": "", "Caller": mobile, "Talk": 0}, "-timeout", "5s").wait()
		if n := len(far.Calls()); n != 2 {
			t.Errorf("%d calls at the carrier", n)
		}
		first.Hangup()
		for len(r.exchange.Live()) > 1 {
			r.tick()
		}
		third := r.call(simcarrier.PhoneConfig{}, contact) // there is room again
		r.hearTone(third)
		second.Hangup()
		third.Hangup()
		r.settled(
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 10},
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 10},
			want{outcome: billing.Unavailable, sip: 503},
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 10},
		)
	}},
	{"an account's second call at once", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), limits: billing.Limits{MaxCalls: 1}})
		first := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(first)
		second := r.call(simcarrier.PhoneConfig{}, contact)
		r.must(second.WaitQuiet(r.ctx)) // it is told, and asked for another number
		second.Hangup()
		first.Hangup()
		r.settled(
			want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 10},
			want{outcome: billing.TooManyCalls, sip: 403, number: friend},
		)
		if n := len(far.Calls()); n != 1 {
			t.Errorf("%d calls at the carrier", n)
		}
	}},
	{"an account that may not call the country", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), limits: billing.Limits{Countries: "DE"}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.must(c.WaitQuiet(r.ctx))
		c.Hangup()
		r.settled(want{outcome: billing.Barred, sip: 403, number: friend})
		if n := len(far.Calls()); n != 0 {
			t.Errorf("%d calls at the carrier", n)
		}
	}},
	{"no trunk can carry it", func(t *testing.T, start Start) {
		first := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Status: 500}})
		second := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Status: 404, Reason: "Q.850;cause=1"}})
		r := newRig(t, start, plan{trunks: trunks(first.Addr(), second.Addr())})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.settled(want{outcome: billing.Failed, sip: 404, attempts: "failed failed"})
		c.Hangup()
	}},
	{"the caller gives up while it rings", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier_no_answer.xml", nil) // is happy with CANCEL alone
		r := newRig(t, start, plan{trunks: trunks(far.addr)})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		for len(r.exchange.Live()) == 0 || r.exchange.Live()[0].State != "ringing" {
			r.tick()
		}
		c.Hangup()
		far.wait()
		r.settled(want{outcome: billing.GaveUp, attempts: "gave_up"})
	}},
	{"the caller gives up before the access call is answered", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		if _, err := r.phone(simcarrier.PhoneConfig{}).Call(ctx, gateway.Digits()); err == nil {
			t.Error("answered")
		}
		for len(r.exchange.Live()) > 0 {
			r.tick()
		}
	}},
	{"a codec that was not offered is a failure, not noise", func(t *testing.T, start Start) {
		pcmu := simcarrier.PCMU
		far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Codec: &pcmu, Sound: simcarrier.Tone}})
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{Codecs: []simcarrier.Codec{simcarrier.PCMA}}, contact)
		if start.Transcodes { // it was offered
			r.hearTone(c)
			c.Hangup()
			r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
			return
		}
		r.settled(want{outcome: billing.Failed, sip: 200})
		c.Hangup()
		if h := c.Heard(); h.Tone > 0 {
			t.Errorf("heard %+v", h)
		}
		if got := r.over(far); got.How != simcarrier.ByCaller {
			t.Errorf("%+v", got)
		}
	}},
	{"a carrier without the caller's codec goes to the second trunk", func(t *testing.T, start Start) {
		first := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Status: 488}})
		second := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(first.Addr(), second.Addr())})
		c := r.call(simcarrier.PhoneConfig{Codecs: []simcarrier.Codec{simcarrier.PCMU}}, contact)
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2"})
	}},
}

// balanceUsedUp leaves the first carrier money for one call of a minute, and lets that be short.
func balanceUsedUp(t *testing.T, start Start) {
	first, second := carrier(t, answering()), carrier(t, answering())
	all := trunks(first.Addr(), second.Addr())
	now := time.Now()
	all[0].Prepaid, all[0].PrepaidAt = money.Cent+100, &now // a minute costs a cent
	r := newRig(t, start, plan{trunks: all, callLimit: 60})
	for range 2 {
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		for len(r.exchange.Live()) > 0 {
			r.tick()
		}
	}
	r.settled(
		want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk1", attempts: "answered"},
		want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "no_balance answered"},
	)
	store, restarted := routing.NewStore(r.db), routing.NewGate()
	trunk, err := store.Trunk(r.ctx, "trunk1")
	r.must(err)
	before := *r.exchange.Gate.Live(trunk).Balance
	for _, gate := range []*routing.Gate{r.exchange.Gate, restarted} {
		r.must(store.Refresh(r.ctx, gate, []routing.Trunk{trunk}))
		if after := *gate.Live(trunk).Balance; after != before || after >= money.Cent {
			t.Errorf("%s are left, and were before it was asked of the database: %s", after, before)
		}
	}
}

// deadAndBack lets a trunk die, by TCP so that it is known at once, and come back at the same address.
func deadAndBack(t *testing.T, start Start) {
	first, second := carrier(t, answering()), carrier(t, answering())
	address := first.Addr()
	first.Close()
	all := trunks(address, second.Addr())
	all[0].Transport = "tcp"
	r := newRig(t, start, plan{trunks: all})
	var wants []want
	call := func(attempts, trunk string) {
		t.Helper()
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		wants = append(wants, want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, attempts: attempts, trunk: trunk})
		r.settled(wants...)
	}
	for range 5 {
		call("failed answered", "trunk2")
	}
	trunk := routing.Trunk{Code: "trunk1"}
	if l := r.exchange.Gate.Live(trunk); l.Health != routing.Broken || l.Why == "" {
		t.Errorf("it failed five times: %+v", l)
	}
	call("unhealthy answered", "trunk2")
	carrier(t, simcarrier.CarrierConfig{Listen: address, Default: answering().Default})
	for r.exchange.Gate.Full(trunk) != "" { // the trial is ten seconds after the break
		r.tick()
	}
	call("answered", "trunk1")
	if l := r.exchange.Gate.Live(trunk); l.Health != routing.Healthy {
		t.Errorf("it is back: %+v", l)
	}
}

// tick passes the time of a packet, within the time of the case.
func (r *rig) tick() {
	r.t.Helper()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-r.ctx.Done():
		r.t.Fatal("waited in vain")
	}
}

// over waits for the end of the carrier's first call.
func (r *rig) over(c *simcarrier.Carrier) simcarrier.Record {
	r.t.Helper()
	record, err := c.Await(r.ctx, simcarrier.Record.Done)
	r.must(err)
	return record
}
