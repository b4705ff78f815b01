package asterisk

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"telecommune/pbx"
)

// up marks the leg answered, once, and starts its clock.
func (l *leg) up(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upAt(at)
}

// upAt is up; l.mu is held.
func (l *leg) upAt(at time.Time) {
	switch {
	case l.answered.IsZero():
		close(l.answer)
	case !l.guessed || at.After(l.answered):
		return
	}
	l.answered, l.guessed = at, false
	if l.ctx.Err() == nil {
		l.armLimit()
	}
}

// guessUp marks the leg answered by now. That comes too late rather than too early, and is mended when its time is told.
func (l *leg) guessUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered.IsZero() {
		l.upAt(time.Now())
		l.guessed = true
	}
}

// Limit implements pbx.Leg. The time is enforced twice: by a timer here, and by Asterisk, which ends the leg a moment
// later if we don't.
func (l *leg) Limit(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit == d {
		return
	}
	l.limit = d
	if !l.answered.IsZero() {
		l.armLimit()
	}
}

// behind is how much later than our timer Asterisk's goes off, so that it is told what the end was.
const behind = 500 * time.Millisecond

// armLimit sets both timers; l.mu is held.
func (l *leg) armLimit() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.ctx.Err() != nil {
		return
	}
	limit, left := l.limit, time.Until(l.answered.Add(l.limit))
	if limit > 0 {
		l.timer = time.AfterFunc(left, func() {
			l.mu.Lock()
			extended := l.limit != limit
			l.mu.Unlock()
			if !extended {
				l.e.spawn(l, l.expire)
			}
		})
	}
	if limit > 0 || l.told {
		l.told = true
		l.e.spawn(l, l.limitSwitch)
	}
}

// limitSwitch tells Asterisk when the leg has to end, as it is known now. One at a time: the last must be the newest.
func (l *leg) limitSwitch() {
	l.telling <- struct{}{}
	defer func() { <-l.telling }()
	l.mu.Lock()
	value := "0" // none
	if l.limit > 0 {
		left := max(time.Until(l.answered.Add(l.limit))+behind, time.Millisecond)
		value = strconv.FormatFloat(left.Seconds(), 'f', 3, 64)
	}
	l.mu.Unlock()
	if err := l.e.ari.set(l.ctx, l.id, "TIMEOUT(absolute)", value); err != nil && l.ctx.Err() == nil {
		l.e.log.Error("paid time not told to Asterisk; it is kept here", "leg", l.id, "err", err)
	}
}

// expire ends a leg whose time is over.
func (l *leg) expire() {
	l.mu.Lock()
	l.expiring = true
	l.mu.Unlock()
	at := l.last(causeFor(pbx.NormalClearing))
	if l.caller != nil {
		l.caller.confirm()
	}
	l.hangup(pbx.End{At: at, By: pbx.ByPaidTime, SIP: 200, Q850: 16}, pbx.NormalClearing)
}

// last has Asterisk end the leg, and gives until when it was there. Asterisk has the word: if it has no such channel, the
// leg had ended before, which is not heard yet, or never will be.
func (l *leg) last(q850 int) time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	asked := time.Now()
	if err := l.asked(ctx, l.e.ari.hangup(ctx, l.id, q850)); err == nil {
		return asked
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard()
}

// softEnds are the reasons why Asterisk itself ends a channel (AST_SOFTHANGUP_* of its channel.h). In a hang-up that is
// soft they stand in the place of the cause.
var softEnds = map[int]pbx.Ender{
	1: pbx.ByLostMedia, // by its driver, which sees that no RTP comes
	8: pbx.ByPaidTime,  // TIMEOUT(absolute)
}

// endOf reads from an event how a leg ended.
func (l *leg) endOf(ev event, at time.Time) pbx.End {
	end := pbx.End{At: at, By: pbx.ByPeer, SIP: ev.TechCause, Q850: ev.Cause}
	if l.AnsweredAt().IsZero() {
		if !l.out && end.SIP == 0 {
			end.SIP = 487
		}
		return end
	}
	end.SIP = 200
	if ev.Soft {
		end.By, end.Q850 = cmp.Or(softEnds[ev.Cause], pbx.ByFailure), 16
		l.mu.Lock()
		if l.expiring {
			end.By = pbx.ByPaidTime
		}
		l.mu.Unlock()
	}
	end.Q850 = cmp.Or(end.Q850, 16)
	return end
}

