package asterisk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
)

const (
	// ourTone is what a test call lets be heard, in Hz: no harmonic of the ring tones and test tones in use. Asterisk's ear
	// is too dull to tell one that lies as near to them as that of the built-in engine.
	ourTone   = 1230
	heardTone = 200                    // milliseconds of it that are believed
	measures  = 100 * time.Millisecond // between two looks at the media
)

// TestCall makes an acceptance call, as the built-in engine's does: it dials, lets a tone be heard in turn with silence for
// up to to.Limit from the answer on, hangs up, and tells how it went. The messages are Asterisk's own affair, so the ladder
// tells steps in their place; when the first packet came it does not tell. What it counts is up to a tenth of a second old.
func (e *Engine) TestCall(ctx context.Context, to pbx.Target) pbx.TestCall {
	t := &testCall{TestCall: pbx.TestCall{Started: time.Now(), Media: pbx.TestMedia{Verdict: pbx.NoMedia}}}
	far := newLeg(e, uuid.NewString())
	far.out, far.ears = true, new(atomic.Bool)
	far.rings = t.ringing
	far.Limit(to.Limit)
	err := e.testDial(ctx, t, far, to)
	far.mu.Lock()
	t.CallID = far.callID
	far.mu.Unlock()
	if err != nil {
		t.fail(err)
		far.hangup(pbx.End{By: pbx.ByUs, SIP: 487, Q850: 16}, pbx.Cause{SIP: 487, Q850: 16})
		return t.told()
	}
	t.answered(far.AnsweredAt())
	e.converse(ctx, t, far)
	far.Hangup(pbx.NormalClearing)
	t.over(far.End())
	return t.told()
}

