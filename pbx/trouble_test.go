package pbx_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

// The caller hangs up wherever the script may be. Each time there is one row, and no hold.
func TestCallerGivesUp(t *testing.T) {
	for _, tc := range []struct {
		why    string
		caller e164.Number
		until  func(x *exchange, p *phone)
		record []string
	}{
		{
			"at the PIN", "", func(_ *exchange, p *phone) { p.hears(prompt.AskPIN) },
			[]string{"close gave_up , 487/16"},
		},
		{
			"in the middle of the PIN", "", func(_ *exchange, p *phone) { p.hears(prompt.AskPIN); p.types("1234"); pause(p) },
			[]string{"close gave_up , 487/16"},
		},
		{
			"while the database looks for him", anna,
			func(*exchange, *phone) { time.Sleep(time.Second) },
			[]string{"close gave_up , 487/16"},
		},
		{
			"at the number", anna, func(_ *exchange, p *phone) { p.hears(prompt.AskNumber) },
			[]string{"close gave_up , 487/16"},
		},
		{
			"in the middle of the number", anna,
			func(_ *exchange, p *phone) { p.hears(prompt.AskNumber); p.types("0038"); pause(p) },
			[]string{"close gave_up , 487/16"},
		},
		{
			"while the credit is held", anna,
			func(x *exchange, p *phone) { p.hears(prompt.AskNumber); p.types(kyiv + "#"); time.Sleep(time.Second) },
			[]string{"authorise +380441234567 for anna", "settle gave_up 0s on , 487/16"},
		},
		{
			"when he hears the price", anna,
			func(_ *exchange, p *phone) { p.types(kyiv + "#"); p.hears("this-call-costs") },
			[]string{"authorise +380441234567 for anna", "settle gave_up 0s on , 487/16"},
		},
		{
			"while it is dialled", anna,
			func(x *exchange, p *phone) {
				x.parties["cheap"] = party{after: time.Minute}
				p.types(kyiv + "#")
				p.hears("you-can-talk-for")
				time.Sleep(10 * time.Second)
			},
			[]string{"authorise +380441234567 for anna", "settle gave_up 0s on cheap, 487/16"},
		},
		{
			"while it rings", anna,
			func(x *exchange, p *phone) {
				x.parties["cheap"] = party{after: time.Minute, rings: true}
				p.types(kyiv + "#")
				p.hears("you-can-talk-for")
				time.Sleep(40 * time.Second)
			},
			[]string{"authorise +380441234567 for anna", "settle gave_up 0s on cheap, 487/16"},
		},
		{
			"in the talk", anna,
			func(_ *exchange, p *phone) { p.types(kyiv + "#"); p.talks(); time.Sleep(90 * time.Second) },
			[]string{"authorise +380441234567 for anna", "settle answered 1m30s on cheap, 200/16"},
		},
		{
			"in the middle of a warning", anna,
			func(x *exchange, p *phone) {
				x.bank.seconds = 100
				p.types(kyiv + "#")
				p.hears(prompt.OneMinuteLeft)
				time.Sleep(clipTime / 2)
			},
			[]string{"authorise +380441234567 for anna", "settle answered 40.5s on cheap, 200/16"},
		},
		{
			"when he hears that it is busy", anna,
			func(x *exchange, p *phone) {
				x.parties["cheap"] = party{fails: &pbx.DialError{SIP: 486, Q850: 17}}
				p.types(kyiv + "#")
				p.hears(prompt.Busy)
			},
			[]string{"authorise +380441234567 for anna", "settle busy 0s on cheap, 486/17"},
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				switch tc.why {
				case "while the database looks for him":
					x.bank.away["ByPhone"] = true
				case "while the credit is held":
					x.bank.takes["Authorise"] = 1500 * time.Millisecond
				}
				p := x.call(gateway, tc.caller)
				tc.until(x, p)
				p.hangsUp()
				p.waits()
				x.expect(tc.record...)
			})
		})
	}
}

