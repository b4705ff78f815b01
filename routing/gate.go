package routing

import (
	"sync"
	"time"
)

// Gate counts what trunks carry on this node: calls at once, and calls begun within any one second. It is asked when
// dialling, not when planning, so that two calls planned at once can't both have the last channel.
type Gate struct {
	mu  sync.Mutex
	use map[string]*use // by trunk code
}

type use struct {
	calls  int
	starts []time.Time // of the last second, oldest first; at most CPS of them
}

// NewGate makes a gate with all trunks idle.
func NewGate() *Gate { return &Gate{use: map[string]*use{}} }

// Take claims a channel of the trunk for one attempt. It returns how to give the channel back, which may be called
// more than once, or the reason why there is none: Full or CPS. A refused attempt counts for nothing.
func (g *Gate) Take(t Trunk) (release func(), reason Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	u := g.at(t.Code, now)
	if reason := u.full(t); reason != "" {
		return func() {}, reason
	}
	u.calls++
	if t.CPS > 0 {
		u.starts = append(u.starts, now)
	}
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		u.calls--
	}), ""
}

// Full tells whether Take would refuse the trunk now, and why; empty when it would not.
func (g *Gate) Full(t Trunk) Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at(t.Code, time.Now()).full(t)
}

// at finds the use of a trunk and forgets starts that are a second old.
func (g *Gate) at(code string, now time.Time) *use {
	u := g.use[code]
	if u == nil {
		u = &use{}
		g.use[code] = u
	}
	old := 0
	for old < len(u.starts) && now.Sub(u.starts[old]) >= time.Second {
		old++
	}
	u.starts = append(u.starts[:0], u.starts[old:]...)
	return u
}

func (u *use) full(t Trunk) Reason {
	switch {
	case t.Channels > 0 && u.calls >= t.Channels:
		return Full
	case t.CPS > 0 && len(u.starts) >= t.CPS:
		return CPS
	}
	return ""
}
