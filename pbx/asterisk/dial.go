package asterisk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"telecommune/pbx"
)

var errDraining = errors.New("the engine is stopping")

// Dial implements pbx.Switch.
func (e *Engine) Dial(ctx context.Context, caller pbx.Leg, to pbx.Target) (pbx.Leg, error) {
	c, ok := caller.(*leg)
	if !ok {
		return nil, &pbx.DialError{Err: errForeign}
	}
	if err := c.alive(ctx); err != nil {
		return nil, &pbx.DialError{Err: err}
	}
	if c.AnsweredAt().IsZero() {
		return nil, &pbx.DialError{Err: errNotAnswered}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if to.RingTimeout > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, to.RingTimeout, pbx.ErrRingTimeout)
		defer end()
	}
	defer context.AfterFunc(c.ctx, func() { stop(pbx.ErrEnded) })()
	a := &attempt{e: e, caller: c, to: to, tones: make(chan bool, 1)}
	far, err := a.run(ctx)
	if err == nil {
		return far, nil
	}
	c.forgetDigits() // they would cut short what the caller is told next
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if c.ctx.Err() != nil {
		err = pbx.ErrEnded
	}
	var failed *pbx.DialError
	if !errors.As(err, &failed) {
		failed = &pbx.DialError{Err: err}
	}
	failed.Rang = a.rang
	if why := e.unproved(to.Trunk, failed); why != nil {
		failed.Err = why
	}
	return nil, failed
}

// attempt is one Dial.
type attempt struct {
	e      *Engine
	caller *leg
	far    *leg
	to     pbx.Target
	tones  chan bool // the newest word of the far side: it rings (true), or sends early media
	rang   bool
}

// run dials, and follows the attempt to its end.
func (a *attempt) run(ctx context.Context) (*leg, error) {
	far := newLeg(a.e, channelName(a.to))
	a.far, far.out, far.caller = far, true, a.caller
	far.rings = a.ringing
	far.Limit(a.to.Limit)
	user, err := a.to.Trunk.Dial(a.to.Number)
	if err != nil {
		return nil, err
	}
	endpoint := fmt.Sprintf("PJSIP/%s@%s", user, trunkEndpoint(a.to.Trunk.Code))
	if err := a.caller.place(ctx, far, endpoint, a.presented()); err != nil {
		return nil, err
	}
	a.caller.mu.Lock()
	a.caller.dialled = append(a.caller.dialled, far)
	a.caller.mu.Unlock()
	if err = a.e.ari.dial(ctx, far.id, a.to.RingTimeout+answerTime); err == nil {
		err = a.follow(ctx)
	}
	if err != nil {
		mixed := far.takeMixed()
		far.hangup(pbx.End{By: pbx.ByUs, SIP: 487, Q850: 16}, pbx.Cause{SIP: 487, Q850: 16})
		a.e.unmix(mixed) // what comes next is said to the caller alone
		return nil, err
	}
	return far, nil
}

// place makes the channel of a leg, with variables set, and joins it with l, so that each hears whatever the other's network sends. It can't be
// joined before it has come into the application.
func (l *leg) place(ctx context.Context, other *leg, endpoint string, variables map[string]string) error {
	if !l.e.add(other) {
		return errDraining
	}
	if err := l.e.ari.create(ctx, other.id, endpoint, l.id, variables); err != nil {
		other.finish(pbx.End{By: pbx.ByFailure, SIP: 503, Q850: 41})
		l.e.spawn(nil, func() { other.clear(41) }) // the answer may have been lost
		return err
	}
	select {
	case <-other.ours:
	case <-other.done:
		return other.failed()
	case <-ctx.Done():
		other.Hangup(pbx.NormalClearing)
		return l.ended(ctx)
	}
	if err := l.e.ari.mix(ctx, other.id, other.id, l.id); err != nil {
		other.Hangup(pbx.NormalClearing)
		return err
	}
	other.mu.Lock()
	other.mixed = other.id
	other.mu.Unlock()
	if other.ctx.Err() != nil { // ended meanwhile
		l.e.unmix(other.takeMixed())
	}
	return nil
}

