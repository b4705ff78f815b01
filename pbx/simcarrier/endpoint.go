package simcarrier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// SIP's timers (RFC 3261 section 17.1.1.1).
const (
	t1      = 500 * time.Millisecond
	t2      = 4 * time.Second
	timeout = 64 * t1
)

// endpoint is a SIP user agent on one port, UDP and TCP: its sockets, its transactions and its dialogs by Call-ID.
// Messages are read and written by sipgo's parser, and nothing else is taken from it: its transactions go on by
// themselves for half a minute, and a simulated end has to be gone when it is closed.
type endpoint struct {
	addr netip.AddrPort
	log  *slog.Logger
	take func(*exchange) // INVITE outside a dialog, and REGISTER; in a goroutine of its own
	udp  net.PacketConn
	tcp  net.Listener
	over string          // what it takes streams by: tcp or tls
	ctx  context.Context // ends when closing begins
	stop context.CancelFunc

	handlers sync.WaitGroup // calls of take and whatever else uses the sockets
	readers  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	dialogs   map[string]*dialog
	exchanges map[string]*exchange            // requests received, by branch
	waiting   map[string]chan<- *sip.Response // requests sent, by branch and method
	streams   map[string]net.Conn             // TCP or TLS, by the other side's address
}

// link is the way a message came, and its answers take.
type link struct {
	transport string // udp, tcp or tls
	addr      net.Addr
	stream    net.Conn // TCP or TLS
}

// newEndpoint binds addr. With port 0 it takes one that is free for both transports. With secure TLS is spoken in place of
// TCP. Nothing is served before serve.
func newEndpoint(addr string, secure *tls.Config, log *slog.Logger, take func(*exchange)) (*endpoint, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	udp, tcp, err := bind(addr)
	if err != nil {
		return nil, fmt.Errorf("listen for SIP on %s: %w", addr, err)
	}
	e := &endpoint{
		addr: tcp.Addr().(*net.TCPAddr).AddrPort(), log: log, take: take, udp: udp, tcp: tcp, over: "tcp",
		dialogs: map[string]*dialog{}, exchanges: map[string]*exchange{},
		waiting: map[string]chan<- *sip.Response{}, streams: map[string]net.Conn{},
	}
	if secure != nil {
		e.tcp, e.over = tls.NewListener(tcp, secure), "tls"
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, nil
}

func bind(addr string) (net.PacketConn, net.Listener, error) {
	var err error
	for range 20 { // a free TCP port may be taken for UDP
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", addr); err != nil {
			continue
		}
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err != nil {
			tcp.Close()
			continue
		}
		// The default buffer overflows under load; less than asked for is not an error.
		_ = udp.(*net.UDPConn).SetReadBuffer(4 << 20)
		return udp, tcp, nil
	}
	return nil, nil, err
}

// serve begins to take messages.
func (e *endpoint) serve() {
	e.readers.Go(e.readUDP)
	e.readers.Go(e.acceptTCP)
}

// close hangs up what is left, and returns when no goroutine and no port is.
func (e *endpoint) close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	e.stop()
	left := make([]*dialog, 0, len(e.dialogs))
	for _, d := range e.dialogs {
		left = append(left, d)
	}
	e.mu.Unlock()
	var hangups sync.WaitGroup
	for _, d := range left {
		hangups.Go(func() { d.hangup(time.Second, "") })
	}
	hangups.Wait()
	e.handlers.Wait()
	e.udp.Close()
	e.tcp.Close()
	e.mu.Lock()
	for _, s := range e.streams {
		s.Close()
	}
	e.mu.Unlock()
	e.readers.Wait()
}

// enter counts a user of the sockets in, unless the endpoint is closing.
func (e *endpoint) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.handlers.Add(1)
	return true
}

func (e *endpoint) readUDP() {
	parser, buf := sip.NewParser(), make([]byte, 65535)
	for {
		n, from, err := e.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an ICMP error of a peer that is gone
			continue
		}
		msg, err := parser.ParseSIP(buf[:n])
		if err != nil {
			e.log.Warn("not a SIP message", "from", from, "error", err)
			continue
		}
		e.receive(msg, link{transport: "udp", addr: from})
	}
}

