package routing

import (
	"cmp"
	"sync"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/money"
)

// Gate knows what trunks carry on this node at this moment, and how they are: calls at once, calls begun within any one
// second, minutes and money of the day and month, and whether the trunk works. It is asked when dialling, not when
// planning, so that two calls planned at once can't both have the last channel.
type Gate struct {
	mu    sync.Mutex
	use   map[string]*use // by trunk code
	calls map[uuid.UUID]*taken
}

// use is that of one trunk.
type use struct {
	calls  int
	starts []time.Time // of the last second, oldest first; at most CPS of them
	health breaker
	spent  Spent // by calls that are in the database
	open   Usage // by calls that are not: what they used, and while they run what they may use at most
}

// taken is a call that is not known to be in the database.
type taken struct {
	trunk *use
	usage Usage
	runs  bool
}

// NewGate makes a gate with all trunks idle and healthy.
func NewGate() *Gate {
	return &Gate{use: map[string]*use{}, calls: map[uuid.UUID]*taken{}}
}

// Take claims a channel of the trunk for one attempt of a call, which uses at most so much of it. A refused attempt counts
// for nothing, and its claim is nil: the reason is Full, CPS, Unhealthy, NoBalance or SpendLimit.
func (g *Gate) Take(t Trunk, call uuid.UUID, most Usage) (*Claim, Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	u := g.at(t.Code, now)
	if reason := u.refuses(t, most, now); reason != "" {
		return nil, reason
	}
	if t.CPS > 0 {
		u.starts = append(u.starts, now)
	}
	c := g.claim(u, t, call, most)
	c.trial = u.health.dialled(now)
	return c, ""
}

// Keep claims a channel of the trunk for a call that has it already, since an earlier run of this program. It is not
// refused.
func (g *Gate) Keep(t Trunk, call uuid.UUID, most Usage) *Claim {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.claim(g.at(t.Code, time.Now()), t, call, most)
}

// claim counts a call of a trunk.
func (g *Gate) claim(u *use, t Trunk, call uuid.UUID, most Usage) *Claim {
	u.calls++
	g.set(u, call, most)
	return &Claim{gate: g, use: u, call: call, limited: t.limited()}
}

// Full tells whether Take would refuse the trunk now, and why; empty when it would not. It looks at no particular call.
func (g *Gate) Full(t Trunk) Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	return g.at(t.Code, now).refuses(t, Usage{}, now)
}

// Live is what a gate knows of a trunk.
type Live struct {
	Trunk        string        `json:"trunk"`
	Refuses      Reason        `json:"refuses"` // why it takes no call now; empty when it does
	Health       Health        `json:"health"`
	Why          string        `json:"why"`   // it is not healthy
	Since        time.Time     `json:"since"` // when it is healthy, or is not
	Calls        int           `json:"calls"` // channels in use
	MinutesDay   int64         `json:"minutes_day"`
	MinutesMonth int64         `json:"minutes_month"`
	SpendDay     money.Amount  `json:"spend_day"` // running calls with what they may cost at most
	SpendMonth   money.Amount  `json:"spend_month"`
	Balance      *money.Amount `json:"balance"` // with the carrier; nil when it is not prepaid
}

// Live tells how a trunk is now.
func (g *Gate) Live(t Trunk) Live {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	u := g.at(t.Code, now)
	day, month := u.spent.day(now).plus(u.open), u.spent.month(now).plus(u.open)
	l := Live{
		Trunk: t.Code, Refuses: u.refuses(t, Usage{}, now), Health: u.health.health, Why: u.health.why,
		Since: u.health.since.UTC(), Calls: u.calls, MinutesDay: day.minutes(), MinutesMonth: month.minutes(),
		SpendDay: day.Cost, SpendMonth: month.Cost,
	}
	if t.PrepaidAt != nil {
		balance := t.Prepaid - u.spent.Prepaid - u.open.Cost
		l.Balance = &balance
	}
	return l
}

// Remember tells the gate how many calls each trunk was tried with of late, and how many of them were answered: what is
// usual of it.
func (g *Gate) Remember(past map[string]Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for trunk, r := range past {
		g.at(trunk, time.Now()).health.past = ratio{r.Answered, r.Attempts}
	}
}

// Record is how many calls a trunk was tried with, and how many of those were answered.
type Record struct{ Attempts, Answered int64 }

// Probed takes the outcome of a probe of a trunk by OPTIONS; why is empty when the carrier is there.
func (g *Gate) Probed(trunk, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.at(trunk, now).health.probed(now, why)
}

// Registered takes the outcome of a registration with a trunk; why is empty when it stands.
func (g *Gate) Registered(trunk, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.at(trunk, now).health.signalled(now, byRegistration, why)
}

// Probing notes that a trunk is probed from now on, or no more: what was heard of it before says nothing.
func (g *Gate) Probing(trunk string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	h := &g.at(trunk, now).health
	h.heard, h.unheard = false, 0
	h.signalled(now, byProbe, "")
}

// at finds the use of a trunk and forgets starts that are a second old.
func (g *Gate) at(code string, now time.Time) *use {
	u := g.use[code]
	if u == nil {
		u = &use{health: newBreaker(now, ratio{})}
		g.use[code] = u
	}
	old := 0
	for old < len(u.starts) && now.Sub(u.starts[old]) >= time.Second {
		old++
	}
	u.starts = append(u.starts[:0], u.starts[old:]...)
	return u
}

// refuses tells why a call that uses at most so much may not be dialled.
func (u *use) refuses(t Trunk, most Usage, now time.Time) Reason {
	switch {
	case u.health.refuses(now):
		return Unhealthy
	case t.Channels > 0 && u.calls >= t.Channels:
		return Full
	case t.CPS > 0 && len(u.starts) >= t.CPS:
		return CPS
	}
	return cmp.Or(u.unpaid(t, most), u.used(t, most, now))
}

// set notes what a call uses of a trunk, or may use; nothing of it is left when that is nothing.
func (g *Gate) set(u *use, call uuid.UUID, usage Usage) {
	if old := g.calls[call]; old != nil {
		old.trunk.open = old.trunk.open.minus(old.usage)
		delete(g.calls, call)
	}
	if usage != (Usage{}) {
		u.open = u.open.plus(usage)
		g.calls[call] = &taken{u, usage, true}
	}
}

// Claim is a channel that a call has of a trunk.
type Claim struct {
	gate    *Gate
	use     *use
	call    uuid.UUID
	limited bool // the trunk has limits that what is used counts towards
	trial   bool // the call decides whether the trunk works again

	tried, released sync.Once
}

// Tried tells how the attempt came out, and why it failed if it did. Only the first time counts.
func (c *Claim) Tried(r Result, why string) {
	c.tried.Do(func() {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		c.use.health.tried(time.Now(), r, c.trial, why)
	})
}

// Extend raises what the call may use at most, while it runs.
func (c *Claim) Extend(most Usage) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if t := c.gate.calls[c.call]; t != nil && t.runs {
		c.gate.set(c.use, c.call, most)
	}
}

// Release gives the channel back and tells what was used. Only the first time counts.
func (c *Claim) Release(used Usage) {
	c.Tried(Unknown, "")
	c.released.Do(func() {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		c.use.calls--
		if !c.limited {
			used = Usage{}
		}
		c.gate.set(c.use, c.call, used)
		if t := c.gate.calls[c.call]; t != nil {
			t.runs = false
		}
	})
}
