// Package conformance is the suite that every call engine passes (design.md 3): real calls, with SIPp and simulated
// phones and carriers at both ends and everything of ours in between: PostgreSQL, billing, routing, the exchange and
// the engine. After each call the database tells whether it was recorded and charged as it should.
package conformance

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// Engine is a call engine under test.
type Engine interface {
	pbx.Switch
	Addr() net.Addr         // where it takes SIP over UDP and TCP
	Ready() <-chan struct{} // closed when it does, which may be a while after its Run has begun
	// TestCall makes an acceptance call; Run must run.
	TestCall(ctx context.Context, to pbx.Target) pbx.TestCall
}

// Config is what an engine is started with.
type Config struct {
	Admission    func() *pbx.Admission
	Trunks       func() []routing.Trunk
	MediaTimeout time.Duration // how long RTP may stay away
	MaxCalls     int           // that the exchange takes at once, and a second; 0: no limit
	MaxCPS       int
	Log          *slog.Logger
}

// Start is how an engine is made, and what is its own.
type Start struct {
	// New makes an engine on loopback. Whatever it leaves when its Run has returned is removed by a clean-up of t.
	New func(t *testing.T, c Config) Engine
	Traits
}

// Traits are where engines may differ. All else they have in common.
type Traits struct {
	Transcodes   bool          // joins legs whose codecs differ
	Lax          bool          // has no answer to what it can't parse, and takes a call without Max-Forwards
	Patient      bool          // waits as long as RFC 3261 allows, 32 s, for a trunk that says nothing at all
	NoVoice      bool          // can't tell whether anything but silence came after an answer
	Doubles      bool          // takes a digit more than once that a phone sends by RFC 4733 and by SIP INFO
	Pace         int           // calls a second that it takes at most when SIP clients and all else share the machine with it; 0: a hundred
	LeastSession time.Duration // the shortest session timer that it takes part in (RFC 4028 section 4 demands 90 s); 0: any
}

// atOnce is how many cases run at once on a processor. They wait most of their time, for voice, time-outs and paid time.
const atOnce = 4

// Run runs the suite.
func Run(t *testing.T, start Start) {
	places := make(chan struct{}, atOnce*runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for _, group := range []struct {
		name  string
		cases []scenario
	}{
		{"failures", failures},
		{"calls", calls},
		{"talking", talking},
		{"input", input},
		{"engine", engine},
		{"acceptance", acceptance},
		{"secure", secure},
	} {
		for _, c := range group.cases {
			places <- struct{}{}
			running.Go(func() {
				defer func() { <-places }()
				t.Run(group.name+"/"+c.name, func(t *testing.T) { c.run(t, start) })
			})
		}
	}
	running.Wait()
}

// Brief runs the case that has a bit of everything: for a way to have an engine of which the suite has had another.
func Brief(t *testing.T, start Start) {
	for _, c := range calls {
		if c.name == wholeCall {
			t.Run(c.name, func(t *testing.T) { c.run(t, start) })
			return
		}
	}
	t.Fatal("there is no such case")
}

// scenario is one case of the suite.
type scenario struct {
	name string
	run  func(t *testing.T, start Start)
}
