package pbx_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

func TestKnownPhoneMakesACall(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.bank.seconds = 150
		x.parties["cheap"] = party{after: 4 * time.Second, rings: true, talks: 12500 * time.Millisecond}
		p := x.call(gateway, anna)
		p.hears(prompt.Welcome, prompt.AskNumber)
		p.types(kyiv + "#")
		p.hears("this-call-costs", "1", "point", "9", "cents", "a-minute", "you-can-talk-for", "2", "minutes")
		p.hears(prompt.AskNextNumber)
		p.hangsUp()
		p.waits()

		x.expect("authorise +380441234567 for anna", "settle answered 12.5s on cheap, 200/16")
		request, settled := x.bank.asked[0], x.bank.settled[0]
		if request.Rate.Deck != "retail@1" || request.CallLimit != 7200 || request.Provider != "pstn" ||
			request.AccessNumber != gateway || request.Origin.Caller != anna {
			t.Errorf("request %+v", request)
		}
		if settled.Carrier != "c-cheap" || settled.Cost.Deck != "cheap@1" || !settled.Ended.Equal(settled.AnsweredAt.Add(settled.Answered)) {
			t.Errorf("settlement %+v", settled)
		}
		if to := x.dialled[0]; to.CallerID != anna || to.Limit != 150*time.Second || to.RingTimeout != time.Minute {
			t.Errorf("dialled %+v", to)
		}
		want := routing.Attempt{
			Trunk: "cheap", Prefix: "380", Started: x.bank.attempts[0].Started, PDD: 2 * time.Second, SIP: 200, Outcome: "answered",
		}
		if !slices.Equal(x.bank.attempts, []routing.Attempt{want}) {
			t.Errorf("attempts %+v", x.bank.attempts)
		}
	})
}

// The log says who ended a call, and not that some context is over.
func TestLogSaysWhoHungUp(t *testing.T) {
	onExchange(t, func(x *exchange) {
		var log bytes.Buffer
		x.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		x.parties["cheap"] = party{talks: time.Minute}
		p := x.call(gateway, anna)
		p.hears(prompt.Welcome, prompt.AskNumber)
		p.types(kyiv + "#")
		time.Sleep(30 * time.Second)
		p.hangsUp()
		p.waits()
		if n := strings.Count(log.String(), `reason="the caller hung up"`); n != 2 {
			t.Errorf("%d reasons, want those of the call and of the access call:\n%s", n, log.String())
		}
	})
}

func TestWhoMayPresentANumberAndOpenAnAccount(t *testing.T) {
	for _, tc := range []struct {
		why       string
		in        pbx.Inbound
		presented e164.Number
		known     bool
	}{
		{"vouched for", pbx.Inbound{Caller: anna, Trusted: true}, anna, true},
		{"anybody can claim a number", pbx.Inbound{Caller: anna}, "", false},
		{"withheld, but known to the network", pbx.Inbound{Caller: anna, Trusted: true, Withheld: true}, "", true},
		{"withheld", pbx.Inbound{Withheld: true, Trusted: true}, "", false},
		{"vouched for, but nobody's here", pbx.Inbound{Caller: "+49301111111", Trusted: true}, "+49301111111", false},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				x.parties["cheap"] = party{talks: time.Second}
				tc.in.Called, tc.in.Provider = gateway, "pstn"
				p := x.callAs(tc.in)
				account := "anna"
				if !tc.known {
					account = "ben"
					p.hears(prompt.Welcome, prompt.AskPIN)
					p.types(goodPIN)
				}
				p.hears(prompt.AskNumber)
				p.types(kyiv + "#")
				p.hears(prompt.AskNextNumber)
				p.hangsUp()
				p.waits()
				if got := x.bank.asked[0].Account; got != account {
					t.Errorf("account %s, want %s", got, account)
				}
				if got := x.dialled[0].CallerID; got != tc.presented {
					t.Errorf("presented %q, want %q", got, tc.presented)
				}
			})
		})
	}
}

