package routing

import (
	"strings"
	"sync"
	"time"
)

// Destinations remembers how calls to each destination go, over all trunks, to tell answers that nobody gave: a carrier,
// or someone behind it, that answers in the far party's stead lets callers pay for silence or a ring tone (false answer
// supervision).
type Destinations struct {
	mu   sync.Mutex
	seen map[string]Usual
}

// Usual is how calls to a destination went: sums over so many of them.
type Usual struct {
	Calls int64
	Delay time.Duration // from INVITE to answer
	Talk  time.Duration // from answer to hang-up
}

// AnsweredCall is what is known of a call that was answered.
type AnsweredCall struct {
	Delay  time.Duration // from INVITE to answer
	Talk   time.Duration // from answer to hang-up
	Silent time.Duration // from the answer to the far side's first voice; all of Talk when there was none
}

const (
	fewCalls     = 20               // tell nothing of a destination
	fadingCalls  = 1000             // remembered of one; what is older fades
	mostSeen     = 20_000           // destinations
	longSilence  = 10 * time.Second // before somebody who answered says a word
	shortTalk    = 10 * time.Second // that a call may be short of
	judgedAtAll  = 3 * time.Second  // shorter calls are no time to say a word in
	timesFaster  = 4                // than usual
	timesShorter = 10
)

// NewDestinations makes a memory of what was usual of late.
func NewDestinations(usual map[string]Usual) *Destinations {
	d := &Destinations{seen: map[string]Usual{}}
	for destination, u := range usual {
		if len(d.seen) < mostSeen {
			d.seen[destination] = u
		}
	}
	return d
}

// Suspect tells why an answer looks false, in words with spaces between: silence (nothing but that came in the first ten
// seconds, or in all of a call that was shorter), fast (four times as fast as usual of the destination), short (ten times
// as short). It is empty for a call that looks as it should. The call becomes part of what is usual.
func (d *Destinations) Suspect(destination string, c AnsweredCall) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	usual := d.seen[destination]
	var why []string
	if c.Talk >= judgedAtAll && c.Silent >= min(longSilence, c.Talk) {
		why = append(why, "silence")
	}
	if usual.Calls >= fewCalls {
		if c.Delay*timesFaster*time.Duration(usual.Calls) < usual.Delay {
			why = append(why, "fast")
		}
		if c.Talk < shortTalk && c.Talk*timesShorter*time.Duration(usual.Calls) < usual.Talk {
			why = append(why, "short")
		}
	}
	d.learn(destination, usual, c)
	return strings.Join(why, " ")
}

func (d *Destinations) learn(destination string, usual Usual, c AnsweredCall) {
	if usual.Calls == 0 && len(d.seen) >= mostSeen {
		return
	}
	if usual.Calls >= fadingCalls {
		usual = Usual{usual.Calls / 2, usual.Delay / 2, usual.Talk / 2}
	}
	d.seen[destination] = Usual{usual.Calls + 1, usual.Delay + c.Delay, usual.Talk + c.Talk}
}
