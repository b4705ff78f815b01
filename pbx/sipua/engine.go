// Package sipua is the embedded call engine: SIP over UDP and TCP by sipgo's transactions, with dialogs, offers and
// answers, RTP and digits of its own. It implements pbx.Switch; nothing of sipgo is seen outside.
package sipua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
	"telecommune/routing"
)

// Config is what an engine needs. Zero values mean the defaults named.
type Config struct {
	Listen       string                 // host:port, for UDP and TCP; port 0: any that both have free
	RTPPorts     string                 // "10000-20000"; "": any
	Public       netip.Addr             // our address as others are told it, behind 1:1 NAT; zero: our own
	Admission    func() *pbx.Admission  // who may call; the newest picture
	Trunks       func() []routing.Trunk // for registration and OPTIONS; nil: none
	Health       pbx.Health             // is told what those say of the trunks; nil: nobody
	UserAgent    string                 // "telecommune"
	MediaTimeout time.Duration          // silence that ends a leg, 25 s
	Now          func() time.Time       // the clock of answers and ends, time.Now; what is only waited for goes by real time
	Log          *slog.Logger           // nil: none
}

// Engine is a SIP user agent, back to back. It implements pbx.Switch.
type Engine struct {
	conf    Config
	log     *slog.Logger
	client  *sipgo.Client
	server  *sipgo.Server
	ua      *sipgo.UserAgent
	udp     *signalSocket
	tcp     *listener
	tls     *secured
	rtp     *portRange
	sounds  sounds
	nonces  *nonces
	named   atomic.Pointer[map[string][]netip.Addr] // addresses of trunks by their host names
	guesses guesses
	ladders sync.Map     // of test calls: *ladder by Call-ID
	traced  atomic.Int64 // how many there are
	handle  func(ctx context.Context, in pbx.Leg)
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error) // of the system's resolver, as is

	lookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

	mu       sync.Mutex
	dialogs  map[string]*leg     // by key
	invites  map[string]struct{} // inbound INVITEs in progress, by Call-ID, From tag and CSeq (8.2.2.2)
	outgoing map[string]*call    // our INVITEs in progress, by branch
	draining bool                // no new calls
	closed   bool                // nothing new at all

	minExpires    time.Duration  // Min-SE
	firstResponse time.Duration  // to an INVITE or OPTIONS of ours; a trunk that lets it pass is dead
	registerRetry time.Duration  // after a registration that failed, at first
	probeRetry    time.Duration  // after OPTIONS that were not answered, at first
	stopTime      time.Duration  // that Run waits for the answers to its last BYEs
	work          sync.WaitGroup // handlers and all that they started
	stopped       chan struct{}  // closed when Run waits for the other sides no longer
	ready         chan struct{}  // closed
}

// Two settings of the library are variables of the whole process. UDP carries what the other side sends and what we
// answer, fragments and all; its own bound would drop the answer to a large request without a word. And it logs whole
// messages of strangers as errors, so its log goes nowhere: what matters is logged here.
func init() {
	sip.UDPMTUSize = 65535
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
}

