package pbx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/pbx/prompt"
)

// The script's limits. Each wait for a caller has one.
const (
	pinDigits = 12
	tries     = 3                // at a PIN, and at a number
	maxCalls  = 50               // in one access call
	firstWait = 10 * time.Second // for the first digit
	nextWait  = 5 * time.Second  // between digits
	menuTime  = 10 * time.Minute // for all that is asked and said before a call; the engine hangs up after it
	echoTime  = 5 * time.Minute
)

// accessCall is a caller on the line, from the first ring to the hang-up. In it one call or several are made.
type accessCall struct {
	x       *Exchange
	id      uuid.UUID
	leg     Leg
	in      Inbound
	started time.Time
	number  AccessNumber
	voice   prompt.Voice
	log     *slog.Logger

	caller   billing.Caller // once identified
	calls    int            // made so far; each left its row
	welcomed bool
}

// script is an access call from top to bottom. What it returns says why it ended; nil is a friendly goodbye.
func (a *accessCall) script(ctx context.Context) error {
	if a.number.Service == Echo {
		return a.echo(ctx)
	}
	if err := a.identify(ctx); err != nil {
		return err
	}
	var news []prompt.Phrase // how the last call came out
	for a.calls < maxCalls {
		number, err := a.whereTo(ctx, news)
		if err != nil {
			return err
		}
		outcome := verdictOn(a.connect(ctx, number))
		if !outcome.next {
			return outcome.err
		}
		news = outcome.say
	}
	return nil
}

// connect makes one call. However it ends, it is settled, or recorded when nobody paid for it.
func (a *accessCall) connect(ctx context.Context, number e164.Number) (err error) {
	a.calls++
	c := a.newCall(number, time.Now())
	defer func() {
		err = a.reason(ctx, a.rescue(recover(), err))
		c.close(ctx, err)
	}()

	ways, err := c.price()
	if err != nil {
		return err
	}
	if err := c.authorise(ctx); err != nil {
		return err
	}
	if err := c.announce(ctx); err != nil {
		return err
	}
	far, err := c.dial(ctx, ways)
	if err != nil {
		return err
	}
	return c.talk(ctx, far)
}

// identify finds the caller's account: by the calling number, if it can be believed, else by a PIN. The look-up comes
// before the answer, so that a call that we can't serve costs its caller nothing.
func (a *accessCall) identify(ctx context.Context) error {
	caller, err := a.byPhone(ctx)
	known := !errors.Is(err, billing.ErrUnknownCaller)
	if known && err != nil {
		return err
	}
	if err := a.answer(ctx, menuTime); err != nil {
		return err
	}
	if !known {
		caller, err = a.byPIN(ctx)
	}
	if err != nil {
		return err
	}
	a.caller = caller
	a.x.live.update(a.id, func(l *live) { l.Account = caller.Account })
	if caller.Blocked {
		return billing.ErrBlocked
	}
	return nil
}

