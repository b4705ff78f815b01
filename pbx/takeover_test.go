package pbx_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// orphans fakes what billing knows of calls of earlier runs. What goes wrong is taken from the front of trouble.
type orphans struct {
	calls   []billing.Orphan
	trouble []error // of Orphans
	refuses []error // of Adopt; nil: it does not
	adopted []billing.CallID
}

func (o *orphans) Orphans(context.Context) ([]billing.Orphan, error) {
	if len(o.trouble) > 0 {
		err := o.trouble[0]
		o.trouble = o.trouble[1:]
		return nil, err
	}
	return slices.Clone(o.calls), nil
}

func (o *orphans) Adopt(_ context.Context, call billing.CallID) (billing.Orphan, error) {
	if len(o.refuses) > 0 {
		err := o.refuses[0]
		o.refuses = o.refuses[1:]
		if err != nil {
			return billing.Orphan{}, err
		}
	}
	o.adopted = append(o.adopted, call)
	return o.calls[slices.IndexFunc(o.calls, func(c billing.Orphan) bool { return c.Call == call })], nil
}

// inherits gives the exchange a call of an earlier run, with so many seconds held. Its caller was answered at its start.
func (x *exchange) inherits(held int) (*orphans, billing.Orphan) {
	call := uuid.Must(uuid.NewV7())
	o := billing.Orphan{
		Request: billing.Request{
			Origin: billing.Origin{
				Call: call, AccessCall: uuid.Must(uuid.NewV7()), Provider: "pstn", AccessNumber: gateway, Caller: anna, Started: time.Now(),
				Access: billing.AccessLeg{AnsweredAt: time.Now()},
			},
			Account: "anna", Number: "+380441234567", CallLimit: 7200,
		},
		Hold: billing.Hold{Call: call, Account: "anna", Seconds: held}, Sign: billing.Sign{Call: call},
	}
	x.bank.held[call], x.bank.seconds = held, held
	all := &orphans{calls: []billing.Orphan{o}}
	x.config.Orphans = all
	return all, o
}

// talking is a talk that goes on: both sides are up since now.
func (x *exchange) talking() (*phone, *line) {
	caller, far := newLine(pbx.Inbound{}), newLine(pbx.Inbound{})
	for _, l := range []*line{caller, far} {
		_ = l.Answer(context.Background())
	}
	x.far = append(x.far, far)
	return &phone{caller, x, x.t}, far
}

// leaves has the switch tell what has become of the one call of an earlier run.
func (x *exchange) leaves(l pbx.Left) {
	x.left = func(calls []pbx.Unled) (map[uuid.UUID]pbx.Left, error) {
		told := map[uuid.UUID]pbx.Left{}
		for _, c := range calls {
			told[c.Call] = l
		}
		return told, nil
	}
}

// wantAttempt holds that an attempt which was answered is all that is recorded of a call of an earlier run.
func (x *exchange) wantAttempt(name string, o billing.Orphan, trunk, prefix string) {
	x.t.Helper()
	want := []routing.Attempt{{Trunk: trunk, Prefix: prefix, Started: o.Started, SIP: 200, Outcome: "answered"}}
	if trunk == "" {
		want = nil
	}
	x.bank.set(func() {
		if !slices.Equal(x.bank.attempts, want) {
			x.t.Errorf("%s: attempts %+v, want %+v", name, x.bank.attempts, want)
		}
	})
}

