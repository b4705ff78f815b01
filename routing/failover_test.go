package routing_test

import (
	"fmt"
	"testing"

	"telecommune/routing"
)

func TestVerdict(t *testing.T) {
	type f = routing.Failure
	const (
		next  = "next trunk"
		doubt = "next " // nobody is blamed yet
		stop  = "stop party"
		done  = "stop "
	)
	for _, c := range []struct {
		proves string
		f      f
		want   string
	}{
		{"network failure", f{Network: true}, next},
		{"network failure after ringing", f{Network: true, Rang: true}, next},
		{"ring time-out", f{Rang: true}, stop},
		{"ring time-out, our CANCEL answered", f{SIP: 487, Rang: true}, stop},
		{"silence up to the ring time-out", f{}, next},
		{"silence, our CANCEL answered", f{SIP: 487}, next},
		{"a provisional answer is none", f{SIP: 183}, next},
		{"answered", f{SIP: 200}, done},
		{"redirection", f{SIP: 302}, next},
		{"bad request", f{SIP: 400}, next},
		{"credentials refused", f{SIP: 401}, next},
		{"carrier wants money", f{SIP: 402}, next},
		{"forbidden", f{SIP: 403, Q850: 21}, next},
		{"not found by one trunk", f{SIP: 404, Q850: 1}, doubt},
		{"not found by a second trunk", f{SIP: 404, Q850: 1, NotFoundBefore: true}, stop},
		{"proxy credentials refused", f{SIP: 407}, next},
		{"time-out without ringing", f{SIP: 408}, next},
		{"time-out after ringing", f{SIP: 408, Rang: true}, stop},
		{"gone", f{SIP: 410}, stop},
		{"unavailable without ringing", f{SIP: 480, Q850: 19}, next},
		{"unavailable after ringing", f{SIP: 480, Q850: 19, Rang: true}, stop},
		{"unavailable that means busy", f{SIP: 480, Q850: 17}, stop},
		{"too many hops", f{SIP: 483}, next},
		{"address incomplete", f{SIP: 484}, doubt},
		{"address incomplete again", f{SIP: 484, NotFoundBefore: true}, stop},
		{"busy", f{SIP: 486, Q850: 17}, stop},
		{"no codec in common", f{SIP: 488}, next},
		{"a failure after a 404", f{SIP: 503, NotFoundBefore: true}, next},
		{"server error", f{SIP: 500, Q850: 38}, next},
		{"bad gateway", f{SIP: 502, Q850: 27}, next},
		{"unavailable", f{SIP: 503, Q850: 34}, next},
		{"unavailable after ringing", f{SIP: 503, Rang: true}, next},
		{"unavailable that means busy", f{SIP: 503, Q850: 17}, stop},
		{"unavailable that means no such number", f{SIP: 503, Q850: 1}, doubt},
		{"unavailable that means no such number, again", f{SIP: 503, Q850: 1, NotFoundBefore: true}, stop},
		{"gateway time-out", f{SIP: 504, Q850: 102}, next},
		{"gateway time-out after ringing", f{SIP: 504, Q850: 102, Rang: true}, next},
		{"busy everywhere", f{SIP: 600}, stop},
		{"declined", f{SIP: 603, Q850: 21}, stop},
		{"exists nowhere", f{SIP: 604}, stop},
		{"a 6xx of later days", f{SIP: 608}, stop},
		{"a status beyond all classes", f{SIP: 700}, next},
		{"cause alone: unallocated", f{Q850: 1}, doubt},
		{"cause alone: unallocated, again", f{Q850: 1, NotFoundBefore: true}, stop},
		{"cause alone: normal clearing", f{Q850: 16}, stop},
		{"cause alone: busy", f{Q850: 17}, stop},
		{"cause alone: no user responding", f{Q850: 18}, next},
		{"cause alone: no user responding, after ringing", f{Q850: 18, Rang: true}, stop},
		{"cause alone: no answer", f{Q850: 19, Rang: true}, stop},
		{"cause alone: rejected", f{Q850: 21}, stop},
		{"cause alone: number changed", f{Q850: 22}, stop},
		{"cause alone: address incomplete", f{Q850: 28}, doubt},
		{"cause alone: no circuit", f{Q850: 34}, next},
		{"cause alone: network out of order", f{Q850: 38, Rang: true}, next},
		{"cause alone: temporary failure", f{Q850: 41}, next},
		{"cause alone: timer", f{Q850: 102}, next},
		{"cause alone: interworking", f{Q850: 127}, next},
	} {
		v := c.f.Verdict()
		if got := fmt.Sprintf("%s %s", v.Action, v.Blame); got != c.want {
			t.Errorf("%s: %+v: %s, want %s", c.proves, c.f, got, c.want)
		}
	}
}

func TestNotFound(t *testing.T) {
	for _, c := range []struct {
		f    routing.Failure
		want bool
	}{
		{routing.Failure{SIP: 404}, true},
		{routing.Failure{SIP: 484}, true},
		{routing.Failure{SIP: 503, Q850: 1}, true},
		{routing.Failure{Q850: 1}, true},
		{routing.Failure{SIP: 503, Q850: 34}, false},
		{routing.Failure{SIP: 486}, false},
		{routing.Failure{Network: true}, false},
		{routing.Failure{}, false},
	} {
		if got := c.f.NotFound(); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}
