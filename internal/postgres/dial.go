package postgres

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// peerTimeout is how long a connection over TCP may be without a sign of its far side's machine until it is given up,
// at both ends: here what waits for an answer fails then, there a transaction and its locks end.
const peerTimeout = 25 * time.Second

// peerSettings are the server's side of it. On a unix socket they mean nothing.
var peerSettings = map[string]string{
	"tcp_keepalives_idle": "10s", "tcp_keepalives_interval": "5s", "tcp_keepalives_count": "3", "tcp_user_timeout": "25s",
}

// dialer makes connections that notice when the far machine is gone: by keep-alives while nothing is said, by
// TCP_USER_TIMEOUT (RFC 5482) while something sent is not acknowledged. It implements pq.Dialer and pq.DialerContext.
type dialer struct{}

func (dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			var failed error
			err := c.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(peerTimeout.Milliseconds()))
			})
			if err == nil {
				err = failed
			}
			return err
		},
	}
	return d.DialContext(ctx, network, address)
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}