// A talk of an earlier run goes on where it was: it is shown, shows life, takes the trunk's channel, buys time and is cut
// when that is used up, and is settled from its answer on. Then the caller hears goodbye.
func TestATalkIsLedOn(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ends  func(p *phone, far *line, x *exchange)
		hears []prompt.Phrase
		lasts string
	}{
		{"the far side hangs up", func(_ *phone, far *line, _ *exchange) { far.finish(pbx.ByPeer, 16) }, []prompt.Phrase{prompt.Goodbye}, "1m30s"},
		{"the caller hangs up", func(p *phone, _ *line, _ *exchange) { p.hangsUp() }, nil, "1m30s"},
		{"the caller dials ##", func(p *phone, _ *line, _ *exchange) { p.types("##") }, []prompt.Phrase{prompt.Goodbye}, "1m30s"},
		{"an operator hangs up", func(_ *phone, _ *line, x *exchange) {
			if err := x.Hangup(x.Live()[0].ID); err != nil {
				x.t.Error(err)
			}
		}, nil, "1m30s"},
		{"the paid time is used up", func(*phone, *line, *exchange) {}, []prompt.Phrase{prompt.OneMinuteLeft, prompt.TenSecondsLeft, prompt.CreditUsedUp, prompt.Goodbye}, "5m0s"},
		{"more is paid", func(_ *phone, _ *line, x *exchange) { x.bank.set(func() { x.bank.seconds = 400 }) }, []prompt.Phrase{prompt.CreditUsedUp, prompt.Goodbye}, "6m40s"},
	} {
		onExchange(t, func(x *exchange) {
			all, o := x.inherits(300)
			p, far := x.talking()
			time.Sleep(80 * time.Second)
			x.leaves(pbx.Left{Caller: p.line, Far: far, Trunk: "dear", AnsweredAt: far.AnsweredAt()})
			x.channel["dear"] = 1
			recovered := make(chan struct{})
			x.config.Recovered = func() { close(recovered) }
			x.start()
			<-recovered
			p.talks()
			time.Sleep(10 * time.Second)
			live := x.Live()
			if len(live) != 1 || live[0].ID != o.Call || live[0].State != pbx.Talking || live[0].Account != "anna" || live[0].Trunk != "dear" ||
				live[0].AnsweredAt == nil || !live[0].AnsweredAt.Equal(far.AnsweredAt()) || live[0].HeldSeconds != 300 {
				t.Errorf("%s: shown is %+v", tc.name, live)
			}
			if !slices.Equal(all.adopted, []billing.CallID{o.Call}) {
				t.Errorf("%s: %v is adopted", tc.name, all.adopted)
			}
			if full := x.config.Gate.Full(routing.Trunk{Code: "dear", Channels: 1}); full != routing.Full {
				t.Errorf("%s: its channel is free", tc.name)
			}
			x.bank.set(func() {
				if len(x.bank.signs) == 0 {
					t.Errorf("%s: no sign of life", tc.name)
				}
			})
			tc.ends(p, far, x)
			p.hears(tc.hears...)
			p.waits()
			x.expect("settle answered " + tc.lasts + " on dear, 200/16")
			if s := x.bank.settled[0]; s.Cost.RatePerMinute != 8_000 || s.Carrier != "c-dear" || !s.AnsweredAt.Equal(far.AnsweredAt()) {
				t.Errorf("%s: settled is %+v", tc.name, s)
			}
			x.wantAttempt(tc.name, o, "dear", "380")
			if len(x.Live()) > 0 || x.config.Gate.Full(routing.Trunk{Code: "dear", Channels: 1}) == routing.Full {
				t.Errorf("%s: something is left of it", tc.name)
			}
		})
	}
}

// What the switch knows of a call that ended while nobody led it is settled; what it does not know is left to billing.
func TestACallThatEndedMeanwhile(t *testing.T) {
	answered := time.Date(2026, 5, 1, 12, 0, 0, 123456000, time.UTC)
	for _, tc := range []struct {
		name string
		sign billing.Sign
		left pbx.Left
		want []string
		over string // the trunk that answered, and the prefix
	}{
		{"the switch knows all", billing.Sign{}, pbx.Left{Trunk: "cheap", AnsweredAt: answered, EndedAt: answered.Add(7 * time.Second)}, []string{"settle answered 7s on cheap, 200/16"}, "cheap 380"},
		{
			"the trunk is known from before",
			billing.Sign{Trunk: "gone", Carrier: "c-gone", Cost: tariff.Row{Prefix: "38044", RatePerMinute: 1}, AnsweredAt: answered},
			pbx.Left{AnsweredAt: answered, EndedAt: answered.Add(7 * time.Second)},
			[]string{"settle answered 7s on gone, 200/16"},
			"gone 38044",
		},
		{"only its last sign of life is known", billing.Sign{Trunk: "cheap", AnsweredAt: answered, Cost: tariff.Row{Prefix: "380", RatePerMinute: 1}}, pbx.Left{}, nil, "cheap 380"},
		{"the end is not known", billing.Sign{}, pbx.Left{Trunk: "cheap", AnsweredAt: answered}, nil, "cheap 380"},
		{"it was never answered", billing.Sign{}, pbx.Left{Trunk: "cheap"}, nil, " "},
		{"nobody knows who answered", billing.Sign{}, pbx.Left{AnsweredAt: answered}, nil, " "},
	} {
		onExchange(t, func(x *exchange) {
			all, o := x.inherits(300)
			tc.sign.Call = o.Call
			all.calls[0].Sign = tc.sign
			x.leaves(tc.left)
			recovered := make(chan struct{})
			x.config.Recovered = func() { close(recovered) }
			x.start()
			<-recovered
			x.expect(tc.want...)
			trunk, prefix, _ := strings.Cut(tc.over, " ")
			x.wantAttempt(tc.name, o, trunk, prefix)
			if tc.want == nil {
				delete(x.bank.held, o.Call) // as billing does
				return
			}
			if s := x.bank.settled[0]; s.Cost.RatePerMinute == 0 || s.Carrier == "" || s.AccessTime != s.Ended.Sub(o.Access.AnsweredAt) {
				t.Errorf("%s: settled is %+v", tc.name, s)
			}
		})
	}
}

