package pbx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"telecommune/billing"
	"telecommune/pbx/prompt"
)

// What the script does with the caller's leg and with the bank, each with its time-out.

// answer takes the call, for so long at first: the engine hangs up should we never do it.
func (a *accessCall) answer(ctx context.Context, limit time.Duration) error {
	a.leg.Limit(limit)
	return a.leg.Answer(ctx)
}

// ask asks for digits, behind a welcome the first time. Any digit cuts the question short.
// With fresh what was typed before is not taken for an answer.
func (a *accessCall) ask(ctx context.Context, question []prompt.Phrase, most int, fresh bool) (string, error) {
	if !a.welcomed {
		a.welcomed = true
		question = slices.Concat(say(prompt.Welcome), question)
	}
	c := Collect{Prompt: a.voice.Say(question...), Max: most, Terminator: '#', First: firstWait, Next: nextWait, Fresh: fresh}
	digits, err := a.leg.Collect(ctx, c)
	if err == nil || errors.Is(err, ErrNoDigits) || a.over(ctx) {
		return digits, err
	}
	a.log.Error("ask without prompt", "err", err)
	c.Prompt = nil
	return a.leg.Collect(ctx, c)
}

// say plays audio to its end. A clip that can't be played is worth a line in the log, not the call.
func (a *accessCall) say(ctx context.Context, audio prompt.Audio) error {
	err := a.leg.Play(ctx, audio)
	if err != nil && !a.over(ctx) {
		a.log.Error("play prompt", "err", err)
		return nil
	}
	return err
}

func (a *accessCall) byPhone(ctx context.Context) (billing.Caller, error) {
	if !a.in.Trusted || a.in.Caller == "" {
		return billing.Caller{}, billing.ErrUnknownCaller
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.x.Callers.ByPhone(ctx, a.in.Caller)
}

func (a *accessCall) checkPIN(ctx context.Context, pin string) (billing.Caller, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	from := billing.PINSource{Provider: a.in.Provider}
	if a.in.Trusted { // a number that anybody may claim would lock its owner out, and not the one who guesses
		from.Caller = a.in.Caller.String()
	}
	return a.x.Callers.ByPIN(ctx, pin, from)
}

// onLine is how long the caller has been on the line since our answer, up to the hang-up.
func (a *accessCall) onLine() time.Duration {
	answered := a.leg.AnsweredAt()
	if answered.IsZero() {
		return 0
	}
	if end, ended := endOf(a.leg); ended {
		return max(end.At.Sub(answered), 0)
	}
	return a.x.Now().Sub(answered)
}

// ledByAnother tells whether another controller leads the caller's leg now, and all that belongs to it.
func (a *accessCall) ledByAnother() bool {
	end, _ := endOf(a.leg)
	return end.By == ByAnother
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

// gone says how the caller's leg can end, but by us.
var gone = map[Ender]error{
	ByPeer:      errors.New("the caller hung up"),
	ByPaidTime:  errors.New("the time for the call was over"),
	ByLostMedia: errors.New("nothing came from the caller any more"),
	ByFailure:   errors.New("the caller's leg failed"),
}

// why is a reason as the log tells it: that the leg is over, or its context, says less than what ended it.
func (a *accessCall) why(reason error) error {
	if !errors.Is(reason, ErrEnded) && !errors.Is(reason, context.Canceled) {
		return reason
	}
	end, _ := endOf(a.leg)
	return cmp.Or(gone[end.By], ErrEnded)
}

// rescue makes an error of what recover returned, and leaves err as it is when that is nothing.
func (a *accessCall) rescue(panicked any, err error) error {
	if panicked == nil {
		return err
	}
	a.log.Error("panic in a call", "panic", panicked, "stack", string(debug.Stack()))
	return fmt.Errorf("%w: %v", errPanic, panicked)
}
