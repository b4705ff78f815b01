package conformance

import (
	"strings"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// wholeCall has prompts, digits of a PIN and a number, and a talk.
const wholeCall = "a PIN and a number by telephone events"

// calls are the ways in, and how a call goes when all is well.
var calls = []scenario{
	{"a known caller reaches a contact, SIPp at both ends", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier.xml", nil)
		r := newRig(t, start, plan{trunks: trunks(far.addr)})
		sippCaller(t, r.address, contact.Digits(), "caller.xml", values{"Caller": mobile, "Talk": 3000}).wait()
		far.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3, trunk: "trunk1", number: friend, attempts: "answered"})
	}},
	{wholeCall, pinByEvents},
	{"a PIN and a number by SIP INFO", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		keys := strings.Split(r.pin+dialled(friend), "")
		sippCaller(t, r.address, gateway.Digits(), "caller_info.xml", values{"Caller": unknown, "Keys": keys, "Talk": 3000}).wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3, number: friend})
	}},
	{"a PIN by SIP INFO of another phone", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr())})
		c := r.call(simcarrier.PhoneConfig{Number: unknown.String(), INFO: true}, gateway)
		r.dial(c, r.pin)
		r.dial(c, dialled(friend))
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, number: friend})
	}},
	{"three wrong PINs", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		c := r.call(simcarrier.PhoneConfig{Number: unknown.String(), INFO: true}, gateway)
		for range 3 {
			r.dial(c, "000000000000")
		}
		receive(r, c.Done())
		if byPeer, _ := c.EndedByPeer(); !byPeer {
			t.Error("nobody hung up on the guesser")
		}
		r.settled(want{outcome: billing.Unidentified})
	}},
	{"a softphone with a password, over TCP", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: []routing.Trunk{{Address: far.Addr(), Transport: "tcp"}}})
		p := r.phone(simcarrier.PhoneConfig{
			Listen: "127.0.0.2:0", Transport: "tcp", User: "softphone", Password: softphonePassword, Number: unknown.String(),
			INFO: true,
		})
		r.must(p.Register(r.ctx, time.Minute))
		c, err := p.Call(r.ctx, gateway.Digits())
		r.must(err)
		r.dial(c, r.pin)
		r.dial(c, dialled(friend))
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, number: friend})
		if got := far.Calls()[0]; got.Transport != "tcp" || got.Caller != "anonymous" {
			t.Errorf("%+v", got) // a caller ID that is not vouched for is not passed on
		}
	}},
	{"a stranger gets no service", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		p := r.phone(simcarrier.PhoneConfig{Listen: "127.0.0.2:0", User: "softphone", Password: "guess"})
		if _, err := p.Call(r.ctx, gateway.Digits()); err == nil {
			t.Error("served")
		}
		r.settled()
	}},
	{"echo", func(t *testing.T, start Start) {
		r := newRig(t, start, plan{trunks: trunks("127.0.0.1:9")})
		c := r.call(simcarrier.PhoneConfig{Sound: simcarrier.Tone}, echo)
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Served})
	}},
	{"a trunk with digest, SIPp checks it", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier_digest.xml", values{"User": "commune", "Password": "open sesame"})
		r := newRig(t, start, plan{trunks: []routing.Trunk{{Address: far.addr, User: "commune", Password: "open sesame"}}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		far.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
	}},
	{"a trunk with digest of a proxy's kind, and a wrong password", func(t *testing.T, start Start) {
		const password = `open; [sesame] => #include \"${x}` // none of it may mean anything to a file of configuration
		far := carrier(t, simcarrier.CarrierConfig{User: "commune", Password: password, Default: answering().Default})
		r := newRig(t, start, plan{trunks: []routing.Trunk{
			{Address: far.Addr(), User: "commune", Password: "wrong"}, {Address: far.Addr(), User: "commune", Password: password},
		}})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2, trunk: "trunk2", attempts: "failed answered"})
	}},
	{"twenty ringings", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier.xml", values{"Rings": 20})
		r := newRig(t, start, plan{trunks: trunks(far.addr)})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		c.Hangup()
		far.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
	}},
	{"early media is heard before the answer", func(t *testing.T, start Start) {
		far := sippCarrier(t, "carrier_early.xml", values{"Early": 2000})
		r := newRig(t, start, plan{trunks: trunks(far.addr)})
		c := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(c)
		var answered int
		r.must(r.db.GetContext(r.ctx, &answered, `SELECT count(*) FROM hold WHERE answered_ms IS NOT NULL`))
		if answered != 0 {
			t.Error("answered before the tone was heard: it was no early media")
		}
		time.Sleep(2500 * time.Millisecond) // the answer comes two seconds after the tone began
		c.Hangup()
		far.wait()
		r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 2})
	}},
	{"many at once", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), callLimit: 60})
		const n = 10
		var wants []want
		p := r.phone(simcarrier.PhoneConfig{})
		ended := make(chan error, n)
		for range n {
			wants = append(wants, want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 4})
			go func() {
				c, err := p.Call(r.ctx, contact.Digits())
				if err == nil {
					err = c.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone >= 5 })
					c.Hangup()
				}
				ended <- err
			}()
		}
		for range n {
			if err := receive(r, ended); err != nil {
				t.Error(err)
			}
		}
		r.settled(wants...)
	}},
	{"credit for one is not given to two", func(t *testing.T, start Start) {
		far := carrier(t, answering())
		r := newRig(t, start, plan{trunks: trunks(far.Addr()), credit: 5 * money.Cent})
		first := r.call(simcarrier.PhoneConfig{}, contact)
		r.hearTone(first)
		second := r.call(simcarrier.PhoneConfig{}, contact)
		r.must(second.WaitQuiet(r.ctx)) // there is not enough credit
		second.Hangup()
		receive(r, first.Done())
		r.settled(want{outcome: billing.Answered, atLeast: 5, atMost: 5}, want{outcome: billing.Refused})
		if n := len(far.Calls()); n != 1 {
			t.Errorf("%d calls at the carrier", n)
		}
	}},
}

// pinByEvents has SIPp send the events; where it may not write to raw sockets, a phone of ours with a payload type of
// its own.
func pinByEvents(t *testing.T, start Start) {
	far := carrier(t, answering())
	r := newRig(t, start, plan{trunks: trunks(far.Addr())})
	digits := r.pin + dialled(friend)
	if mayForge() {
		const each = 400 // ms that SIPp takes a digit
		sippCaller(t, r.address, gateway.Digits(), "caller.xml", values{
			"Caller": unknown, "Digits": digits, "DialTime": each*len(digits) + 500, "Talk": 3000,
		}).wait()
	} else {
		t.Log("SIPp may not open raw sockets here, so a simulated phone sends the events")
		c := r.call(simcarrier.PhoneConfig{Number: unknown.String(), Event: 96}, gateway)
		r.must(c.Dial(r.ctx, digits))
		r.hearTone(c)
		c.Hangup()
	}
	r.settled(want{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 4, number: friend})
}

func trunks(addrs ...string) []routing.Trunk {
	var all []routing.Trunk
	for _, a := range addrs {
		all = append(all, routing.Trunk{Address: a})
	}
	return all
}

// dialled is a number as it is dialled from Germany, and the key that ends it.
func dialled(n e164.Number) string { return "00" + n.Digits() + "#" }
