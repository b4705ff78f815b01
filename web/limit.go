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

const maxLimited = 4096 // keys that a limiter tells apart, and as many networks

// limiter lets each client try a number of times at once, and then once in a while. Its memory is limited: when all of
// it is in use by clients that tried lately, further ones share an allowance with the network around them, so that
// nobody who has many addresses can shut out everybody else.
type limiter struct {
	burst int
	every time.Duration

	mu       sync.Mutex
	clients  table
	networks table         // of the clients that had no room
	rest     *rate.Limiter // of those whose network had none either
}

type table map[string]*rate.Limiter

func newLimiter(burst int, every time.Duration) *limiter {
	l := &limiter{burst: burst, every: every, clients: table{}, networks: table{}}
	l.rest = l.allowance()
	return l
}

func (l *limiter) allowance() *rate.Limiter { return rate.NewLimiter(rate.Every(l.every), l.burst) }

// take counts an attempt and returns 0, or how long to wait before the next.
func (l *limiter) take(client string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(client, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) of(client string, now time.Time) *rate.Limiter {
	if r := l.find(l.clients, client, now); r != nil {
		return r
	}
	if r := l.find(l.networks, network(client), now); r != nil {
		return r
	}
	return l.rest
}

// find gives the allowance of a key, or nil when there is no room for it.
func (l *limiter) find(in table, key string, now time.Time) *rate.Limiter {
	if known := in[key]; known != nil {
		return known
	}
	if len(in) >= maxLimited { // one that may try as often as a new one need not be remembered
		maps.DeleteFunc(in, func(_ string, r *rate.Limiter) bool { return r.TokensAt(now) >= float64(l.burst) })
	}
	if len(in) >= maxLimited {
		return nil
	}
	in[key] = l.allowance()
	return in[key]
}

// network is what a client shares with its neighbours: the /48 that a site is given of IPv6 (RFC 6177), the /24 of IPv4.
func network(client string) string {
	addr, bits := client, 24
	if network, _, found := strings.Cut(client, "/"); found {
		addr, bits = network, 48
	}
	at, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	return netip.PrefixFrom(at, bits).Masked().String()
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
