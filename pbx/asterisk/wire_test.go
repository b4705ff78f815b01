package asterisk

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// wire is a network in memory with one address, that of a scripted Asterisk. Sockets can't be used in a bubble of fake
// time: whoever waits for one does not let time pass.
type wire struct {
	addr     string
	accepted chan net.Conn
	over     chan struct{}
	once     sync.Once
	dead     atomic.Bool // nobody listens
	mu       sync.Mutex
	conns    []net.Conn
}

// wires are all those that there are, by address. What the library and the websocket dial with is shared by the whole
// process; other addresses are dialled as ever.
var wires sync.Map

func init() {
	shared := http.DefaultTransport.(*http.Transport)
	dial := shared.DialContext
	shared.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w, ok := wires.Load(addr); ok {
			return w.(*wire).dial(ctx)
		}
		return dial(ctx, network, addr)
	}
}

var errRefused = errors.New("connection refused")

func newWire(addr string) *wire {
	w := &wire{addr: addr, accepted: make(chan net.Conn), over: make(chan struct{})}
	wires.Store(addr, w)
	return w
}

func (w *wire) dial(ctx context.Context) (net.Conn, error) {
	if w.dead.Load() {
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	conn := &wireConn{Conn: theirs, closed: make(chan struct{})}
	w.mu.Lock()
	w.conns = append(w.conns, conn)
	w.mu.Unlock()
	select {
	case w.accepted <- conn:
		return ours, nil
	case <-w.over:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it a net.Listener.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.accepted:
		return c, nil
	case <-w.over:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.once.Do(func() {
		wires.Delete(w.addr)
		close(w.over)
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range w.conns {
			c.Close()
		}
	})
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

// wireConn is Asterisk's side of a connection.
type wireConn struct {
	net.Conn
	mu     sync.Mutex
	silent time.Time // until then nothing gets through to the other side
	cut    bool      // the next write breaks off in its middle
	once   sync.Once
	closed chan struct{}
}

func (c *wireConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	wait, cut := time.Until(c.silent), c.cut
	c.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	if cut {
		n, _ := c.Conn.Write(b[:len(b)/2])
		c.Close()
		return n, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *wireConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// silence lets nothing through for a while: it comes late, as over a network that is cut and mended.
func (c *wireConn) silence(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = time.Now().Add(d)
}

// cutNext breaks the connection in the middle of what is written next.
func (c *wireConn) cutNext() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
}

type connKey struct{}

// serveOn serves h on w. The connection of a request is in its context.
func serveOn(w *wire, h http.Handler) (stop func()) {
	server := &http.Server{Handler: h, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(w) // until it is closed
	}()
	return func() {
		server.Close()
		<-served
	}
}

func connOf(req *http.Request) *wireConn { return req.Context().Value(connKey{}).(*wireConn) }
