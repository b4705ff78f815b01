package asterisk

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
)

var (
	lost  = uuid.New() // a call whose run was killed
	out   = lost.String() + "-1"
	out2  = lost.String() + "-2"
	other = uuid.NewString() + "-1" // of another call
)

// second is so many seconds after an instant when calls were made.
func second(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 0) }

// TestTalk: a talk is two channels that are up, in the bridge of a call whose far side is one of them.
func TestTalk(t *testing.T) {
	up := map[string]channel{"in": {State: "Up"}, out: {State: "Up"}, "third": {State: "Up"}, "rings": {State: "Ring"}, other: {State: "Up"}}
	rings := map[string]channel{"in": {State: "Up"}, out: {State: "Ringing"}}
	for what, tt := range map[string]struct {
		channels    map[string]channel
		bridges     map[string][]string
		far, caller string
	}{
		"the caller first":      {up, map[string][]string{out: {"in", out}}, out, "in"},
		"the far side first":    {up, map[string][]string{out: {out, "in"}}, out, "in"},
		"not answered":          {rings, map[string][]string{out: {"in", out}}, "", ""},
		"the caller is not up":  {up, map[string][]string{out: {"rings", out}}, "", ""},
		"the caller has left":   {up, map[string][]string{out: {out}}, "", ""},
		"a third":               {up, map[string][]string{out: {"in", out, "third"}}, "", ""},
		"the far side has left": {up, map[string][]string{out: {out, out}}, "", ""},
		"another call":          {up, map[string][]string{other: {"in", other}}, "", ""},
	} {
		if far, caller := (scene{channels: tt.channels, bridges: tt.bridges}).talk(lost); far != tt.far || caller != tt.caller {
			t.Errorf("%s: %q and %q, want %q and %q", what, far, caller, tt.far, tt.caller)
		}
	}
}

// TestRemains: what is hung up of a call that is over, and when it is too early to say that it is.
func TestRemains(t *testing.T) {
	for what, tt := range map[string]struct {
		scene            scene
		ids              []string
		dialling, hidden bool
	}{
		"nothing":         {scene{channels: map[string]channel{other: {State: "Ring"}}, bridges: map[string][]string{other: {"x"}}, led: []string{other + "2"}}, nil, false, false},
		"one is dialled":  {scene{channels: map[string]channel{out: {State: "Ring"}}}, []string{out}, true, false},
		"one is answered": {scene{channels: map[string]channel{out: {State: "Up"}}}, []string{out}, false, false},
		"the caller":      {scene{bridges: map[string][]string{out: {"in"}}}, []string{"in"}, false, false},
		"not to be seen":  {scene{led: []string{out}}, nil, false, true},
		"seen":            {scene{led: []string{out}, channels: map[string]channel{out: {State: "Up"}}}, []string{out}, false, false},
	} {
		ids, dialling, hidden := tt.scene.remains(lost)
		if !slices.Equal(ids, tt.ids) || dialling != tt.dialling || hidden != tt.hidden {
			t.Errorf("%s: %v, dialling %t, hidden %t", what, ids, dialling, hidden)
		}
	}
}

// TestMissing: a call is over when it is not seen twice, a while apart, and not where it may only be out of sight.
func TestMissing(t *testing.T) {
	e := newEngine(Config{}, nil)
	for i, step := range []struct {
		at     time.Time
		hidden bool
		want   bool
	}{
		{second(0), false, false},
		{second(0).Add(lookAgain - 1), false, false},
		{second(0).Add(lookAgain), false, true},
		{second(10), true, false}, // it is seen again, or could be
		{second(20), false, false},
		{second(20).Add(lookAgain), false, true},
	} {
		if got := e.missing(lost, step.at, step.hidden); got != step.want {
			t.Errorf("look %d: missing %t", i, got)
		}
	}
}

