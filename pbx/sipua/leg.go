package sipua

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

// digitBuffer is how many digits a caller may type ahead.
const digitBuffer = 32

// leg is one call leg, in or out. It implements pbx.Leg.
type leg struct {
	e       *Engine
	dialog  *dialog
	inbound pbx.Inbound
	ctx     context.Context // ends with the leg
	cancel  context.CancelFunc
	done    chan struct{}
	digits  chan byte     // typed, and taken by nobody yet
	stage   chan struct{} // held by the one who plays
	bridge  atomic.Pointer[bridge]

	invite *sip.Request          // that made the dialog
	tx     sip.ServerTransaction // of an inbound leg

	mu       sync.Mutex
	media    *media // nil before there is an offer or answer of ours
	said     sessionID
	offered  offered
	offering bool                         // an offer of ours is open: one of the other side meanwhile is glare
	acked    chan struct{}                // closed when the ACK of our first 200 is there or given up; nil for a dialled leg
	acks     map[uint32]chan *sip.Request // 2xx of ours to INVITEs that await their ACK, by CSeq
	answered time.Time                    // zero before
	limit    time.Duration                // 0: none
	end      pbx.End                      // zero until done
	pressed  press                        // the newest digit
	session  session
	timers   struct{ limit, media, session *time.Timer }
	dialled  []*leg // legs that Dial made for this one
}

// offered is what our newest offer said.
type offered struct {
	formats []format
	event   uint8
}

