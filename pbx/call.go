package pbx

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/routing"
)

const (
	patience    = 2 * time.Second   // with the database, while a caller waits (design.md 4)
	closingTime = 15 * time.Second  // for the records of a call that is over
	setupTime   = 120 * time.Second // of all attempts of a call
	// answerTime is how long after its price was looked up a call may be answered: what is said in between is shorter
	// than a minute.
	answerTime = setupTime + time.Minute
)

// MaxAttempts is over how many trunks a call is tried, unless the configuration says otherwise.
const MaxAttempts = 5

// call is one number to be reached: from the digits to the settlement. It leaves one row.
type call struct {
	*accessCall
	origin billing.Origin
	to     e164.Number
	quote  tariff.Quote

	routes   *routing.Snapshot // the picture that the call is priced and routed by
	plan     routing.Plan      // what was decided by it; its Number is empty while nothing was
	hold     billing.Hold      // its Seconds are 0 until authorised
	attempts []routing.Attempt
	way      routing.Candidate // the one that answered, or was tried last
	claim    *routing.Claim    // of the trunk's channel; nil before the first attempt
	far      Leg               // from its answer on
	talked   time.Time         // when the talk was over; zero when there was none

	spendLimited atomic.Bool // of the hold as it is now; the meter extends it
}

func (a *accessCall) newCall(to e164.Number, started time.Time) *call {
	c := &call{accessCall: a, to: to}
	c.origin = billing.Origin{
		Call: uuid.Must(uuid.NewV7()), AccessCall: a.id, Provider: a.in.Provider, AccessNumber: a.in.Called,
		Caller: a.in.Caller, Started: started,
		Access: billing.AccessLeg{Cost: a.number.row(), AnsweredAt: a.leg.AnsweredAt(), Before: a.borne},
	}
	return c
}

// price finds what the call costs the caller, and the trunks that can carry it for that.
func (c *call) price() ([]routing.Candidate, error) {
	c.x.live.update(c.id, func(l *live) { l.ID, l.Number, l.State = c.origin.Call, c.to, Dialling })
	now, known := c.x.Now(), false
	c.routes = c.x.Routes().For(c.caller.Enterprise)
	if c.routes.Ours(c.to) {
		return nil, errLoop
	}
	c.quote, known = c.routes.Decks().Quote(c.caller.Tariff, c.to, now, now.Add(answerTime))
	if known && c.caller.PassesAccess {
		if err := c.origin.Access.PassOn(c.quote.Row, c.caller.VAT); err != nil {
			return nil, err
		}
		c.quote.Access = c.origin.Access.PassedOn
	}
	seed := binary.BigEndian.Uint64(c.origin.Call[8:])
	c.plan = c.routes.Route(now, c.to, c.quote, c.caller.VAT, seed)
	switch {
	case c.plan.Denied != "":
		return nil, denied(c.plan.Denied)
	case !known:
		return nil, errNoRate
	case len(c.plan.Candidates) == 0:
		c.log.Warn("no way", "number", c.to, "skipped", c.plan.Skipped)
		return nil, errNoWay
	}
	return c.plan.Candidates, nil
}

// authorise sets money aside. It goes on when the caller hangs up meanwhile: then it is known what to release.
func (c *call) authorise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	hold, err := c.x.Credit.Authorise(ctx, billing.Request{
		Origin: c.origin, Account: c.caller.Account, Number: c.to, Rate: c.quote.Row, Later: c.quote.Later,
		VAT: c.caller.VAT, CallLimit: c.caller.CallLimit,
	})
	if err != nil {
		return err
	}
	c.hold = hold
	c.spendLimited.Store(hold.SpendLimited)
	c.x.live.update(c.id, func(l *live) { l.HeldSeconds, l.sign = hold.Seconds, billing.Sign{Call: hold.Call} })
	return nil
}

// announce says what a minute costs and for how long the credit lasts. The seconds announced are the seconds held.
func (c *call) announce(ctx context.Context) error {
	perMinute, fee := c.quote.Told()
	price := c.voice.Price(perMinute, fee, c.quote.Currency)
	return c.say(ctx, append(price, c.voice.TimeToTalk(c.hold.Seconds)...))
}