// left takes that the channel has left the application. As a rule it has been told before that it hangs up; where Asterisk
// kept the time, or somebody has sent it elsewhere, this is the last that is heard of it.
func (l *leg) left(at time.Time) {
	l.mu.Lock()
	answered, limit, ending := l.answered, l.limit, l.ending != nil
	l.mu.Unlock()
	if ending || l.ctx.Err() != nil || answered.IsZero() {
		return
	}
	end := pbx.End{At: at, By: pbx.ByFailure, SIP: 200, Q850: 16}
	if limit > 0 && at.Sub(answered) >= limit {
		end.By = pbx.ByPaidTime
	}
	l.hungUp(end)
	l.e.spawn(nil, func() { l.clear(causeFor(pbx.NormalClearing)) })
}

// hungUp takes Asterisk's word that the leg has ended. Whoever called may have left before, if he is not heard of.
func (l *leg) hungUp(end pbx.End) {
	l.mu.Lock()
	ending := l.ending != nil
	if !ending {
		l.ending = &end
	}
	l.mu.Unlock()
	if ending {
		return
	}
	if l.caller != nil {
		if doubt := l.caller.doubtSince(); !doubt.IsZero() && doubt.Before(end.At) {
			l.e.spawn(l, func() {
				l.caller.confirm()
				l.finish(end)
			})
			return
		}
	}
	l.finish(end)
}

// finish ends the leg, once: its clock, its bridge, its waiting methods. It asks Asterisk for nothing. What nobody has seen
// is not charged: neither of this leg, nor of the caller's.
func (l *leg) finish(end pbx.End) bool {
	for _, far := range l.partners() {
		far.mu.Lock()
		ended := far.ending
		far.mu.Unlock()
		if ended != nil {
			far.finish(*ended) // which nobody has been told for doubt about this one
		}
	}
	var doubt time.Time
	if l.caller != nil {
		doubt = l.caller.doubtSince()
	}
	l.mu.Lock()
	if l.ctx.Err() != nil {
		l.mu.Unlock()
		return false
	}
	if end.At.IsZero() {
		if end.At = time.Now(); l.doubt() {
			end.At = l.heard()
		}
	}
	if !doubt.IsZero() && doubt.Before(end.At) {
		end.At = doubt
	}
	end.Voice = l.answered // what is heard is Asterisk's alone
	l.end = end
	l.cancel()
	close(l.done)
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if b := l.bridge.Load(); b != nil {
		l.e.spawn(nil, b.Close)
	}
	if mixed := l.takeMixed(); mixed != "" {
		l.e.spawn(nil, func() { l.e.unmix(mixed) })
	}
	l.e.log.Debug("leg ended", "leg", l.id, "by", end.By, "sip", end.SIP, "q850", end.Q850)
	return true
}

// Hangup implements pbx.Leg. Of a leg that is not heard of, Asterisk is asked first until when it was there.
func (l *leg) Hangup(cause pbx.Cause) {
	end := pbx.End{By: pbx.ByUs, SIP: cause.SIP, Q850: cause.Q850}
	if !l.AnsweredAt().IsZero() {
		end.SIP = 200
		if !l.doubtSince().IsZero() {
			end.At = l.last(causeFor(cause))
		}
	}
	l.hangup(end, cause)
}

// hangup ends the leg and has Asterisk tell the other side.
func (l *leg) hangup(end pbx.End, cause pbx.Cause) {
	if l.finish(end) {
		l.e.spawn(nil, func() { l.clear(causeFor(cause)) })
	}
}

const (
	clearings  = 5 // times that Asterisk is asked to hang a channel up
	clearAgain = time.Second
)

// clear has Asterisk hang the channel up. It is asked again until it says that it has none of that name, lest the far side
// be charged for.
func (l *leg) clear(q850 int) {
	defer l.e.drop(l)
	for range clearings {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		err := l.e.ari.hangup(ctx, l.id, q850)
		var state string
		if err != nil {
			state, err = l.e.ari.state(ctx, l.id)
		}
		cancel()
		if err == nil && state == "" {
			return
		}
		select {
		case <-time.After(clearAgain):
		case <-l.e.over:
			return
		}
	}
	l.e.log.Error("channel not hung up", "leg", l.id)
}

// causeFor is the Q.850 cause by which Asterisk refuses a call with the status of c: it makes the one of the other.
func causeFor(c pbx.Cause) int {
	switch {
	case c.SIP == 503:
		return 34
	case c.SIP == 488:
		return 58
	case c.SIP == 480 && c.Q850 == 16:
		return 16
	}
	return c.Q850
}
