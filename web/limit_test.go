package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(3, 10*time.Second)
	now := time.Date(2027, 6, 14, 10, 0, 0, 0, time.UTC)
	for i := range 3 {
		if wait := l.take("a", now); wait != 0 {
			t.Fatalf("attempt %d must wait %s", i+1, wait)
		}
	}
	if wait := l.take("a", now); wait != 10*time.Second {
		t.Errorf("the fourth waits %s, want 10s", wait)
	}
	if wait := l.take("a", now.Add(4*time.Second)); wait.Round(time.Millisecond) != 6*time.Second {
		t.Errorf("a refused attempt changed the wait: %s, want 6s", wait)
	}
	if wait := l.take("b", now); wait != 0 {
		t.Errorf("somebody else must wait %s", wait)
	}
	if wait := l.take("a", now.Add(10*time.Second)); wait != 0 {
		t.Errorf("after the wait: %s", wait)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(2, time.Minute)
	now := time.Date(2027, 6, 14, 10, 0, 0, 0, time.UTC)
	for i := range maxLimited {
		l.take(fmt.Sprint(i), now)
	}
	for i, want := range []bool{true, true, false} { // strangers share one allowance
		if got := l.take(fmt.Sprint("stranger ", i), now) == 0; got != want {
			t.Errorf("stranger %d may try: %v", i, got)
		}
	}
	l.take("0", now)
	if l.take("0", now) == 0 {
		t.Error("a full table forgot who had tried")
	}
	if len(l.keys) > maxLimited {
		t.Errorf("%d keys", len(l.keys))
	}
	if later := now.Add(time.Hour); l.take("late", later) != 0 || len(l.keys) != 1 {
		t.Errorf("after an hour %d keys are left, want the new one", len(l.keys))
	}
}

func TestClient(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		why, remote string
		forwarded   []string
		want        string
	}{
		{"direct", "192.0.2.7:4711", nil, "192.0.2.7"},
		{"a stranger's header means nothing", "192.0.2.7:4711", []string{"198.51.100.1"}, "192.0.2.7"},
		{"our proxy's counts", "10.0.0.1:80", []string{"192.0.2.7"}, "192.0.2.7"},
		{"what the client itself sent stands before", "10.0.0.1:80", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		{"two proxies, two headers", "10.0.0.1:80", []string{"192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		{"rubbish from our proxy", "10.0.0.1:80", []string{"<script>"}, "10.0.0.1"},
		{"IPv6 by network", "[2001:db8:1:2:3:4:5:6]:4711", nil, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.7]:4711", nil, "192.0.2.7"},
		{"IPv6 proxy", "[fd00::1]:80", []string{"2001:db8:1:2::1"}, "2001:db8:1:2::/64"},
		{"a unix socket has no address", "@", nil, ""},
	} {
		s := &site{Options: Options{Proxies: proxies}}
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{"X-Forwarded-For": tc.forwarded}}
		if got := s.client(r); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.why, got, tc.want)
		}
	}
}