// The database gives no answer. Each time the caller knows within two seconds.
func TestDatabaseAway(t *testing.T) {
	t.Run("before the answer", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.away["ByPhone"] = true
			p := x.call(gateway, anna)
			begun := time.Now()
			p.waits()
			x.expect("close unavailable , 503/41")
			if p.cause != pbx.TemporaryFail || !p.AnsweredAt().IsZero() || p.End().At.Sub(begun) > 2*time.Second {
				t.Errorf("refused with %v after %v, answered %v", p.cause, p.End().At.Sub(begun), p.AnsweredAt())
			}
		})
	})
	t.Run("at the PIN", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.away["ByPIN"] = true
			p := x.call(gateway, "")
			p.types(goodPIN)
			p.hears(prompt.Unavailable, prompt.Goodbye)
			p.waits()
			x.expect("pin 123456789012 from pstn ", "close unavailable , 503/41")
		})
	})
	t.Run("at the contact", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.away["Contact"] = true
			p := x.call(contact, anna)
			p.hears(prompt.Unavailable, prompt.Goodbye)
			p.waits()
			x.expect("close unavailable , 503/41")
		})
	})
	t.Run("while the call runs", func(t *testing.T) { // it goes on for what is held
		onExchange(t, func(x *exchange) {
			x.bank.seconds, x.bank.away["Extend"] = 90, true
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.hears(prompt.OneMinuteLeft, prompt.TenSecondsLeft, prompt.CreditUsedUp)
			p.waits()
			x.expect("authorise +380441234567 for anna", "settle answered 1m30s on cheap, 200/16")
			if !slices.Contains(p.events, "one-minute-left at 30s") {
				t.Errorf("the warning came late: %v", p.events)
			}
		})
	})
	t.Run("at the end", func(t *testing.T) { // the caller goes on; closing is bounded
		onExchange(t, func(x *exchange) {
			x.bank.away["Settle"], x.bank.away["Close"] = true, true
			x.parties["cheap"] = party{talks: time.Second}
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.hears(prompt.AskNextNumber)
			p.hangsUp()
			p.waits()
			x.expect("authorise +380441234567 for anna", "settle answered 1s on cheap, 200/16")
		})
	})
}

// A fault of ours takes its own call down, and the call is recorded.
func TestPanics(t *testing.T) {
	for _, tc := range []struct {
		why    string
		set    func(x *exchange)
		record []string
	}{
		{"at the caller", func(x *exchange) { x.bank.panics["ByPhone"] = true }, []string{"close unavailable , 503/41"}},
		{
			"at the hold", func(x *exchange) { x.bank.panics["Authorise"] = true },
			[]string{"authorise +380441234567 for anna", "close unavailable +380441234567, 503/41"},
		},
		{
			"when dialling", func(x *exchange) { x.parties["cheap"] = party{panics: true} },
			[]string{"authorise +380441234567 for anna", "settle unavailable 0s on cheap, 503/41"},
		},
		{
			"when joining", func(x *exchange) { x.bridging = func() error { panic("in the bridge") } },
			[]string{"authorise +380441234567 for anna", "settle unavailable 0s on cheap, 200/0"},
		},
		{
			"in the talk, beside the script", func(x *exchange) { x.bank.panics["Extend"], x.bank.seconds = true, 90 },
			[]string{"authorise +380441234567 for anna", "settle answered 28s on cheap, 200/16"},
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				tc.set(x)
				p := x.call(gateway, anna)
				p.types(kyiv + "#")
				p.waits()
				x.expect(tc.record...)
				if p.End().By != pbx.ByUs {
					t.Errorf("ended by %s", p.End().By)
				}
				// The next caller is served.
				x.bank.set(func() { clear(x.bank.panics); x.bank.log = nil })
				x.parties["cheap"], x.bridging = party{talks: time.Second}, nil
				q := x.call(gateway, anna)
				q.types(kyiv + "#")
				q.hears(prompt.AskNextNumber)
				q.hangsUp()
				q.waits()
				x.expect("authorise +380441234567 for anna", "settle answered 1s on cheap, 200/16")
			})
		})
	}
}

