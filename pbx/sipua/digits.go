package sipua

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// Collect implements pbx.Leg. Digits typed ahead count, unless c.Fresh. The terminator alone gives "" without an error.
func (l *leg) Collect(ctx context.Context, c pbx.Collect) (string, error) {
	if c.Fresh {
		l.forgetDigits()
	}
	digit, pressed, err := l.play(ctx, c.Prompt, l.digits)
	if err != nil {
		return "", err
	}
	return c.Read(ctx, l, l.digits, digit, pressed)
}

// means is how a digit came.
type means int

const (
	byEvent means = iota + 1 // RFC 4733
	byInfo                   // SIP INFO
)

// bothMeans is how far apart the same digit comes from a phone that sends each by both means.
const bothMeans = 500 * time.Millisecond

// press is a digit taken.
type press struct {
	digit byte
	by    means
	at    time.Time
}

// digit takes a digit that the party dialled. relayed means that the other side of a bridge has it already.
func (l *leg) digit(d byte, by means, relayed bool) {
	now := time.Now()
	l.mu.Lock()
	last := l.pressed
	if last.digit == d && last.by != by && now.Sub(last.at) < bothMeans {
		l.pressed = press{} // its double; the next one counts
		l.mu.Unlock()
		return
	}
	l.pressed = press{d, by, now}
	l.mu.Unlock()
	into := l.digits
	if b := l.bridge.Load(); b != nil {
		if b.caller == l {
			into = b.digits
		}
		if !relayed {
			b.other(l).dial(d)
		}
	}
	select {
	case into <- d:
	default: // more than anybody waits for
	}
}

// dial sends a digit to the party, as it takes it. One goroutine, which the first digit starts, sends them in their order;
// digits that come faster than it can are dropped.
func (l *leg) dial(d byte) {
	l.mu.Lock()
	m := l.media
	l.mu.Unlock()
	if m == nil {
		return
	}
	l.dialing.Do(func() { l.e.spawn(l, func() { l.dialOn(m) }) })
	select {
	case l.toDial <- d:
	default:
	}
}

// dialOn sends digits that did not come as RFC 4733 events on, until the leg ends.
func (l *leg) dialOn(m *media) {
	for {
		select {
		case d := <-l.toDial:
			if a := m.agreed.Load(); a == nil || a.event == 0 {
				l.info(d)
			} else if _, to, ok := m.target(); ok {
				m.out.event(to, a.event, eventCode(d), m.done)
			}
		case <-l.done:
			return
		}
	}
}

// info sends a digit as SIP INFO to a party without telephone-event.
func (l *leg) info(d byte) {
	l.dialog.mu.Lock()
	takes := l.dialog.info
	l.dialog.mu.Unlock()
	if !takes {
		return
	}
	req := l.dialog.request(sip.INFO)
	req.AppendHeader(sip.NewHeader("Content-Type", "application/dtmf-relay"))
	req.SetBody([]byte("Signal=" + string(d) + "\r\nDuration=160\r\n"))
	res, err := l.dialog.do(l.ctx, req)
	l.gone(res, err)
}
