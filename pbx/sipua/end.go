package sipua

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// up marks the leg answered and starts its clocks.
func (l *leg) up(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = at
	if l.ctx.Err() != nil {
		return
	}
	l.armLimit()
	l.media.waits.Store(true)
	l.timers.media = time.AfterFunc(l.e.conf.MediaTimeout, l.listen)
	l.e.log.Debug("leg answered", "call_id", l.dialog.id)
}

// listen ends the leg when its media is lost, and else looks again when it could be at the earliest.
func (l *leg) listen() {
	l.mu.Lock()
	m := l.media
	l.mu.Unlock()
	silent, expected := m.silence()
	if !expected {
		silent = 0
		m.heard.Store(clock())
	}
	if silent >= l.e.conf.MediaTimeout {
		l.hangup(pbx.End{By: pbx.ByLostMedia, SIP: 200, Q850: 16}, pbx.Cause{SIP: 480, Q850: 16})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.timers.media.Reset(l.e.conf.MediaTimeout - silent)
	}
}

// Limit implements pbx.Leg.
func (l *leg) Limit(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = d
	if !l.answered.IsZero() {
		l.armLimit()
	}
}

func (l *leg) armLimit() {
	if l.timers.limit != nil {
		l.timers.limit.Stop()
	}
	if l.limit <= 0 || l.ctx.Err() != nil {
		return
	}
	limit := l.limit
	l.timers.limit = time.AfterFunc(l.answered.Add(limit).Sub(l.e.conf.Now()), func() {
		l.mu.Lock()
		extended := l.limit != limit
		l.mu.Unlock()
		if !extended {
			l.hangup(pbx.End{By: pbx.ByPaidTime, SIP: 200, Q850: 16}, normal)
		}
	})
}

// finish ends the leg, once: its media, its clocks, its bridge, its waiting methods. It does no signalling.
func (l *leg) finish(end pbx.End) bool {
	l.mu.Lock()
	if l.ctx.Err() != nil {
		l.mu.Unlock()
		return false
	}
	end.At = l.e.conf.Now()
	if l.media != nil {
		if voice := l.media.voice.Load(); voice != nil {
			end.Voice = *voice
		}
	}
	l.end = end
	l.cancel()
	close(l.done)
	for _, t := range []*time.Timer{l.timers.limit, l.timers.media, l.timers.session} {
		if t != nil {
			t.Stop()
		}
	}
	m := l.media
	l.mu.Unlock()
	if b := l.bridge.Load(); b != nil {
		b.Close()
	}
	strange := int64(0)
	if m != nil {
		m.close()
		strange = m.strange.Load()
	}
	l.e.log.Debug("leg ended", "call_id", l.dialog.id, "by", end.By, "sip", end.SIP, "q850", end.Q850, "strange_packets", strange)
	return true
}

// Hangup implements pbx.Leg.
func (l *leg) Hangup(cause pbx.Cause) {
	end := pbx.End{By: pbx.ByUs, SIP: cause.SIP, Q850: cause.Q850}
	if !l.AnsweredAt().IsZero() {
		end.SIP = 200
	}
	l.hangup(end, cause)
}

// fail ends the leg for a fault of ours.
func (l *leg) fail(status int) {
	l.hangup(pbx.End{By: pbx.ByFailure, SIP: status, Q850: q850(status)}, pbx.Cause{SIP: status, Q850: q850(status)})
}

// hangup ends the leg and tells the other side: with a final response before the answer, with BYE after it.
func (l *leg) hangup(end pbx.End, cause pbx.Cause) {
	if !l.finish(end) {
		return
	}
	l.mu.Lock()
	answered, acked := !l.answered.IsZero(), l.acked
	l.mu.Unlock()
	switch {
	case answered:
		l.e.spawn(nil, func() {
			defer l.e.drop(l)
			l.dialog.bye(cause, acked)
		})
	case l.tx != nil:
		if l.tx.Err() == nil { // else it is cancelled, and answered so
			l.e.respond(l.invite, l.tx, cause.SIP, reasonHeader(cause.Q850))
		}
		l.e.drop(l)
	}
	// A dialled leg that is not answered is cancelled by its dial.
}

// gone ends the leg when the answer to a request within the dialog says that the other side knows nothing of it
// (12.2.1.2).
func (l *leg) gone(res *sip.Response, err error) bool {
	status := 0
	switch {
	case res != nil:
		status = res.StatusCode
	case errors.Is(err, sip.ErrTransactionTimeout):
		status = 408
	}
	if status != 481 && status != 408 {
		return false
	}
	l.hangup(pbx.End{By: pbx.ByFailure, SIP: status, Q850: q850(status)}, normal)
	return true
}

// ackWait is how long a 2xx waits for its ACK (13.3.1.4), and a BYE for its answer.
func ackWait() time.Duration { return 64 * sip.T1 }