func TestPIN(t *testing.T) {
	unknown := pbx.Inbound{Called: gateway, Caller: "+4930999999", Provider: "softphone"}
	t.Run("right at the third try, with the # that it does not need, and all typed ahead", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.parties["cheap"] = party{talks: 3 * time.Second}
			p := x.callAs(unknown)
			p.hears(prompt.AskPIN)
			p.types("111111111111")
			p.hears(prompt.WrongPIN, prompt.AskPIN)
			p.types("1234#") // too short to be looked up
			p.hears(prompt.WrongPIN, prompt.AskPIN)
			p.types(goodPIN + "#" + kyiv + "#")
			p.hears(prompt.AskNextNumber)
			p.hangsUp()
			p.waits()
			x.expect("pin 111111111111 from softphone ", "pin 123456789012 from softphone ",
				"authorise +380441234567 for ben", "settle answered 3s on cheap, 200/16")
		})
	})
	t.Run("what was typed behind a wrong one is dropped", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			p := x.callAs(unknown)
			p.hears(prompt.AskPIN)
			p.types("111111111111#" + kyiv + "#")
			p.hears(prompt.WrongPIN, prompt.AskPIN)
			p.types(goodPIN)
			p.hears(prompt.AskNumber)
			p.hangsUp()
			p.waits()
			x.expect("pin 111111111111 from softphone ", "pin 123456789012 from softphone ", "close gave_up , 487/16")
		})
	})
	t.Run("from a number that is vouched for, and has no account", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			p := x.call(gateway, "+4930999999")
			p.types(goodPIN)
			p.hears(prompt.AskNumber)
			p.hangsUp()
			p.waits()
			x.expect("pin 123456789012 from pstn +4930999999", "close gave_up , 487/16")
		})
	})
	t.Run("wrong three times", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			p := x.callAs(unknown)
			for range 3 {
				p.hears(prompt.AskPIN)
				p.types("000000000000")
			}
			p.hears(prompt.WrongPIN, prompt.NoMoreTries, prompt.Goodbye)
			p.waits()
			pin := "pin 000000000000 from softphone "
			x.expect(pin, pin, pin, "close no_account , 403/21")
		})
	})
	t.Run("nothing typed", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			p := x.callAs(unknown)
			p.hears(prompt.AskPIN, prompt.AskPIN, prompt.AskPIN, prompt.NoMoreTries, prompt.Goodbye)
			p.waits()
			x.expect("close no_account , 403/21")
		})
	})
	t.Run("guessed too often from there", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.pinError = billing.ErrTooManyPINs
			p := x.callAs(unknown)
			p.types(goodPIN)
			p.hears(prompt.TooManyPINs, prompt.Goodbye)
			p.waits()
			x.expect("pin 123456789012 from softphone ", "close no_account , 403/21")
		})
	})
}

