package asterisk

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
)

// A dialled channel is called by its call and the attempt, and so is the bridge that it is in with the caller's. So a later
// run of this program finds both, and nothing has to be kept for it.

// channelName names the channel of an attempt.
func channelName(to pbx.Target) string {
	if to.Call == uuid.Nil {
		return uuid.NewString()
	}
	return fmt.Sprintf("%s-%d", to.Call, to.Attempt)
}

// isOf tells whether a channel was dialled for a call.
func isOf(channel string, call uuid.UUID) bool { return strings.HasPrefix(channel, call.String()+"-") }

// trunkOf reads from the name of a channel, such as PJSIP/trunk~alpha-00000001, the code of the trunk that it goes over.
func trunkOf(name string) string {
	rest, ok := strings.CutPrefix(name, "PJSIP/"+trunkEndpoint(""))
	if !ok {
		return ""
	}
	return rest[:max(strings.LastIndexByte(rest, '-'), 0)]
}

// scene is what there is in Asterisk at a moment.
type scene struct {
	at       time.Time
	channels map[string]channel
	led      []string            // the channels in our application: what is not among those above, but here, is not gone
	bridges  map[string][]string // the channels in each
	history  map[string]trace
}

// Recover implements pbx.Recoverer.
func (e *Engine) Recover(ctx context.Context, calls []pbx.Unled) (map[uuid.UUID]pbx.Left, error) {
	select {
	case <-e.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.recovering.Lock()
	defer e.recovering.Unlock()
	s, err := e.survey(ctx)
	if err != nil {
		return nil, err
	}
	told := map[uuid.UUID]pbx.Left{}
	for _, c := range calls {
		if left, certain := e.recover(ctx, s, c); certain {
			told[c.Call] = left
		}
	}
	if len(told) == len(calls) {
		closeOnce(e.recovered)
	}
	return told, nil
}

// survey asks Asterisk for all that there is. In one that we have started there is nothing of an earlier run.
func (e *Engine) survey(ctx context.Context) (s scene, err error) {
	s.at = time.Now()
	if e.inherits {
		for _, ask := range []func() error{
			func() (err error) { s.channels, err = e.ari.allChannels(ctx); return err },
			func() (err error) { s.led, err = e.ari.channels(ctx); return err },
			func() (err error) { s.bridges, err = e.ari.bridges(ctx); return err },
		} {
			if err := ask(); err != nil {
				return s, fmt.Errorf("what an earlier run has left: %w", err)
			}
		}
	}
	if e.private != nil {
		s.history = e.private.history(e.log) // last, so that it tells what became of a channel that is not there
	}
	return s, nil
}

// recover finds out what has become of a call. It is not certain while nothing but the absence of a channel tells.
func (e *Engine) recover(ctx context.Context, s scene, c pbx.Unled) (left pbx.Left, certain bool) {
	if far, caller := s.talk(c.Call); far != "" {
		return e.lead(s, c, far, caller)
	}
	left, certain = s.told(c)
	remains, dialling, hidden := s.remains(c.Call)
	if !certain && !dialling && e.inherits && (!e.missing(c.Call, s.at, hidden) || len(remains) == 0 && !e.gone(ctx, s, c.Call)) {
		return left, false
	}
	delete(e.missed, c.Call)
	for _, id := range remains {
		e.spawn(nil, func() { newLeg(e, id).clear(causeFor(pbx.NormalClearing)) })
	}
	return left, true
}

// missing notes that a call is not talking as far as can be seen, and tells whether it was so a while before already.
func (e *Engine) missing(call uuid.UUID, at time.Time, hidden bool) bool {
	since, before := e.missed[call]
	if hidden {
		delete(e.missed, call)
		return false
	}
	if !before {
		e.missed[call] = at
	}
	return before && at.Sub(since) >= lookAgain
}

// gone asks for the channels of a call by their names: that a list lacks them proves nothing. When nothing is written down of
// it, these are all that it can have had.
func (e *Engine) gone(ctx context.Context, s scene, call uuid.UUID) bool {
	var names []string
	for id := range s.history {
		if isOf(id, call) {
			names = append(names, id)
		}
	}
	if len(names) == 0 {
		for attempt := range max(e.conf.MaxAttempts, pbx.MaxAttempts) {
			names = append(names, channelName(pbx.Target{Call: call, Attempt: attempt + 1}))
		}
	}
	for _, id := range names {
		if state, err := e.ari.state(ctx, id); err != nil || state != "" {
			return false
		}
	}
	return true
}

// remains are the channels that there are of a call, whether one was dialled and is not answered yet, and whether there is
// one that can't be seen.
func (s scene) remains(call uuid.UUID) (ids []string, dialling, hidden bool) {
	for id, ch := range s.channels {
		if isOf(id, call) {
			ids, dialling = append(ids, id), dialling || ch.State != "Up"
		}
	}
	for id, in := range s.bridges {
		if isOf(id, call) {
			ids = append(ids, in...) // the caller's is among them; what is named twice is hung up twice
		}
	}
	for _, id := range s.led {
		_, seen := s.channels[id]
		hidden = hidden || isOf(id, call) && !seen
	}
	return ids, dialling, hidden
}

// talk finds the two channels of a call whose far side has answered, when both are there and joined.
func (s scene) talk(call uuid.UUID) (far, caller string) {
	for bridge, in := range s.bridges {
		if !isOf(bridge, call) || len(in) != 2 || s.channels[bridge].State != "Up" {
			continue
		}
		other := in[0]
		if other == bridge {
			other = in[1]
		}
		if other != bridge && s.channels[other].State == "Up" {
			return bridge, other
		}
	}
	return "", ""
}

// told is what Asterisk has written down of a call, and whether that says that it is over: a side of its talk has ended,
// or each attempt that there was without an answer. An answer long ago may be written down no more.
func (s scene) told(c pbx.Unled) (left pbx.Left, over bool) {
	var last time.Time
	open := false
	for id, far := range s.history {
		if !isOf(id, c.Call) || far.first == "" { // whose caller is not known
			continue
		}
		if far.started.After(last) {
			last, left.Trunk = far.started, trunkOf(far.name)
		}
		open = open || far.ended.IsZero()
		if far.answered.IsZero() && far.ended.After(c.Answered) {
			far.answered = c.Answered
		}
		if !far.answered.IsZero() {
			ended := earliest(far.over(far.answered), s.history[far.first].over(far.answered))
			return pbx.Left{Trunk: trunkOf(far.name), AnsweredAt: far.answered, EndedAt: ended}, !ended.IsZero()
		}
	}
	return left, !last.IsZero() && !open
}

// lead takes the two sides of a talk over. They are known to the reader of events first and looked at then, so that no end
// is missed.
func (e *Engine) lead(s scene, c pbx.Unled, far, caller string) (pbx.Left, bool) {
	l, f := newLeg(e, caller), newLeg(e, far)
	f.out, f.caller, f.mixed, l.dialled = true, l, far, []*leg{f}
	l.resume(s, c.CallerAnswered)
	f.resume(s, c.Answered)
	if !e.add(l) || !e.add(f) {
		e.drop(l)
		return pbx.Left{}, false
	}
	for _, side := range []*leg{l, f} {
		e.spawn(side, func() { e.look(side.ctx, side) })
	}
	return pbx.Left{Caller: l, Far: f, Trunk: trunkOf(s.channels[far].Name), AnsweredAt: f.AnsweredAt()}, true
}

// resume makes the leg of a channel that is up since known, if Asterisk has not written down better. What nobody knows is
// not charged.
func (l *leg) resume(s scene, known time.Time) {
	at := s.history[l.id].answered
	if at.IsZero() {
		at = known
	}
	if at.IsZero() {
		at = s.at
	}
	l.arrived()
	l.unseen = s.at
	l.up(monotonic(at))
}

// monotonic gives an instant of the wall clock as one of ours, so that times are measured from it.
func monotonic(at time.Time) time.Time {
	now := time.Now()
	return now.Add(at.Sub(now.Round(0)))
}

// closeOnce closes a channel that one goroutine alone closes at a time.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
