package pbx

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/routing"
)

// Recoverer is a Switch whose calls outlive the program that leads them.
type Recoverer interface {
	// Recover tells what has become of calls that an earlier run of this program led. Those of which nothing is certain yet
	// are missing, all of them when a question failed: they are to be asked for again after a while. When none is missing,
	// whatever else an earlier run has left is hung up. What is left of a call that is over is hung up as well.
	Recover(ctx context.Context, calls []Unled) (map[uuid.UUID]Left, error)
}

// Orphans are the calls of earlier runs of this node that hold money. It is billing.Service.
type Orphans interface {
	// Orphans lists them.
	Orphans(ctx context.Context) ([]billing.Orphan, error)
	// Adopt makes one a call of this run: billing.ErrSettled, billing.ErrNotFound, billing.ErrFenced.
	Adopt(ctx context.Context, call billing.CallID) (billing.Orphan, error)
}

// Unled is a call that nobody leads.
type Unled struct {
	Call           uuid.UUID
	CallerAnswered time.Time // by us; zero when that is not known
	Answered       time.Time // by the far side; zero when that is not known, or was not yet
}

// Left is what has become of a call that nobody led.
type Left struct {
	Caller, Far Leg       // the two sides of a talk that goes on, joined as Dial leaves them; nil when there is none
	Trunk       string    // that the far side was reached by, or tried last; none when that is not known
	AnsweredAt  time.Time // by the far side; zero when the switch does not know, or it never was
	EndedAt     time.Time // the first hang-up after the answer; zero when the switch does not know
}

// recoverEvery is how long what is not certain, or was asked in vain, is left alone before it is asked for again.
const recoverEvery = time.Second

// errUncertain is that it is not known yet what has become of some call.
var errUncertain = errors.New("not all calls of an earlier run are found, or known to be over, yet")

// recover leads the talks on that an earlier run has left, and settles those that ended while nobody led them. All other
// calls of that run are billing's to settle, by their last sign of life; all of them, where they ended with the run.
func (x *Exchange) recover(ctx context.Context) {
	var open []billing.Orphan
	if x.Orphans != nil && !x.insist(ctx, func() (err error) {
		open, err = x.Orphans.Orphans(ctx)
		return err
	}) {
		return
	}
	from, outlives := x.Switch.(Recoverer)
	if !outlives {
		x.noteAnswers(ctx, open)
		x.recovered()
		return
	}
	var inherited, talks sync.WaitGroup
	defer talks.Wait()
	all := x.insist(ctx, func() error {
		left, err := from.Recover(ctx, unled(open))
		open = slices.DeleteFunc(open, func(o billing.Orphan) bool {
			l, told := left[o.Call]
			if told {
				inherited.Go(func() { x.inherit(ctx, o, l, &talks) })
			}
			return told
		})
		if err == nil && len(open) > 0 {
			err = errUncertain
		}
		return err
	})
	inherited.Wait()
	if all {
		x.recovered()
	}
}

// recovered says that whatever is not settled or led by now, nobody leads.
func (x *Exchange) recovered() {
	if x.Recovered != nil {
		x.Recovered()
	}
}

// insist tries something again and again until it succeeds; false when ctx ends before.
func (x *Exchange) insist(ctx context.Context, try func() error) bool {
	for ctx.Err() == nil {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() == nil && !errors.Is(err, errUncertain) {
			x.Log.Warn("calls of an earlier run are not taken over yet", "err", err)
		}
		x.sleepUntil(ctx, x.Now().Add(recoverEvery))
	}
	return false
}

func unled(orphans []billing.Orphan) []Unled {
	calls := make([]Unled, len(orphans))
	for i, o := range orphans {
		calls[i] = Unled{Call: o.Call, CallerAnswered: o.Access.AnsweredAt, Answered: o.AnsweredAt}
	}
	return calls
}

// inherit takes one call over: a talk is led on, and counted among talks; one that is over is settled, when the switch
// knows more than its last sign of life told.
func (x *Exchange) inherit(ctx context.Context, o billing.Orphan, l Left, talks *sync.WaitGroup) {
	c := x.inherited(o, l)
	if l.Far == nil {
		c.noteAnswer(ctx, cmp.Or(o.AnsweredAt, l.AnsweredAt))
		c.settleLeft(ctx, l)
		return
	}
	var adopted error
	if !x.insist(ctx, func() error {
		_, adopted = x.Orphans.Adopt(ctx, o.Call)
		for _, final := range []error{billing.ErrSettled, billing.ErrNotFound, billing.ErrFenced} {
			if errors.Is(adopted, final) {
				return nil
			}
		}
		return adopted
	}) {
		return
	}
	switch {
	case adopted == nil:
		talks.Go(func() { c.resume(ctx) })
		c.noteAnswer(ctx, l.AnsweredAt)
	case !errors.Is(adopted, billing.ErrFenced): // else a newer run leads it
		c.log.Warn("a call that is paid for no more is hung up", "call", o.Call, "err", adopted)
		l.Far.Hangup(NormalClearing)
		l.Caller.Hangup(NormalClearing)
	}
}

