package routing_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/money"
	"telecommune/routing"
)

// health is a gate with one trunk, for stories of its health.
type health struct {
	*routing.Gate
	t     *testing.T
	trunk routing.Trunk
}

// stories runs a story in fake time.
func onHealth(t *testing.T, story func(h health)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		story(health{routing.NewGate(), t, routing.Trunk{Code: "T1"}})
	})
}

// call makes a call that comes out so, if it is let.
func (h health) call(r routing.Result) (refused routing.Reason) {
	claim, reason := h.Take(h.trunk, uuid.New(), routing.Usage{})
	if reason == "" {
		claim.Tried(r, "SIP 503")
		claim.Release(routing.Usage{})
	}
	return reason
}

func (h health) is(proves string, want routing.Health, refuses routing.Reason) {
	h.t.Helper()
	if l := h.Live(h.trunk); l.Health != want || l.Refuses != refuses || (l.Why == "") != (want == routing.Healthy) {
		h.t.Errorf("%s: %s, refuses %q, because %q; want %s, %q", proves, l.Health, l.Refuses, l.Why, want, refuses)
	}
}

func (h health) fails(times int) {
	for range times {
		h.call(routing.Failed)
	}
}

func TestFailuresBreakATrunk(t *testing.T) {
	onHealth(t, func(h health) {
		h.fails(4)
		h.call(routing.Unanswered)
		h.fails(4)
		h.call(routing.Unknown)
		h.is("four failures, and a busy party between them", routing.Healthy, "")
		time.Sleep(time.Hour)
		began := time.Now()
		h.fails(1)
		h.is("a fifth, nothing of note between", routing.Broken, routing.Unhealthy)
		if l := h.Live(h.trunk); !l.Since.Equal(began) || l.Why != "SIP 503" {
			t.Errorf("since %s because of %q", l.Since, l.Why)
		}
		if h.call(routing.Answered) != routing.Unhealthy {
			t.Error("dialled all the same")
		}
		time.Sleep(10*time.Second - 1)
		h.is("just before the trial", routing.Broken, routing.Unhealthy)
		time.Sleep(time.Nanosecond)
		claim, reason := h.Take(h.trunk, uuid.New(), routing.Usage{})
		if reason != "" {
			t.Fatal(reason)
		}
		h.is("the trial is on its way, and no other", routing.OnTrial, routing.Unhealthy)
		claim.Tried(routing.Answered, "")
		claim.Tried(routing.Failed, "twice")
		h.is("it came through", routing.Healthy, "")
		h.fails(4)
		h.is("it counts from anew", routing.Healthy, "")
	})
}

func TestTrialsBackOff(t *testing.T) {
	onHealth(t, func(h health) {
		h.fails(5)
		began := h.Live(h.trunk).Since
		for _, pause := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
			time.Sleep(pause*time.Second - 1)
			h.is("before the trial", routing.Broken, routing.Unhealthy)
			time.Sleep(time.Nanosecond)
			if reason := h.call(routing.Failed); reason != "" {
				t.Fatalf("after %d s: %s", pause, reason)
			}
		}
		if !h.Live(h.trunk).Since.Equal(began) {
			t.Error("it is not known since when it does not work")
		}
		time.Sleep(300 * time.Second)
		if h.call(routing.Unknown); h.call(routing.Unanswered) != "" {
			t.Error("a trial whose caller gave up is not made again")
		}
		h.is("a party that does not answer was reached", routing.Healthy, "")
		h.fails(5)
		time.Sleep(10 * time.Second)
		if h.call(routing.Answered) != "" {
			t.Error("the pauses did not begin anew")
		}
	})
}

