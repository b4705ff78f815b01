package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// Sessions end when idle and in any case after some hours, by a clock that the test moves.
func TestSessionsEnd(t *testing.T) {
	for _, tc := range []struct {
		why   string
		pause time.Duration
		asks  int // so many requests, a pause before each
		want  string
	}{
		{"in use", idleTime - time.Second, 3, "anna"},
		{"idle", idleTime + time.Second, 1, ""},
		{"in use, for too long", idleTime - time.Second, int(sessionTime/idleTime) + 2, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			sessions := newSessions(false)
			var got string
			h := sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/login" {
					sessions.Put(r.Context(), accountKey, "anna")
				}
				got = sessions.GetString(r.Context(), accountKey)
			}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
			cookie := w.Result().Cookies()[0]
			for range tc.asks {
				time.Sleep(tc.pause)
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(cookie)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			if got != tc.want {
				t.Errorf("%s: account %q, want %q", tc.why, got, tc.want)
			}
		})
	}
}

func TestSessionStoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{sessions: map[string]session{}}
		for i := range maxSessions {
			if err := m.Commit(strconv.Itoa(i), nil, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Commit("one more", nil, time.Now().Add(time.Hour)); !errors.Is(err, errFull) {
			t.Errorf("one more: %v, want errFull", err)
		}
		if err := m.Commit("7", []byte("x"), time.Now().Add(time.Hour)); err != nil {
			t.Errorf("a known one: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if _, found, _ := m.Find("7"); found {
			t.Error("a session was found after its end")
		}
		if err := m.Commit("later", nil, time.Now().Add(time.Hour)); err != nil || len(m.sessions) != 1 {
			t.Errorf("after their end: %v, %d sessions", err, len(m.sessions))
		}
	})
}

func TestCookie(t *testing.T) {
	for secure, name := range map[bool]string{false: "telecommune", true: "__Host-telecommune"} {
		c := newSessions(secure).Cookie
		if c.Name != name || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Persist {
			t.Errorf("secure %v: %+v", secure, c)
		}
	}
}
