package pbx

import (
	"context"
	"errors"
	"log/slog"
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
	verified bool           // by a number that is a phone of the account
	calls    int            // made so far; each left its row
	borne    time.Duration  // of the leg, by those calls
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
		err = a.connect(ctx, number)
		outcome := verdictOn(err)
		if !outcome.next {
			return err
		}
		news = outcome.say
	}
	return nil
}

// connect makes one call. However it ends, it is settled, or recorded when nothing was held for it.
func (a *accessCall) connect(ctx context.Context, number e164.Number) (err error) {
	a.calls++
	c := a.newCall(number, a.x.Now())
	defer func() {
		err = a.reason(ctx, a.rescue(recover(), err))
		c.close(ctx, err)
	}()

	ways, err := c.price() // what it costs, and which trunks can carry it for that
	if err != nil {
		return err
	}
	if err := c.authorise(ctx); err != nil { // how long the credit lasts; so much of it is held
		return err
	}
	if err := c.announce(ctx); err != nil { // both are said
		return err
	}
	far, err := c.dial(ctx, ways) // one trunk after the other
	if err != nil {
		return err
	}
	return c.talk(ctx, far) // until one side hangs up, or what is held is used up
}

// identify finds the caller's account: by the calling number, if it can be believed, else by a PIN. The look-up comes
// before the answer, so that a call that we can't serve costs its caller nothing.
func (a *accessCall) identify(ctx context.Context) error {
	caller, err := a.byPhone(ctx)
	unknown := errors.Is(err, billing.ErrUnknownCaller)
	a.verified = err == nil
	if err != nil && !unknown {
		return err
	}
	if err := a.answer(ctx, menuTime); err != nil {
		return err
	}
	if unknown {
		if caller, err = a.byPIN(ctx); err != nil {
			return err
		}
	}
	a.caller = caller
	a.x.live.update(a.id, func(l *live) { l.Account = caller.Account })
	if caller.Blocked {
		return billing.ErrBlocked
	}
	return nil
}

// byPIN finds the account of a PIN that the caller types. What is no PIN at all is a try too, but is not looked up.
func (a *accessCall) byPIN(ctx context.Context) (billing.Caller, error) {
	ask := say(prompt.AskPIN)
	for try := range tries {
		pin, err := a.ask(ctx, ask, pinDigits, try > 0) // what follows a wrong PIN was typed for a right one
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

// whereTo is the number to call: on a contact's access number first that contact's, else what the caller dials.
func (a *accessCall) whereTo(ctx context.Context, news []prompt.Phrase) (e164.Number, error) {
	if a.number.Service == Contact && a.calls == 0 {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return a.x.Callers.Contact(ctx, a.caller.Account, a.number.Number)
	}
	a.leg.Limit(a.x.Now().Sub(a.leg.AnsweredAt()) + menuTime)
	question := prompt.AskNumber
	if a.calls > 0 {
		question = prompt.AskNextNumber
	}
	for wrong, asked := 0, 0; wrong < tries && asked < 10*tries; asked++ {
		dialled, err := a.ask(ctx, slices.Concat(news, say(question)), maxDialled, false)
		switch {
		case errors.Is(err, ErrNoDigits):
			wrong++
		case err != nil:
			return "", err
		case dialled == "":
			// A # alone is no try: it was typed behind the PIN, which needs none, or while it rang.
		default:
			number, err := Dialled(dialled, a.number.Country)
			if err == nil {
				return number, nil
			}
			if news, err = a.wrongNumber(err); err != nil {
				return "", err
			}
			wrong++
		}
	}
	return "", errNoNumber
}

// wrongNumber is what a caller is told who dialled no number; an error, when the access call ends with that.
func (a *accessCall) wrongNumber(err error) ([]prompt.Phrase, error) {
	var short denied
	if !errors.As(err, &short) {
		return say(prompt.WrongNumber), nil
	}
	a.log.Warn("short number dialled", "account", a.caller.Account, "err", err)
	told := verdictOn(short)
	if !told.next {
		return nil, short
	}
	return told.say, nil
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

// leave says goodbye, hangs up, and records an access call in which no call was made, or the rest of one that costs us
// something after its last call.
func (a *accessCall) leave(ctx context.Context, err error) {
	outcome, reason := verdictOn(err), a.why(err)
	if a.ledByAnother() {
		return
	}
	defer func() {
		rest := a.newCall("", a.started)
		switch {
		case a.calls == 0:
			rest.close(ctx, err)
		case rest.origin.Access.Bears(a.onLine()):
			rest.close(ctx, errServed)
		}
	}()
	if !a.leg.AnsweredAt().IsZero() && !a.over(ctx) {
		_ = a.say(ctx, a.voice.Say(slices.Concat(outcome.say, say(prompt.Goodbye))...)) // whoever does not wait for it has left too
	}
	a.leg.Hangup(outcome.cause)
	a.log.Info("access call ended", "account", a.caller.Account, "calls", a.calls, "reason", reason)
}