// TestCallsInFlight: what was dialled before the break says nothing of the trunk after it.
func TestCallsInFlight(t *testing.T) {
	onHealth(t, func(h health) {
		var claims []*routing.Claim
		for range 12 {
			claim, _ := h.Take(h.trunk, uuid.New(), routing.Usage{})
			claims = append(claims, claim)
		}
		for _, c := range claims[:5] {
			c.Tried(routing.Failed, "SIP 503")
		}
		claims[5].Tried(routing.Answered, "")
		h.is("an answer of before", routing.Broken, routing.Unhealthy)
		time.Sleep(5 * time.Second)
		for _, c := range claims[6:] {
			c.Tried(routing.Failed, "SIP 503")
		}
		time.Sleep(5 * time.Second)
		h.is("failures of before don't put the trial off", routing.Broken, "")
	})
}

func TestAnswerRatioBreaksATrunk(t *testing.T) {
	for _, c := range []struct {
		proves string
		past   routing.Record
		every  int // one call of so many is answered
		want   routing.Health
	}{
		{"as usual", routing.Record{Attempts: 1000, Answered: 500}, 2, routing.Healthy},
		{"less than usual, yet not strange", routing.Record{Attempts: 1000, Answered: 500}, 4, routing.Healthy},
		{"hardly any", routing.Record{Attempts: 1000, Answered: 500}, 20, routing.Broken},
		{"hardly any, as ever", routing.Record{Attempts: 1000, Answered: 50}, 20, routing.Healthy},
		{"nothing is known of it", routing.Record{Attempts: 100, Answered: 50}, 20, routing.Healthy},
		{"none of few", routing.Record{Attempts: 1000, Answered: 100}, 1000, routing.Healthy}, // by chance once in seventy
	} {
		onHealth(t, func(h health) {
			h.Remember(map[string]routing.Record{"T1": c.past})
			for i := range 40 {
				if i%c.every == c.every-1 {
					h.call(routing.Answered)
				} else {
					h.call(routing.Unanswered)
				}
			}
			if l := h.Live(h.trunk); l.Health != c.want {
				t.Errorf("%s: %s, %s", c.proves, l.Health, l.Why)
			}
		})
	}
}

func TestProbes(t *testing.T) {
	onHealth(t, func(h health) {
		const silent = "no answer to OPTIONS"
		for range 10 {
			h.Probed("T1", silent)
		}
		h.is("it never answered a probe: maybe it takes none", routing.Healthy, "")
		h.Probed("T1", "")
		h.Probed("T1", silent)
		h.Probed("T1", silent)
		h.is("two went missing", routing.Healthy, "")
		h.Probed("T1", silent)
		h.is("three", routing.Broken, routing.Unhealthy)
		time.Sleep(time.Hour)
		h.is("no trial before it answers", routing.Broken, routing.Unhealthy)
		h.Probed("T1", "")
		h.is("it is back: the next call is a trial", routing.OnTrial, "")
		if h.call(routing.Failed) != "" {
			t.Error("no trial")
		}
		h.is("which failed", routing.Broken, routing.Unhealthy)
		time.Sleep(10 * time.Second)
		h.call(routing.Answered)
		h.is("and then did not", routing.Healthy, "")

		for range 3 {
			h.Probed("T1", silent)
		}
		h.Probing("T1")
		h.is("it is not probed any more", routing.OnTrial, "")
	})
}

func TestRegistration(t *testing.T) {
	onHealth(t, func(h health) {
		h.Registered("T1", "")
		h.is("registered", routing.Healthy, "")
		h.Registered("T1", "registration refused: 403")
		h.Probed("T1", "")
		h.is("refused, whatever OPTIONS says", routing.Broken, routing.Unhealthy)
		if l := h.Live(h.trunk); !strings.Contains(l.Why, "403") {
			t.Errorf("because of %q", l.Why)
		}
		h.Registered("T1", "")
		h.call(routing.Answered)
		h.is("registered again, and a call came through", routing.Healthy, "")
	})
}

