// Package asterisk is the call engine on the switch that operators know: Asterisk carries signalling and voice, and the
// script is led over ARI, its REST interface. The engine starts a private Asterisk and supervises it, with a
// configuration made of our trunks and providers, or joins one that runs elsewhere. It implements pbx.Switch; nothing of ARI
// is seen outside.
package asterisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/ports"
	"telecommune/pbx"
	"telecommune/routing"
)

// Config is what an engine needs. Zero values mean the defaults named.
type Config struct {
	// URL is that of ARI of an Asterisk that runs elsewhere, with the user and password of ours there. Then none is started,
	// and what is said of folders, addresses, ports and limits is the affair of who runs it.
	URL, User, Password string
	Node                string // our name and that of our books, by which another controller of that Asterisk knows us

	Folder       string                 // of an Asterisk, as deploy/asterisk/get.sh prints it
	State        string                 // where the private configuration, logs and sockets of Asterisk go
	Listen       string                 // host:port of SIP, for UDP and TCP; port 0: any that both have free
	RTPPorts     string                 // "10000-20000", which is the default
	Public       netip.Addr             // our address as others are told it, behind 1:1 NAT; zero: our own
	Admission    func() *pbx.Admission  // who may call; the newest picture
	Trunks       func() []routing.Trunk // the newest picture
	UserAgent    string                 // "telecommune"
	MediaTimeout time.Duration          // silence that ends a leg, 30 s; whole seconds
	Health       pbx.Health             // is told how the trunks are; nil: nobody
	MaxCalls     int                    // as the exchange's; Asterisk itself refuses what that would not even record
	MaxCPS       int                    // likewise
	MaxAttempts  int                    // likewise; fewer than pbx.MaxAttempts: that
	Log          *slog.Logger           // nil: none
}

// Engine leads the calls of one Asterisk. It implements pbx.Switch.
type Engine struct {
	conf    Config
	log     *slog.Logger
	addr    *net.UDPAddr
	private *private // nil: one that is not ours to run
	remote  *remote  // nil when it does not run elsewhere
	ari     *ari
	clock   clock
	handle  func(ctx context.Context, in pbx.Leg)
	ready   chan struct{} // closed when calls are taken for the first time
	over    chan struct{} // closed when Asterisk has ended, and all its channels
	once    sync.Once     // closes ready

	inherits  bool          // Asterisk may have calls of an earlier run; set before anything is asked of it
	recovered chan struct{} // closed when it is known which of those go on
	replaced  chan struct{} // closed when another controller leads the calls
	led       chan error    // is given why we keep away, when another node leads them

	recovering sync.Mutex              // held while that is found out, and for the next
	missed     map[uuid.UUID]time.Time // calls of an earlier run that are not seen talking, since when

	mu        sync.Mutex
	legs      map[string]*leg // by channel
	connected bool
	restored  chan struct{} // closed, and made anew, when a lost connection is there again
	startup   string        // when the Asterisk that we know was started, in its words
	proved    time.Time     // all that Asterisk had to tell up to then has been read
	beat      string        // the newest event that was asked for to prove it
	asked     time.Time     // and when
	draining  bool          // no new calls
	closed    bool          // nothing new at all
	work      sync.WaitGroup
}

// New writes the private configuration. Asterisk is started by Run, or taken over when a run that was killed has left it.
func New(c Config) (*Engine, error) {
	if c.UserAgent == "" {
		c.UserAgent = "telecommune"
	}
	if c.MediaTimeout == 0 {
		c.MediaTimeout = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Trunks == nil {
		c.Trunks = func() []routing.Trunk { return nil }
	}
	if c.RTPPorts == "" {
		c.RTPPorts = "10000-20000"
	}
	if c.URL != "" {
		return join(c), nil
	}
	private, err := newPrivate(c)
	if err != nil {
		return nil, fmt.Errorf("private Asterisk: %w", err)
	}
	e := newEngine(c, newARI("http://"+private.reach.HTTP+"/ari", private.reach.Password))
	e.private, private.ready = private, e.ready
	if e.addr, err = net.ResolveUDPAddr("udp", private.reach.SIP); err != nil {
		return nil, fmt.Errorf("private Asterisk: %w", err)
	}
	return e, nil
}

// newEngine makes the engine of an Asterisk that is asked over a.
func newEngine(c Config, a *ari) *Engine {
	return &Engine{
		conf: c, log: c.Log, ari: a, ready: make(chan struct{}), over: make(chan struct{}), legs: map[string]*leg{},
		restored: make(chan struct{}), recovered: make(chan struct{}), replaced: make(chan struct{}),
		led:    make(chan error, 1),
		missed: map[uuid.UUID]time.Time{},
	}
}

// join makes the engine of an Asterisk that runs elsewhere.
func join(c Config) *Engine {
	e := newEngine(c, newARIAs(strings.TrimSuffix(c.URL, "/"), c.User, c.Password))
	e.remote, e.inherits = &remote{ari: e.ari, log: e.log}, true
	return e
}

// freeAddress finds the address to listen on; port 0 is replaced by one that both UDP and TCP have free.
func freeAddress(listen string) (*net.UDPAddr, error) {
	addr, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, err
	}
	if addr.IP == nil {
		addr.IP = net.IPv4zero
	}
	if addr.Port != 0 {
		return addr, ports.Try(addr.IP, addr.Port)
	}
	addr.Port, err = ports.Free(addr.IP, 1)
	return addr, err
}

