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
	flood := func(format string) { // somebody who has very many addresses
		for i := range maxLimited + 10 {
			l.take(fmt.Sprintf(format, i), now)
		}
	}
	flood("2001:db8:1:%x::/64")
	for _, try := range []struct {
		client string
		may    bool
	}{
		{"2001:db8:1:ffff::/64", false}, // of the network that the flood comes from
		{"2001:db8:2:1::/64", true},
		{"2001:db8:2:2::/64", true},
		{"2001:db8:2:3::/64", false}, // two were let in from that network
		{"192.0.2.1", true},
		{"192.0.2.2", true},
		{"192.0.2.3", false},
		{"198.51.100.1", true},
	} {
		if may := l.take(try.client, now) == 0; may != try.may {
			t.Errorf("%s may try: %v", try.client, may)
		}
	}
	known := "2001:db8:1:0::/64"
	l.take(known, now)
	if l.take(known, now) == 0 {
		t.Error("a full table forgot who had tried")
	}
	flood("2001:db8:%x::/64") // and now networks
	if len(l.clients) > maxLimited || len(l.networks) > maxLimited {
		t.Errorf("%d clients, %d networks", len(l.clients), len(l.networks))
	}
	if l.take("203.0.113.1", now) == 0 {
		t.Error("the rest has no limit")
	}
	if later := now.Add(time.Hour); l.take("late", later) != 0 || len(l.clients) != 1 {
		t.Errorf("after an hour %d clients are left, want the new one", len(l.clients))
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
