package sipua

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"telecommune/pbx"
)

// lastWord is how long a test call waits for the answer to its BYE, or for the refusal of an INVITE that it gave up.
const lastWord = 2 * time.Second

// TestCall makes an acceptance call: it dials, lets a tone be heard in turn with silence for up to to.Limit from the
// answer on, hangs up, and tells how the signalling and the media went. It ends early with ctx. Run must run.
func (e *Engine) TestCall(ctx context.Context, to pbx.Target) pbx.TestCall {
	e.awaitReader(ctx) // an engine that was started for this call alone may not be there yet
	steps := newLadder()
	defer e.unfollow(steps)
	t := pbx.TestCall{Started: e.conf.Now(), Media: pbx.TestMedia{Verdict: pbx.NoMedia}}
	caller, err := e.nobody()
	if err != nil {
		t.Failure, t.Ended = err.Error(), e.conf.Now()
		return t
	}
	defer caller.finish(pbx.End{By: pbx.ByUs})

	var rang sync.Once
	var rings time.Time
	to.Ringing = func() { rang.Do(func() { rings = e.conf.Now() }) }
	dialled, err := e.Dial(steps.within(ctx), caller, to)
	rang.Do(func() {}) // whoever rings from now on is not heard of
	if !rings.IsZero() {
		t.PDD = since(t.Started, rings)
	}
	if err != nil {
		t.Ended = e.conf.Now()
		t.Failure = err.Error()
		var failed *pbx.DialError
		if errors.As(err, &failed) {
			t.SIP, t.Q850, t.Failure = failed.SIP, failed.Q850, failed.Err.Error()
		}
	} else {
		e.converse(ctx, dialled.(*leg), &t)
	}
	select {
	case <-steps.done:
	case <-time.After(lastWord):
	}
	steps.tell(&t)
	return t
}

// nobody is the caller of a test call: an answered leg that nobody is on.
func (e *Engine) nobody() (*leg, error) {
	l := newLeg(e, &dialog{e: e, id: "test", ours: netip.AddrFrom4([4]byte{127, 0, 0, 1})})
	if err := l.openMedia(); err != nil {
		return nil, err
	}
	l.media.agree(agreement{format: format{pcma, pcma.static()}})
	l.mu.Lock()
	l.answered = e.conf.Now()
	l.mu.Unlock()
	return l, nil
}

// converse is the answered part of a test call.
func (e *Engine) converse(ctx context.Context, far *leg, t *pbx.TestCall) {
	answered := far.AnsweredAt()
	t.AnsweredAt, t.Setup = &answered, since(t.Started, answered)
	if t.PDD == nil {
		t.PDD = t.Setup
	}
	if m, c, err := far.voice(); err == nil {
		t.Codec = string(c)
		measured := &meter{began: answered}
		m.meter.Store(measured)
		t.Media.Sent = e.sound(ctx, far, m, c)
		measured.report(&t.Media)
	}
	far.Hangup(normal)
	end := far.End()
	t.Ended, t.SIP, t.Q850, t.EndedBy = end.At, end.SIP, end.Q850, end.By
	t.Answered = max(end.At.Sub(answered), 0)
}

// sound lets our tone be heard, half a second in every one, until the leg or ctx ends. It gives the packets sent.
func (e *Engine) sound(ctx context.Context, far *leg, m *media, c codec) (sent int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(far.ctx, cancel)()
	tone := testTone(c)
	p := &player{m: m}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for frame := tone; len(frame) > 0; frame = frame[frameSamples:] {
			if !p.wait(timer, ctx.Done()) {
				return sent
			}
			p.send(frame[:frameSamples])
			if _, _, ok := m.target(); ok {
				sent++
			}
		}
	}
}

// testTone is one second of what a test call lets be heard, at about -10 dBm0.
func testTone(c codec) []byte {
	samples := make([]byte, 0, 2*clockRate)
	for i := range clockRate {
		v := int16(0)
		if i < clockRate/2 {
			v = int16(10_000 * math.Sin(2*math.Pi*ourTone*float64(i)/clockRate))
		}
		samples = append(samples, byte(v), byte(uint16(v)>>8))
	}
	return encode(samples, c)
}

// enough is how many packets of a sound must come to be believed: 200 ms.
const enough = 10

func (m *meter) report(t *pbx.TestMedia) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.Received, t.Lost, t.JitterUS = m.received, m.lost(), m.jitterMicros()
	if m.received > 0 {
		t.FirstMS = since(m.began, m.first)
	}
	switch {
	case m.received == 0:
		t.Verdict = pbx.NoMedia
	case m.tones >= enough:
		t.Verdict = pbx.TwoWay
	case m.loud >= enough:
		t.Verdict = pbx.HeardThem
	default:
		t.Verdict = pbx.SilentLine
	}
}

// since is the time between two moments in milliseconds.
func since(from, to time.Time) *int64 {
	ms := to.Sub(from).Milliseconds()
	return &ms
}
