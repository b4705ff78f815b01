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
	toDial  chan byte     // digits that the party is to get, and did not get as RFC 4733 events
	dialing sync.Once
	bridge  atomic.Pointer[bridge]

	invite *sip.Request          // that made the dialog
	tx     sip.ServerTransaction // of an inbound leg

	ackMu sync.Mutex                   // of acks alone: it is taken by the reader of the socket, which must not wait
	acks  map[uint32]chan *sip.Request // 2xx of ours to INVITEs that await their ACK, by CSeq

	mu       sync.Mutex
	media    *media // nil before there is an offer or answer of ours
	said     sessionID
	offered  offered
	offering bool          // an offer of ours is open: one of the other side meanwhile is glare
	acked    chan struct{} // closed when the ACK of our first 200 is there or given up; nil for a dialled leg
	answered time.Time     // zero before
	limit    time.Duration // 0: none
	end      pbx.End       // zero until done
	pressed  press         // the newest digit
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
		e: e, dialog: d, done: make(chan struct{}), digits: make(chan byte, digitBuffer), stage: make(chan struct{}, 1), toDial: make(chan byte, digitBuffer),
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
func (l *leg) contact() *sip.ContactHeader { return l.e.contact(l.dialog.transport, l.dialog.ours) }

// openMedia binds the leg's RTP socket and starts to read it.
func (l *leg) openMedia() error {
	bind := l.dialog.ours
	if l.e.bound().IsUnspecified() {
		bind = netip.IPv6Unspecified()
		if l.dialog.ours.Is4() {
			bind = netip.IPv4Unspecified()
		}
	}
	conn, err := l.e.rtp.open(bind)
	if err != nil {
		return err
	}
	local := netip.AddrPortFrom(l.e.told(l.dialog.ours), localPort(conn))
	m := newMedia(conn, local, l.digit, l.e.conf.Now)
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
