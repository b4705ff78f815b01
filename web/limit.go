package web

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const maxLimited = 4096 // keys that a limiter tells apart

// limiter lets each key try a number of times at once, and then once in a while. Its memory is limited: when all of it
// is in use by keys that tried lately, further ones share a single allowance.
type limiter struct {
	burst int
	every time.Duration

	mu   sync.Mutex
	keys map[string]*rate.Limiter
	rest *rate.Limiter // of the keys that have no room
}

func newLimiter(burst int, every time.Duration) *limiter {
	l := &limiter{burst: burst, every: every, keys: map[string]*rate.Limiter{}}
	l.rest = l.allowance()
	return l
}

func (l *limiter) allowance() *rate.Limiter { return rate.NewLimiter(rate.Every(l.every), l.burst) }

// take counts an attempt and returns 0, or how long to wait before the next.
func (l *limiter) take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) of(key string, now time.Time) *rate.Limiter {
	if known := l.keys[key]; known != nil {
		return known
	}
	if len(l.keys) >= maxLimited { // one that may try as often as a new one need not be remembered
		maps.DeleteFunc(l.keys, func(_ string, r *rate.Limiter) bool { return r.TokensAt(now) >= float64(l.burst) })
	}
	if len(l.keys) >= maxLimited {
		return l.rest
	}
	l.keys[key] = l.allowance()
	return l.keys[key]
}

// client names where a request comes from: an IPv4 address, or the /64 network of an IPv6 address, since whoever has one
// address of it has all.
func (s *site) client(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "" // not by TCP; all such share one allowance
	}
	addr := from.Addr().Unmap()
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(s.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	// Each proxy adds at the end whom it heard from: the last one that is no proxy of ours is the client.
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(forwarded) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil || !trusted(addr) {
			break
		}
		addr = next.Unmap()
	}
	if addr.Is6() {
		network, err := addr.WithZone("").Prefix(64)
		if err == nil {
			return network.String()
		}
	}
	return addr.String()
}
