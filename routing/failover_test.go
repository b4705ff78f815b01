package routing_test

import (
	"testing"

	"telecommune/routing"
)

func TestVerdict(t *testing.T) {
	type f = routing.Failure
	for _, c := range []struct {
		proves string
		f      f
		want   routing.Verdict
	}{
		{"network failure", f{Network: true}, routing.Next},
		{"network failure after ringing", f{Network: true, Rang: true}, routing.Next},
		{"ring time-out", f{Rang: true}, routing.Stop},
		{"ring time-out, our CANCEL answered", f{SIP: 487, Rang: true}, routing.Stop},
		{"silence up to the ring time-out", f{}, routing.Next},
		{"silence, our CANCEL answered", f{SIP: 487}, routing.Next},
		{"a provisional answer is none", f{SIP: 183}, routing.Next},
		{"answered", f{SIP: 200}, routing.Stop},
		{"redirection", f{SIP: 302}, routing.Next},
		{"bad request", f{SIP: 400}, routing.Next},
		{"credentials refused", f{SIP: 401}, routing.Next},
		{"carrier wants money", f{SIP: 402}, routing.Next},
		{"forbidden", f{SIP: 403, Q850: 21}, routing.Next},
		{"not found by one trunk", f{SIP: 404, Q850: 1}, routing.Next},
		{"not found by a second trunk", f{SIP: 404, Q850: 1, NotFoundBefore: true}, routing.Stop},
		{"proxy credentials refused", f{SIP: 407}, routing.Next},
		{"time-out without ringing", f{SIP: 408}, routing.Next},
		{"time-out after ringing", f{SIP: 408, Rang: true}, routing.Stop},
		{"gone", f{SIP: 410}, routing.Stop},
		{"unavailable without ringing", f{SIP: 480, Q850: 19}, routing.Next},
		{"unavailable after ringing", f{SIP: 480, Q850: 19, Rang: true}, routing.Stop},
		{"unavailable that means busy", f{SIP: 480, Q850: 17}, routing.Stop},
		{"too many hops", f{SIP: 483}, routing.Next},
		{"address incomplete", f{SIP: 484}, routing.Next},
		{"address incomplete again", f{SIP: 484, NotFoundBefore: true}, routing.Stop},
		{"busy", f{SIP: 486, Q850: 17}, routing.Stop},
		{"no codec in common", f{SIP: 488}, routing.Next},
		{"a failure after a 404", f{SIP: 503, NotFoundBefore: true}, routing.Next},
		{"server error", f{SIP: 500, Q850: 38}, routing.Next},
		{"bad gateway", f{SIP: 502, Q850: 27}, routing.Next},
		{"unavailable", f{SIP: 503, Q850: 34}, routing.Next},
		{"unavailable after ringing", f{SIP: 503, Rang: true}, routing.Next},
		{"unavailable that means busy", f{SIP: 503, Q850: 17}, routing.Stop},
		{"unavailable that means no such number", f{SIP: 503, Q850: 1}, routing.Next},
		{"unavailable that means no such number, again", f{SIP: 503, Q850: 1, NotFoundBefore: true}, routing.Stop},
		{"gateway time-out", f{SIP: 504, Q850: 102}, routing.Next},
		{"gateway time-out after ringing", f{SIP: 504, Q850: 102, Rang: true}, routing.Next},
		{"busy everywhere", f{SIP: 600}, routing.Stop},
		{"declined", f{SIP: 603, Q850: 21}, routing.Stop},
		{"exists nowhere", f{SIP: 604}, routing.Stop},
		{"a 6xx of later days", f{SIP: 608}, routing.Stop},
		{"a status beyond all classes", f{SIP: 700}, routing.Next},
		{"cause alone: unallocated", f{Q850: 1}, routing.Next},
		{"cause alone: unallocated, again", f{Q850: 1, NotFoundBefore: true}, routing.Stop},
		{"cause alone: normal clearing", f{Q850: 16}, routing.Stop},
		{"cause alone: busy", f{Q850: 17}, routing.Stop},
		{"cause alone: no user responding", f{Q850: 18}, routing.Next},
		{"cause alone: no user responding, after ringing", f{Q850: 18, Rang: true}, routing.Stop},
		{"cause alone: no answer", f{Q850: 19, Rang: true}, routing.Stop},
		{"cause alone: rejected", f{Q850: 21}, routing.Stop},
		{"cause alone: number changed", f{Q850: 22}, routing.Stop},
		{"cause alone: address incomplete", f{Q850: 28}, routing.Next},
		{"cause alone: no circuit", f{Q850: 34}, routing.Next},
		{"cause alone: network out of order", f{Q850: 38, Rang: true}, routing.Next},
		{"cause alone: temporary failure", f{Q850: 41}, routing.Next},
		{"cause alone: timer", f{Q850: 102}, routing.Next},
		{"cause alone: interworking", f{Q850: 127}, routing.Next},
	} {
		if got := c.f.Verdict(); got != c.want {
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
