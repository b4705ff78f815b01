package asterisk

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

// digitBuffer is how many digits a caller may type ahead.
const digitBuffer = 32

// leg is one channel of Asterisk, in or out. It implements pbx.Leg.
type leg struct {
	e       *Engine
	id      string // of the channel
	inbound pbx.Inbound
	out     bool            // we dialled it
	caller  *leg            // for whom; nil when for nobody who pays for it
	ctx     context.Context // ends with the leg
	cancel  context.CancelFunc
	done    chan struct{}
	digits  chan byte     // typed, and taken by nobody yet
	stage   chan struct{} // held by the one who plays
	ours    chan struct{} // closed when the channel is in the application
	answer  chan struct{} // closed at the answer
	bridge  atomic.Pointer[bridge]
	ears    *atomic.Bool // set when the party is heard; only a test call listens

	typed   time.Time     // the newest digit; the reader of events alone has to do with it
	telling chan struct{} // held by the one who tells Asterisk of the limit

	mu       sync.Mutex
	rings    func(early bool) // told of ringing and early media; nil: nobody is
	callID   string           // of SIP, once it is in the application
	answered time.Time        // zero before
	guessed  bool             // that is when we learnt of the answer; its own time may still be told
	limit    time.Duration    // 0: none
	timer    *time.Timer      // of the limit
	told     bool             // Asterisk knows of a limit
	there    time.Time        // when Asterisk last said that there is such a channel, asked for it
	unseen   time.Time        // since when nothing is heard of the channel; zero while it is
	expiring bool             // its time is over, and Asterisk is asked to end it
	ending   *pbx.End         // of which Asterisk has told; nil before
	end      pbx.End          // zero until done
	mixed    string           // the bridge that Dial has put the leg and its caller into
	plays    map[string]chan error
	dialled  []*leg // legs that Dial made for this one
}

func newLeg(e *Engine, id string) *leg {
	l := &leg{
		e: e, id: id, done: make(chan struct{}), digits: make(chan byte, digitBuffer), stage: make(chan struct{}, 1),
		telling: make(chan struct{}, 1), ours: make(chan struct{}), answer: make(chan struct{}), plays: map[string]chan error{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// ID implements pbx.Leg.
func (l *leg) ID() string { return l.id }

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
	if err := l.alive(ctx); err != nil || l.out || !l.AnsweredAt().IsZero() {
		return err
	}
	return l.asked(ctx, l.e.ari.ring(ctx, l.id))
}

// Answer implements pbx.Leg. A leg is answered when Asterisk says so, and from then on.
func (l *leg) Answer(ctx context.Context) error {
	if err := l.alive(ctx); err != nil || !l.AnsweredAt().IsZero() {
		return err
	}
	if err := l.asked(ctx, l.e.ari.answer(ctx, l.id)); err != nil {
		return err
	}
	select {
	case <-l.answer:
		return nil
	case <-time.After(answerTime): // its event was lost with the connection, or is late
		l.guessUp()
		return l.alive(ctx)
	case <-ctx.Done():
		return l.ended(ctx)
	case <-l.done:
		return pbx.ErrEnded
	}
}

// Play implements pbx.Leg.
func (l *leg) Play(ctx context.Context, audio prompt.Audio) error {
	_, _, err := l.play(ctx, audio, nil)
	return err
}

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

// takeMixed gives the bridge that Dial has made, to the one who then has to do with it; "" when there is none.
func (l *leg) takeMixed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	mixed := l.mixed
	l.mixed = ""
	return mixed
}

// forgetDigits drops what was typed before: it was not meant for what comes next.
func (l *leg) forgetDigits() {
	for {
		select {
		case <-l.digits:
		default:
			return
		}
	}
}

// partners are the legs that were dialled for this one.
func (l *leg) partners() []*leg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.dialled)
}

// digit takes a digit that the party dialled. Asterisk has passed it on to the other side of a bridge.
func (l *leg) digit(d byte) {
	into := l.digits
	if b := l.bridge.Load(); b != nil && b.caller == l {
		into = b.digits
	}
	select {
	case into <- d:
	default: // more than anybody waits for
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

// endsSoon is how long the word that a channel has ended may take after a question about it has failed for that.
const endsSoon = 200 * time.Millisecond

// asked is the error of a question to Asterisk about the leg. When the leg has ended meanwhile, that is why it failed.
func (l *leg) asked(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-l.done:
		return errors.Join(pbx.ErrEnded, err)
	case <-time.After(endsSoon):
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// take is given each event of the channel, in their order. It must not wait.
func (l *leg) take(ev event) {
	at := l.e.clock.local(ev.Timestamp)
	l.mu.Lock()
	if at.After(l.unseen) { // else it is told for the second time
		l.unseen = time.Time{}
	}
	l.mu.Unlock()
	switch ev.Type {
	case "StasisStart":
		l.mu.Lock()
		l.callID = pbx.Printable(ev.Channel.Protocol)
		l.mu.Unlock()
		l.arrived()
	case "ChannelStateChange":
		if ev.Channel.State == "Up" {
			l.up(at)
		}
	case "Dial":
		l.progress(ev.DialStatus, at)
	case "ChannelDtmfReceived":
		if len(ev.Digit) == 1 && at.After(l.typed) { // else it is told twice
			l.typed = at
			l.digit(ev.Digit[0])
		}
	case "ChannelTalkingStarted":
		if l.ears != nil {
			l.ears.Store(true)
		}
	case "PlaybackFinished":
		l.played(ev.Playback)
	case "ChannelHangupRequest":
		if l.AnsweredAt().IsZero() && l.out {
			return // the cause comes when the channel is gone
		}
		l.hungUp(l.endOf(ev, at))
	case "StasisEnd":
		l.left(at)
	case "ChannelDestroyed":
		l.hungUp(l.endOf(ev, at))
		l.e.drop(l)
	}
}

// progress takes how a dialled leg fares.
func (l *leg) progress(status string, at time.Time) {
	l.mu.Lock()
	rings := l.rings
	l.mu.Unlock()
	switch status {
	case "ANSWER":
		l.up(at)
	case "RINGING", "PROGRESS":
		if rings != nil {
			rings(status == "PROGRESS")
		}
	}
}

// arrived marks that the channel is in the application.
func (l *leg) arrived() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ours:
	default:
		close(l.ours)
	}
}