// New binds the sockets. Calls are taken once Run runs.
func New(c Config) (*Engine, error) {
	if c.UserAgent == "" {
		c.UserAgent = "telecommune"
	}
	if c.MediaTimeout == 0 {
		c.MediaTimeout = 25 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Trunks == nil {
		c.Trunks = func() []routing.Trunk { return nil }
	}
	if c.Health == nil {
		c.Health = nobody{}
	}
	e := &Engine{
		conf: c, log: c.Log, lookup: net.DefaultResolver.LookupNetIP, lookupSRV: net.DefaultResolver.LookupSRV, dialogs: map[string]*leg{}, invites: map[string]struct{}{}, outgoing: map[string]*call{}, nonces: newNonces(), guesses: guesses{made: map[netip.Prefix]guess{}},
		sounds: sounds{kept: map[soundKey]sound{}}, minExpires: minExpires, firstResponse: firstResponse, registerRetry: registerRetry, probeRetry: probeRetry, stopTime: stopTime, stopped: make(chan struct{}), ready: make(chan struct{}),
	}
	close(e.ready)
	var err error
	if e.rtp, err = newPortRange(c.RTPPorts); err != nil {
		return nil, err
	}
	if e.udp, e.tcp, err = bind(c.Listen); err != nil {
		return nil, fmt.Errorf("listen for SIP on %s: %w", c.Listen, err)
	}
	e.tcp.known, e.tls = e.knows, newSecured()
	if err = e.stack(); err != nil {
		return nil, errors.Join(err, e.udp.Close(), e.tcp.Close())
	}
	return e, nil
}

// stack sets the library up.
func (e *Engine) stack() (err error) {
	e.ua, err = sipgo.NewUA(
		sipgo.WithUserAgent(e.conf.UserAgent),
		sipgo.WithUserAgentTransportLayerOptions(
			func(l *sip.TransportLayer) { l.OnMessage(e.arrived) }, // here: before the transactions
			sip.WithTransportLayerTransports(sip.TransportsConfig{TCP: newTCP(), TLS: e.tls.transport()}),
		),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}),
			sip.WithTransactionLayerTerminateOnConnClose(),
		),
	)
	if err != nil {
		return err
	}
	if e.client, err = sipgo.NewClient(e.ua); err != nil {
		return err
	}
	if e.server, err = sipgo.NewServer(e.ua); err != nil {
		return err
	}
	e.server.OnInvite(e.guard(e.onInvite))
	e.server.OnAck(func(*sip.Request, sip.ServerTransaction) {}) // taken on arrival
	e.server.OnBye(e.guard(e.onBye))
	e.server.OnCancel(e.guard(e.onCancel))
	e.server.OnInfo(e.guard(e.onInfo))
	e.server.OnUpdate(e.guard(e.onUpdate))
	e.server.OnOptions(e.guard(e.onOptions))
	e.server.OnRegister(e.guard(e.onRegister))
	e.server.OnNoRoute(e.guard(e.onOther))
	return nil
}

// Addr is where SIP is taken, with the port that was found free.
func (e *Engine) Addr() net.Addr { return e.udp.LocalAddr() }

// Ready is closed: what comes before Run waits in the sockets.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

func (e *Engine) port() int { return e.udp.LocalAddr().(*net.UDPAddr).Port }

// bound is the address listened on; unspecified when that is any.
func (e *Engine) bound() netip.Addr {
	return e.udp.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// towards is our address as a peer sees it: the one listened on, or else the one that packets to it leave by.
func (e *Engine) towards(peer netip.Addr) (netip.Addr, error) {
	if bound := e.bound(); !bound.IsUnspecified() {
		return bound, nil
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 9))) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no way to %s: %w", peer, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// told is what a peer is told of our address: behind a NAT that has one address for us alone, that.
func (e *Engine) told(ours netip.Addr) netip.Addr {
	if p := e.conf.Public; p.IsValid() && p.Is4() == ours.Is4() {
		return p
	}
	return ours
}

var errNoAddress = errors.New("no address of an IP version that we listen on")

// resolve finds the address of a host, IPv4 before IPv6.
func (e *Engine) resolve(ctx context.Context, host string) (netip.Addr, error) {
	addrs := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, literal)
	} else {
		ctx, cancel := context.WithTimeout(ctx, e.firstResponse)
		defer cancel()
		if addrs, err = e.lookup(ctx, "ip", host); err != nil {
			return netip.Addr{}, err
		}
	}
	bound := e.bound()
	var found netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		if usable := bound.IsUnspecified() || a.Is4() == bound.Is4(); usable && (!found.IsValid() || a.Is4() && !found.Is4()) {
			found = a
		}
	}
	if !found.IsValid() {
		return netip.Addr{}, fmt.Errorf("%s: %w", host, errNoAddress)
	}
	return found, nil
}

// stopTime is the default of Engine.stopTime.
const stopTime = 3 * time.Second

// Run implements pbx.Switch.
func (e *Engine) Run(ctx context.Context, handle func(ctx context.Context, in pbx.Leg)) error {
	e.handle = handle
	e.work.Add(1) // so that it is above zero until closed is set
	failed := make(chan error, 3)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- e.serveUDP() })
	serving.Go(func() { failed <- e.server.ServeTCP(e.tcp) })
	serving.Go(func() { failed <- e.server.ServeTLS(e.tls) })
	e.awaitReader(ctx)
	registering, unregister := context.WithCancel(ctx)
	var registrar sync.WaitGroup
	registrar.Go(func() { e.register(registering) })
	registrar.Go(func() { e.probe(registering) })
	registrar.Go(func() { e.nameTrunks(registering) })
	e.log.Info("SIP engine takes calls", "address", e.Addr().String())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("SIP socket: %w", err)
	}
	unregister()
	e.drain()
	registrar.Wait()
	close(e.stopped)
	err = errors.Join(err, e.udp.Close(), e.tcp.Close(), e.tls.Close())
	serving.Wait()
	err = errors.Join(err, e.ua.Close())
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.work.Done()
	e.work.Wait()
	return err
}