func TestOperatorHangsUp(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.talks()
		time.Sleep(3 * time.Second)
		calls := x.Live()
		if len(calls) != 1 || calls[0].State != pbx.Talking || calls[0].Account != "anna" || calls[0].Trunk != "cheap" ||
			calls[0].Number != "+380441234567" || calls[0].AnsweredAt == nil || calls[0].HeldSeconds != 7200 {
			x.t.Fatalf("live %+v", calls)
		}
		if err := x.Hangup(calls[0].ID); err != nil {
			x.t.Fatal(err)
		}
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 3s on cheap, 200/16")
		if err := x.Hangup(calls[0].ID); err == nil {
			t.Error("a call that is over was hung up")
		}
	})
}

func TestShutdownDrains(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p, q := x.call(gateway, anna), x.call(gateway, anna)
		p.types(kyiv + "#")
		p.talks()
		q.types(kyiv + "#")
		q.talks()
		x.stop()
		pause(p)
		late := x.call(gateway, anna)
		late.waits()
		if late.cause.SIP != 503 || !late.AnsweredAt().IsZero() {
			t.Errorf("a late call was refused with %v", late.cause)
		}
		p.hangsUp() // in good time
		<-q.done    // at the deadline
		if err := <-x.stopped; err != nil {
			t.Error(err)
		}
		x.stopped <- nil
		if lasted := q.End().At.Sub(q.AnsweredAt()); lasted < time.Minute {
			t.Errorf("hung up after %v", lasted)
		}
		if len(x.bank.settled) != 2 || len(x.bank.closings) != 1 {
			t.Errorf("the bank was asked %v", x.bank.log)
		}
	})
}

func TestTooManyCalls(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.config.MaxCalls = 1
		p := x.call(gateway, anna)
		p.hears(prompt.AskNumber)
		q := x.call(gateway, anna)
		<-q.done
		pause(q)
		if q.cause != pbx.NoCircuit {
			t.Errorf("refused with %v", q.cause)
		}
		p.hangsUp()
		p.waits()
		r := x.call(gateway, anna)
		r.hears(prompt.AskNumber) // there is room again
		r.hangsUp()
		r.waits()
		x.expect("close unavailable , 503/34", "close gave_up , 487/16", "close gave_up , 487/16")
	})
}

// Of a flood only so many are recorded.
func TestFloodOfCalls(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.config.MaxCalls = 1
		x.bank.takes["Close"] = time.Second
		p := x.call(gateway, anna)
		p.hears(prompt.AskNumber)
		var flood []*phone
		for range 120 {
			flood = append(flood, x.call(gateway, anna))
		}
		for _, q := range flood {
			<-q.done
			pause(q)
			if q.cause != pbx.NoCircuit {
				t.Errorf("refused with %v", q.cause)
			}
		}
		p.hangsUp()
		p.waits()
		if n := len(x.bank.closings); n != 101 {
			t.Errorf("%d rows", n)
		}
	})
}

// A second's worth of calls may begin at once; from then on they come at their pace. What is too many leaves no row.
func TestTooManyCallsASecond(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.config.MaxCPS = 10
		var taken []*phone
		begin := func(calls int) {
			var all []*phone
			for range calls {
				all = append(all, x.call(gateway, anna))
			}
			synctest.Wait()
			for _, p := range all {
				select {
				case <-p.done:
					if p.cause != pbx.NoCircuit {
						t.Errorf("refused with %v", p.cause)
					}
				default:
					taken = append(taken, p)
				}
			}
		}
		if begin(30); len(taken) != 10 {
			t.Errorf("%d taken of a burst", len(taken))
		}
		time.Sleep(500 * time.Millisecond)
		if begin(30); len(taken) != 15 {
			t.Errorf("%d taken half a second later", len(taken))
		}
		for _, p := range taken {
			p.hangsUp()
			p.waits()
		}
		if n := len(x.bank.closings); n != 15 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestAccessNumberOutOfService(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p := x.call("+49305559999", anna)
		p.waits()
		x.expect("close no_number , 404/1")
		if p.cause.SIP != 404 {
			t.Errorf("refused with %v", p.cause)
		}
	})
}

