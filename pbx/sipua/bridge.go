package sipua

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"telecommune/pbx"
)

// bridge is two legs joined. It implements pbx.Bridge.
type bridge struct {
	caller, far *leg
	digits      chan byte
	done        chan struct{}
	once        sync.Once
}

var (
	errForeign = errors.New("a leg of another engine")
	errBridged = errors.New("the leg is bridged already")
)

// Bridge implements pbx.Switch.
func (e *Engine) Bridge(caller, far pbx.Leg) (pbx.Bridge, error) {
	c, ok1 := caller.(*leg)
	f, ok2 := far.(*leg)
	if !ok1 || !ok2 || c == f {
		return nil, errForeign
	}
	cm, cc, err := c.voice()
	if err != nil {
		return nil, fmt.Errorf("bridge the caller: %w", err)
	}
	fm, fc, err := f.voice()
	if err != nil {
		return nil, fmt.Errorf("bridge the far side: %w", err)
	}
	b := &bridge{caller: c, far: f, digits: make(chan byte, digitBuffer), done: make(chan struct{})}
	if !c.bridge.CompareAndSwap(nil, b) {
		return nil, errBridged
	}
	if !f.bridge.CompareAndSwap(nil, b) {
		c.bridge.CompareAndSwap(b, nil)
		return nil, errBridged
	}
	c.forgetDigits()
	cm.peer.Store(fm)
	fm.peer.Store(cm)
	if c.ctx.Err() != nil || f.ctx.Err() != nil { // ended since it was asked
		b.Close()
		return nil, pbx.ErrEnded
	}
	e.spawn(c, func() { b.fill([]*gap{{to: cm, from: fm, codec: cc}, {to: fm, from: cm, codec: fc}}) })
	e.log.Debug("bridged", "caller", c.dialog.id, "far", f.dialog.id)
	return b, nil
}

// Digits implements pbx.Bridge.
func (b *bridge) Digits() <-chan byte { return b.digits }

// Close implements pbx.Bridge.
func (b *bridge) Close() {
	b.once.Do(func() {
		b.caller.bridge.CompareAndSwap(b, nil)
		b.far.bridge.CompareAndSwap(b, nil)
		b.caller.media.peer.CompareAndSwap(b.far.media, nil)
		b.far.media.peer.CompareAndSwap(b.caller.media, nil)
		close(b.done)
	})
}

// quietTime is how long a side may send nothing before the other gets silence in its place.
const quietTime = 500 * time.Millisecond

// gap is one way of a bridge, watched for a side that sends nothing.
type gap struct {
	to, from *media
	codec    codec // of to
	heard    int64 // packets of from, when it was looked at last
}

// fill sends silence to a side for as long as the other sends nothing, on hold or with silence suppressed: networks
// hang up on who sends no RTP for some seconds. A packet now and then, each a talkspurt of its own, does for that.
func (b *bridge) fill(gaps []*gap) {
	timer := time.NewTimer(toNext(quietTime, time.Now()))
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-timer.C:
		case <-b.done:
			return
		}
		for _, g := range gaps {
			now := g.from.packets.Load()
			if !first && now == g.heard && g.to.playing.Load() == 0 {
				(&player{m: g.to}).send(bytes.Repeat([]byte{g.codec.silence()}, frameSamples))
			}
			g.heard = now
		}
		timer.Reset(toNext(quietTime, time.Now()))
	}
}

func (b *bridge) other(l *leg) *leg {
	if b.caller == l {
		return b.far
	}
	return b.caller
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
