package asterisk

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"telecommune/pbx"
)

// scripted plays the part of an Asterisk, as the test has it.
type scripted struct {
	*Engine
	t       *testing.T
	events  chan string          // to be sent
	deaf    bool                 // a connection is not read any more
	opened  chan struct{}        // a connection is there
	over    chan struct{}        // closed at the end
	hungUp  chan string          // paths
	mu      sync.Mutex           // of the two below
	startup string               // in the answer of /asterisk/info
	channel func() (int, string) // status and body when a channel is asked for
}

func script(t *testing.T, s *scripted) *scripted {
	t.Helper()
	if s.channel == nil {
		s.channel = func() (int, string) { return http.StatusInternalServerError, "" }
	}
	s.t, s.events, s.opened, s.over, s.hungUp, s.startup = t, make(chan string, 1), make(chan struct{}, 10), make(chan struct{}), make(chan string, 10), "2026-01-01T00:00:00.000+0000"
	server := httptest.NewServer(http.HandlerFunc(s.answer))
	ctx, stop := context.WithCancel(context.Background())
	s.Engine = &Engine{
		log: slog.New(slog.DiscardHandler), legs: map[string]*leg{}, restored: make(chan struct{}), ready: make(chan struct{}), over: make(chan struct{}),
		lookAgain: 10 * time.Millisecond, ari: newARI(server.URL, "secret"),
	}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.follow(ctx)
	}()
	t.Cleanup(func() {
		close(s.over)
		stop()
		<-followed
		s.work.Wait()
		server.CloseClientConnections()
		server.Close()
		s.ari.close()
		s.ari.http.CloseIdleConnections()
	})
	<-s.opened
	return s
}

func (s *scripted) answer(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path == "/events":
		s.connection(w, req)
	case req.URL.Path == "/asterisk/info":
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(w, `{"status":{"startup_time":%q}}`, s.startup)
	case req.URL.Path == "/channels":
		fmt.Fprint(w, `[{"id":"c1","name":"PJSIP/a"},{"id":"orphan","name":"PJSIP/b"},{"id":"echo","name":"Local/echo@x;2"}]`)
	case req.Method == http.MethodDelete:
		s.hungUp <- req.URL.Path
	case strings.HasPrefix(req.URL.Path, "/channels/"):
		s.mu.Lock()
		defer s.mu.Unlock()
		status, body := s.channel()
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// connection sends events until one is "close".
func (s *scripted) connection(w http.ResponseWriter, req *http.Request) {
	conn, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow() //nolint:errcheck // it is over
	ctx := req.Context()
	if !s.deaf {
		ctx = conn.CloseRead(ctx) // answers pings
	}
	s.opened <- struct{}{}
	for {
		select {
		case ev := <-s.events:
			if ev == "close" {
				return
			}
			if conn.Write(ctx, websocket.MessageText, []byte(ev)) != nil {
				return
			}
		case <-ctx.Done():
			return
		case <-s.over:
			return
		}
	}
}

func (s *scripted) leg(id string) *leg {
	l := newLeg(s.Engine, id)
	s.add(l)
	return l
}

func (s *scripted) await(what string, done <-chan struct{}) {
	s.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		s.t.Fatalf("%s: waited in vain", what)
	}
}

// TestEventsOfAllKinds: what can't be understood is passed over, and the next event is taken.
func TestEventsOfAllKinds(t *testing.T) {
	s := script(t, &scripted{})
	l := s.leg("c1")
	for _, ev := range []string{
		`{"type":"ChannelToneDetected","channel":{"id":"c1"}}`, `{"type":"RESTResponse"}`, `not JSON`, `[]`, `null`, `{}`, `""`,
		`{"type":5}`, `{"type":"ChannelDtmfReceived","digit":5,"channel":{"id":"c1"}}`, `{"type":"StasisStart","args":["in"]}`,
		`{"type":"ChannelDtmfReceived","digit":"","channel":{"id":"c1"}}`, `{"type":"PlaybackFinished","playback":{"id":"none","target_uri":"channel:c1"}}`,
		`{"type":"ChannelStateChange","timestamp":"yesterday","channel":{"id":"c1","state":"Up"}}`,
		`{"type":"ChannelDtmfReceived","timestamp":"2026-01-01T00:00:00Z","digit":"7","channel":{"id":"c1"}}`,
		`{"type":"ChannelDestroyed","cause":17,"tech_cause":486,"channel":{"id":"c1"}}`,
	} {
		s.events <- ev
	}
	s.await("the end", l.done)
	if got := string(<-l.digits); got != "7" || l.AnsweredAt().IsZero() || l.End().Q850 != 17 {
		t.Errorf("digit %q, answered %s, end %+v", got, l.AnsweredAt(), l.End())
	}
}