// presented is who calls, as the far side sees it, in variables of its channel: the number, or nobody with the wish for
// privacy (RFC 3323). What the carrier alone is told is another header (RFC 3325). Asterisk is told how long the far side may
// be there at most, should we be killed before its answer: the paid time and what may come before. It is told better then.
func (a *attempt) presented() map[string]string {
	number, presentation := string(a.to.CallerID), "allowed"
	if number == "" {
		number, presentation = "anonymous", "prohib"
	}
	set := map[string]string{"CONNECTEDLINE(num-pres,i)": presentation, "CONNECTEDLINE(num,i)": number}
	if a.to.Limit > 0 {
		a.far.mu.Lock()
		a.far.told = true
		a.far.mu.Unlock()
		set["TIMEOUT(absolute)"] = strconv.Itoa(seconds(a.to.RingTimeout + 2*answerTime + a.to.Limit))
	}
	if a.to.CallerID == "" {
		set["PJSIP_HEADER(add,Privacy)"] = "id"
	}
	if a.to.Asserted != "" {
		host, _, err := net.SplitHostPort(a.to.Trunk.Address)
		if err != nil {
			host = a.to.Trunk.Address
		}
		set["PJSIP_HEADER(add,P-Asserted-Identity)"] = fmt.Sprintf("<sip:%s@%s>", a.to.Asserted, host)
	}
	return set
}

// ringing takes the far side's word that it rings, or sends early media.
func (a *attempt) ringing(early bool) {
	select {
	case <-a.tones:
	default:
	}
	a.tones <- !early // only the reader of events comes here, so there is room
}

// follow waits for the answer. Meanwhile the caller hears a ring tone, unless the far side sends early media.
func (a *attempt) follow(ctx context.Context) error {
	sounding := false
	sound := func(on bool) {
		if on == sounding {
			return
		}
		sounding = on
		asked, cancel := context.WithTimeout(a.caller.ctx, answerTime)
		defer cancel()
		ask := a.e.ari.stopRing
		if on {
			ask = a.e.ari.ring
		}
		if err := ask(asked, a.caller.id); err != nil && a.caller.ctx.Err() == nil {
			a.e.log.Warn("ring tone", "leg", a.caller.id, "on", on, "err", err)
		}
	}
	defer func() { sound(false) }()
	for {
		select {
		case tone := <-a.tones:
			if !a.rang {
				a.rang = true
				if a.to.Ringing != nil {
					a.to.Ringing()
				}
			}
			sound(tone)
		case <-a.far.answer:
			return nil
		case <-a.far.done:
			if !a.far.AnsweredAt().IsZero() {
				return nil
			}
			return a.far.failed()
		case <-ctx.Done():
			if a.answered() {
				return nil // the carrier asks for it, and the two were joined
			}
			return context.Cause(ctx)
		}
	}
}

// answered tells, when the attempt is over, whether the far side has answered all the same. What comes late comes together,
// and what does not come at all can be asked for.
func (a *attempt) answered() bool {
	if a.caller.ctx.Err() == nil && a.far.AnsweredAt().IsZero() {
		a.far.confirm()
	}
	return !a.far.AnsweredAt().IsZero()
}

// failed is the failure that the end of a dialled leg tells.
func (l *leg) failed() error {
	end := l.End()
	return &pbx.DialError{SIP: end.SIP, Q850: end.Q850, Err: fmt.Errorf("channel %s: SIP %d, Q.850 %d", l.id, end.SIP, end.Q850)}
}

// unmix takes a bridge apart, and waits for it.
func (e *Engine) unmix(bridge string) {
	if bridge == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := e.ari.unmix(ctx, bridge); err != nil {
		e.log.Debug("bridge not taken apart", "bridge", bridge, "err", err)
	}
}