func TestLimits(t *testing.T) {
	const each = 10 * money.Cent
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when synctest begins
	at := day
	for _, c := range []struct {
		proves string
		trunk  routing.Trunk
		spent  routing.Spent
		most   routing.Usage
		want   routing.Reason
	}{
		{"no limit", routing.Trunk{}, routing.Spent{Day: routing.Usage{Seconds: 1e9, Cost: 1e15}}, routing.Usage{Seconds: 60, Cost: each}, ""},
		{"the last minute of the day", routing.Trunk{MinutesDay: 10}, routing.Spent{Day: routing.Usage{Seconds: 540}}, routing.Usage{Seconds: 60}, ""},
		{"and a second more", routing.Trunk{MinutesDay: 10}, routing.Spent{Day: routing.Usage{Seconds: 541}}, routing.Usage{Seconds: 60}, routing.SpendLimit},
		{"the month's are counted apart", routing.Trunk{MinutesMonth: 10}, routing.Spent{Day: routing.Usage{Seconds: 541}, Month: routing.Usage{Seconds: 60}}, routing.Usage{Seconds: 60}, ""},
		{"the last cent of the month", routing.Trunk{SpendMonth: money.Unit}, routing.Spent{Month: routing.Usage{Cost: money.Unit - each}}, routing.Usage{Cost: each}, ""},
		{"and a millionth more", routing.Trunk{SpendMonth: money.Unit}, routing.Spent{Month: routing.Usage{Cost: money.Unit - each + 1}}, routing.Usage{Cost: each}, routing.SpendLimit},
		{"all used, for whoever asks without a call", routing.Trunk{SpendDay: money.Unit}, routing.Spent{Day: routing.Usage{Cost: money.Unit}}, routing.Usage{}, routing.SpendLimit},
		{"prepaid, down to the floor", routing.Trunk{Prepaid: 10 * money.Unit, PrepaidFloor: money.Unit, PrepaidAt: &at}, routing.Spent{Prepaid: 9*money.Unit - each}, routing.Usage{Cost: each}, ""},
		{"and below it", routing.Trunk{Prepaid: 10 * money.Unit, PrepaidFloor: money.Unit, PrepaidAt: &at}, routing.Spent{Prepaid: 9*money.Unit - each + 1}, routing.Usage{Cost: each}, routing.NoBalance},
		{"a floor below zero is credit", routing.Trunk{PrepaidFloor: -money.Unit, PrepaidAt: &at}, routing.Spent{Prepaid: money.Unit - each}, routing.Usage{Cost: each}, ""},
		{"nothing left, for whoever asks without a call", routing.Trunk{PrepaidAt: &at}, routing.Spent{}, routing.Usage{}, routing.NoBalance},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := routing.NewGate()
			c.trunk.Code = "T1"
			c.spent.DayEnds, c.spent.MonthEnds = day.AddDate(0, 0, 1), day.AddDate(0, 1, 0)
			g.Settled(map[string]routing.Spent{"T1": c.spent}, nil)
			if c.most == (routing.Usage{}) {
				if got := g.Full(c.trunk); got != c.want {
					t.Errorf("%s: %q", c.proves, got)
				}
				return
			}
			if _, got := g.Take(c.trunk, uuid.New(), c.most); got != c.want {
				t.Errorf("%s: %q, want %q", c.proves, got, c.want)
			}
		})
	}
}