// Of a switch whose calls end with the program, the attempts that were answered are recorded; all else is billing's.
func TestCallsThatEndedWithTheProgram(t *testing.T) {
	onExchange(t, func(x *exchange) {
		all, o := x.inherits(300)
		all.calls[0].Sign = billing.Sign{Call: o.Call, Trunk: "cheap", AnsweredAt: time.Now(), Cost: tariff.Row{Prefix: "380"}}
		_, unanswered := x.inherits(300)
		all.calls = append(all.calls, unanswered)
		x.config.Orphans, all.trouble = all, []error{errors.New("the database is away")}
		x.config.Switch = struct{ pbx.Switch }{x}
		recovered := make(chan struct{})
		x.config.Recovered = func() { close(recovered) }
		x.start()
		<-recovered
		x.expect()
		x.wantAttempt("one was answered", o, "cheap", "380")
		clear(x.bank.held) // as billing does
	})
}

// Nothing is given up because a question failed, and nothing is told to be over before it is known.
func TestTakingOverInsists(t *testing.T) {
	onExchange(t, func(x *exchange) {
		away := errors.New("the database is away")
		all, o := x.inherits(300)
		all.trouble, all.refuses = []error{away, away}, []error{away, away, nil}
		p, far := x.talking()
		asked := 0
		x.left = func(calls []pbx.Unled) (map[uuid.UUID]pbx.Left, error) {
			switch asked++; asked {
			case 1, 3:
				return nil, errors.New("no answer")
			case 2, 4:
				return map[uuid.UUID]pbx.Left{}, nil
			}
			if len(calls) != 1 || calls[0] != (pbx.Unled{Call: o.Call, CallerAnswered: o.Access.AnsweredAt}) {
				t.Errorf("asked for %+v", calls)
			}
			return map[uuid.UUID]pbx.Left{o.Call: {Caller: p.line, Far: far, Trunk: "dear", AnsweredAt: far.AnsweredAt()}}, nil
		}
		recovered := make(chan bool)
		x.config.Recovered = func() { recovered <- asked == 5 && len(all.adopted) == 1 }
		x.start()
		if ok := <-recovered; !ok {
			t.Errorf("asked %d times, %d adopted", asked, len(all.adopted))
		}
		p.talks()
		p.hangsUp()
		p.waits()
		if len(x.bank.settled) != 1 {
			t.Errorf("settled: %+v", x.bank.settled)
		}
	})
}

// A talk whose hold is gone is hung up; one that a newer run leads is left alone.
func TestATalkThatIsNotOurs(t *testing.T) {
	for _, tc := range []struct {
		adopt  error
		hungUp bool
	}{{billing.ErrSettled, true}, {billing.ErrNotFound, true}, {billing.ErrFenced, false}} {
		onExchange(t, func(x *exchange) {
			all, o := x.inherits(300)
			all.refuses = []error{tc.adopt}
			p, far := x.talking()
			x.leaves(pbx.Left{Caller: p.line, Far: far, AnsweredAt: far.AnsweredAt()})
			recovered := make(chan struct{})
			x.config.Recovered = func() { close(recovered) }
			x.start()
			<-recovered
			if p.ended() != tc.hungUp || far.ended() != tc.hungUp {
				t.Errorf("%v: hung up: %t, %t", tc.adopt, p.ended(), far.ended())
			}
			x.expect()
			far.finish(pbx.ByPeer, 16)
			delete(x.bank.held, o.Call)
		})
	}
}

// What another controller leads on is neither settled nor recorded here.
func TestAnotherLeadsOn(t *testing.T) {
	for _, talking := range []bool{false, true} {
		onExchange(t, func(x *exchange) {
			p := x.call(gateway, anna)
			p.hears(prompt.AskNumber)
			if talking {
				p.types(kyiv + "#")
				p.talks()
				x.far[0].finish(pbx.ByAnother, 41)
			}
			p.finish(pbx.ByAnother, 41)
			p.waits()
			if talking {
				x.expect("authorise +380441234567 for anna")
			} else {
				x.expect()
			}
			clear(x.bank.held) // the other one's
		})
	}
}
