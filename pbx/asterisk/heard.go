package asterisk

import (
	"context"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
)

// Until when a call is known to have been there. What Asterisk tells may come late, or never; nobody is charged for what
// is not known.

const (
	beatEvery = time.Second     // an event is asked for
	current   = 2 * beatEvery   // what is told comes no later than that, or it comes late
	lookAgain = 5 * time.Second // between two answers that a channel is not there, which end its leg
)

// beats asks for an event every now and then, until ctx ends. Asterisk has one queue for all that it tells, which may be
// late although pings are answered at once; and what is in it is lost with the connection. An event that has been read
// proves that all before it have been, so that it is known until when a call was there.
func (e *Engine) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		name := uuid.NewString()
		e.mu.Lock()
		e.beat, e.asked = name, time.Now()
		e.mu.Unlock()
		if err := e.ari.beat(ctx, name); err != nil {
			e.log.Debug("no event asked for", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// heard is up to when all that Asterisk had to tell has been read.
func (e *Engine) heard() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.proved
}

// proves takes what the time of an event tells of all that came before it.
func (e *Engine) proves(ev event) {
	at := e.clock.local(ev.Timestamp)
	e.mu.Lock()
	defer e.mu.Unlock()
	if ev.EventName != "" && ev.EventName == e.beat {
		e.clock.notBefore(ev.Timestamp, e.asked)
	}
	if !ev.Timestamp.IsZero() && at.After(e.proved) {
		e.proved = at
	}
}

// confirm asks whether the leg is there.
func (l *leg) confirm() {
	ctx, cancel := context.WithTimeout(l.ctx, answerTime)
	defer cancel()
	asked := time.Now()
	if state, err := l.e.ari.state(ctx, l.id); err == nil && state != "" {
		l.sighted(asked, state)
	}
}

// sighted takes that the leg was there when Asterisk was asked for it.
func (l *leg) sighted(asked time.Time, state string) {
	l.arrived()
	if state == "Up" {
		l.guessUp()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there = asked
}

// heard is until when the leg is known to have been there, by what Asterisk has told; l.mu is held.
func (l *leg) heard() time.Time {
	heard := l.unseen
	if heard.IsZero() {
		heard = l.e.heard()
	}
	if l.there.After(heard) {
		return l.there
	}
	return heard
}

// doubt tells that the leg may have ended without our knowing; l.mu is held.
func (l *leg) doubt() bool {
	heard := l.heard()
	return !l.unseen.IsZero() || !heard.IsZero() && time.Since(heard) > current
}

// doubtSince is from when on it is not known whether the leg is there; zero when it is known, or it has ended.
func (l *leg) doubtSince() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil || !l.doubt() {
		return time.Time{}
	}
	return l.heard()
}

// lost notes for every call since when nothing is heard of it any more. They go on: only a look at the channel tells more.
// What nobody has seen is not charged.
func (e *Engine) lost() {
	e.mu.Lock()
	e.connected = false
	e.mu.Unlock()
	for _, l := range e.all() {
		l.mu.Lock()
		if l.unseen = l.heard(); l.unseen.IsZero() {
			l.unseen = time.Now()
		}
		l.mu.Unlock()
	}
}

// look asks what has become of a leg while nothing was heard of it. It ends when Asterisk says twice that it has no such
// channel; any other answer, or none, ends no call.
func (e *Engine) look(ctx context.Context, l *leg) {
	for missed := 0; ctx.Err() == nil; {
		asked := time.Now()
		state, err := e.ari.state(ctx, l.id)
		switch {
		case err != nil:
		case state == "":
			if missed++; missed == 2 {
				l.lostWithSwitch()
				return
			}
		default:
			l.sighted(asked, state)
			l.mu.Lock()
			if ctx.Err() == nil { // else it is out of sight again
				l.unseen = time.Time{}
			}
			l.mu.Unlock()
			return
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

// lostWithSwitch ends a leg whose channel is gone without a word: when it was last heard of.
func (l *leg) lostWithSwitch() {
	l.finish(pbx.End{By: pbx.ByFailure, SIP: 503, Q850: 41})
	l.e.drop(l)
}