// testDial reaches the far side of a test call.
func (e *Engine) testDial(ctx context.Context, t *testCall, far *leg, to pbx.Target) error {
	ctx, cancel := context.WithTimeoutCause(ctx, to.RingTimeout, pbx.ErrRingTimeout)
	defer cancel()
	select {
	case <-e.ready: // it may have been started for this call alone
	case <-ctx.Done():
		return fmt.Errorf("no Asterisk to dial with: %w", context.Cause(ctx))
	}
	user, err := to.Trunk.Dial(to.Number)
	if err != nil {
		return err
	}
	if !e.add(far) {
		return errDraining
	}
	a := &attempt{e: e, far: far, to: to}
	endpoint := fmt.Sprintf("PJSIP/%s@%s", user, trunkEndpoint(to.Trunk.Code))
	if err := e.ari.createAlone(ctx, far.id, endpoint, cmp.Or(codecs(to.Trunk.Codecs), usualCodecs), a.presented()); err != nil {
		e.spawn(nil, func() { far.clear(41) }) // the answer may have been lost
		return err
	}
	for _, step := range []func() error{
		func() error { return far.await(ctx, far.ours) },
		func() error { return e.ari.set(ctx, far.id, "TALK_DETECT(set)", "") },
		func() error {
			return e.ari.set(ctx, far.id, fmt.Sprintf("TONE_DETECT(%d,%d,r)", ourTone, heardTone), "")
		},
		func() error { return e.ari.dial(ctx, far.id, to.RingTimeout+answerTime) },
		func() error { t.step("out", "dialled"); return far.await(ctx, far.answer) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// await waits for something of a leg that is dialled.
func (l *leg) await(ctx context.Context, what <-chan struct{}) error {
	select {
	case <-what:
		return nil
	case <-l.done:
		if !l.AnsweredAt().IsZero() {
			return nil
		}
		return l.failed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// converse is the answered part of a test call, until the leg or ctx ends.
func (e *Engine) converse(ctx context.Context, t *testCall, far *leg) {
	if format, err := e.ari.get(far.ctx, far.id, "CHANNEL(audionativeformat)"); err == nil {
		t.Codec = strings.NewReplacer("(", "", ")", "", "alaw", "PCMA", "ulaw", "PCMU").Replace(pbx.Printable(format))
	}
	if err := e.sound(far); err != nil {
		e.log.Warn("test tone not played", "leg", far.id, "err", err)
	}
	tick := time.NewTicker(measures)
	defer tick.Stop()
	for {
		e.measure(&t.Media, far)
		select {
		case <-tick.C:
		case <-far.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// sound lets our tone be heard until the leg ends. A channel that a tone is played to is deaf meanwhile; so it is played into
// a bridge that the channel is in.
func (e *Engine) sound(far *leg) error {
	bridge := uuid.NewString()
	far.mu.Lock()
	far.mixed = bridge // the end of the leg takes it apart
	far.mu.Unlock()
	if err := e.ari.mix(far.ctx, bridge, far.id); err != nil {
		return err
	}
	if far.ctx.Err() != nil { // ended meanwhile
		e.unmix(far.takeMixed())
		return nil
	}
	tone := fmt.Sprintf("tone:%d/500,0/500", ourTone)
	_, err := e.ari.send(far.ctx, http.MethodPost, "/bridges/"+bridge+"/play", map[string]any{"media": []string{tone}}, nil)
	return err
}

// measure notes what Asterisk has counted so far.
func (e *Engine) measure(m *pbx.TestMedia, far *leg) {
	rtp, err := e.ari.rtp(far.ctx, far.id)
	if err != nil {
		return // it has ended, or the next look tells
	}
	m.Sent, m.Received, m.Lost = rtp.Sent, rtp.Received, rtp.Lost
	m.JitterUS = int64(rtp.Jitter * 1_000_000)
	echoed, err := e.ari.get(far.ctx, far.id, "TONE_DETECT(rx)")
	hits, _ := strconv.Atoi(echoed)
	switch {
	case err == nil && hits > 0 || m.Verdict == pbx.TwoWay:
		m.Verdict = pbx.TwoWay
	case far.ears.Load():
		m.Verdict = pbx.HeardThem
	case m.Received > 0:
		m.Verdict = pbx.SilentLine
	}
}

// rtpCounts are Asterisk's counts of the RTP of a channel.
type rtpCounts struct {
	Sent     int64   `json:"txcount"`
	Received int64   `json:"rxcount"`
	Lost     int64   `json:"rxploss"`
	Jitter   float64 `json:"rxjitter"` // seconds
}

// createAlone makes a channel that is not dialled yet, as create does, but on behalf of nobody, whose codecs would be asked for.
func (a *ari) createAlone(ctx context.Context, channel, endpoint, formats string, variables map[string]string) error {
	_, err := a.send(ctx, http.MethodPost, "/channels/create", map[string]any{
		"endpoint": endpoint, "app": appName, "appArgs": "out", "channelId": channel, "formats": formats, "variables": variables,
	}, nil)
	return err
}

func (a *ari) rtp(ctx context.Context, channel string) (got rtpCounts, err error) {
	_, err = a.send(ctx, http.MethodGet, "/channels/"+url.PathEscape(channel)+"/rtp_statistics", nil, &got)
	return got, err
}

// testCall is a test call in the making.
type testCall struct {
	pbx.TestCall
	mu    sync.Mutex // of what the reader of events tells
	rings time.Time
}

func (t *testCall) since(at time.Time) *int64 {
	ms := at.Sub(t.Started).Milliseconds()
	return &ms
}

// step notes what happened now.
func (t *testCall) step(direction, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(direction, what, time.Now())
}

// maxSteps bounds a ladder.
const maxSteps = 50

func (t *testCall) note(direction, what string, at time.Time) {
	if len(t.Ladder) < maxSteps {
		t.Ladder = append(t.Ladder, pbx.SIPMessage{Milliseconds: *t.since(at), Direction: direction, Message: what})
	}
}

// ringing is told by the reader of events.
func (t *testCall) ringing(early bool) {
	what := "ringing"
	if early {
		what = "early media"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note("in", what, time.Now())
	if t.rings.IsZero() {
		t.rings = time.Now()
	}
}

func (t *testCall) answered(at time.Time) {
	t.AnsweredAt, t.Setup = &at, t.since(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note("in", "answered", at)
}

// over takes the end of a call that was answered.
func (t *testCall) over(end pbx.End) {
	t.Ended, t.SIP, t.Q850, t.EndedBy = end.At, end.SIP, end.Q850, end.By
	t.Answered = max(end.At.Sub(*t.AnsweredAt), 0)
	direction := "out"
	if end.By == pbx.ByPeer {
		direction = "in"
	}
	t.step(direction, fmt.Sprintf("hung up, Q.850 cause %d", end.Q850))
}

// fail takes why a call was not answered.
func (t *testCall) fail(err error) {
	t.Ended, t.Failure = time.Now(), err.Error()
	var failed *pbx.DialError
	if errors.As(err, &failed) {
		t.SIP, t.Q850, t.Failure = failed.SIP, failed.Q850, failed.Err.Error()
		t.step("in", fmt.Sprintf("refused, SIP %d, Q.850 cause %d", t.SIP, t.Q850))
		return
	}
	t.step("out", "given up")
}

// told is what is known in the end.
func (t *testCall) told() pbx.TestCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.PDD = t.Setup; !t.rings.IsZero() {
		t.PDD = t.since(t.rings)
	}
	told := t.TestCall
	told.Ladder = append([]pbx.SIPMessage{}, t.Ladder...)
	return told
}
