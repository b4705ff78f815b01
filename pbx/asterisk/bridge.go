package asterisk

import (
	"context"
	"fmt"
	"sync/atomic"

	"telecommune/pbx"
)

// bridge is two legs joined. It implements pbx.Bridge.
type bridge struct {
	e           *Engine
	id          string
	caller, far *leg
	digits      chan byte
	closing     atomic.Bool
	closed      chan struct{}
}

// Bridge implements pbx.Switch. Legs of a Dial are joined already: its early media went the same way.
func (e *Engine) Bridge(caller, far pbx.Leg) (pbx.Bridge, error) {
	c, ok1 := caller.(*leg)
	f, ok2 := far.(*leg)
	if !ok1 || !ok2 || c == f {
		return nil, errForeign
	}
	for _, l := range []*leg{c, f} {
		if l.ctx.Err() != nil {
			return nil, pbx.ErrEnded
		}
		if l.AnsweredAt().IsZero() {
			return nil, errNotAnswered
		}
	}
	// Dial has called it by the far channel.
	b := &bridge{e: e, id: f.id, caller: c, far: f, digits: make(chan byte, digitBuffer), closed: make(chan struct{})}
	if !c.bridge.CompareAndSwap(nil, b) {
		return nil, errBridged
	}
	if !f.bridge.CompareAndSwap(nil, b) {
		c.bridge.CompareAndSwap(b, nil)
		return nil, errBridged
	}
	c.forgetDigits()
	if f.takeMixed() == "" { // taken apart before
		ctx, cancel := context.WithTimeout(c.ctx, answerTime)
		defer cancel()
		if err := e.ari.mix(ctx, b.id, f.id, c.id); err != nil {
			b.Close()
			return nil, f.asked(ctx, c.asked(ctx, fmt.Errorf("bridge: %w", err)))
		}
	}
	if c.ctx.Err() != nil || f.ctx.Err() != nil { // ended since it was asked
		b.Close()
		return nil, pbx.ErrEnded
	}
	return b, nil
}

// Digits implements pbx.Bridge.
func (b *bridge) Digits() <-chan byte { return b.digits }

// Close implements pbx.Bridge.
func (b *bridge) Close() {
	if b.closing.Swap(true) {
		<-b.closed
		return
	}
	defer close(b.closed)
	b.caller.bridge.CompareAndSwap(b, nil)
	b.far.bridge.CompareAndSwap(b, nil)
	b.e.unmix(b.id)
}
