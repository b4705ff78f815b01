package postgres

import (
	"context"
	"time"
)

var (
	ParseDSN    = parseDSN
	NewProvider = newProvider
	Refused     = refused
	Dial        = func(ctx context.Context, network, address string) (any, error) {
		return dialer{}.DialContext(ctx, network, address)
	}
)

// SetUsersWait sets how long a serve waits at its end for those who use its database.
func SetUsersWait(d *DB, wait time.Duration) { d.usersWait = wait }

const (
	MaxLeft      = maxLeft
	PeerTimeout  = peerTimeout
	GroupWriters = groupWriters
)

// Waiting tells how many wait for their transaction.
func Waiting[T, R any](g *Group[T, R]) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}