// Soon after an answer it alone is told of; all calls are, every five seconds, and after a batch that was not stored.
func TestSignsOfTheAnswered(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{after: time.Second, talks: time.Minute}
		call := func() *phone {
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			return p
		}
		batches := func() (sizes []int) {
			time.Sleep(200 * time.Millisecond)
			x.bank.set(func() { sizes, x.bank.batches = x.bank.batches, nil })
			return sizes
		}
		first := call()
		time.Sleep(1500 * time.Millisecond)
		second := call()
		first.talks()
		batches()
		second.talks()
		if sizes := batches(); !slices.Equal(sizes, []int{1}) {
			t.Errorf("batches of %v when a second one is answered", sizes)
		}
		third := call()
		time.Sleep(1500 * time.Millisecond)
		fourth := call()
		for !slices.ContainsFunc(x.Live(), func(l pbx.LiveCall) bool { return l.State == pbx.Dialling && l.Trunk != "" }) {
			time.Sleep(10 * time.Millisecond)
		}
		batches()
		x.bank.set(func() { x.bank.away["Signs"] = true })
		third.talks()
		if sizes := batches(); sizes[len(sizes)-1] != 1 {
			t.Errorf("batches of %v when a third one is answered", sizes)
		}
		x.bank.set(func() { x.bank.away["Signs"] = false })
		fourth.talks()
		if sizes := batches(); !slices.Equal(sizes, []int{4}) {
			t.Errorf("batches of %v after one that failed", sizes)
		}
		time.Sleep(10 * time.Second)
		if sizes := batches(); !slices.Equal(sizes, []int{4, 4}) {
			t.Errorf("batches of %v in ten seconds", sizes)
		}
		for _, p := range []*phone{first, second, third, fourth} {
			p.hangsUp()
		}
		fourth.waits()
	})
}

func TestSignsOfLife(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{after: 7 * time.Second, talks: 12 * time.Second}
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears(prompt.AskNextNumber)
		asking := len(x.bank.signs)
		time.Sleep(7 * time.Second) // nobody holds money now
		if len(x.bank.signs) != asking {
			t.Errorf("signs after the end: %v", x.bank.signs[asking:])
		}
		p.hangsUp()
		p.waits()
		var answered []string
		for _, sign := range x.bank.signs {
			if sign != " 0s" {
				answered = append(answered, sign)
			}
		}
		if len(answered) == len(x.bank.signs) {
			t.Error("no sign of life before the answer")
		}
		if len(answered) < 3 || answered[0] != "cheap 0s" {
			t.Errorf("signs after the answer: %v", answered)
		}
	})
}

// What the switch reports when it fails by itself is passed on, after the calls are settled.
func TestSwitchFails(t *testing.T) {
	config := pbx.Config{Switch: brokenSwitch{}}
	onExchange(t, func(x *exchange) {
		config.Log, config.Gate = x.config.Log, x.config.Gate
		if err := pbx.New(config).Run(x.t.Context()); err == nil {
			t.Error("Run returned nil")
		}
	})
}

type brokenSwitch struct{ pbx.Switch }

func (brokenSwitch) Run(context.Context, func(context.Context, pbx.Leg)) error {
	return context.DeadlineExceeded
}

// pause lets everything come to rest.
func pause(*phone) { time.Sleep(time.Millisecond) }
