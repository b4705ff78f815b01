package sipua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// signalBuffer is the UDP receive buffer for SIP: the kernel's default overflows under load long before the processor is
// busy. The kernel gives what its own limit allows.
const signalBuffer = 4 << 20

// bind opens UDP and TCP on one port.
func bind(address string) (*signalSocket, *listener, error) {
	// With port 0 the port that UDP gets may be taken in TCP.
	for attempt := 0; ; attempt++ {
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, nil, err
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			conn := udp.(*net.UDPConn)
			_ = conn.SetReadBuffer(signalBuffer)
			return &signalSocket{UDPConn: conn, most: maxSources, seen: map[netip.AddrPort]struct{}{}}, newListener(tcp), nil
		}
		_ = udp.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" || attempt == 20 {
			return nil, nil, err
		}
	}
}

// signalSocket is the UDP socket as the library reads it. The library remembers each source address for as long as it
// reads, and a flood of forged sources would fill the memory; so its reading is broken off and begun anew after so many
// different ones. Transactions go on over that.
type signalSocket struct {
	*net.UDPConn
	most int // different sources between two beginnings
	seen map[netip.AddrPort]struct{}
}

const maxSources = 1 << 16

// settle is waited before the library's reading is broken off: a request that it handed to a goroutine finds its source
// among those remembered, or else the library opens a socket for it, which nobody closes.
const settle = 10 * time.Millisecond

// errTooManySources makes the library let go of the sources that it knows. It is silent about this error.
var errTooManySources = fmt.Errorf("too many sources: %w", net.ErrClosed)

// ReadFrom implements net.PacketConn. It is called by one goroutine.
func (s *signalSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := s.UDPConn.ReadFromUDP(b)
	if err == nil {
		s.seen[addr.AddrPort()] = struct{}{}
		if len(s.seen) <= s.most {
			return n, addr, nil
		}
		clear(s.seen)
		err = errTooManySources
	}
	time.Sleep(settle)
	return 0, nil, err
}

// serveUDP reads until the socket is closed.
func (e *Engine) serveUDP() error {
	for {
		if err := e.server.ServeUDP(e.udp); err != nil {
			return err
		}
		if e.udp.closed() {
			return nil
		}
	}
}

// awaitReader waits until the library reads our socket. A request of ours that goes out before would have it open another
// one on the same port, in vain, and fail.
func (e *Engine) awaitReader(ctx context.Context) {
	for ctx.Err() == nil && !e.udp.closed() {
		if _, err := e.ua.TransportLayer().GetConnection("udp", e.udp.LocalAddr().String()); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *signalSocket) closed() bool {
	return errors.Is(s.UDPConn.SetReadDeadline(time.Time{}), net.ErrClosed)
}

// Bounds of TCP, so that strangers cannot hold what calls need. Those whom we know by their address are outside of them.
const (
	maxConns     = 1000
	maxConnsHost = 50
	firstMessage = 10 * time.Second // for who is not admitted to say something
	idleConn     = time.Hour
	tcpDial      = 4 * time.Second
	tcpWrite     = 5 * time.Second
)

func newTCP() *sip.TransportTCP {
	return &sip.TransportTCP{
		WriteTimeout: tcpWrite,
		DialerCreate: func(local net.Addr) net.Dialer { return net.Dialer{Timeout: tcpDial} },
	}
}

// listener accepts connections within the bounds and goes on after errors that pass.
type listener struct {
	net.Listener
	known func(netip.Addr) bool // whose connections are not counted; nil: nobody
	first time.Duration         // firstMessage

	mu    sync.Mutex
	conns int
	hosts map[netip.Prefix]int
	open  map[netip.AddrPort]*boundedConn
}

func newListener(l net.Listener) *listener {
	return &listener{
		Listener: l, first: firstMessage, hosts: map[netip.Prefix]int{}, open: map[netip.AddrPort]*boundedConn{},
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil { // out of file descriptors
			time.Sleep(50 * time.Millisecond)
			continue
		}
		c := &boundedConn{Conn: conn, listener: l, remote: conn.RemoteAddr().(*net.TCPAddr).AddrPort()}
		if !l.take(c) {
			_ = conn.Close()
			continue
		}
		return c, nil
	}
}

func (l *listener) take(c *boundedConn) bool {
	host := hostOf(c.remote.Addr().Unmap())
	c.patient = l.known != nil && l.known(c.remote.Addr().Unmap())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.patient {
		if l.conns >= maxConns || l.hosts[host] >= maxConnsHost {
			return false
		}
		c.counted = host
		l.conns++
		l.hosts[host]++
	}
	l.open[c.remote] = c
	return true
}

func (l *listener) release(c *boundedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c.remote)
	if !c.counted.IsValid() {
		return
	}
	l.conns--
	if l.hosts[c.counted]--; l.hosts[c.counted] == 0 {
		delete(l.hosts, c.counted)
	}
}

// admitted tells that a request that came from an address was admitted: its connection, if that is one of ours, may idle.
func (l *listener) admitted(source string) {
	remote, err := netip.ParseAddrPort(source)
	if err != nil {
		return
	}
	l.mu.Lock()
	c := l.open[remote]
	l.mu.Unlock()
	if c != nil {
		_ = c.wait(true) // it may be closed by now
	}
}

// boundedConn is closed when it idles, that of a stranger soon; its place is free again once it is closed.
type boundedConn struct {
	net.Conn
	listener *listener
	remote   netip.AddrPort
	counted  netip.Prefix // the host that it counts for; none: not counted
	once     sync.Once

	mu      sync.Mutex
	patient bool // an admitted request came by it
}

// wait sets how long the next bytes may take to come, also for a Read that waits for them already.
func (c *boundedConn) wait(admitted bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patient = c.patient || admitted
	wait := c.listener.first
	if c.patient {
		wait = idleConn
	}
	return c.Conn.SetReadDeadline(time.Now().Add(wait))
}

// Read is called by one goroutine.
func (c *boundedConn) Read(b []byte) (int, error) {
	if err := c.wait(false); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *boundedConn) Close() error {
	c.once.Do(func() { c.listener.release(c) })
	return c.Conn.Close()
}

// portRange hands out UDP ports for RTP: even ones (RFC 3550 section 11), each as late as possible after its last use,
// so that stragglers of a call don't fall into the next.
type portRange struct {
	mu          sync.Mutex
	first, last int // 0: any
	next        int
}

// newPortRange reads "10000-20000".
func newPortRange(s string) (*portRange, error) {
	if s == "" {
		return &portRange{}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	first += first & 1
	if !ok || err1 != nil || err2 != nil || first < 1024 || last < first {
		return nil, fmt.Errorf("RTP ports %q: want a range from 1024 up such as 10000-20000", s)
	}
	return &portRange{first: int(first), last: int(last), next: int(first)}, nil
}

var errNoPort = errors.New("no RTP port free")

// open binds a socket at addr.
func (r *portRange) open(addr netip.Addr) (*net.UDPConn, error) {
	for range r.size() {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(r.take()))))
		if err != nil {
			continue
		}
		if r.first == 0 && conn.LocalAddr().(*net.UDPAddr).Port&1 != 0 {
			// The kernel gives even and odd ones alike.
			_ = conn.Close()
			continue
		}
		return conn, nil
	}
	return nil, errNoPort
}

func (r *portRange) size() int {
	if r.first == 0 {
		return 64
	}
	return (r.last-r.first)/2 + 1
}

func (r *portRange) take() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == 0 {
		return 0
	}
	port := r.next
	if r.next += 2; r.next > r.last {
		r.next = r.first
	}
	return port
}