// Addr is where SIP is taken, with the port that was found free. Of an Asterisk that runs elsewhere it is where ARI is.
func (e *Engine) Addr() net.Addr {
	if e.remote != nil {
		return elsewhere(e.conf.URL)
	}
	return e.addr
}

// Ready is closed when calls are taken: Asterisk takes about a second to start.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run implements pbx.Switch.
func (e *Engine) Run(ctx context.Context, handle func(ctx context.Context, in pbx.Leg)) error {
	e.handle = handle
	e.work.Add(1) // so that it is above zero until closed is set
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	go func() { served <- e.keep(running) }()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if e.private != nil {
			select {
			case <-e.private.up:
				e.inherits = e.private.taken
			case <-running.Done():
				return
			}
		}
		var both sync.WaitGroup
		both.Go(func() { e.follow(running) })
		both.Go(func() { e.push(running) })
		both.Go(func() { e.watchRefused(running) })
		both.Go(func() { e.watchHealth(running) })
		both.Wait()
	}()

	var err, led error
	over := false
	select {
	case <-ctx.Done():
	case err = <-served:
		over = true
	case <-e.replaced:
		e.leave()
	case led = <-e.led:
	}
	e.drain()
	stop()
	if !over {
		err = <-served
	}
	close(e.over)
	<-followed
	for _, l := range e.all() {
		l.finish(pbx.End{By: pbx.ByFailure, SIP: 503, Q850: 41})
	}
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.work.Done()
	e.work.Wait()
	e.ari.close()
	select {
	case <-e.replaced:
		return errors.Join(errReplaced, err)
	default:
		return errors.Join(led, err)
	}
}

// leave has everything stay as it is: it is another's now.
func (e *Engine) leave() {
	e.ari.over.Store(true)
	if e.private != nil {
		e.private.leave.Store(true)
	}
	for _, l := range e.all() {
		l.finish(pbx.End{By: pbx.ByAnother, SIP: 503, Q850: 41})
		e.drop(l)
	}
}

// keep keeps Asterisk running until ctx ends, if that is ours to do.
func (e *Engine) keep(ctx context.Context) error {
	if e.remote != nil {
		<-ctx.Done()
		return nil
	}
	return e.private.run(ctx, e.log)
}

// stopTime is how long Run waits for Asterisk's word on the calls that it hung up.
const stopTime = 3 * time.Second

// drain refuses new calls, hangs up those there are, and waits a while for them to be gone.
func (e *Engine) drain() {
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	for _, l := range e.all() {
		e.spawn(l, func() { l.Hangup(pbx.TemporaryFail) })
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(stopTime); len(e.all()) > 0; {
		select {
		case <-tick.C:
		case <-patience:
			return
		}
	}
}

// all lists the legs whose channels are there.
func (e *Engine) all() []*leg {
	e.mu.Lock()
	defer e.mu.Unlock()
	legs := make([]*leg, 0, len(e.legs))
	for _, l := range e.legs {
		legs = append(legs, l)
	}
	return legs
}

// spawn runs f on behalf of l in a goroutine that Run waits for; it is false, and f is not run, when Run waits no more.
// A panic in f ends l alone.
func (e *Engine) spawn(l *leg, f func()) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	e.work.Add(1)
	e.mu.Unlock()
	go func() {
		defer e.work.Done()
		defer e.rescue(l)
		f()
	}()
	return true
}

// rescue keeps a panic to its own call.
func (e *Engine) rescue(l *leg) {
	cause := recover()
	if cause == nil {
		return
	}
	e.log.Error("panic in a call", "cause", cause, "stack", string(debug.Stack()))
	if l != nil {
		l.hangup(pbx.End{By: pbx.ByFailure, SIP: 500, Q850: 41}, pbx.TemporaryFail)
	}
}

func (e *Engine) find(channel string) *leg {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.legs[channel]
}

// add makes a leg known to the reader of events; false when the engine takes no more.
func (e *Engine) add(l *leg) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return false
	}
	e.legs[l.id] = l
	if !e.connected && l.unseen.IsZero() { // what happens to it is not heard
		l.unseen = time.Now()
	}
	return true
}

func (e *Engine) drop(l *leg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.legs[l.id] == l {
		delete(e.legs, l.id)
	}
}

var (
	_ pbx.Switch    = (*Engine)(nil)
	_ pbx.Recoverer = (*Engine)(nil)
)