func (a *accessCall) byPhone(ctx context.Context) (billing.Caller, error) {
	if !a.in.Trusted || a.in.Caller == "" {
		return billing.Caller{}, billing.ErrUnknownCaller
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.x.Callers.ByPhone(ctx, a.in.Caller)
}

func (a *accessCall) byPIN(ctx context.Context) (billing.Caller, error) {
	ask := say(prompt.AskPIN)
	for range tries {
		pin, err := a.ask(ctx, ask, pinDigits)
		if err != nil && !errors.Is(err, ErrNoDigits) {
			return billing.Caller{}, err
		}
		if len(pin) == pinDigits {
			caller, err := a.checkPIN(ctx, pin)
			if !errors.Is(err, billing.ErrUnknownCaller) {
				return caller, err
			}
		}
		ask = say(prompt.WrongPIN, prompt.AskPIN)
	}
	return billing.Caller{}, errNoPIN
}

func (a *accessCall) checkPIN(ctx context.Context, pin string) (billing.Caller, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.x.Callers.ByPIN(ctx, pin, billing.PINSource{Caller: a.in.Caller.String(), Provider: a.in.Provider})
}

// whereTo is the number to call: on a contact's access number first that contact's, else what the caller dials.
func (a *accessCall) whereTo(ctx context.Context, news []prompt.Phrase) (e164.Number, error) {
	if a.number.Service == Contact && a.calls == 0 {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return a.x.Callers.Contact(ctx, a.caller.Account, a.number.Number)
	}
	a.leg.Limit(time.Since(a.leg.AnsweredAt()) + menuTime)
	question := prompt.AskNumber
	if a.calls > 0 {
		question = prompt.AskNextNumber
	}
	// A # behind the PIN, which needs none, is heard here: it cuts the first question short and is no try.
	for left, first := tries, true; left > 0; first = false {
		dialled, err := a.ask(ctx, slices.Concat(news, say(question)), maxDialled)
		switch {
		case err == nil && dialled == "" && first:
			continue
		case err == nil && dialled != "":
			if number, err := Dialled(dialled, a.number.Country); err == nil {
				return number, nil
			}
			news = say(prompt.WrongNumber)
		case err != nil && !errors.Is(err, ErrNoDigits):
			return "", err
		}
		left--
	}
	return "", errNoNumber
}

// echo lets callers hear themselves. Nobody needs an account for that.
func (a *accessCall) echo(ctx context.Context) error {
	if err := a.answer(ctx, echoTime); err != nil {
		return err
	}
	if err := a.say(ctx, a.voice.Say(prompt.Echo)); err != nil {
		return err
	}
	if err := a.leg.Echo(ctx); !a.over(ctx) {
		return err
	}
	return errServed
}

// answer takes the call, for so long at first: the engine hangs up should we never do it.
func (a *accessCall) answer(ctx context.Context, limit time.Duration) error {
	a.leg.Limit(limit)
	return a.leg.Answer(ctx)
}

// ask asks for digits, behind a welcome the first time. Any digit cuts the question short.
func (a *accessCall) ask(ctx context.Context, question []prompt.Phrase, most int) (string, error) {
	if !a.welcomed {
		a.welcomed = true
		question = slices.Concat(say(prompt.Welcome), question)
	}
	c := Collect{Prompt: a.voice.Say(question...), Max: most, Terminator: '#', First: firstWait, Next: nextWait}
	digits, err := a.leg.Collect(ctx, c)
	if err == nil || errors.Is(err, ErrNoDigits) || a.over(ctx) {
		return digits, err
	}
	a.log.Error("ask without prompt", "error", err)
	c.Prompt = nil
	return a.leg.Collect(ctx, c)
}

// say plays audio to its end. A clip that can't be played is worth a line in the log, not the call.
func (a *accessCall) say(ctx context.Context, audio prompt.Audio) error {
	err := a.leg.Play(ctx, audio)
	if err != nil && !a.over(ctx) {
		a.log.Error("play prompt", "error", err)
		return nil
	}
	return err
}

// leave says goodbye, hangs up, and records an access call in which no call was made.
func (a *accessCall) leave(ctx context.Context, err error) {
	why := verdictOn(err)
	if a.calls == 0 {
		defer func() { a.newCall("", a.started).close(ctx, err) }()
	}
	if !a.leg.AnsweredAt().IsZero() && !a.over(ctx) {
		_ = a.say(ctx, a.voice.Say(slices.Concat(why.say, say(prompt.Goodbye))...)) // whoever does not wait for it has left too
	}
	a.leg.Hangup(why.cause)
	a.log.Info("access call ended", "account", a.caller.Account, "calls", a.calls, "reason", err)
}

// over tells whether the caller, or the call's context, has gone.
func (a *accessCall) over(ctx context.Context) bool {
	select {
	case <-a.leg.Done():
		return true
	default:
		return ctx.Err() != nil
	}
}

// reason tells why something failed: when the caller or the context has gone meanwhile, for that.
func (a *accessCall) reason(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errServed) || errors.Is(err, errPanic) || !a.over(ctx) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return ErrEnded
}

// rescue makes an error of what recover returned, and leaves err as it is when that is nothing.
func (a *accessCall) rescue(panicked any, err error) error {
	if panicked == nil {
		return err
	}
	a.log.Error("panic in a call", "panic", panicked, "stack", string(debug.Stack()))
	return fmt.Errorf("%w: %v", errPanic, panicked)
}
