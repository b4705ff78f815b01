package asterisk

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// stream is what Asterisk tells of an application: one queue, in the order in which things happened, to whoever is
// connected. While nobody is, it is lost. That order is Asterisk's promise as well: it has one queue for each application,
// so that what is late makes all late that comes behind it.
type stream struct {
	noise func(*rand.Rand) bool // whether to do something odd with an event; nil: never

	back func(lost time.Time) // somebody is connected again; nil: nobody wants to know

	mu      sync.Mutex
	rand    *rand.Rand
	lost    time.Time // since when nobody is connected
	conn    *wireConn // nil: nobody is connected
	queue   []news
	wake    chan struct{}
	stalled time.Time // until then the queue does not move; pings are answered all the same
	opened  chan struct{}
}

// news is an event, and who wants to know that it has been read.
type news struct {
	json  string
	heard func()
}

func newStream(r *rand.Rand) *stream {
	return &stream{rand: r, wake: make(chan struct{}, 1), opened: make(chan struct{}, 100)}
}

// tell queues an event.
func (s *stream) tell(json string, heard func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	s.queue = append(s.queue, news{json, heard})
	s.poke()
}

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stall keeps the queue for so long.
func (s *stream) stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = time.Now().Add(d)
}

// silence lets nothing through for a while, not even the answer to a ping.
func (s *stream) silence(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.silence(d)
	}
}

// lose breaks the connection, if there is one; what is queued goes with it. In the middle is that of an event.
func (s *stream) lose(inTheMiddle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	s.queue = nil
	if inTheMiddle {
		s.conn.cutNext()
		s.stalled = time.Time{}
		s.queue = []news{{json: strange[0]}}
		s.poke()
		return
	}
	s.conn.Close()
	s.conn, s.lost = nil, time.Now()
}

// serve is the websocket.
func (s *stream) serve(w http.ResponseWriter, req *http.Request) {
	ws, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow() //nolint:errcheck // it is over
	conn := connOf(req)
	ctx := ws.CloseRead(req.Context()) // answers pings
	s.mu.Lock()
	s.conn, s.queue = conn, nil
	lost := s.lost
	s.mu.Unlock()
	if s.back != nil {
		s.back(lost)
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == conn {
			s.conn, s.queue, s.lost = nil, nil, time.Now()
		}
	}()
	select {
	case s.opened <- struct{}{}:
	default:
	}
	for {
		ev, ok := s.next(ctx, conn)
		if !ok {
			return
		}
		for _, json := range s.odd(ev.json) {
			if ws.Write(ctx, websocket.MessageText, []byte(json)) != nil {
				return
			}
		}
		if ev.heard != nil {
			ev.heard()
		}
	}
}

// next waits for an event that may be sent over conn.
func (s *stream) next(ctx context.Context, conn *wireConn) (ev news, ok bool) {
	for {
		s.mu.Lock()
		wait := time.Until(s.stalled)
		if s.conn != conn {
			s.mu.Unlock()
			<-ctx.Done()
			return ev, false
		}
		if wait <= 0 && len(s.queue) > 0 {
			ev, s.queue = s.queue[0], s.queue[1:]
			s.mu.Unlock()
			return ev, true
		}
		s.mu.Unlock()
		var late <-chan time.Time
		if wait > 0 {
			late = time.After(wait)
		}
		select {
		case <-s.wake:
		case <-late:
		case <-ctx.Done():
			return ev, false
		}
	}
}

// strange are things that a later Asterisk, or a broken one, may send.
var strange = []string{
	`{"type":"ChannelToneDetected","channel":{"id":"c1"}}`, `{"type":"RESTResponse"}`, `not JSON`, `[]`, `null`, `{}`, `""`,
	`{"type":5}`, `{"type":"ChannelDtmfReceived","digit":5,"channel":{"id":"c1"}}`, `{"type":"StasisStart","args":["in"]}`,
	`{"type":"ChannelHangupRequest","channel":[]}`, `{"type":"ChannelDestroyed","cause":"none","channel":{"id":"c1"}}`,
	`{"type":"Dial","dialstatus":"ANSWER"}`, `{"type":"CallBroadcast","channel":{"id":"c1","state":"Up"}}`,
	`{"type":"ChannelUserevent","eventname":"another","timestamp":"2199-01-01"}`, `{"type":"PlaybackFinished","playback":{"id":"none","target_uri":"bridge:b"}}`,
}

// odd is what is sent in place of an event: with strange ones around it, twice, and again up to half a minute later.
func (s *stream) odd(json string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noise == nil || !s.noise(s.rand) {
		return []string{json}
	}
	switch s.rand.IntN(4) {
	case 0:
		return []string{strange[s.rand.IntN(len(strange))], json}
	case 1:
		return []string{json, strange[s.rand.IntN(len(strange))]}
	case 2:
		return []string{json, json}
	}
	time.AfterFunc(time.Duration(s.rand.IntN(30_000))*time.Millisecond, func() { s.tell(json, nil) })
	return []string{json}
}
