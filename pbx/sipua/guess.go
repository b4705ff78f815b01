package sipua

import (
	"net/netip"
	"sync"
	"time"
)

// hostOf is whom an address counts for: itself, or its /64 with IPv6, which is what a single customer gets at least.
func hostOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // none for no address
	return p
}

const (
	guessTime  = time.Minute
	maxGuesses = 10    // wrong credentials in guessTime; more are not even looked at
	maxGuesser = 10000 // hosts that are remembered
)

// guesses counts the wrong credentials of each host, so that passwords can't be found by trying them.
type guesses struct {
	mu   sync.Mutex
	made map[netip.Prefix]guess
}

// guess is how often a host was wrong since the first time.
type guess struct {
	first time.Time
	count int
}

// tooMany tells whether a host is not to be answered for now.
func (g *guesses) tooMany(host netip.Prefix, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	made := g.made[host]
	return made.count >= maxGuesses && now.Sub(made.first) < guessTime
}

// wrong counts wrong credentials. It is true once in guessTime for each host.
func (g *guesses) wrong(host netip.Prefix, now time.Time) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	made, known := g.made[host]
	if known && now.Sub(made.first) < guessTime {
		made.count++
		g.made[host] = made
		return false
	}
	if !known && len(g.made) >= maxGuesser {
		g.forget(now)
	}
	g.made[host] = guess{now, 1}
	return true
}

// forget makes room for one: those that are over go, or else any one.
func (g *guesses) forget(now time.Time) {
	for host, made := range g.made {
		if now.Sub(made.first) >= guessTime {
			delete(g.made, host)
		}
	}
	for host := range g.made {
		if len(g.made) < maxGuesser {
			return
		}
		delete(g.made, host)
	}
}