// TestConnectionLost: a leg whose channel is there goes on, also when the question about it fails in whatever way; one
// whose channel is not there twice, or whose Asterisk is another, has ended at the moment of the loss.
func TestConnectionLost(t *testing.T) {
	answers := []struct {
		status int
		body   string
	}{
		{500, `{"message":"no"}`},
		{200, `<html>a proxy speaks</html>`},
		{200, `{"state":"U`},
		{200, `[]`},
		{200, `{}`},
		{404, `{"message":"Channel not found"}`},
		{503, ``},
		{200, `{"id":"c1","state":"Up"}`},
	}
	asked := make(chan struct{})
	s := &scripted{}
	s.channel = func() (int, string) {
		a := answers[0]
		if answers = answers[1:]; len(answers) == 0 {
			close(asked)
			s.channel = func() (int, string) { return 404, `{"message":"Channel not found"}` }
		}
		return a.status, a.body
	}
	script(t, s)
	l := s.leg("c1")
	s.events <- "close"
	s.await("questions", asked)
	s.await("connection", s.opened)
	for unseen := true; unseen; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		unseen = !l.unseen.IsZero()
		l.mu.Unlock()
		if l.ctx.Err() != nil {
			t.Fatalf("ended by %+v", l.End())
		}
	}
	before := time.Now()
	s.events <- "close"
	s.await("connection", s.opened)
	s.await("a channel that is gone", l.done)
	if end := l.End(); end.By != pbx.ByFailure || end.At.Before(before) || time.Since(end.At) < s.lookAgain {
		t.Errorf("%+v", end)
	}
	other := s.leg("c2")
	s.mu.Lock()
	s.startup = "2026-01-02T00:00:00.000+0000"
	s.mu.Unlock()
	s.events <- "close"
	s.await("a leg of an Asterisk that is gone", other.done)
}

// TestSweep: what nobody leads is hung up, and nothing else.
func TestSweep(t *testing.T) {
	s := script(t, &scripted{})
	l := s.leg("c1")
	for range 2 {
		select {
		case got := <-s.hungUp:
			if got != "/channels/orphan" {
				t.Errorf("%s was hung up", got)
			}
			if l.ctx.Err() != nil {
				t.Error("a leg was ended")
			}
			s.events <- "close"
			s.await("connection", s.opened)
		case <-time.After(patience):
			t.Fatal("the orphan is still there")
		}
	}
}

// TestSilentConnection: one that nothing comes from, not even the answer to a ping, is given up within ten seconds.
func TestSilentConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	began := time.Now()
	s := script(t, &scripted{deaf: true})
	s.await("a new connection", s.opened)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %s", took)
	}
}

// TestClock: what Asterisk measured is what we get, late events or not; a clock that is set makes no call longer.
func TestClock(t *testing.T) {
	at := func(s string) (got stamp) {
		if err := json.Unmarshal([]byte(`"`+s+`"`), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	var c clock
	first := c.local(at("2026-01-01T10:00:00.000+0000"))
	time.Sleep(30 * time.Millisecond)
	if got := c.local(at("2026-01-01T10:00:00.010+0000")).Sub(first); got != 10*time.Millisecond {
		t.Errorf("10 ms are %s", got)
	}
	for _, set := range []string{"2026-01-01T11:00:00.000+0000", "2026-01-01T09:00:00.000+0000", "2020-01-01T00:00:00Z"} {
		if got := c.local(at(set)).Sub(first); got < 30*time.Millisecond || got > 10*time.Second {
			t.Errorf("%s: %s", set, got)
		}
	}
	if got := c.local(at("yesterday")); time.Since(got) > time.Second {
		t.Errorf("no time is %s", got)
	}
}
