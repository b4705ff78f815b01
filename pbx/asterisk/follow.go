package asterisk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"telecommune/pbx"
)

const (
	pingEvery  = 3 * time.Second // with as long for the answer, a connection that hangs is noticed within ten
	pushEvery  = time.Second     // trunks and providers that changed take effect
	maxEvent   = 1 << 20         // bytes
	reconnect  = 100 * time.Millisecond
	reconnects = 5 * time.Second // the longest between two tries
	lookAgain  = 5 * time.Second // between two answers that a channel is not there, which end its leg
)

// follow reads events until ctx ends, over one connection after the other.
func (e *Engine) follow(ctx context.Context) {
	wait := reconnect
	for ctx.Err() == nil {
		seen, err := e.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if !seen.IsZero() {
			wait = reconnect
			e.lost(seen)
			e.log.Error("connection to Asterisk lost", "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(wait+reconnect, reconnects)
	}
}

// followOnce reads events over one connection. seen is when it was last known to work; zero when it never did.
func (e *Engine) followOnce(ctx context.Context) (seen time.Time, err error) {
	opened, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	login := base64.StdEncoding.EncodeToString([]byte(e.ari.user + ":" + e.ari.password))
	conn, res, err := websocket.Dial(opened, strings.Replace(e.ari.url, "http", "ws", 1)+"/events?app="+appName, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Basic " + login}},
	})
	if err != nil {
		return seen, err
	}
	if res.Body != nil {
		res.Body.Close()
	}
	defer conn.CloseNow() //nolint:errcheck // it is over
	conn.SetReadLimit(maxEvent)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var pinging sync.WaitGroup
	defer pinging.Wait()
	defer stop(nil)
	var heard atomic.Pointer[time.Time] // the newest answer to a ping
	heard.Store(new(time.Now()))
	pinging.Go(func() { stop(ping(ctx, conn, &heard)) })
	pinging.Go(func() {
		if err := e.welcome(ctx); err != nil {
			stop(err)
		}
	})
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			if errors.Is(err, errSilent) {
				return *heard.Load(), err
			}
			return time.Now(), err
		}
		var ev event
		if err := json.Unmarshal(raw, &ev); err != nil {
			e.log.Warn("event of Asterisk not understood", "event", string(raw[:min(len(raw), 500)]), "err", err)
			continue
		}
		e.take(ev)
	}
}

var errSilent = errors.New("no answer to a ping")

// ping looks whether the other side is still there, until it is not.
func ping(ctx context.Context, conn *websocket.Conn, heard *atomic.Pointer[time.Time]) error {
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
			return fmt.Errorf("%w: %w", errSilent, err)
		}
		heard.Store(new(time.Now()))
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
	e.spawn(nil, func() { e.sweep(ctx) })
	return nil
}

// sweep hangs up channels that nobody leads: they came while nothing was heard of Asterisk. A channel is one of those when
// it is unknown twice; those of Asterisk's own echo are never ours.
func (e *Engine) sweep(ctx context.Context) {
	before := map[string]bool{}
	for range 2 {
		select {
		case <-time.After(e.lookAgain):
		case <-ctx.Done():
			return
		}
		there, err := e.ari.channels(ctx)
		if err != nil {
			e.log.Debug("channels not listed", "err", err)
			return
		}
		if e.remote != nil {
			led, err := e.ari.led(ctx)
			if err != nil {
				e.log.Debug("channels of ours not listed", "err", err)
				return
			}
			maps.DeleteFunc(there, func(id, _ string) bool { return !led[id] }) // somebody else's
		}
		unknown := map[string]bool{}
		for id, name := range there {
			if e.find(id) != nil || strings.HasPrefix(name, "Local/") {
				continue
			}
			unknown[id] = true
			if !before[id] {
				continue
			}
			e.log.Warn("a channel that nobody leads is hung up", "channel", id)
			if err := e.ari.hangup(ctx, id, pbx.TemporaryFail.Q850); err != nil {
				e.log.Debug("channel not hung up", "channel", id, "err", err)
			}
		}
		before = unknown
	}
}

// lost notes for every call since when nothing is heard of it any more. They go on: only a look at the channel tells more.
// What nobody has seen is not charged.
func (e *Engine) lost(seen time.Time) {
	e.mu.Lock()
	e.connected = false
	e.mu.Unlock()
	for _, l := range e.all() {
		l.mu.Lock()
		if l.unseen.IsZero() {
			l.unseen = seen
		}
		l.mu.Unlock()
	}
}

// look asks what has become of a leg while nothing was heard of it. It ends when Asterisk says twice that it has no such
// channel; any other answer, or none, ends no call.
func (e *Engine) look(ctx context.Context, l *leg) {
	for missed := 0; ctx.Err() == nil; {
		state, err := e.ari.state(ctx, l.id)
		switch {
		case err != nil:
		case state == "":
			if missed++; missed == 2 {
				l.lostWithSwitch()
				return
			}
		default:
			if state == "Up" {
				l.up(time.Now())
			}
			l.mu.Lock()
			l.unseen = time.Time{}
			l.mu.Unlock()
			return
		}
		select {
		case <-time.After(e.lookAgain):
		case <-ctx.Done():
		}
	}
}

// take hands an event to the leg that it is about. Nothing here waits, so that no event waits for another call's.
func (e *Engine) take(ev event) {
	l := e.find(ev.about())
	defer e.rescue(l)
	switch {
	case ev.Type == "ApplicationReplaced":
		e.log.Error("another controller has taken over Asterisk's calls")
	case ev.Type == "StasisStart" && l == nil && len(ev.Args) == 3 && ev.Args[0] == "in":
		e.arrive(ev)
	case l != nil:
		l.take(ev)
	default:
		e.log.Debug("event of no call of ours", "type", ev.Type, "channel", ev.about())
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
	pending := false
	return func(ctx context.Context) error {
		changed, err := e.private.peers(e.conf.Admission(), e.conf.Trunks())
		pending = pending || changed
		if err == nil && pending && e.isConnected() {
			err = e.ari.reload(ctx)
			pending = err != nil
		}
		return err
	}
}

// lostWithSwitch ends a leg whose channel is gone without a word: at the moment from when on nothing was heard of it.
func (l *leg) lostWithSwitch() {
	l.mu.Lock()
	at := l.unseen
	l.mu.Unlock()
	l.finish(pbx.End{At: at, By: pbx.ByFailure, SIP: 503, Q850: 41})
	l.e.drop(l)
}