// inherited is a call of an earlier run as far as it has come.
func (x *Exchange) inherited(o billing.Orphan, l Left) *call {
	a := &accessCall{
		x: x, id: o.AccessCall, leg: l.Caller, started: o.Started, calls: 1, welcomed: true,
		in:     Inbound{Called: o.AccessNumber, Provider: o.Provider, Caller: o.Caller},
		caller: billing.Caller{Account: o.Account, CallLimit: o.CallLimit, VAT: o.VAT},
	}
	a.number = x.Admission().Numbers[o.AccessNumber]
	a.voice = x.Prompts.Voice(a.number.Language)
	a.log = x.Log.With("access_call", a.id, "provider", o.Provider)
	c := &call{
		accessCall: a, origin: o.Origin, to: o.Number, hold: o.Hold, far: l.Far,
		quote: tariff.Quote{Row: o.Rate, Later: o.Later, Access: o.Access.PassedOn},
	}
	c.way = routing.Candidate{Trunk: routing.Trunk{Code: cmp.Or(o.Trunk, l.Trunk), Carrier: o.Carrier}, Row: o.Cost}
	routes := x.Routes()
	for _, t := range routes.Trunks() {
		if t.Code == c.way.Trunk.Code {
			c.way.Trunk = t
		}
	}
	if o.Cost == (tariff.Row{}) && !l.AnsweredAt.IsZero() { // no sign of life has told of the answer
		c.way = routes.Answered(c.way, c.to, l.AnsweredAt)
	}
	return c
}

// noteAnswers records the attempts that were answered of calls that are billing's to settle.
func (x *Exchange) noteAnswers(ctx context.Context, open []billing.Orphan) {
	var all sync.WaitGroup
	for _, o := range open {
		c := x.inherited(o, Left{})
		all.Go(func() { c.noteAnswer(ctx, o.AnsweredAt) })
	}
	all.Wait()
}

// noteAnswer records the attempt that was answered, if one was. The earlier run did not: it does so when a call is over.
// How long it rang, and which trunks were tried before, nobody knows. Another run that is to settle the call does the same
// again, which changes nothing.
func (c *call) noteAnswer(ctx context.Context, answered time.Time) {
	if answered.IsZero() || c.way.Trunk.Code == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closingTime)
	defer cancel()
	err := c.x.Attempts(ctx, c.origin.Call, routing.Plan{Number: c.to}, []routing.Attempt{{
		Trunk: c.way.Trunk.Code, Prefix: c.way.Row.Prefix, Started: c.started, SIP: 200, Outcome: string(billing.Answered),
	}})
	if err != nil {
		c.log.Error("record the attempt of a call of an earlier run", "call", c.origin.Call, "err", err)
	}
}

// settleLeft settles a call that is over, if it is known when it was answered and when it ended.
func (c *call) settleLeft(ctx context.Context, l Left) {
	if l.AnsweredAt.IsZero() || l.EndedAt.IsZero() {
		return
	}
	s := billing.Settlement{
		Call: c.origin.Call, Trunk: c.way.Trunk.Code, Carrier: c.way.Trunk.Carrier, Cost: c.way.Row, AnsweredAt: l.AnsweredAt,
		Answered: max(l.EndedAt.Sub(l.AnsweredAt), 0), Ended: l.EndedAt, Outcome: billing.Answered, SIP: 200, Q850: NormalClearing.Q850,
	}
	if at := c.origin.Access.AnsweredAt; !at.IsZero() {
		s.AccessTime = l.EndedAt.Sub(at)
	}
	err := c.x.Credit.Settle(ctx, s)
	c.log.Info("call ended while nobody led it", "call", s.Call, "account", c.caller.Account, "number", c.to, "trunk", s.Trunk,
		"answered", s.Answered, "err", err)
}

// resume is a call from the middle of its talk on. After it the caller hears goodbye: the next call is another access call.
func (c *call) resume(ctx context.Context) {
	ctx, hangup := context.WithCancelCause(ctx)
	defer hangup(nil)
	c.log.Info("call of an earlier run led on", "call", c.origin.Call, "account", c.caller.Account, "number", c.to)
	c.x.live.readmit(&live{
		LiveCall: LiveCall{
			AccessCall: c.id, Account: c.caller.Account, Provider: c.in.Provider, AccessNumber: c.in.Called, Caller: c.in.Caller,
			StartedAt: c.started,
		},
		hangup: hangup,
	})
	defer c.x.live.leave(c.id)
	c.x.live.update(c.id, func(l *live) {
		l.ID, l.Number, l.Trunk, l.sign = c.origin.Call, c.to, c.way.Trunk.Code, billing.Sign{Call: c.hold.Call}
	})
	c.claim = c.x.Gate.Keep(c.way.Trunk, c.origin.Call, usageOf(c.way, c.hold.Seconds))
	c.leave(ctx, c.talkOn(ctx))
}

// talkOn is the rest of the talk, and the settlement of the whole.
func (c *call) talkOn(ctx context.Context) (err error) {
	defer func() {
		err = c.reason(ctx, c.rescue(recover(), err))
		if c.talked.IsZero() {
			c.talked = c.x.Now() // it was over before
		}
		c.close(ctx, err)
	}()
	return c.talk(ctx, c.far)
}
