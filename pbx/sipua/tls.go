package sipua

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
)

// secured is the TLS connections to trunks (RFC 3261 section 26.3). The library would check all servers by one
// configuration; so they are dialled here, each checked as its trunk says, and handed to the library as if they had come
// in. It has nothing to accept by itself, and dials none: where there is no checked connection there is none at all.
type secured struct {
	dialled chan net.Conn
	done    chan struct{}
	once    sync.Once

	mu   sync.Mutex
	open map[string]*securedConn // by the server's address
	vows map[string]vow          // by the server's address: what it proved last
}

// vow is what a server has to prove.
type vow struct{ ca, name string }

type securedConn struct {
	*tls.Conn
	of   *secured
	addr string
}

func newSecured() *secured {
	return &secured{
		dialled: make(chan net.Conn), done: make(chan struct{}), open: map[string]*securedConn{}, vows: map[string]vow{},
	}
}

var errOwnTLS = errors.New("TLS connections are not made by the library")

// transport is the library's side of it.
func (s *secured) transport() *sip.TransportTLS {
	return &sip.TransportTLS{TransportTCP: &sip.TransportTCP{
		WriteTimeout: tcpWrite,
		DialerCreate: func(net.Addr) net.Dialer {
			return net.Dialer{Control: func(string, string, syscall.RawConn) error { return errOwnTLS }}
		},
	}}
}

// Accept implements net.Listener: it gives the connections that were dialled.
func (s *secured) Accept() (net.Conn, error) {
	select {
	case conn := <-s.dialled:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (s *secured) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// Close implements net.Listener; connections end with it.
func (s *secured) Close() error {
	s.once.Do(func() { close(s.done) })
	s.mu.Lock()
	open := s.open
	s.open = map[string]*securedConn{}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close() // who it goes to is told by the transport, or not at all
	}
	return nil
}

// Close implements net.Conn.
func (c *securedConn) Close() error {
	c.of.mu.Lock()
	if c.of.open[c.addr] == c {
		delete(c.of.open, c.addr)
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// secure sees to it that there is a connection to a server that has proved what its trunk asks of it. Other transports
// need none.
func (e *Engine) secure(ctx context.Context, at server) error {
	if at.transport != "TLS" {
		return nil
	}
	addr, v := at.addr.String(), vow{at.ca, at.name}
	e.tls.mu.Lock()
	conn := e.tls.open[addr]
	e.tls.mu.Unlock()
	if conn == nil {
		return e.dialTLS(ctx, addr, v)
	}
	if err := v.check(conn.ConnectionState()); err != nil {
		return err
	}
	return e.awaitPool(ctx, addr)
}

// again sees to it that a request within a dialog finds a connection, should that which it began on be gone.
func (e *Engine) again(ctx context.Context, req *sip.Request) error {
	if req.Transport() != "TLS" {
		return nil
	}
	addr := req.Destination()
	e.tls.mu.Lock()
	conn, v := e.tls.open[addr], e.tls.vows[addr]
	e.tls.mu.Unlock()
	if conn == nil {
		return e.dialTLS(ctx, addr, v)
	}
	return e.awaitPool(ctx, addr)
}

func (e *Engine) dialTLS(ctx context.Context, addr string, v vow) error {
	ctx, cancel := context.WithTimeout(ctx, tcpDial)
	defer cancel()
	dialer := net.Dialer{}
	if bound := e.bound(); !bound.IsUnspecified() {
		dialer.LocalAddr = &net.TCPAddr{IP: bound.AsSlice()}
	}
	plain, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn := &securedConn{tls.Client(plain, &tls.Config{RootCAs: v.roots(), ServerName: v.name, MinVersion: tls.VersionTLS12}), e.tls, addr}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return fmt.Errorf("TLS with %s: %w", v.name, err)
	}
	e.tls.mu.Lock()
	slow := e.tls.open[addr] != nil // another call was faster
	if !slow {
		e.tls.open[addr], e.tls.vows[addr] = conn, v
	}
	e.tls.mu.Unlock()
	if slow {
		return errors.Join(conn.Conn.Close(), e.awaitPool(ctx, addr))
	}
	select {
	case e.tls.dialled <- conn:
	case <-e.tls.done:
		return errors.Join(errDraining, conn.Close())
	}
	return e.awaitPool(ctx, addr)
}

// awaitPool waits until the library has taken a connection up, as it has but for a moment.
func (e *Engine) awaitPool(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, tcpDial)
	defer cancel()
	for {
		if conn, err := e.ua.TransportLayer().GetConnection("tls", addr); err == nil {
			_, _ = conn.TryClose() // gives back what Get took
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// roots are the certificates that may vouch for the server's; nil: the system's.
func (v vow) roots() *x509.CertPool {
	if v.ca == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(v.ca)) // one that has none vouches for nobody
	return pool
}

// check holds a server that is connected already against what it has to prove: another trunk, or the same one before it
// was changed, may have asked for something else.
func (v vow) check(state tls.ConnectionState) error {
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: v.name, Roots: v.roots(), Intermediates: between})
	if err != nil {
		return fmt.Errorf("TLS with %s: %w", v.name, err)
	}
	return nil
}
