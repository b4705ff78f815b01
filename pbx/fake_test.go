package pbx_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

// clipTime is how long each clip lasts on the fake's lines.
const clipTime = time.Second

// line is a leg whose other end is the test.
type line struct {
	pbx.Leg // nil: a method that is not here must not be called

	in     pbx.Inbound
	spoken chan string // names of clips as they begin
	keys   chan byte
	done   chan struct{}
	broken bool // prompts can't be played
	mute   bool // its party never says a word

	mu         sync.Mutex
	answeredAt time.Time
	end        pbx.End
	cause      pbx.Cause // of Hangup
	limit      *time.Timer
	limits     []time.Duration
	bridge     *bridge
	events     []string // what came to pass, with seconds since the leg's answer
}

func newLine(in pbx.Inbound) *line {
	return &line{in: in, spoken: make(chan string, 1000), keys: make(chan byte, 1000), done: make(chan struct{})}
}

func (l *line) ID() string           { return "leg" }
func (l *line) Inbound() pbx.Inbound { return l.in }

func (l *line) Answer(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended() {
		return pbx.ErrEnded
	}
	if l.answeredAt.IsZero() {
		l.answeredAt = time.Now()
		if n := len(l.limits); n > 0 {
			l.arm(l.limits[n-1])
		}
	}
	return nil
}

func (l *line) Play(ctx context.Context, audio prompt.Audio) error {
	_, err := l.play(ctx, audio, nil)
	return err
}

func (l *line) Collect(ctx context.Context, c pbx.Collect) (string, error) {
	if c.Max == 0 {
		panic("nothing to collect")
	}
	for c.Fresh && len(l.keys) > 0 {
		<-l.keys
	}
	digits := ""
	key, err := l.play(ctx, c.Prompt, l.keys)
	for wait := c.First; err == nil; wait = c.Next {
		if key == 0 {
			select {
			case key = <-l.keys:
			case <-time.After(wait):
				if digits == "" {
					return "", pbx.ErrNoDigits
				}
				return digits, nil
			case <-l.done:
				return "", pbx.ErrEnded
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		if key == c.Terminator {
			return digits, nil
		}
		digits += string(rune(key))
		if len(digits) == c.Max {
			return digits, nil
		}
		key = 0
	}
	return "", err
}

func (l *line) play(ctx context.Context, audio prompt.Audio, stop <-chan byte) (byte, error) {
	if l.broken && len(audio) > 0 {
		return 0, errors.New("no such file")
	}
	for _, path := range audio {
		l.spoken <- strings.TrimSuffix(filepath.Base(path), ".wav")
		l.note(strings.TrimSuffix(filepath.Base(path), ".wav"))
		select {
		case <-time.After(clipTime):
		case key := <-stop:
			return key, nil
		case <-l.done:
			return 0, pbx.ErrEnded
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if l.ended() {
		return 0, pbx.ErrEnded
	}
	return 0, nil
}

func (l *line) Echo(ctx context.Context) error {
	select {
	case <-l.done:
		return pbx.ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) Limit(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = append(l.limits, d)
	if !l.answeredAt.IsZero() {
		l.arm(d)
	}
}

func (l *line) arm(d time.Duration) {
	if l.limit != nil {
		l.limit.Stop()
	}
	l.limit = time.AfterFunc(time.Until(l.answeredAt.Add(d)), func() { l.finish(pbx.ByPaidTime, 16) })
}

func (l *line) Hangup(cause pbx.Cause) {
	l.mu.Lock()
	if !l.ended() {
		l.cause = cause
	}
	l.mu.Unlock()
	l.finish(pbx.ByUs, cause.Q850)
}

// finish ends the leg.
func (l *line) finish(by pbx.Ender, q850 int) { l.finishAt(time.Now(), by, q850) }

// finishAt ends the leg as of a moment that may be past already, as with an engine that is told late.
func (l *line) finishAt(at time.Time, by pbx.Ender, q850 int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended() {
		return
	}
	if l.limit != nil {
		l.limit.Stop()
	}
	l.end = pbx.End{At: at, SIP: 200, Q850: q850, By: by}
	if !l.mute {
		l.end.Voice = l.answeredAt
	}
	close(l.done)
}

func (l *line) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *line) AnsweredAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answeredAt
}

func (l *line) Done() <-chan struct{} { return l.done }

func (l *line) End() pbx.End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

func (l *line) note(what string) {
	at := time.Since(l.AnsweredAt())
	if b := l.joined(); b != nil {
		at = time.Since(b.far.AnsweredAt())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, fmt.Sprintf("%s at %v", what, at))
}

func (l *line) joined() *bridge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bridge
}

// bridge is two lines joined.
type bridge struct {
	caller, far *line
	digits      chan byte
	closed      bool
}

func (b *bridge) Digits() <-chan byte { return b.digits }

func (b *bridge) Close() {
	b.caller.mu.Lock()
	defer b.caller.mu.Unlock()
	b.closed, b.caller.bridge = true, nil
}

// party is how a far side takes a call over one trunk.
type party struct {
	after  time.Duration  // from the INVITE to what follows
	rings  bool           // it rings at half that time
	fails  *pbx.DialError // else it answers
	talks  time.Duration  // hangs up so long after the answer; 0: never
	panics bool
	mute   bool // says nothing
}

// Run is that of pbx.Switch.
func (x *exchange) Run(ctx context.Context, handle func(context.Context, pbx.Leg)) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-x.calls:
			legCtx, cancel := context.WithCancel(ctx)
			context.AfterFunc(legCtx, func() { in.finish(pbx.ByUs, 16) })
			handlers.Go(func() { <-in.done; cancel() })
			handlers.Go(func() {
				defer in.finish(pbx.ByFailure, 41)
				defer func() {
					if p := recover(); p != nil {
						x.t.Errorf("a panic left the handler: %v", p)
					}
				}()
				handle(legCtx, in)
			})
		}
	}
}

