package postgres

import (
	"context"
	"time"
)

var (
	ParseDSN = parseDSN
	Dial     = func(ctx context.Context, network, address string) (any, error) {
		return dialer{}.DialContext(ctx, network, address)
	}
)

// SetUsersWait sets how long a serve waits at its end for those who use its database.
func SetUsersWait(d *DB, wait time.Duration) { d.usersWait = wait }

const (
	MaxLeft     = maxLeft
	PeerTimeout = peerTimeout
)
