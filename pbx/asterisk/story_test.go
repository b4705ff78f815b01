package asterisk

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"telecommune/internal/e164"
)

// story is what the people of a call, and the networks between them, do: the truth, whatever anybody is told of it.
type story struct {
	n        int
	start    time.Duration
	number   e164.Number // its own, by which its bill is found
	pin      bool        // the caller types a PIN
	hasty    bool        // and the rest without listening
	patience time.Duration
	paid     int // seconds
	fars     map[string]far
	quits    time.Duration // the caller hangs up so long after the answer; 0: never

	caller     *party
	understood atomic.Bool // what he typed has been heard
	attempts   []*party    // far parties, in order
}

// far is how a trunk's network and the far party treat the call.
type far struct {
	rings time.Duration // after the INVITE; 0: not at all
	early bool
	after time.Duration // the INVITE, it is answered or refused
	q850  int           // it is refused; 0: answered
	sip   int
	never bool          // neither
	talks time.Duration // hangs up so long after the answer; 0: never
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)/1e6))*time.Millisecond
}

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// newStory makes the nth call of a world.
func newStory(r *rand.Rand, n int) *story {
	st := &story{
		n: n, start: between(r, 10*time.Second, 90*time.Second), number: e164.Number(fmt.Sprintf("+38044%07d", 2_000_000+n)),
		pin: chance(r, 20), hasty: chance(r, 30), patience: between(r, 40*time.Second, 150*time.Second), paid: 1000,
		fars: map[string]far{},
	}
	if chance(r, 30) {
		st.paid = 1 + r.IntN(120)
	}
	if chance(r, 50) {
		st.quits = between(r, time.Second/10, 2*time.Minute)
	}
	for _, trunk := range []string{"cheap", "dear"} {
		f := far{after: between(r, 0, 15*time.Second), talks: between(r, time.Second/100, 2*time.Minute)}
		if chance(r, 70) {
			f.rings = between(r, 0, f.after+time.Second) / 2
			f.early = chance(r, 30)
		}
		if st.quits > 0 && chance(r, 50) {
			f.talks = 0
		}
		switch r.IntN(10) {
		case 0:
			f.q850, f.sip = 17, 486
		case 1:
			f.q850, f.sip = 34, 503
		case 2:
			f.never = true
		}
		st.fars[trunk] = f
	}
	return st
}

// begins lets the caller call.
func (st *story) begins(s *scripted) {
	caller := anna.Digits()
	if st.pin {
		caller = "4930999"
	}
	s.arrive("pstn", caller, access.Digits(), st)
	time.AfterFunc(st.patience, func() {
		if caller, talking := st.now(s); !talking {
			s.leaves(caller, 16, 0)
		}
	})
}

// now is the caller, and whether somebody has answered and not hung up.
func (st *story) now(s *scripted) (caller *party, talking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range st.attempts {
		talking = talking || !p.answered.IsZero() && p.ended.IsZero()
	}
	return st.caller, talking
}

// typesFor is what the caller types when he has been let in.
func typesFor(s *scripted, p *party) {
	if p.out {
		return
	}
	digits := "00" + p.story.number.Digits() + "#"
	if p.story.pin {
		digits = goodPIN + "#" + digits
	}
	at := 3 * time.Second
	if p.story.hasty {
		at = 300 * time.Millisecond
	}
	p.story.types(s, digits, at)
}

// types has the caller type digits, and again when nothing has come of it.
func (st *story) types(s *scripted, digits string, after time.Duration) {
	time.AfterFunc(after, func() {
		s.mu.Lock()
		caller := st.caller
		over := st.understood.Load() || !caller.ended.IsZero()
		s.mu.Unlock()
		if over {
			return
		}
		for i, d := range []byte(digits) {
			time.AfterFunc(time.Duration(i)*217*time.Millisecond, func() { s.types(caller, d) })
		}
		st.types(s, digits, 27*time.Second)
	})
}

// rings is a far party that is called.
func (st *story) rings(s *scripted, p *party) {
	s.mu.Lock()
	st.attempts = append(st.attempts, p)
	s.mu.Unlock()
	_, trunk, _ := strings.Cut(p.endpoint, "@trunk~")
	f := st.fars[trunk]
	if f.rings > 0 {
		time.AfterFunc(f.rings, func() { s.progress(p, f.early) })
	}
	if f.never {
		return
	}
	time.AfterFunc(f.after, func() {
		if f.q850 > 0 {
			s.leaves(p, f.q850, f.sip)
			return
		}
		s.answers(p)
		caller, _ := st.now(s)
		if f.talks > 0 {
			time.AfterFunc(f.talks, func() { s.leaves(p, 16, 0) })
		}
		if st.quits > 0 {
			time.AfterFunc(st.quits, func() { s.leaves(caller, 16, 0) })
		}
		// Nobody listens for ever to what comes after the talk.
		time.AfterFunc(max(f.talks, st.quits)+20*time.Second, func() { s.leaves(caller, 16, 0) })
	})
}
