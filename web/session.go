package web

import (
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
)

const (
	idleTime    = 20 * time.Minute // a log-in ends when nothing was asked for so long
	sessionTime = 4 * time.Hour    // and in any case
	maxSessions = 10_000

	accountKey = "account" // whose bill the session may see
	pinKey     = "pin"     // HMAC of the PIN that opened it
	doneKey    = "done"    // what the next page says was done
)

// errFull is an answer of the session store.
var errFull = errors.New("too many sessions")

// newSessions keeps log-ins in memory: they end with the program.
func newSessions(secure bool) *scs.SessionManager {
	s := &scs.SessionManager{ // not scs.New: that starts a goroutine for its own store, which nobody can end
		Store:       &memory{sessions: map[string]session{}},
		Codec:       scs.GobCodec{},
		IdleTimeout: idleTime,
		Lifetime:    sessionTime,
		Cookie: scs.SessionCookie{ // no expiry: gone when the browser is closed
			Name: "telecommune", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		},
		HashTokenInStore: true,
	}
	if secure {
		s.Cookie.Name, s.Cookie.Secure = "__Host-telecommune", true // no other host may set it
	}
	return s
}

// memory is a session store of limited size. Sessions that ended are dropped when it is full: it needs no goroutine.
type memory struct {
	mu       sync.Mutex
	sessions map[string]session
}

type session struct {
	data []byte
	ends time.Time
}

// Find gives a session that has not ended.
func (m *memory) Find(token string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[token]
	if !ok || !time.Now().Before(s.ends) {
		return nil, false, nil
	}
	return s.data, true, nil
}

// Commit stores a session, or refuses with errFull.
func (m *memory) Commit(token string, data []byte, ends time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.sessions[token]; !known && len(m.sessions) >= maxSessions {
		now := time.Now()
		maps.DeleteFunc(m.sessions, func(_ string, s session) bool { return !now.Before(s.ends) })
		if len(m.sessions) >= maxSessions {
			return errFull
		}
	}
	m.sessions[token] = session{data, ends}
	return nil
}

// Delete ends a session.
func (m *memory) Delete(token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, token)
	return nil
}
