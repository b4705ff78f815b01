package pbx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// Config is what an exchange works with. All but the numbers must be set.
type Config struct {
	Switch    Switch
	Callers   Callers
	Credit    Credit
	Signs     func(context.Context, []billing.Sign) error // stores signs of life
	Routes    func() *routing.Snapshot                    // the newest
	Gate      *routing.Gate
	Admission func() *Admission // the newest
	// Attempts stores the plan and the attempts of a closed call.
	Attempts func(context.Context, billing.CallID, routing.Plan, []routing.Attempt) error
	Prompts  *prompt.Library
	Node     string
	Log      *slog.Logger

	// Destinations tells answers that look false; nil: one that begins to learn.
	Destinations *routing.Destinations

	// Now is the clock of whatever is written down of a call, the same one as the switch's. Nil: time.Now.
	Now func() time.Time

	// Orphans are what an earlier run of this program has left; nil: nothing. Recovered is called once the attempts are
	// recorded that were answered, and, where the switch outlives the program, the calls that go on are taken over, and those
	// of which it knows the end are settled; nil: nobody asks.
	Orphans   Orphans
	Recovered func()

	MaxAttempts int // over trunks, of a call; 0: MaxAttempts

	MaxCalls int           // access calls at once; 0: no limit
	MaxCPS   int           // access calls begun a second, on the average; 0: no limit
	Drain    time.Duration // how long Run waits at its end for calls in progress; 0: they are hung up at once
}

const (
	signEvery   = 5 * time.Second // a call found after a crash is settled up to its last sign of life
	signAtLeast = time.Second     // between two batches, however many calls are answered
)

// Exchange lets callers in and leads each through the script.
type Exchange struct {
	Config
	live   *register
	answer chan struct{} // a call was answered; its sign of life should be stored soon
}

// New makes an exchange. Run starts it.
func New(c Config) *Exchange {
	c.Log = c.Log.With("node", c.Node)
	if c.Destinations == nil {
		c.Destinations = routing.NewDestinations(nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Exchange{Config: c, live: newRegister(c.MaxCalls, c.MaxCPS), answer: make(chan struct{}, 1)}
}

// Run takes calls until ctx ends or the switch fails. Then new ones are refused, those in progress have the drain time
// to end, and what is left is hung up. It returns when all calls are over and settled. Calls that another controller leads
// on are neither.
func (x *Exchange) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	signed := make(chan struct{})
	go func() {
		defer close(signed)
		x.showLife(running)
	}()
	recovered := make(chan struct{})
	go func() {
		defer close(recovered)
		x.recover(running)
	}()
	switched := make(chan error, 1)
	go func() { switched <- x.Switch.Run(running, x.handle) }()

	var err error
	select {
	case <-ctx.Done():
		x.drain()
		stop()
		err = <-switched
	case err = <-switched:
		x.drain()
		stop()
	}
	<-recovered
	<-signed
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("switch: %w", err)
	}
	return nil
}

// Live lists the callers on the line, oldest first.
func (x *Exchange) Live() []LiveCall { return x.live.list() }

// Hangup ends a call in progress, or an access call. It is ErrNoCall when there is none with that id.
func (x *Exchange) Hangup(id uuid.UUID) error {
	if !x.live.hangup(id, errHungUp) {
		return fmt.Errorf("hang up %s: %w", id, ErrNoCall)
	}
	return nil
}

// HangupAll refuses new calls and ends all that are in progress. It does not wait for them; Run does.
func (x *Exchange) HangupAll() {
	x.live.close(errShutdown)
	x.live.hangupAll(errShutdown)
}

// drain ends all calls, first by patience, then by hanging up.
func (x *Exchange) drain() {
	empty := x.live.close(errShutdown)
	select {
	case <-empty:
		return
	case <-time.After(x.Drain):
	}
	x.HangupAll()
	<-empty // each call's end is bounded by closingTime
}

// handle is an access call, from the switch's hands to the hang-up.
func (x *Exchange) handle(ctx context.Context, leg Leg) {
	ctx, hangup := context.WithCancelCause(ctx)
	defer hangup(nil)
	in := leg.Inbound()
	a := &accessCall{x: x, id: uuid.Must(uuid.NewV7()), leg: leg, in: in, started: x.Now()}
	a.log = x.Log.With("access_call", a.id, "leg", leg.ID(), "provider", in.Provider)
	admitted := x.live.enter(&live{
		LiveCall: LiveCall{
			AccessCall: a.id, Provider: in.Provider, AccessNumber: in.Called, Caller: in.Caller, StartedAt: a.started,
		},
		hangup: hangup,
	})
	defer x.live.leave(a.id)
	if errors.Is(admitted, errFlood) { // nothing is done for it that would take time from others
		leg.Hangup(verdictOn(admitted).cause)
		return
	}
	a.log.Info("access call", "access_number", in.Called, "caller", in.Caller, "name", in.Name, "trusted", in.Trusted)

	number, known := x.Admission().Numbers[in.Called]
	a.number, a.voice = number, x.Prompts.Voice(number.Language)
	switch {
	case admitted != nil:
		a.leave(ctx, admitted)
	case !known:
		a.leave(ctx, errNoService)
	default:
		a.leave(ctx, a.reason(ctx, a.guarded(ctx)))
	}
}

// guarded is the script with a net below it: a fault of ours ends this call alone, and is recorded like other ends.
func (a *accessCall) guarded(ctx context.Context) (err error) {
	defer func() { err = a.rescue(recover(), err) }()
	return a.script(ctx)
}

// showLife stores the signs of life of calls that hold money: of all at regular times, and soon after an answer, from when
// on a call may cost something, of those that were answered. It also tells the log how many calls were refused meanwhile.
func (x *Exchange) showLife(ctx context.Context) {
	regular := time.NewTicker(signEvery)
	defer regular.Stop()
	for stored := true; ; {
		all := !stored // what was to be stored last comes again
		select {
		case <-ctx.Done():
			return
		case <-regular.C:
			all = true
		case <-x.answer:
		}
		if n := x.live.takeRefused(); n > 0 {
			x.Log.Warn("access calls refused, and not recorded", "calls", n, "max_calls", x.MaxCalls, "max_cps", x.MaxCPS)
		}
		if signs := x.live.signs(x.Now(), all); len(signs) > 0 {
			stored = x.store(ctx, signs)
		}
		if !x.sleepUntil(ctx, x.Now().Add(signAtLeast)) {
			return
		}
	}
}

func (x *Exchange) store(ctx context.Context, signs []billing.Sign) (stored bool) {
	ctx, cancel := context.WithTimeout(ctx, signEvery)
	defer cancel()
	err := x.Signs(ctx, signs)
	if err != nil && ctx.Err() == nil {
		x.Log.Warn("store signs of life", "calls", len(signs), "err", err)
	}
	return err == nil
}

// soon asks for a batch of signs of life.
func (x *Exchange) soon() {
	select {
	case x.answer <- struct{}{}:
	default: // one is on its way
	}
}