// drain refuses new calls, hangs up those there are, and waits a while for the other sides' word on it.
func (e *Engine) drain() {
	e.mu.Lock()
	e.draining = true
	legs := make([]*leg, 0, len(e.dialogs))
	for _, l := range e.dialogs {
		legs = append(legs, l)
	}
	e.mu.Unlock()
	for _, l := range legs {
		l.Hangup(pbx.Cause{SIP: 503, Q850: 41})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(e.stopTime); ; {
		e.mu.Lock()
		left := len(e.dialogs)
		e.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-patience:
			return
		}
	}
}

// begin counts a piece of work in; false when the engine has stopped.
func (e *Engine) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.work.Add(1)
	return true
}

// isStopped tells that the sockets are closed, or soon will be: the library would open others.
func (e *Engine) isStopped() bool {
	select {
	case <-e.stopped:
		return true
	default:
		return false
	}
}

// spawn runs f on behalf of l in a goroutine that Run waits for; it is false, and f is not run, when Run waits no more.
// A panic in f ends l alone.
func (e *Engine) spawn(l *leg, f func()) bool {
	if !e.begin() {
		return false
	}
	go func() {
		defer e.work.Done()
		defer func() {
			if cause := recover(); cause != nil {
				e.panicked(l, cause)
			}
		}()
		f()
	}()
	return true
}

// guard keeps a panic in a handler to its own call.
func (e *Engine) guard(handler sipgo.RequestHandler) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		if !e.begin() {
			return
		}
		defer e.work.Done()
		defer func() {
			if cause := recover(); cause != nil {
				e.panicked(e.find(req), cause)
				if !req.IsAck() {
					_ = tx.Respond(e.response(req, 500))
				}
			}
		}()
		handler(req, tx)
	}
}

func (e *Engine) panicked(l *leg, cause any) {
	e.log.Error("panic in a call", "cause", cause, "stack", string(debug.Stack()))
	if l != nil {
		l.fail(500)
	}
}

// add registers a leg for requests within its dialog; false when the engine takes no more.
func (e *Engine) add(l *leg) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return false
	}
	e.dialogs[key(l.dialog.id, l.dialog.localTag)] = l
	return true
}

func (e *Engine) drop(l *leg) {
	k := key(l.dialog.id, l.dialog.localTag)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dialogs[k] == l {
		delete(e.dialogs, k)
	}
}

// find gives the leg that a request belongs to (12.2.2), or nil.
func (e *Engine) find(req *sip.Request) *leg {
	if req.CallID() == nil || req.To() == nil || req.From() == nil {
		return nil
	}
	e.mu.Lock()
	l := e.dialogs[key(string(*req.CallID()), tag(req.To().Params))]
	e.mu.Unlock()
	if l == nil {
		return nil
	}
	l.dialog.mu.Lock()
	defer l.dialog.mu.Unlock()
	if l.dialog.remoteTag != "" && l.dialog.remoteTag != tag(req.From().Params) {
		return nil
	}
	return l
}

// allowed are the methods that the engine takes.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"

// sign adds what every message of ours bears.
func (e *Engine) sign(req *sip.Request) {
	req.AppendHeader(sip.NewHeader("User-Agent", e.conf.UserAgent))
}

func (e *Engine) response(req *sip.Request, status int) *sip.Response {
	res := sip.NewResponseFromRequest(req, status, phrase(status), nil)
	res.AppendHeader(sip.NewHeader("Server", e.conf.UserAgent))
	return res
}

// respond answers a request. The error of a peer that is gone has nobody to go to but the log.
func (e *Engine) respond(req *sip.Request, tx sip.ServerTransaction, status int, headers ...sip.Header) {
	res := e.response(req, status)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	e.note("out", res)
	if err := tx.Respond(res); err != nil {
		e.log.Debug("answer not sent", "method", req.Method, "status", status, "source", req.Source(), "err", err)
	}
}
