package simcarrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// endpoint is a SIP user agent on one port, UDP and TCP, with its dialogs by Call-ID.
type endpoint struct {
	addr   netip.AddrPort
	ua     *sipgo.UserAgent
	client *sipgo.Client
	server *sipgo.Server
	udp    net.PacketConn
	tcp    net.Listener
	take   func(*sip.Request, sip.ServerTransaction) // INVITE outside a dialog, and REGISTER
	ctx    context.Context                           // ends when closing
	stop   context.CancelFunc

	readers  sync.WaitGroup
	handlers sync.WaitGroup
	shut     atomic.Bool

	mu      sync.Mutex
	closed  bool
	dialogs map[string]*dialog
}

// newEndpoint binds addr. With port 0 it takes one that is free for both transports. Nothing is served before serve.
func newEndpoint(addr, name string, log *slog.Logger, take func(*sip.Request, sip.ServerTransaction)) (*endpoint, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	udp, tcp, err := bind(addr)
	if err != nil {
		return nil, fmt.Errorf("listen for SIP on %s: %w", addr, err)
	}
	e := &endpoint{udp: udp, tcp: tcp, take: take, dialogs: map[string]*dialog{}}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.addr = tcp.Addr().(*net.TCPAddr).AddrPort()
	e.ua, err = sipgo.NewUA(sipgo.WithUserAgent(name), sipgo.WithUserAgentHostname(e.addr.Addr().String()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log), sip.WithTransportLayerReadFilter(e.filter)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(log)))
	if err == nil {
		e.client, err = sipgo.NewClient(e.ua, sipgo.WithClientLogger(log),
			sipgo.WithClientHostname(e.addr.Addr().String()), sipgo.WithClientPort(int(e.addr.Port())))
	}
	if err == nil {
		e.server, err = sipgo.NewServer(e.ua, sipgo.WithServerLogger(log))
	}
	if err != nil {
		return nil, errors.Join(err, udp.Close(), tcp.Close())
	}
	for _, method := range []sip.RequestMethod{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL, sip.INFO, sip.UPDATE, sip.OPTIONS, sip.REGISTER} {
		e.server.OnRequest(method, e.request)
	}
	return e, nil
}

// serve begins to take requests. Our own leave by the listening socket, which the stack knows only when its reader has
// begun: that is waited for.
func (e *endpoint) serve() {
	e.readers.Go(func() { _ = e.server.ServeUDP(e.udp) })
	e.readers.Go(func() { _ = e.server.ServeTCP(e.tcp) })
	for {
		if _, err := e.ua.TransportLayer().GetConnection("udp", e.addr.String()); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
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
	// The stack opens a socket of its own for an answer when it finds ours gone, and forgets it: so nothing is let in any
	// more before ours are closed, and what the stack still holds goes last.
	e.shut.Store(true)
	e.handlers.Wait()
	e.udp.Close()
	e.tcp.Close()
	e.readers.Wait()
	e.ua.Close()
}

// filter lets in what comes until the endpoint shuts.
func (e *endpoint) filter(_ sip.TransportReadProps, data []byte) ([]byte, error) {
	if e.shut.Load() {
		return nil, nil
	}
	return data, nil
}

// enter counts a handler in, unless the endpoint is closed.
func (e *endpoint) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.handlers.Add(1)
	return true
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

func (e *endpoint) find(req *sip.Request) *dialog {
	if req.CallID() == nil || req.To() == nil || !req.To().Params.Has("tag") {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dialogs[req.CallID().Value()]
}

// request serves what comes in.
func (e *endpoint) request(req *sip.Request, tx sip.ServerTransaction) {
	d := e.find(req)
	if d != nil && req.Method == sip.BYE {
		d.request(req, tx) // also while closing: the other side may hang up first
		return
	}
	if !e.enter() {
		return
	}
	defer e.handlers.Done()
	switch {
	case d != nil:
		d.request(req, tx)
	case req.Method == sip.REGISTER || req.Method == sip.INVITE && !req.To().Params.Has("tag"):
		e.take(req, tx)
	case req.Method == sip.ACK:
	case req.Method == sip.OPTIONS:
		reply(req, tx, 200, nil)
	default:
		reply(req, tx, 481, nil)
	}
}

// contact is the address for requests within our dialogs.
func (e *endpoint) contact(transport string) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: "sim", Host: e.addr.Addr().String(), Port: int(e.addr.Port())}
	if transport == "tcp" {
		uri.UriParams.Add("transport", "tcp")
	}
	return &sip.ContactHeader{Address: uri}
}

// via makes req leave by our own port, where UDP answers are awaited; TCP takes the connection that is there.
func (e *endpoint) via(req *sip.Request, transport string) {
	req.SetTransport(transport)
	if transport == "udp" {
		req.Laddr = sip.Addr{IP: net.IP(e.addr.Addr().AsSlice()), Port: int(e.addr.Port())}
	}
}

var reasons = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 400: "Bad Request", 401: "Unauthorized",
	403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required", 408: "Request Timeout",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
	488: "Not Acceptable Here", 500: "Server Internal Error", 503: "Service Unavailable", 603: "Decline",
}

// reply answers a request; a failure to send is the other side's to notice.
func reply(req *sip.Request, tx sip.ServerTransaction, status int, body []byte, headers ...sip.Header) {
	reason := reasons[status]
	if reason == "" {
		reason = "Simulated"
	}
	res := sip.NewResponseFromRequest(req, status, reason, body)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	_ = tx.Respond(res)
}

// wait waits for d or the end of ctx and tells whether it was d.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
