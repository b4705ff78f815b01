package asterisk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	pingEvery  = 3 * time.Second // with as long for the answer, a connection that hangs is noticed within ten
	pushEvery  = time.Second     // trunks and providers that changed take effect
	maxEvent   = 1 << 20         // bytes
	mostSaid   = 2000            // of them, that the log has of an event that nobody understands
	reconnect  = 100 * time.Millisecond
	reconnects = 5 * time.Second // the longest between two tries
	startTime  = 5 * time.Second // that Asterisk takes to start, and some
)

// follow reads events until ctx ends, over one connection after the other.
func (e *Engine) follow(ctx context.Context) {
	wait, since, said := reconnect, time.Now(), ""
	for ctx.Err() == nil {
		opened, err := e.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case opened:
			wait, since, said = reconnect, time.Now(), ""
			e.lost()
			e.log.Error("connection to Asterisk lost", "err", err)
		case errors.Is(err, errLed): // Run says so, and ends
		case e.remote != nil:
			said = e.complain(ctx, said, err)
		case time.Since(since) >= startTime && err.Error() != said: // it is said once, not at each try
			said = err.Error()
			e.log.Error("no connection to Asterisk; telecommune doctor may know why", "url", e.ari.url, "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(wait+reconnect, reconnects)
	}
}

// complain says why an Asterisk elsewhere does not take us and what mends it, unless that was said, and gives what was.
func (e *Engine) complain(ctx context.Context, said string, err error) string {
	detail, fix := Examination{Config: e.conf}.login(ctx, e.ari)
	if fix == "" {
		detail, fix = err.Error(), "a proxy in between must let websockets pass"
	}
	if fix != said && ctx.Err() == nil {
		e.log.Error("Asterisk does not take us, and is asked again and again", "err", detail, "fix", fix)
	}
	return fix
}

// followOnce reads events over one connection, if it can be opened.
func (e *Engine) followOnce(ctx context.Context) (opened bool, err error) {
	if err := e.mayLead(ctx); err != nil {
		return false, err
	}
	opening, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	login := base64.StdEncoding.EncodeToString([]byte(e.ari.user + ":" + e.ari.password))
	conn, res, err := websocket.Dial(opening, strings.Replace(e.ari.url, "http", "ws", 1)+"/events?app="+appName, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Basic " + login}},
	})
	if err != nil {
		return false, err
	}
	if res.Body != nil {
		res.Body.Close()
	}
	defer conn.CloseNow() //nolint:errcheck // it is over
	conn.SetReadLimit(maxEvent)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop(nil)
	beside.Go(func() { stop(ping(ctx, conn)) })
	beside.Go(func() { e.beats(ctx) })
	beside.Go(func() {
		if err := e.welcome(ctx); err != nil {
			stop(err)
			return
		}
		e.sweep(ctx)
	})
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return true, err
		}
		var ev event
		if err := json.Unmarshal(raw, &ev); err != nil {
			e.log.Warn("event of Asterisk not understood", "event", string(raw[:min(len(raw), mostSaid)]), "err", err)
			continue
		}
		ev.raw = raw
		e.take(ev)
	}
}

// ping looks whether the other side is still there, until it is not.
func ping(ctx context.Context, conn *websocket.Conn) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		waiting, cancel := context.WithTimeout(ctx, pingEvery)
		err := conn.Ping(waiting)
		cancel()
		if err != nil {
			return fmt.Errorf("no answer to a ping: %w", err)
		}
	}
}

// welcome makes a new connection ready, and looks what has become of the calls meanwhile.
func (e *Engine) welcome(ctx context.Context) error {
	if err := e.ari.filter(ctx, wanted); err != nil {
		return err
	}
	startup, err := e.ari.startup(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	known := e.startup
	e.startup, e.connected = startup, true
	restored := e.restored
	e.restored = make(chan struct{})
	e.mu.Unlock()
	close(restored)
	if e.remote == nil {
		e.takeCalls()
	}
	restarted := known != "" && known != startup
	e.log.Debug("connected to Asterisk", "restarted", restarted)
	for _, l := range e.all() {
		l.mu.Lock()
		seen := l.unseen.IsZero()
		l.mu.Unlock()
		switch {
		case seen: // it came by this connection
		case restarted:
			l.lostWithSwitch()
		default:
			e.spawn(l, func() { e.look(ctx, l) })
		}
	}
	return nil
}

// take hands an event to the leg that it is about. Nothing here waits, so that no event waits for another call's.
func (e *Engine) take(ev event) {
	e.proves(ev)
	l := e.find(ev.about())
	defer e.rescue(l)
	switch {
	case ev.Type == "ApplicationReplaced":
		closeOnce(e.replaced)
	case ev.Type == "StasisStart" && l == nil && len(ev.Args) == 3 && ev.Args[0] == "in":
		e.arrive(ev)
	case l != nil:
		l.take(ev)
	default:
		e.log.Debug("event of no call of ours", "event", string(ev.raw[:min(len(ev.raw), mostSaid)]))
	}
}

// push has Asterisk take up trunks and providers that changed.
func (e *Engine) push(ctx context.Context) {
	tick := time.NewTicker(pushEvery)
	defer tick.Stop()
	tell, said := e.reload(), ""
	if e.remote != nil {
		tell = e.attend
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := tell(ctx)
		if err == nil {
			said = ""
		} else if ctx.Err() == nil && err.Error() != said { // it is said once, not each second
			said = err.Error()
			e.log.Error("tell Asterisk of trunks and providers", "err", err)
		}
	}
}

// reload gives what has a private Asterisk read the peers again when they have changed.
func (e *Engine) reload() func(ctx context.Context) error {
	pending := e.inherits // it may have started with others
	return func(ctx context.Context) error {
		if err := e.private.turnHistory(); err != nil {
			e.log.Warn("what Asterisk writes down of its channels grows", "err", err)
		}
		changed, err := e.private.peers(e.conf.Admission(), e.conf.Trunks())
		pending = pending || changed
		if err == nil && pending && e.isConnected() {
			err = e.reloadPeers(ctx)
			pending = err != nil
		}
		return err
	}
}