// dial tries the trunks one after the other until the far side answers, or fails in a way that is not the trunk's. A trunk
// that takes no call now is passed over, which is no attempt.
func (c *call) dial(ctx context.Context, ways []routing.Candidate) (Leg, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, setupTime, errNoAnswer)
	defer cancel()
	reason, notFound, left := errNoWay, false, cmp.Or(c.x.MaxAttempts, MaxAttempts)
	for _, way := range ways {
		claim, refused := c.x.Gate.Take(way.Trunk, c.origin.Call, usageOf(way, c.hold.Seconds))
		if refused != "" {
			c.attempts = append(c.attempts, routing.Attempt{
				Trunk: way.Trunk.Code, Prefix: way.Row.Prefix, Started: c.x.Now(), Outcome: string(refused),
			})
			continue
		}
		c.way, c.claim = way, claim
		far, err := c.attempt(ctx, way)
		if err == nil {
			claim.Tried(routing.Answered, "")
			c.far, c.way = far, c.routes.Answered(way, c.to, far.AnsweredAt())
			return far, nil
		}
		if c.over(ctx) {
			return nil, cmp.Or(context.Cause(ctx), ErrEnded)
		}
		reason = farReason(err)
		failure := failureOf(err, notFound)
		judgement := way.Trunk.Judge(failure)
		if judgement.Counts {
			claim.Tried(routing.Failed, whyFailed(err))
		} else {
			claim.Tried(routing.Unanswered, "")
		}
		claim.Release(routing.Usage{})
		if left--; judgement.Verdict == routing.Stop || left == 0 {
			break
		}
		notFound = notFound || failure.NotFound()
	}
	return nil, reason
}

// attempt dials once over one trunk and notes how it went.
func (c *call) attempt(ctx context.Context, way routing.Candidate) (Leg, error) {
	trunk := way.Trunk
	c.x.live.update(c.id, func(l *live) { l.Trunk, l.State = trunk.Code, Dialling })
	started := c.x.Now()
	var pdd atomic.Int64 // the engine tells of ringing from a goroutine of its own
	shown, asserted := trunk.Identify(c.identity())
	far, err := c.x.Switch.Dial(ctx, c.leg, Target{
		Call: c.origin.Call, Attempt: len(c.attempts) + 1, Trunk: trunk, Number: c.to, CallerID: shown, Asserted: asserted,
		RingTimeout: trunk.RingTime(), Limit: seconds(c.hold.Seconds),
		Ringing: func() {
			pdd.Store(int64(c.x.Now().Sub(started)))
			c.x.live.update(c.id, (*live).rings)
		},
	})
	note := routing.Attempt{
		Trunk: trunk.Code, Prefix: way.Row.Prefix, Started: started, SIP: 200, Outcome: string(billing.Answered),
	}
	if err == nil {
		pdd.CompareAndSwap(0, int64(c.x.Now().Sub(started)))
	} else {
		failure := failureOf(err, false)
		note.SIP, note.Q850, note.Outcome = failure.SIP, failure.Q850, string(verdictOn(farReason(err)).outcome)
	}
	note.PDD = time.Duration(pdd.Load())
	c.attempts = append(c.attempts, note)
	return far, err
}

// identity is what is known of who calls.
func (c *call) identity() routing.Caller {
	return routing.Caller{Number: c.in.Caller, Vouched: c.in.Trusted, Verified: c.verified, Withheld: c.in.Withheld}
}

// close ends what is left of the call and settles it; nothing that happens to the caller or to us keeps it from that.
func (c *call) close(ctx context.Context, reason error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTime)
	defer cancel()
	c.x.live.update(c.id, func(l *live) { l.idle() }) // no sign of life may count time that was not delivered
	if c.ledByAnother() {
		c.log.Warn("the call is another controller's now", "call", c.origin.Call)
		if c.claim != nil {
			c.claim.Release(routing.Usage{})
		}
		return
	}
	if c.far != nil {
		c.far.Hangup(NormalClearing)
	}
	s := c.settlement(verdictOn(reason))
	s.AccessTime = c.onLine()
	c.borne = s.AccessTime
	if c.claim != nil {
		c.claim.Release(usageOf(c.way, billing.AnsweredSeconds(s.Answered, math.MaxInt))) // the carrier asks for all of it
	}
	c.suspect(s)
	if err := c.record(ctx, s); err != nil {
		c.log.Error("record call", "call", c.origin.Call, "err", err)
	}
	c.log.Info("call ended", "call", c.origin.Call, "account", c.caller.Account, "number", c.to, "trunk", s.Trunk,
		"outcome", s.Outcome, "answered", s.Answered, "reason", c.why(reason))
}

