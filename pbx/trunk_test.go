package pbx_test

import (
	"strings"
	"testing"
	"time"

	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/routing"
)

// tried makes a call to the contact and gives its attempts, such as "cheap failed, dear answered".
func (x *exchange) tried() string {
	x.t.Helper()
	before := len(x.bank.attempts)
	p := x.call(contact, anna)
	for !p.ended() && p.joined() == nil && !p.asked() {
		time.Sleep(100 * time.Millisecond)
	}
	for p.joined() != nil {
		time.Sleep(100 * time.Millisecond)
	}
	p.hangsUp()
	p.waits()
	var tried []string
	for _, a := range x.bank.attempts[before:] {
		tried = append(tried, strings.TrimSpace(a.Trunk+" "+a.Outcome+" "+a.Suspect))
	}
	return strings.Join(tried, ", ")
}

// asked tells whether the caller is asked for another number.
func (p *phone) asked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(strings.Join(p.events, " "), "next")
}

func (x *exchange) wantTried(proves, want string) {
	x.t.Helper()
	if got := x.tried(); got != want {
		x.t.Errorf("%s: tried %s; want %s", proves, got, want)
	}
}

var broken = party{fails: &pbx.DialError{SIP: 503, Q850: 41}}

// TestDeadTrunk: one that fails again and again is passed over, and tried again after a while; when it is back, it takes
// its calls again.
func TestDeadTrunk(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"], x.parties["dear"] = broken, party{talks: time.Minute}
		for range 5 {
			x.wantTried("it fails", "cheap failed, dear answered")
		}
		gate, cheap := x.config.Gate, routing.Trunk{Code: "cheap"}
		if l := gate.Live(cheap); l.Health != routing.Broken || l.Why == "" || l.Since.IsZero() {
			t.Errorf("%+v", l)
		}
		x.wantTried("the trial, minutes later", "cheap failed, dear answered") // each call takes longer than the pause
		x.parties["cheap"] = party{talks: time.Minute}
		time.Sleep(5 * time.Minute)
		x.wantTried("it is back", "cheap answered")
		if l := gate.Live(cheap); l.Health != routing.Healthy || l.Calls != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestPassedOver: a trunk that takes no calls is no attempt.
func TestPassedOver(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.config.Gate.Registered("cheap", "registration refused: 403")
		x.config.MaxAttempts = 1
		x.parties["dear"] = party{talks: time.Minute}
		x.wantTried("not registered", "cheap unhealthy, dear answered")
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.config.MaxAttempts = 2
		x.parties["cheap"], x.parties["dear"], x.parties["third"] = broken, broken, party{talks: time.Minute}
		x.wantTried("two attempts", "cheap failed, dear failed")
	})
}

func TestOwnFailover(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.shape = func(t *routing.Trunk) { t.Failover, t.RingSeconds = "503=stop; timeout=next", 20 }
		x.parties["cheap"], x.parties["dear"] = broken, party{talks: time.Minute}
		x.wantTried("stop at 503", "cheap failed")
		x.parties["cheap"] = party{after: time.Hour, rings: true}
		x.wantTried("on when nobody answers", "cheap no_answer, dear answered")
		if got := x.dialled[0].RingTimeout; got != 20*time.Second {
			t.Errorf("rings for %s", got)
		}
	})
}

// TestSpendLimit: a call that could cost more than is left is not dialled; what it did cost counts from its end.
func TestSpendLimit(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.bank.seconds = 600 // five cents at the cheap carrier
		x.shape = func(t *routing.Trunk) {
			if t.Code == "cheap" {
				t.SpendDay = 6 * money.Cent
			}
		}
		x.parties["cheap"], x.parties["dear"] = party{talks: 4 * time.Minute}, party{talks: time.Minute}
		x.wantTried("five of six cents", "cheap answered")
		x.wantTried("two were used, and five are too many", "cheap spend_limit, dear answered")
		x.bank.seconds = 480
		x.wantTried("four are not", "cheap answered")
	})
}

// TestFalseAnswer: an answer after which nobody says a word is marked on its attempt.
func TestFalseAnswer(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{talks: time.Minute, mute: true}
		x.wantTried("nobody says a word", "cheap answered silence")
		x.parties["cheap"] = party{talks: time.Minute}
		x.wantTried("somebody does", "cheap answered")
	})
}

// TestPresentedNumber: the trunk's policy decides what the carrier is told of the caller.
func TestPresentedNumber(t *testing.T) {
	for _, c := range []struct {
		proves          string
		trunk           routing.Trunk
		withheld        bool
		shown, asserted string
	}{
		{"passed", routing.Trunk{}, false, anna.String(), anna.String()},
		{"a phone of the account", routing.Trunk{CallerID: routing.VerifiedCaller}, false, anna.String(), anna.String()},
		{"withheld, and the carrier is trusted", routing.Trunk{Trusted: true}, true, "", anna.String()},
		{"withheld, and it is not", routing.Trunk{}, true, "", ""},
		{"one of ours", routing.Trunk{CallerID: routing.FixedCaller, CallerNumber: "+4930123456"}, true, "+4930123456", "+4930123456"},
	} {
		onExchange(t, func(x *exchange) {
			x.parties["cheap"] = party{talks: time.Second}
			x.shape = func(t *routing.Trunk) {
				t.CallerID, t.CallerNumber, t.Trusted = c.trunk.CallerID, c.trunk.CallerNumber, c.trunk.Trusted
			}
			p := x.callAs(pbx.Inbound{Called: contact, Caller: anna, Provider: "pstn", Trusted: true, Withheld: c.withheld})
			p.talks()
			p.hangsUp()
			p.waits()
			if to := x.dialled[0]; to.CallerID.String() != c.shown || to.Asserted.String() != c.asserted {
				t.Errorf("%s: shown %q, asserted %q", c.proves, to.CallerID, to.Asserted)
			}
		})
	}
}
