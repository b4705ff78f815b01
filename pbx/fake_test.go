package pbx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
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
}

// exchange is a pbx.Exchange with fakes around it.
type exchange struct {
	*pbx.Exchange
	t       *testing.T
	bank    *bank
	config  pbx.Config
	stop    func() // ends Run
	stopped chan error

	calls     chan *line
	parties   map[string]party // by trunk
	bridging  func() error
	dialled   []pbx.Target
	far       []*line
	admission *pbx.Admission
	trunks    []routing.Trunk
	channel   map[string]int // channels of trunks
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

func (x *exchange) Dial(ctx context.Context, caller pbx.Leg, to pbx.Target) (pbx.Leg, error) {
	if caller.AnsweredAt().IsZero() {
		x.t.Error("dialled before the caller was answered")
	}
	x.dialled = append(x.dialled, to)
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
			far.Limit(to.Limit)
			_ = far.Answer(ctx)
			if p.talks > 0 {
				time.AfterFunc(p.talks, func() { far.finish(pbx.ByPeer, 16) })
			}
			x.far = append(x.far, far)
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

// bank fakes billing: it knows who calls, and writes down what it is asked.
type bank struct {
	mu       sync.Mutex
	phones   map[e164.Number]billing.Caller
	pins     map[string]billing.Caller
	contacts map[string]e164.Number // by account
	seconds  int                    // that the credit buys
	pinError error
	refuses  error           // Authorise
	away     map[string]bool // operations that get no answer from the database
	panics   map[string]bool // operations with a fault
	takes    map[string]time.Duration
	log      []string // what was asked, in order
	extends  int      // calls of Extend, which are not in log
	held     map[billing.CallID]int
	attempts []routing.Attempt
	signs    []string
	closings []billing.Closing
	settled  []billing.Settlement
	asked    []billing.Request
}

// does is what any operation goes through first.
func (b *bank) does(ctx context.Context, operation string) error {
	b.mu.Lock()
	away, panics, takes := b.away[operation], b.panics[operation], b.takes[operation]
	b.mu.Unlock()
	if panics {
		panic("in " + operation)
	}
	if away {
		if _, ok := ctx.Deadline(); !ok {
			b.write("%s without a deadline", operation)
			return context.DeadlineExceeded
		}
		<-ctx.Done()
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (b *bank) write(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf(format, args...))
}

func (b *bank) ByPhone(ctx context.Context, phone e164.Number) (billing.Caller, error) {
	if err := b.does(ctx, "ByPhone"); err != nil {
		return billing.Caller{}, err
	}
	if c, ok := b.phones[phone]; ok {
		return c, nil
	}
	return billing.Caller{}, fmt.Errorf("phone %s: %w", phone, billing.ErrUnknownCaller)
}

func (b *bank) ByPIN(ctx context.Context, pin string, from billing.PINSource) (billing.Caller, error) {
	b.write("pin %s from %s %s", pin, from.Provider, from.Caller)
	if err := b.does(ctx, "ByPIN"); err != nil {
		return billing.Caller{}, err
	}
	if b.pinError != nil {
		return billing.Caller{}, fmt.Errorf("pin: %w", b.pinError)
	}
	if c, ok := b.pins[pin]; ok {
		return c, nil
	}
	return billing.Caller{}, fmt.Errorf("pin: %w", billing.ErrUnknownCaller)
}

func (b *bank) Contact(ctx context.Context, account string, _ e164.Number) (e164.Number, error) {
	if err := b.does(ctx, "Contact"); err != nil {
		return "", err
	}
	if n, ok := b.contacts[account]; ok {
		return n, nil
	}
	return "", billing.ErrNoContact
}

func (b *bank) Authorise(ctx context.Context, r billing.Request) (billing.Hold, error) {
	b.write("authorise %s for %s", r.Number, r.Account)
	if err := b.does(ctx, "Authorise"); err != nil {
		return billing.Hold{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r)
	if b.refuses != nil {
		return billing.Hold{}, fmt.Errorf("authorise: %w", b.refuses)
	}
	b.held[r.Call] = min(b.seconds, r.CallLimit)
	return billing.Hold{Call: r.Call, Account: r.Account, Seconds: b.held[r.Call]}, nil
}

func (b *bank) Extend(ctx context.Context, call billing.CallID) (billing.Hold, error) {
	b.set(func() { b.extends++ })
	if err := b.does(ctx, "Extend"); err != nil {
		return billing.Hold{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[call] == 0 {
		return billing.Hold{}, billing.ErrNotFound
	}
	b.held[call] = b.seconds
	return billing.Hold{Call: call, Seconds: b.seconds}, nil
}

func (b *bank) Settle(ctx context.Context, s billing.Settlement) error {
	b.write("settle %s %v on %s, %d/%d", s.Outcome, s.Answered, s.Trunk, s.SIP, s.Q850)
	if err := b.does(ctx, "Settle"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[s.Call] == 0 {
		return billing.ErrNotFound
	}
	delete(b.held, s.Call)
	b.settled = append(b.settled, s)
	return nil
}

func (b *bank) Close(ctx context.Context, c billing.Closing) error {
	b.write("close %s %s, %d/%d", c.Outcome, c.Number, c.SIP, c.Q850)
	if err := b.does(ctx, "Close"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closings = append(b.closings, c)
	return nil
}

func (b *bank) recordAttempts(_ context.Context, _ billing.CallID, attempts []routing.Attempt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts = append(b.attempts, attempts...)
	return nil
}

func (b *bank) storeSigns(_ context.Context, signs []billing.Sign) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range signs {
		b.signs = append(b.signs, fmt.Sprintf("%s %v", s.Trunk, s.Answered))
	}
	return nil
}

// set changes what the bank does while a call runs.
func (b *bank) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

const (
	gateway = e164.Number("+49305550100")
	contact = e164.Number("+49305550101")
	echo    = e164.Number("+49305550102")
	anna    = e164.Number("+49301234567")
	kyiv    = "00380441234567"
	goodPIN = "123456789012"
)

// onExchange runs a story in a bubble of fake time, and checks afterwards what holds after every story. The story sets
// the fakes up before its first call.
func onExchange(t *testing.T, story func(x *exchange)) {
	t.Helper()
	prompts := clips(t)
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{
			t: t, calls: make(chan *line), parties: map[string]party{}, stopped: make(chan error, 1),
			channel: map[string]int{},
			bank: &bank{
				phones:   map[e164.Number]billing.Caller{anna: caller("anna")},
				pins:     map[string]billing.Caller{goodPIN: caller("ben")},
				contacts: map[string]e164.Number{"anna": "+380441234567"},
				seconds:  7200, held: map[billing.CallID]int{}, away: map[string]bool{}, panics: map[string]bool{},
				takes: map[string]time.Duration{},
			},
			admission: &pbx.Admission{Numbers: map[e164.Number]pbx.AccessNumber{
				gateway: {Number: gateway, Country: "DE", Language: "en", Service: pbx.Gateway},
				contact: {Number: contact, Country: "DE", Language: "en", Service: pbx.Contact},
				echo:    {Number: echo, Country: "DE", Language: "xx", Service: pbx.Echo},
			}},
		}
		x.config = pbx.Config{
			Switch: x, Callers: x.bank, Credit: x.bank, Signs: x.bank.storeSigns, Attempts: x.bank.recordAttempts,
			Routes: x.routes, Gate: routing.NewGate(), Admission: func() *pbx.Admission { return x.admission },
			Prompts: prompts, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Drain: time.Minute,
		}
		defer x.checkAfter()
		story(x)
	})
}

// start starts the exchange; call does so at the first call.
func (x *exchange) start() {
	if x.Exchange != nil {
		return
	}
	x.Exchange = pbx.New(x.config)
	ctx, cancel := context.WithCancel(x.t.Context())
	x.stop = cancel
	go func() { x.stopped <- x.Exchange.Run(ctx) }()
}

// checkAfter stops the exchange and holds what every story must leave: no hold, a row for each access call and no two
// for a call, no leg up, no channel taken, no caller in the register.
func (x *exchange) checkAfter() {
	x.start()
	x.stop()
	if err := <-x.stopped; err != nil {
		x.t.Errorf("Run: %v", err)
	}
	b := x.bank
	for call := range b.held {
		if !b.away["Settle"] {
			x.t.Errorf("hold of %s is left", call)
		}
	}
	rows := map[billing.CallID]bool{}
	for _, c := range b.closings {
		if rows[c.Call] {
			x.t.Errorf("two rows for %s", c.Call)
		}
		rows[c.Call] = true
	}
	for _, s := range b.settled {
		if rows[s.Call] {
			x.t.Errorf("two rows for %s", s.Call)
		}
		rows[s.Call] = true
	}
	for _, far := range x.far {
		if !far.ended() {
			x.t.Error("a far leg is left up")
		}
	}
	for _, trunk := range x.trunks {
		trunk.Channels = 1
		if reason := x.config.Gate.Full(trunk); reason == routing.Full {
			x.t.Errorf("a channel of %s is still taken", trunk.Code)
		}
	}
	if left := x.Live(); len(left) > 0 {
		x.t.Errorf("still live: %+v", left)
	}
}

// routes has two trunks to Ukraine, cheap before dear, one more to Germany, and a retail deck with a free number.
func (x *exchange) routes() *routing.Snapshot {
	row := func(prefix string, rate money.Amount) tariff.Row {
		return tariff.Row{
			Prefix: prefix, RatePerMinute: rate, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: 1,
			RoundingMode: money.HalfUp,
		}
	}
	deck := func(kind tariff.Kind, name string, rows ...tariff.Row) tariff.Deck {
		d := tariff.Deck{Rows: rows}
		d.Kind, d.Name, d.Version, d.Currency = kind, name, 1, "EUR"
		return d
	}
	x.trunks = nil
	for _, code := range []string{"cheap", "dear", "third"} {
		x.trunks = append(x.trunks, routing.Trunk{Code: code, Carrier: "c-" + code, Channels: x.channel[code], Enabled: true})
	}
	return routing.NewSnapshot(x.trunks, tariff.NewDecks([]tariff.Deck{
		deck(tariff.Retail, "retail", row("380", 19_000), row("49", 10_000), row("43", 10_000)),
		deck(tariff.Trunk, "cheap", row("380", 5_000)),
		deck(tariff.Trunk, "dear", row("380", 8_000)),
		deck(tariff.Trunk, "third", row("380", 9_000), row("49", 1_000)),
	}))
}

// phone is a caller at his telephone.
type phone struct {
	*line
	x *exchange
	t *testing.T
}

// call comes in on an access number, with the caller's number vouched for.
func (x *exchange) call(access, from e164.Number) *phone {
	return x.callAs(pbx.Inbound{Called: access, Caller: from, Provider: "pstn", Trusted: true})
}

func (x *exchange) callAs(in pbx.Inbound) *phone {
	x.start()
	in.Received = time.Now()
	l := newLine(in)
	x.calls <- l
	return &phone{l, x, x.t}
}

// hears waits until these clips have been spoken, in this order, with whatever between them.
func (p *phone) hears(names ...prompt.Phrase) {
	p.t.Helper()
	for _, name := range names {
		for deadline := time.After(time.Hour); ; {
			select {
			case clip := <-p.spoken:
				if clip == string(name) {
					break
				}
				continue
			case <-p.done:
				p.t.Fatalf("the call ended before %q was heard; it went: %v", name, p.events)
			case <-deadline:
				p.t.Fatalf("%q was not heard; it went: %v", name, p.events)
			}
			break
		}
	}
}

// types dials digits.
func (p *phone) types(digits string) {
	if b := p.joined(); b != nil {
		for _, d := range []byte(digits) {
			b.digits <- d
		}
		return
	}
	for _, d := range []byte(digits) {
		p.keys <- d
	}
}

func (p *phone) hangsUp() { p.finish(pbx.ByPeer, 16) }

// waits until the line is dead, and the exchange at rest.
func (p *phone) waits() {
	<-p.done
	time.Sleep(time.Minute) // fake time: what is being recorded gets there
	synctest.Wait()
}

// talks waits until the two sides are joined.
func (p *phone) talks() {
	p.t.Helper()
	for range 1000 {
		synctest.Wait()
		if p.joined() != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Fatalf("nobody answers; it went: %v", p.events)
}

// expect compares what the bank was asked.
func (x *exchange) expect(want ...string) {
	x.t.Helper()
	x.bank.mu.Lock()
	defer x.bank.mu.Unlock()
	if !slices.Equal(x.bank.log, want) {
		x.t.Errorf("the bank was asked\n  %s\nwant\n  %s", strings.Join(x.bank.log, "\n  "), strings.Join(want, "\n  "))
	}
}

func caller(account string) billing.Caller {
	return billing.Caller{Account: account, Tariff: "retail", CallLimit: 7200, Currency: "EUR"}
}

// clips makes a library in which there is every clip.
func clips(t *testing.T) *prompt.Library {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "en"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name := range prompt.Texts("en") {
		if err := os.WriteFile(filepath.Join(dir, "en", name+".wav"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	library, err := prompt.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return library
}
