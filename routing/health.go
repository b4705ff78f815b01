package routing

import "time"

// Result is what an attempt says of the trunk that it was made over.
type Result int

const (
	Unknown    Result = iota // nothing: the caller gave up, or we never got so far
	Answered                 // the far party answered
	Unanswered               // it was not reached, and the trunk is not to blame
	Failed                   // the failover table counts it against the trunk
)

// Health is the state of a trunk's breaker.
type Health string

const (
	Healthy Health = "healthy" // calls are taken
	Broken  Health = "broken"  // none are
	OnTrial Health = "trial"   // one is, to see whether the trunk works again
)

const (
	mostFailures = 5                // one after the other, that break a trunk
	mostUnheard  = 3                // probes one after the other, likewise
	firstBreak   = 10 * time.Second // from the break to the first trial
	longestBreak = 5 * time.Minute  // between trials
	recentCalls  = 40               // that the answer ratio is taken of
	pastCalls    = 200              // that it takes to know what is usual
	mostPast     = 10_000           // remembered; what is older fades
)

// breaker watches one trunk. It is a state machine of calls, probes and the registration, pure but for itself: every
// moment is told to it. A breaker is broken by failures one after the other, by an answer ratio far below the trunk's own
// history, by OPTIONS that are answered no longer, or by a registration that is refused. Broken by calls, it lets one call
// through after a while; that one's result decides. What OPTIONS and registration broke, they mend, and a trial follows.
type breaker struct {
	health Health
	why    string
	since  time.Time

	failures int           // one after the other
	pause    time.Duration // to the next trial
	trialAt  time.Time     // when it is due
	trying   bool          // it is on its way

	recent, past ratio

	heard   bool // a probe was answered since the start: silence means something
	unheard int  // probes one after the other
	down    map[signal]string
}

// signal is what tells of a trunk besides calls.
type signal int

const (
	byProbe signal = iota
	byRegistration
)

// ratio counts answers among calls.
type ratio struct{ answered, calls int64 }

func (r *ratio) add(answered bool) {
	r.calls++
	if answered {
		r.answered++
	}
}

func newBreaker(now time.Time, past ratio) breaker {
	return breaker{health: Healthy, since: now, past: past, down: map[signal]string{}}
}

// refuses tells whether a call may not be dialled now.
func (b *breaker) refuses(now time.Time) bool {
	switch {
	case len(b.down) > 0:
		return true
	case b.health == Healthy:
		return false
	}
	return b.trying || now.Before(b.trialAt)
}

// dialled notes that a call, which refuses let through, is on its way; true when it is the trial.
func (b *breaker) dialled(now time.Time) (trial bool) {
	if b.health == Healthy {
		return false
	}
	b.to(OnTrial, b.why, now)
	b.trying = true
	return true
}

// tried takes the result of an attempt; why says what failed. Of a broken trunk only the trial's counts: others were
// dialled before it broke.
func (b *breaker) tried(now time.Time, r Result, trial bool, why string) {
	if trial {
		b.trying = false
	}
	switch {
	case r == Unknown, b.health != Healthy && !trial:
		return
	case r == Failed && trial:
		b.pause = min(2*b.pause, longestBreak)
		b.trip(now, why)
		return
	case len(b.down) > 0:
		return
	case trial:
		b.mend(now)
	}
	b.recent.add(r == Answered)
	if r != Failed {
		b.failures = 0
	} else if b.failures++; b.failures >= mostFailures {
		b.trip(now, why)
		return
	}
	if b.recent.calls >= recentCalls {
		b.compare(now)
	}
}

// compare holds a full count of recent calls against what was usual up to then, and makes it part of that.
func (b *breaker) compare(now time.Time) {
	if b.past.calls >= pastCalls && b.recent.farBelow(b.past) {
		b.trip(now, "far fewer calls are answered than usual")
		return
	}
	b.past.answered += b.recent.answered
	b.past.calls += b.recent.calls
	if b.past.calls > mostPast {
		b.past.answered, b.past.calls = b.past.answered/2, b.past.calls/2
	}
	b.recent = ratio{}
}

// farBelow tells whether so few answers come less than once in thirty thousand times by chance (four standard deviations
// of the binomial distribution), and are less than half of what is usual.
func (r ratio) farBelow(usual ratio) bool {
	n := r.calls
	missing := n*usual.answered - r.answered*usual.calls // times usual.calls, as the variance is times its square
	return 2*r.answered*usual.calls < n*usual.answered &&
		missing*missing > 16*n*usual.answered*(usual.calls-usual.answered)
}

// trip breaks the trunk until the next trial.
func (b *breaker) trip(now time.Time, why string) {
	b.pause = max(b.pause, firstBreak)
	b.trialAt = now.Add(b.pause)
	b.to(Broken, why, now)
	b.failures, b.recent = 0, ratio{}
}

// mend takes the trunk back into use.
func (b *breaker) mend(now time.Time) {
	b.pause, b.failures, b.recent = 0, 0, ratio{}
	b.to(Healthy, "", now)
}

// to changes the state. Since when it is healthy, or is not, stays over trials.
func (b *breaker) to(h Health, why string, now time.Time) {
	if (b.health == Healthy) != (h == Healthy) {
		b.since = now
	}
	b.health, b.why = h, why
}

// probed takes the outcome of a probe by OPTIONS: why is empty when the carrier is there. A carrier that never answered one
// may just not take them, and is not judged by its silence.
func (b *breaker) probed(now time.Time, why string) {
	if why == "" {
		b.heard, b.unheard = true, 0
		b.signalled(now, byProbe, "")
		return
	}
	if b.unheard++; b.heard && b.unheard >= mostUnheard {
		b.signalled(now, byProbe, why)
	}
}

// signalled takes word of what is down, or up again when why is empty. The first call after it is a trial.
func (b *breaker) signalled(now time.Time, by signal, why string) {
	_, was := b.down[by]
	switch {
	case why != "":
		b.down[by] = why
		b.to(Broken, why, now)
	case was:
		delete(b.down, by)
		for _, other := range b.down {
			why = other
		}
		if b.trialAt = now; len(b.down) > 0 {
			b.to(Broken, why, now)
		} else {
			b.to(OnTrial, b.why, now)
		}
	}
}