// Each of these callers dials once, hears why it can't be, and is asked for another number or sent away.
func TestCallsThatComeToNothing(t *testing.T) {
	busy := &pbx.DialError{SIP: 486, Q850: 17}
	for _, tc := range []struct {
		why    string
		dials  string
		set    func(x *exchange)
		hears  []prompt.Phrase
		record []string
		tried  string // attempts
	}{
		{
			"no rate", "0033123456789#", nil, say(prompt.CannotBeCalled, prompt.AskNextNumber),
			[]string{"close refused +33123456789, 404/1"},
			"",
		},
		{
			"no trunk has a rate", "0043123456#", nil, say(prompt.NoWay, prompt.AskNextNumber),
			[]string{"close failed +43123456, 503/34"},
			"",
		},
		{
			"no credit", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrInsufficientCredit },
			say(prompt.NoCredit, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "close refused +380441234567, 403/21"},
			"",
		},
		{
			"as many calls as the account may make at once", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrTooManyCalls },
			say(prompt.TooManyCalls, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "close too_many_calls +380441234567, 403/21"},
			"",
		},
		{
			"a minute dearer than the account may pay", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrTooDear },
			say(prompt.TooDear, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "close too_dear +380441234567, 403/21"},
			"",
		},
		{
			"the hour's or the day's money is spent", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrSpendLimit },
			say(prompt.SpendLimit, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "close spend_limit +380441234567, 403/21"},
			"",
		},
		{
			"a country that the account may not call", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrCountryBarred },
			say(prompt.CountryBarred, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "close country_barred +380441234567, 403/21"},
			"",
		},
		{
			"blocked meanwhile", kyiv + "#", func(x *exchange) { x.bank.refuses = billing.ErrBlocked },
			say(prompt.Blocked, prompt.Goodbye),
			[]string{"authorise +380441234567 for anna", "close refused +380441234567, 403/21"},
			"",
		},
		{
			"busy: no other trunk is asked", kyiv + "#", func(x *exchange) { x.parties["cheap"] = party{fails: busy} },
			say(prompt.Busy, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle busy 0s on cheap, 486/17"},
			"cheap busy",
		},
		{
			"declined", kyiv + "#",
			func(x *exchange) { x.parties["cheap"] = party{fails: &pbx.DialError{SIP: 603, Q850: 21}} },
			say(prompt.Busy, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle busy 0s on cheap, 603/21"},
			"cheap busy",
		},
		{
			"trunks that never say anything: two minutes in all", kyiv + "#",
			func(x *exchange) {
				x.parties["cheap"] = party{after: time.Hour}
				x.parties["dear"] = party{after: 50 * time.Second, fails: &pbx.DialError{SIP: 503, Q850: 34}}
				x.parties["third"] = party{after: 11 * time.Second}
			},
			say(prompt.NoAnswer, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle no_answer 0s on third, 480/19"},
			"cheap no_answer, dear failed, third no_answer",
		},
		{
			"nobody answers", kyiv + "#",
			func(x *exchange) { x.parties["cheap"] = party{after: 100 * time.Second, rings: true} },
			say(prompt.NoAnswer, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle no_answer 0s on cheap, 487/0"},
			"cheap no_answer",
		},
		{
			"two carriers know no such number", kyiv + "#",
			func(x *exchange) {
				x.parties["cheap"] = party{fails: &pbx.DialError{SIP: 404, Q850: 1}}
				x.parties["dear"] = party{fails: &pbx.DialError{SIP: 404, Q850: 1}}
			},
			say(prompt.UnknownNumber, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle failed 0s on dear, 404/1"},
			"cheap failed, dear failed",
		},
		{
			"every trunk is down", kyiv + "#",
			func(x *exchange) {
				x.parties["cheap"] = party{fails: &pbx.DialError{SIP: 503, Q850: 34}}
				x.parties["dear"] = party{fails: &pbx.DialError{Err: errors.New("connection refused")}}
				x.parties["third"] = party{fails: &pbx.DialError{SIP: 500, Q850: 41}}
			},
			say(prompt.NoWay, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle failed 0s on third, 500/41"},
			"cheap failed, dear failed, third failed",
		},
		{
			"an access number of ours", "0305550102#", nil,
			say(prompt.CannotBeCalled, prompt.AskNextNumber),
			[]string{"close refused +49305550102, 404/1"},
			"",
		},
		{
			"no codec in common, found when joining", kyiv + "#",
			func(x *exchange) { x.bridging = func() error { return pbx.ErrCodec } },
			say(prompt.NoWay, prompt.AskNextNumber),
			[]string{"authorise +380441234567 for anna", "settle failed 0s on cheap, 200/0"},
			"cheap answered",
		},
		{
			"the database stays away at the hold", kyiv + "#", func(x *exchange) { x.bank.away["Authorise"] = true },
			say(prompt.Unavailable, prompt.Goodbye),
			[]string{"authorise +380441234567 for anna", "close unavailable +380441234567, 503/41"},
			"",
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				if tc.set != nil {
					tc.set(x)
				}
				p := x.call(gateway, anna)
				p.hears(prompt.AskNumber)
				p.types(tc.dials)
				p.hears(tc.hears...)
				if tc.hears[len(tc.hears)-1] != prompt.Goodbye {
					p.hangsUp()
				}
				p.waits()
				x.expect(tc.record...)
				var tried []string
				for _, a := range x.bank.attempts {
					tried = append(tried, a.Trunk+" "+a.Outcome)
				}
				if got := strings.Join(tried, ", "); got != tc.tried {
					t.Errorf("attempts: %s, want %s", got, tc.tried)
				}
			})
		})
	}
}

func TestFailover(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{after: time.Second, fails: &pbx.DialError{SIP: 503, Q850: 34}}
		x.parties["dear"] = party{after: time.Second, talks: 7 * time.Second}
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears(prompt.AskNextNumber)
		p.hangsUp()
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 7s on dear, 200/16")
		if len(x.bank.attempts) != 2 || x.bank.attempts[0].SIP != 503 || x.bank.attempts[1].Outcome != "answered" {
			t.Errorf("attempts %+v", x.bank.attempts)
		}
	})
}

func TestFullTrunkIsPassedOver(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.channel["cheap"] = 1
		first := x.call(gateway, anna)
		first.types(kyiv + "#")
		first.talks()
		second := x.call(gateway, anna)
		second.types(kyiv + "#")
		second.talks()
		second.hangsUp()
		second.waits()
		first.hangsUp()
		first.waits()
		if got := x.bank.settled[0].Trunk; got != "dear" {
			t.Errorf("the second call went over %s", got)
		}
		if a := x.bank.attempts[0]; a.Trunk != "cheap" || a.Outcome != "full" {
			t.Errorf("attempt %+v, want cheap full", a)
		}
	})
}

func TestHashAloneIsNoTry(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{talks: time.Second}
		p := x.call(gateway, anna)
		p.types("####" + kyiv + "#")
		p.hears(prompt.AskNextNumber)
		p.types(strings.Repeat("#", 100)) // but nobody is listened to for ever
		p.hears(prompt.Goodbye)
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 1s on cheap, 200/16")
	})
}

