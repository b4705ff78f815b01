package pbx

import (
	"context"
	"errors"
	"time"

	"telecommune/pbx/prompt"
)

// grace is how much longer than the paid time the caller's leg may last: long enough to hear why the call was cut. It is
// a net below the script; what ends the call is the limit of the far leg.
const grace = time.Minute

// mark is a moment before the end of the paid time. Just before it more credit is asked for, and when there is none the
// caller is warned. The last mark is the last chance of a top-up.
type mark struct {
	left time.Duration
	warn prompt.Phrase
}

var marks = []mark{
	{60 * time.Second, prompt.OneMinuteLeft},
	{10 * time.Second, prompt.TenSecondsLeft},
	{3 * time.Second, ""},
}

// talk joins the two sides until one hangs up, the paid time is used up, or the caller dials ##.
func (c *call) talk(ctx context.Context, far Leg) error {
	bridge, err := c.x.Switch.Bridge(c.leg, far)
	if errors.Is(err, ErrEnded) {
		c.talked = c.x.Now() // the far side answered, and one of them hung up before this was known here
		if !c.over(ctx) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	c.allow(far, c.hold.Seconds)
	c.x.live.update(c.id, func(l *live) { l.answered(far.AnsweredAt(), c.way) })
	c.x.soon()

	ctx, stop := context.WithCancelCause(ctx)
	metered := make(chan struct{})
	go func() {
		defer close(metered)
		defer func() {
			if err := c.rescue(recover(), nil); err != nil {
				stop(err)
			}
		}()
		c.meter(ctx, far)
	}()
	defer func() {
		c.talked = c.x.Now()
		far.Hangup(NormalClearing)
		bridge.Close()
		stop(nil)
		<-metered
	}()
	return c.listen(ctx, bridge, far)
}

// listen waits for the end of the talk and tells what it was; nil when the far side hung up or the caller dialled ##.
func (c *call) listen(ctx context.Context, bridge Bridge, far Leg) error {
	var keys hashes
	for {
		select {
		case digit := <-bridge.Digits():
			if keys.press(digit, time.Now()) {
				return nil
			}
		case <-far.Done():
			return c.whyCut(far.End().By, far.End().At.Sub(far.AnsweredAt()))
		case <-c.leg.Done():
			return ErrEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// whyCut tells whether the far side was cut off, and if it was the credit, a limit of the account or that of one call.
func (c *call) whyCut(by Ender, lasted time.Duration) error {
	switch {
	case by != ByPaidTime:
		return nil
	case lasted.Round(time.Second) >= seconds(c.caller.CallLimit):
		return errLongest
	case c.spendLimited.Load():
		return errSpent
	}
	return errCreditUsed
}

// meter watches the paid time: at each mark it buys more, or warns. It ends with ctx.
func (c *call) meter(ctx context.Context, far Leg) {
	paid := c.hold.Seconds
	for {
		end := far.AnsweredAt().Add(seconds(paid))
		next, ok := nextMark(end.Sub(c.x.Now()))
		if !ok || !c.x.sleepUntil(ctx, end.Add(-next.left-patience)) {
			return
		}
		if more := c.extend(ctx, paid); more > paid {
			paid = more
			c.allow(far, paid)
			continue
		}
		if !c.x.sleepUntil(ctx, end.Add(-next.left)) {
			return
		}
		if next.warn != "" {
			_ = c.say(ctx, c.voice.Say(next.warn)) // fails only when the talk is over
		}
	}
}

// nextMark is the first mark that is far enough ahead to act on. A call that is paid for less has none of it.
func nextMark(left time.Duration) (mark, bool) {
	for _, m := range marks {
		if left > m.left+patience {
			return m, true
		}
	}
	return mark{}, false
}

// extend asks for more paid time than there is. It must answer before the mark is reached.
func (c *call) extend(ctx context.Context, paid int) int {
	if paid >= c.caller.CallLimit {
		return paid
	}
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	hold, err := c.x.Credit.Extend(soon, c.origin.Call)
	if err != nil {
		if !c.over(ctx) {
			c.log.Warn("extend hold", "call", c.origin.Call, "err", err)
		}
		return paid
	}
	c.spendLimited.Store(hold.SpendLimited)
	return hold.Seconds
}

// allow sets the paid time of the far leg, and that of the caller's a little later.
func (c *call) allow(far Leg, paid int) {
	far.Limit(seconds(paid))
	c.leg.Limit(far.AnsweredAt().Sub(c.leg.AnsweredAt()) + seconds(paid) + grace)
	c.claim.Extend(usageOf(c.way, paid))
	c.x.live.update(c.id, func(l *live) { l.HeldSeconds = paid })
}

// hashes finds ##: two in a row within a second.
type hashes struct{ last time.Time }

func (h *hashes) press(digit byte, now time.Time) bool {
	if digit != '#' {
		h.last = time.Time{}
		return false
	}
	twice := !h.last.IsZero() && now.Sub(h.last) <= time.Second
	h.last = now
	return twice
}

// sleepUntil waits for an instant; false when ctx ended before.
func (x *Exchange) sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(at.Sub(x.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