func newLeg(e *Engine, d *dialog) *leg {
	l := &leg{
		e: e, dialog: d, done: make(chan struct{}), digits: make(chan byte, digitBuffer), stage: make(chan struct{}, 1),
		said: sessionID{id: newSessionID()}, acks: map[uint32]chan *sip.Request{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// ID implements pbx.Leg.
func (l *leg) ID() string { return l.dialog.id }

// Inbound implements pbx.Leg.
func (l *leg) Inbound() pbx.Inbound { return l.inbound }

// Done implements pbx.Leg.
func (l *leg) Done() <-chan struct{} { return l.done }

// End implements pbx.Leg.
func (l *leg) End() pbx.End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// AnsweredAt implements pbx.Leg.
func (l *leg) AnsweredAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// Ring implements pbx.Leg.
func (l *leg) Ring(ctx context.Context) error {
	if err := l.alive(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	answered := !l.answered.IsZero()
	l.mu.Unlock()
	if answered || l.tx == nil {
		return nil
	}
	res := l.e.response(l.invite, 180)
	res.AppendHeader(l.contact())
	if err := l.tx.Respond(res); err != nil {
		return errors.Join(pbx.ErrEnded, err)
	}
	return nil
}

var errNotAnswered = errors.New("the leg is not answered")

// voice gives what audio is sent with.
func (l *leg) voice() (*media, codec, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return nil, "", pbx.ErrEnded
	}
	if l.media == nil || l.answered.IsZero() {
		return nil, "", errNotAnswered
	}
	a := l.media.agreed.Load()
	if a == nil {
		return nil, "", errNotAnswered
	}
	return l.media, a.codec, nil
}

// Play implements pbx.Leg.
func (l *leg) Play(ctx context.Context, audio prompt.Audio) error {
	_, _, err := l.play(ctx, audio, nil)
	return err
}

// Collect implements pbx.Leg. Digits typed ahead count. The terminator alone gives "" without an error.
func (l *leg) Collect(ctx context.Context, c pbx.Collect) (string, error) {
	var typed []byte
	first, pressed, err := l.play(ctx, c.Prompt, l.digits)
	if err != nil {
		return "", err
	}
	timeout := time.NewTimer(c.First)
	defer timeout.Stop()
	for {
		if !pressed {
			select {
			case first = <-l.digits:
			case <-timeout.C:
				if len(typed) == 0 {
					return "", pbx.ErrNoDigits
				}
				return string(typed), nil
			case <-ctx.Done():
				return "", l.ended(ctx)
			case <-l.done:
				return "", pbx.ErrEnded
			}
		}
		pressed = false
		if c.Terminator != 0 && first == c.Terminator {
			return string(typed), nil
		}
		if typed = append(typed, first); len(typed) >= c.Max {
			return string(typed), nil
		}
		timeout.Reset(c.Next)
	}
}

// Echo implements pbx.Leg.
func (l *leg) Echo(ctx context.Context) error {
	m, _, err := l.voice()
	if err != nil {
		return err
	}
	if !m.peer.CompareAndSwap(nil, m) {
		return errBridged
	}
	defer m.peer.CompareAndSwap(m, nil)
	select {
	case <-ctx.Done():
		return l.ended(ctx)
	case <-l.done:
		return pbx.ErrEnded
	}
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

// dial sends a digit to the party, as it takes it.
func (l *leg) dial(d byte) {
	l.mu.Lock()
	m := l.media
	l.mu.Unlock()
	if m == nil {
		return
	}
	if a := m.agreed.Load(); a != nil && a.event != 0 {
		m.dialed.Do(func() { l.e.spawn(l, m.dialEvents) })
		select {
		case m.dial <- d:
		default:
		}
		return
	}
	l.e.spawn(l, func() { l.info(d) })
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

// alive is the error of a method called on a leg that has ended or with a context that has.
func (l *leg) alive(ctx context.Context) error {
	if l.ctx.Err() != nil {
		return pbx.ErrEnded
	}
	return ctx.Err()
}

// ended is the error of a wait that ctx broke off: a leg's own context ends with the leg.
func (l *leg) ended(ctx context.Context) error {
	if l.ctx.Err() != nil {
		return pbx.ErrEnded
	}
	return ctx.Err()
}

// contact is our address within this dialog.
func (l *leg) contact() *sip.ContactHeader {
	return l.e.contact(l.dialog.transport, l.peerHost())
}

// peerHost is where the other side's signalling is.
func (l *leg) peerHost() string {
	l.dialog.mu.Lock()
	defer l.dialog.mu.Unlock()
	if src, err := netip.ParseAddrPort(l.dialog.source); err == nil {
		return src.Addr().String()
	}
	if len(l.dialog.routes) > 0 {
		return l.dialog.routes[0].Host
	}
	return l.dialog.target.Host
}

// openMedia binds the leg's RTP socket and starts to read it.
func (l *leg) openMedia() error {
	host := l.e.localAddr(l.peerHost())
	bind := host
	if l.e.wildcard() {
		bind = netip.IPv6Unspecified()
		if host.Is4() {
			bind = netip.IPv4Unspecified()
		}
	}
	conn, err := l.e.rtp.open(bind)
	if err != nil {
		return err
	}
	local := netip.AddrPortFrom(host, localPort(conn))
	m := newMedia(conn, local, l.digit)
	l.mu.Lock()
	gone := l.ctx.Err() != nil
	if !gone {
		l.media = m
	}
	l.mu.Unlock()
	if gone {
		m.close()
		return pbx.ErrEnded
	}
	l.e.spawn(l, m.read)
	return nil
}

// up marks the leg answered and starts its clocks.
func (l *leg) up(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = at
	if l.ctx.Err() != nil {
		return
	}
	l.armLimit()
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
	l.timers.limit = time.AfterFunc(time.Until(l.answered.Add(limit)), func() {
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
	end.At = time.Now()
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
	if m != nil {
		m.close()
	}
	l.e.log.Debug("leg ended", "call_id", l.dialog.id, "by", end.By, "sip", end.SIP, "q850", end.Q850)
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
		l.e.spawn(nil, func() { l.bye(cause, acked) })
	case l.tx != nil:
		l.e.respond(l.invite, l.tx, cause.SIP, reasonHeader(cause.Q850))
		l.e.drop(l)
	}
	// A dialled leg that is not answered is cancelled by its dial.
}

// bye sends BYE. One that was answered by us may not be sent it before its ACK, or the end of the wait for that (RFC
// 3261 section 15).
func (l *leg) bye(cause pbx.Cause, acked <-chan struct{}) {
	defer l.e.drop(l)
	if acked != nil {
		select {
		case <-acked:
		case <-l.e.stopped:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), ackWait())
	defer cancel()
	req := l.dialog.request(sip.BYE)
	req.AppendHeader(reasonHeader(cause.Q850))
	if _, err := l.dialog.do(ctx, req); err != nil {
		l.e.log.Debug("BYE not answered", "call_id", l.dialog.id, "error", err)
	}
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