// TestTold: what Asterisk has written down of a call.
func TestTold(t *testing.T) {
	const name = "PJSIP/trunk~alpha-00000001"
	far := func(started, answered, ended time.Time) trace {
		return trace{started: started, answered: answered, ended: ended, name: name, first: "in"}
	}
	var never time.Time
	ended := func(answered, ended time.Time) pbx.Left {
		return pbx.Left{Trunk: "alpha", AnsweredAt: answered, EndedAt: ended}
	}
	for what, tt := range map[string]struct {
		history map[string]trace
		known   time.Time // the answer, from the last sign of life
		left    pbx.Left
		over    bool
	}{
		"nothing":              {nil, never, pbx.Left{}, false},
		"another call":         {map[string]trace{other: far(second(1), second(2), second(3))}, never, pbx.Left{}, false},
		"the far side hung up": {map[string]trace{out: far(second(1), second(2), second(9)), "in": {ended: second(12)}}, never, ended(second(2), second(9)), true},
		"the caller hung up":   {map[string]trace{out: far(second(1), second(2), second(9)), "in": {ended: second(7)}}, never, ended(second(2), second(7)), true},
		"the caller alone":     {map[string]trace{out: far(second(1), second(2), never), "in": {ended: second(7)}}, never, ended(second(2), second(7)), true},
		"they talk":            {map[string]trace{out: far(second(1), second(2), never)}, never, ended(second(2), never), false},
		"no answer":            {map[string]trace{out: far(second(1), never, second(9))}, never, pbx.Left{Trunk: "alpha"}, true},
		"no answer yet":        {map[string]trace{out: far(second(1), never, never)}, never, pbx.Left{Trunk: "alpha"}, false},
		"a second attempt":     {map[string]trace{out: far(second(1), never, second(2)), out2: far(second(3), never, never)}, never, pbx.Left{Trunk: "alpha"}, false},
		"the last attempt's trunk": {map[string]trace{
			out:  {started: second(1), ended: second(2), name: "PJSIP/trunk~beta-00000001", first: "in"},
			out2: far(second(3), never, second(4)),
		}, never, pbx.Left{Trunk: "alpha"}, true},
		"the answer is long ago":   {map[string]trace{out: far(second(1), never, second(9))}, second(3), ended(second(3), second(9)), true},
		"it was another's answer":  {map[string]trace{out: far(second(1), never, second(2))}, second(3), pbx.Left{Trunk: "alpha"}, true},
		"the beginning is missing": {map[string]trace{out: {answered: second(2), ended: second(9)}}, never, pbx.Left{}, false},
	} {
		for range 20 { // in whatever order they are looked at
			left, over := (scene{history: tt.history}).told(pbx.Unled{Call: lost, Answered: tt.known})
			if left != tt.left || over != tt.over {
				t.Fatalf("%s: %+v, over %t; want %+v, %t", what, left, over, tt.left, tt.over)
			}
		}
	}
}

// TestResume: a side of a talk was answered when Asterisk says, else when the last sign of life did, else when it was found;
// until it is looked at, it is known to be there up to when it was found.
func TestResume(t *testing.T) {
	const found = 9
	for what, tt := range map[string]struct {
		written, known, want time.Time
	}{
		"written down": {second(2), second(3), second(2)},
		"a sign":       {time.Time{}, second(3), second(3)},
		"neither":      {time.Time{}, time.Time{}, second(found)},
	} {
		e := newEngine(Config{}, nil)
		e.proved = second(found + 5) // by events of others
		l := newLeg(e, out)
		l.resume(scene{at: second(found), history: map[string]trace{out: {answered: tt.written}}}, tt.known)
		if at := l.AnsweredAt(); at.Sub(tt.want).Abs() > 100*time.Millisecond {
			t.Errorf("%s: answered at %s, want %s", what, at, tt.want)
		}
		if at := l.doubtSince(); !at.Equal(second(found)) {
			t.Errorf("%s: there until %s, want %s", what, at, second(found))
		}
	}
}

// TestNothingInherited: in an Asterisk that we have started no call of an earlier run goes on, and nothing is waited for.
func TestNothingInherited(t *testing.T) {
	e := newEngine(Config{}, nil)
	close(e.ready)
	told, err := e.Recover(t.Context(), []pbx.Unled{{Call: lost}})
	if left, ok := told[lost]; err != nil || !ok || left != (pbx.Left{}) {
		t.Errorf("%v, %v", told, err)
	}
}
