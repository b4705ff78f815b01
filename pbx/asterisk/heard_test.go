package asterisk

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestProves: what was told proves that all before it has been read; what is older, or bears no time, proves nothing more.
func TestProves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(Config{}, nil)
		e.proves(event{})
		if got := e.heard(); !got.IsZero() {
			t.Errorf("an event without a time proves all up to %s", got)
		}
		theirs, ours := second(0), time.Now()
		e.proves(event{Timestamp: stamp{theirs}})
		time.Sleep(time.Minute)
		for _, tt := range []struct{ after, want time.Duration }{{20 * time.Second, 20 * time.Second}, {10 * time.Second, 20 * time.Second}, {time.Minute, time.Minute}} {
			e.proves(event{Timestamp: stamp{theirs.Add(tt.after)}})
			if got := e.heard().Sub(ours); got != tt.want {
				t.Errorf("after an event of %s all is read up to %s, want %s", tt.after, got, tt.want)
			}
		}
	})
}

// TestSighted: a leg is known to be there up to when it was asked for, not to when the answer came. It is in doubt from when
// it is out of sight, or nothing was heard for a while; one that has ended never is.
func TestSighted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		e := newEngine(Config{}, nil)
		e.proved = began
		l := newLeg(e, out)
		doubt := func(what string, want time.Time) {
			t.Helper()
			if got := l.doubtSince(); !got.Equal(want) {
				t.Errorf("%s: in doubt since %s, want %s", what, got, want)
			}
		}
		time.Sleep(current)
		doubt("heard of a moment ago", time.Time{})
		time.Sleep(time.Nanosecond)
		doubt("not heard of for a while", began)
		asked := time.Now()
		time.Sleep(3 * time.Second) // that the answer takes
		l.sighted(asked, "Ring")
		doubt("sighted", asked)
		e.proved = time.Now()
		doubt("heard of", time.Time{})
		l.unseen = time.Now()
		doubt("out of sight", l.unseen)
		l.cancel()
		doubt("ended", time.Time{})
	})
}