func (e *endpoint) acceptTCP() {
	for {
		s, err := e.tcp.Accept()
		if err != nil {
			return
		}
		e.addStream(s)
	}
}

// addStream reads a connection until it ends.
func (e *endpoint) addStream(s net.Conn) {
	addr := s.RemoteAddr().String()
	e.mu.Lock()
	e.streams[addr] = s
	e.mu.Unlock()
	e.readers.Go(func() {
		parser, buf := sip.NewParser().NewSIPStream(), make([]byte, 65535)
		for {
			n, err := s.Read(buf)
			if err != nil {
				break
			}
			err = parser.ParseSIPStream(buf[:n], func(msg sip.Message) {
				e.receive(msg, link{transport: e.over, addr: s.RemoteAddr(), stream: s})
			})
			if err != nil && !errors.Is(err, sip.ErrParseSipPartial) {
				e.log.Warn("not a SIP message", "from", addr, "error", err)
				break
			}
		}
		s.Close()
		e.mu.Lock()
		delete(e.streams, addr)
		e.mu.Unlock()
	})
}

// write sends a message over a link.
func (e *endpoint) write(msg sip.Message, l link) error {
	e.log.Debug("SIP out", "to", l.addr, "message", msg.String())
	var err error
	if l.stream != nil {
		_, err = l.stream.Write([]byte(msg.String()))
	} else {
		_, err = e.udp.WriteTo([]byte(msg.String()), l.addr)
	}
	return err
}

// linkTo finds or makes the way to a host:port. By TLS there is only one that the other side has made: it has no
// certificate of its own.
func (e *endpoint) linkTo(ctx context.Context, transport, addr string) (link, error) {
	if transport == "udp" {
		to, err := net.ResolveUDPAddr("udp", addr)
		return link{transport: transport, addr: to}, err
	}
	e.mu.Lock()
	s, ok := e.streams[addr]
	if !ok && transport == "tls" {
		s = e.fromHost(addr)
	}
	e.mu.Unlock()
	if s == nil {
		if transport == "tls" {
			return link{}, fmt.Errorf("no connection from %s", addr)
		}
		var err error
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: e.addr.Addr().AsSlice()}} // the other side may know us by it
		if s, err = dialer.DialContext(ctx, "tcp", addr); err != nil {
			return link{}, err
		}
		e.addStream(s)
	}
	return link{transport: transport, addr: s.RemoteAddr(), stream: s}, nil
}

// fromHost gives a connection that came from the host of an address, or nil.
func (e *endpoint) fromHost(addr string) net.Conn {
	host, _, _ := net.SplitHostPort(addr)
	for from, s := range e.streams {
		if its, _, _ := net.SplitHostPort(from); its == host {
			return s
		}
	}
	return nil
}

func (e *endpoint) receive(msg sip.Message, l link) {
	e.log.Debug("SIP in", "from", l.addr, "message", msg.String())
	if msg.Via() == nil || msg.CSeq() == nil || msg.CallID() == nil || msg.From() == nil || msg.To() == nil {
		return
	}
	switch m := msg.(type) {
	case *sip.Response:
		e.response(m)
	case *sip.Request:
		m.SetSource(l.addr.String())
		e.request(m, l)
	}
}

// contact is the address for requests within our dialogs.
func (e *endpoint) contact(transport string) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: "sim", Host: e.addr.Addr().String(), Port: int(e.addr.Port())}
	if transport != "udp" {
		uri.UriParams.Add("transport", transport)
	}
	return &sip.ContactHeader{Address: uri}
}

func (e *endpoint) add(d *dialog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dialogs[d.callID] = d
}

func (e *endpoint) remove(d *dialog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.dialogs, d.callID)
}

func (e *endpoint) dialog(msg sip.Message) *dialog {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dialogs[msg.CallID().Value()]
}

// branch names a transaction (RFC 3261 section 17.2.3).
func branch(msg sip.Message) string {
	b, _ := msg.Via().Params.Get("branch")
	return b + " " + msg.Via().Host + " " + strings.ToUpper(msg.Via().Transport)
}