func TestWrongNumbersThreeTimes(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p := x.call(gateway, anna)
		p.hears(prompt.AskNumber)
		p.types("*21*5#")
		p.hears(prompt.WrongNumber, prompt.AskNumber)
		p.types("030#")
		p.hears(prompt.WrongNumber, prompt.AskNumber)
		p.types("0000000000000000000")
		p.hears(prompt.Goodbye)
		p.waits()
		x.expect("close no_number , 404/1")
	})
}

func TestContactNumber(t *testing.T) {
	t.Run("calls the contact", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.parties["cheap"] = party{talks: time.Second}
			p := x.call(contact, anna)
			p.hears("you-can-talk-for", prompt.AskNextNumber)
			p.hangsUp()
			p.waits()
			x.expect("authorise +380441234567 for anna", "settle answered 1s on cheap, 200/16")
		})
	})
	t.Run("stands for nobody", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.contacts = nil
			p := x.call(contact, anna)
			p.hears(prompt.NoContact, prompt.Goodbye)
			p.waits()
			x.expect("close no_number , 404/1")
		})
	})
}

func TestEcho(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p := x.callAs(pbx.Inbound{Called: echo, Provider: "softphone"})
		p.hears(prompt.Echo)
		time.Sleep(20 * time.Second)
		p.hangsUp()
		p.waits()
		q := x.callAs(pbx.Inbound{Called: echo, Provider: "softphone"})
		q.waits() // nobody hangs up: the engine does
		x.expect("close served , 480/16", "close served , 480/16")
		if lasted := q.End().At.Sub(q.AnsweredAt()); lasted != 5*time.Minute {
			t.Errorf("lasted %v", lasted)
		}
	})
}

func TestBlockedAccount(t *testing.T) {
	onExchange(t, func(x *exchange) {
		c := caller("anna")
		c.Blocked = true
		x.bank.phones[anna] = c
		p := x.call(gateway, anna)
		p.hears(prompt.Blocked, prompt.Goodbye)
		p.waits()
		x.expect("close refused , 403/21")
		if got := x.bank.closings[0].Account; got != "anna" {
			t.Errorf("account %q", got)
		}
	})
}

func TestClipsThatCannotBePlayed(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{talks: time.Second}
		x.start()
		l := newLine(pbx.Inbound{Called: gateway, Caller: anna, Provider: "pstn", Trusted: true})
		l.broken = true
		x.calls <- l
		p := &phone{l, x, x.t}
		p.types(kyiv + "#")
		time.Sleep(5 * time.Second)
		p.hangsUp()
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 1s on cheap, 200/16")
	})
}

func say(phrases ...prompt.Phrase) []prompt.Phrase { return phrases }

// An access number that costs by the minute: each call bears its part of the leg, the rest has a row of its own, and the
// caller hears, and is held for, what the tariff passes on.
func TestAccessCost(t *testing.T) {
	onExchange(t, func(x *exchange) {
		number := x.admission.Numbers[gateway]
		number.PerMinute = 6_000
		x.admission.Numbers[gateway] = number
		passes := x.bank.phones[anna]
		passes.PassesAccess = true
		x.bank.phones[anna] = passes
		x.parties["cheap"] = party{after: 4 * time.Second, talks: 12500 * time.Millisecond}
		p := x.call(gateway, anna)
		p.hears(prompt.Welcome, prompt.AskNumber)
		p.types(kyiv + "#")
		p.hears("this-call-costs", "2", "point", "5", "cents", "a-minute") // 1.9 and 0.6
		p.hears(prompt.AskNextNumber)
		time.Sleep(2 * time.Second)
		p.hangsUp()
		p.waits()

		x.expect("authorise +380441234567 for anna", "settle answered 12.5s on cheap, 200/16", "close served , 480/16")
		asked, settled, rest := x.bank.asked[0], x.bank.settled[0], x.bank.closings[0]
		if leg := asked.Access; leg.Cost.RatePerMinute != 6_000 || leg.PassedOn.RatePerMinute != 6_000 || leg.Before != 0 {
			t.Errorf("leg %+v", leg)
		}
		if settled.AccessTime < settled.Answered+4*time.Second {
			t.Errorf("the leg lasted %v by the end of a call of %v", settled.AccessTime, settled.Answered)
		}
		if rest.Access.Before != settled.AccessTime || rest.AccessTime < settled.AccessTime+2*time.Second || rest.Account != "anna" {
			t.Errorf("the rest of the leg: %+v", rest)
		}
	})
}
