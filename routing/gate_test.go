package routing_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"telecommune/routing"
)

func TestGateChannels(t *testing.T) {
	g := routing.NewGate()
	two := routing.Trunk{Code: "T1", Channels: 2}
	first, reason := take(g, two)
	if reason != "" {
		t.Fatal(reason)
	}
	if _, reason := take(g, two); reason != "" {
		t.Fatal(reason)
	}
	if reason := g.Full(two); reason != routing.Full {
		t.Errorf("Full = %q with all channels taken", reason)
	}
	refused, reason := take(g, two)
	if reason != routing.Full {
		t.Errorf("a third call: %q", reason)
	}
	refused()
	if reason := g.Full(two); reason != routing.Full {
		t.Error("releasing what was refused gave a channel back")
	}
	if _, reason := take(g, routing.Trunk{Code: "T2", Channels: 1}); reason != "" {
		t.Errorf("another trunk: %q", reason)
	}
	first()
	first()
	if _, reason := take(g, two); reason != "" {
		t.Errorf("after a release: %q", reason)
	}
	if _, reason := take(g, two); reason != routing.Full {
		t.Errorf("one call released twice gave two channels: %q", reason)
	}
	if _, reason := take(g, routing.Trunk{Code: "T1", Channels: 3}); reason != "" {
		t.Errorf("a limit raised meanwhile: %q", reason)
	}
	for range 1000 {
		if _, reason := take(g, routing.Trunk{Code: "T3"}); reason != "" {
			t.Fatalf("no limit: %q", reason)
		}
	}
}

func TestGateCPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := routing.NewGate()
		three := routing.Trunk{Code: "T1", CPS: 3}
		try := func(want routing.Reason) {
			t.Helper()
			release, got := take(g, three)
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
			release() // an ended call still counts in its second
		}
		try("")
		time.Sleep(900 * time.Millisecond)
		try("")
		try("")
		try(routing.CPS)
		time.Sleep(100*time.Millisecond - 1)
		try(routing.CPS)
		if reason := g.Full(three); reason != routing.CPS {
			t.Errorf("Full = %q", reason)
		}
		time.Sleep(1 * time.Nanosecond)
		try("") // the first is a second old, the two others are not: no burst of six around the edge of a second
		try(routing.CPS)
		time.Sleep(900 * time.Millisecond)
		try("")
		try("")
		try(routing.CPS)
	})
}

func TestGateRefusedByOneLimitDoesNotCountInTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := routing.NewGate()
		trunk := routing.Trunk{Code: "T1", Channels: 1, CPS: 2}
		release, _ := take(g, trunk)
		for range 5 {
			if _, reason := take(g, trunk); reason != routing.Full {
				t.Fatal(reason)
			}
		}
		release()
		if release, reason := take(g, trunk); reason != "" {
			t.Errorf("refused calls counted as begun: %q", reason)
		} else {
			release()
		}
		for range 5 {
			if _, reason := take(g, trunk); reason != routing.CPS {
				t.Fatal(reason)
			}
		}
		time.Sleep(time.Second)
		if _, reason := take(g, trunk); reason != "" {
			t.Errorf("refused calls took a channel: %q", reason)
		}
	})
}

func TestGateIsExactWithManyAtOnce(t *testing.T) {
	g := routing.NewGate()
	trunk := routing.Trunk{Code: "T1", Channels: 7}
	var taken, most, refused atomic.Int64
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			<-start
			for range 200 {
				release, reason := take(g, trunk)
				if reason != "" {
					refused.Add(1)
					continue
				}
				n := taken.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				taken.Add(-1)
				var both sync.WaitGroup
				both.Go(release)
				both.Go(release)
				both.Wait()
			}
		})
	}
	close(start)
	wg.Wait()
	if most.Load() > 7 {
		t.Errorf("%d calls at once over 7 channels", most.Load())
	}
	for range 7 {
		if _, reason := take(g, trunk); reason != "" {
			t.Fatalf("a channel was lost: %q", reason)
		}
	}
	if _, reason := take(g, trunk); reason != routing.Full {
		t.Errorf("a channel was won: %q", reason)
	}
	t.Logf("at most %d at once, %d refused", most.Load(), refused.Load())
}

func TestGateCPSWithManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := routing.NewGate()
		trunk := routing.Trunk{Code: "T1", CPS: 50}
		var taken atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if _, reason := take(g, trunk); reason == "" {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 50 {
			t.Errorf("%d of 200 calls in one instant, want 50", taken.Load())
		}
	})
}

// take claims a channel for a call that uses nothing, and gives how to release it.
func take(g *routing.Gate, t routing.Trunk) (release func(), reason routing.Reason) {
	claim, reason := g.Take(t, uuid.New(), routing.Usage{})
	if reason != "" {
		return func() {}, reason
	}
	return func() { claim.Release(routing.Usage{}) }, ""
}