// Recover is that of pbx.Recoverer.
func (x *exchange) Recover(_ context.Context, calls []pbx.Unled) (map[uuid.UUID]pbx.Left, error) {
	if x.left == nil {
		return nil, nil
	}
	return x.left(calls)
}

func (x *exchange) Dial(ctx context.Context, caller pbx.Leg, to pbx.Target) (pbx.Leg, error) {
	if caller.AnsweredAt().IsZero() {
		x.t.Error("dialled before the caller was answered")
	}
	x.mu.Lock()
	x.dialled = append(x.dialled, to)
	x.mu.Unlock()
	p := x.parties[to.Trunk.Code]
	if p.panics {
		panic("in the switch")
	}
	timeout := time.After(to.RingTimeout)
	answer, ring := time.After(p.after), make(<-chan time.Time)
	rang := false
	if p.rings {
		ring = time.After(p.after / 2)
	}
	for {
		select {
		case <-ring:
			rang = true
			to.Ringing()
		case <-answer:
			if p.fails != nil {
				p.fails.Rang = rang
				return nil, p.fails
			}
			far := newLine(pbx.Inbound{})
			far.mute = p.mute
			far.Limit(to.Limit)
			_ = far.Answer(ctx)
			if p.talks > 0 {
				time.AfterFunc(p.talks, func() { far.finish(pbx.ByPeer, 16) })
			}
			x.mu.Lock()
			x.far = append(x.far, far)
			x.mu.Unlock()
			return far, nil
		case <-timeout:
			return nil, &pbx.DialError{SIP: 487, Rang: rang, Err: pbx.ErrRingTimeout}
		case <-caller.Done():
			return nil, &pbx.DialError{Rang: rang, Err: pbx.ErrEnded}
		case <-ctx.Done():
			return nil, &pbx.DialError{Rang: rang, Err: ctx.Err()}
		}
	}
}

func (x *exchange) Bridge(caller, far pbx.Leg) (pbx.Bridge, error) {
	if x.bridging != nil {
		if err := x.bridging(); err != nil {
			return nil, err
		}
	}
	b := &bridge{caller: caller.(*line), far: far.(*line), digits: make(chan byte, 10)}
	b.caller.mu.Lock()
	defer b.caller.mu.Unlock()
	b.caller.bridge = b
	return b, nil
}