// record settles the call, or writes it down when nothing was held for it; and how it was routed. Where the call stands in
// the books already the two go side by side: either waits for other calls, to be stored with them.
func (c *call) record(ctx context.Context, s billing.Settlement) error {
	route := func() error {
		if c.plan.Number == "" {
			return nil
		}
		return c.x.Attempts(ctx, c.origin.Call, c.plan, c.attempts)
	}
	if c.hold.Seconds > 0 {
		routed := make(chan error, 1)
		go func() { routed <- route() }()
		return errors.Join(c.x.Credit.Settle(ctx, s), <-routed)
	}
	err := c.x.Credit.Close(ctx, billing.Closing{
		Origin: c.origin, Account: c.caller.Account, Number: c.to, AccessTime: s.AccessTime, Ended: s.Ended,
		Outcome: s.Outcome, SIP: s.SIP, Q850: s.Q850,
	})
	if err != nil {
		return err
	}
	return route()
}

// settlement is what has become of the call. Time is delivered from the far side's answer to the first hang-up, by the
// monotonic clock, when the two were joined or one side hung up before they could be.
func (c *call) settlement(why verdict) billing.Settlement {
	s := billing.Settlement{
		Call: c.origin.Call, Trunk: c.way.Trunk.Code, Carrier: c.way.Trunk.Carrier, Cost: c.way.Row, Ended: c.x.Now(),
		Outcome: why.outcome, SIP: why.cause.SIP, Q850: why.cause.Q850,
	}
	if n := len(c.attempts); n > 0 && c.attempts[n-1].SIP+c.attempts[n-1].Q850 > 0 {
		s.SIP, s.Q850 = c.attempts[n-1].SIP, c.attempts[n-1].Q850
	}
	if c.talked.IsZero() {
		return s
	}
	s.AnsweredAt, s.Ended = c.far.AnsweredAt(), c.talked
	s.SIP, s.Q850 = 200, NormalClearing.Q850
	for _, leg := range []Leg{c.leg, c.far} {
		if end, ended := endOf(leg); ended && !end.At.After(s.Ended) {
			s.Ended, s.SIP, s.Q850 = end.At, end.SIP, end.Q850
		}
	}
	if s.Answered = max(s.Ended.Sub(s.AnsweredAt), 0); s.Answered > 0 {
		s.Outcome = billing.Answered
	}
	return s
}

// suspect marks the attempt that was answered when its answer looks false.
func (c *call) suspect(s billing.Settlement) {
	if s.Answered <= 0 || len(c.attempts) == 0 { // an earlier run made them
		return
	}
	last := &c.attempts[len(c.attempts)-1]
	talk := routing.AnsweredCall{Delay: s.AnsweredAt.Sub(last.Started), Talk: s.Answered, Silent: s.Answered}
	if end, _ := endOf(c.far); !end.Voice.IsZero() {
		talk.Silent = end.Voice.Sub(s.AnsweredAt)
	}
	if last.Suspect = c.x.Destinations.Suspect(c.quote.Row.Prefix, talk); last.Suspect != "" {
		c.log.Warn("the answer looks false", "call", c.origin.Call, "trunk", s.Trunk, "number", c.to, "why", last.Suspect)
	}
}

// usageOf is what so many answered seconds take of a trunk.
func usageOf(way routing.Candidate, answered int) routing.Usage {
	cost, err := way.Row.Price(answered)
	if answered == 0 || err != nil { // a row that was planned with can be priced
		cost = 0
	}
	return routing.Usage{Seconds: int64(answered), Cost: cost}
}

// endOf tells how a leg ended, if it has.
func endOf(leg Leg) (End, bool) {
	select {
	case <-leg.Done():
		return leg.End(), true
	default:
		return End{}, false
	}
}

// failureOf is a failed attempt as routing judges it.
func failureOf(err error, notFoundBefore bool) routing.Failure {
	f := routing.Failure{NotFoundBefore: notFoundBefore, Timeout: errors.Is(err, ErrRingTimeout)}
	var d *DialError
	if errors.As(err, &d) {
		f.SIP, f.Q850, f.Rang = d.SIP, d.Q850, d.Rang
	}
	if f.SIP == 0 && (errors.Is(err, ErrCodec) || errors.Is(err, routing.ErrNumberForm)) {
		f.SIP, f.Q850 = Incompatible.SIP, Incompatible.Q850 // never dialled: it would have been refused so
	}
	f.Network = f.SIP == 0 && f.Q850 == 0 && !f.Timeout
	return f
}

// whyFailed is a failed attempt as operators are told it.
func whyFailed(err error) string {
	var d *DialError
	if errors.As(err, &d) && d.Err != nil {
		err = d.Err
	}
	return err.Error()
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