// TestLimitsOverTime: a running call counts with what it may use, an ended one with what it used, one that the database
// knows there alone; another day begins at nothing.
func TestLimitsOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, call := routing.NewGate(), uuid.New()
		trunk := routing.Trunk{Code: "T1", MinutesDay: 10, MinutesMonth: 100}
		ends := time.Now().AddDate(0, 0, 1)
		in := func(day, month int64) map[string]routing.Spent {
			return map[string]routing.Spent{"T1": {
				Day: routing.Usage{Seconds: day}, Month: routing.Usage{Seconds: month}, DayEnds: ends, MonthEnds: ends.AddDate(0, 1, 0),
			}}
		}
		left := func(proves string, seconds int64) {
			t.Helper()
			for _, c := range []struct {
				seconds int64
				want    routing.Reason
			}{{seconds, ""}, {seconds + 1, routing.SpendLimit}} {
				claim, got := g.Take(trunk, uuid.New(), routing.Usage{Seconds: c.seconds})
				if got != c.want {
					t.Errorf("%s: %q for %d s", proves, got, c.seconds)
				}
				if claim != nil {
					claim.Release(routing.Usage{})
				}
			}
		}
		g.Settled(in(0, 0), nil)
		claim, _ := g.Take(trunk, call, routing.Usage{Seconds: 120})
		left("a call runs", 480)
		claim.Extend(routing.Usage{Seconds: 180})
		left("and is extended", 420)
		g.Settled(in(0, 0), []uuid.UUID{call})
		left("and is not over, whatever the database says", 420)
		claim.Release(routing.Usage{Seconds: 30})
		claim.Release(routing.Usage{Seconds: 300})
		claim.Extend(routing.Usage{Seconds: 300})
		left("it is over", 570)
		g.Settled(in(60, 60), nil)
		left("another node's call", 510)
		g.Settled(in(90, 90), g.Unsettled())
		left("it is in the database", 510)
		if n := len(g.Unsettled()); n > 0 {
			t.Errorf("%d calls are remembered", n)
		}
		time.Sleep(time.Until(ends) - 1)
		left("a moment before midnight", 510)
		time.Sleep(time.Nanosecond)
		left("another day", 600)
	})
}

func TestSuspect(t *testing.T) {
	const s = time.Second
	usual := map[string]routing.Usual{
		"380": {Calls: 20, Delay: 20 * 12 * s, Talk: 20 * 180 * s},
		"49":  {Calls: 19, Delay: 19 * 12 * s, Talk: 19 * 180 * s},
	}
	for _, c := range []struct {
		proves, to, want string
		call             routing.AnsweredCall
	}{
		{"as usual", "380", "", routing.AnsweredCall{Delay: 10 * s, Talk: 100 * s, Silent: s}},
		{"nobody says a word", "380", "silence", routing.AnsweredCall{Delay: 10 * s, Talk: 100 * s, Silent: 100 * s}},
		{"nor in a shorter call", "380", "silence", routing.AnsweredCall{Delay: 10 * s, Talk: 19 * s, Silent: 19 * s}},
		{"somebody does, late", "380", "silence", routing.AnsweredCall{Delay: 10 * s, Talk: 100 * s, Silent: 11 * s}},
		{"somebody does", "380", "", routing.AnsweredCall{Delay: 10 * s, Talk: 100 * s, Silent: 9 * s}},
		{"too short to say one", "49", "", routing.AnsweredCall{Delay: 10 * s, Talk: 2 * s, Silent: 2 * s}},
		{"answered in less than a quarter of the time", "380", "fast", routing.AnsweredCall{Delay: 3*s - 1, Talk: 100 * s}},
		{"in a quarter", "380", "", routing.AnsweredCall{Delay: 3 * s, Talk: 100 * s}},
		{"over after a word", "380", "short", routing.AnsweredCall{Delay: 10 * s, Talk: 9 * s}},
		{"short, for calls that are long", "380", "", routing.AnsweredCall{Delay: 10 * s, Talk: 10 * s}},
		{"all at once", "380", "silence fast short", routing.AnsweredCall{Delay: s, Talk: 5 * s, Silent: 5 * s}},
		{"little is known of the destination", "49", "", routing.AnsweredCall{Delay: s, Talk: s}},
		{"nothing is", "1", "", routing.AnsweredCall{Delay: s, Talk: s}},
	} {
		if got := routing.NewDestinations(usual).Suspect(c.to, c.call); got != c.want {
			t.Errorf("%s: %q, want %q", c.proves, got, c.want)
		}
	}
	d := routing.NewDestinations(usual)
	d.Suspect("49", routing.AnsweredCall{Delay: 12 * s, Talk: 180 * s})
	if got := d.Suspect("49", routing.AnsweredCall{Delay: s, Talk: 100 * s}); got != "fast" {
		t.Errorf("it did not learn: %q", got)
	}
}
