package postgres

import "context"

var (
	ParseDSN = parseDSN
	Dial     = func(ctx context.Context, network, address string) (any, error) {
		return dialer{}.DialContext(ctx, network, address)
	}
)

const (
	MaxLeft     = maxLeft
	PeerTimeout = peerTimeout
)
