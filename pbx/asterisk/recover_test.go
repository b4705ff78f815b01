package asterisk

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

const (
	brief   = e164.Number("+442079460002") // hangs up soon
	nobody  = e164.Number("+442079460003") // rings for ever
	soon    = 2 * time.Second
	trunkNo = "t-1"
)

// TestTakenOver: an engine finds the calls of another that was cut off. A talk goes on, and its digits, its end and its
// answer are known; one that ended meanwhile has its times; what was dialled, asked or is led by nobody is hung up. The
// other engine lets go without a word.
func TestTakenOver(t *testing.T) {
	far, err := simcarrier.Start(context.Background(), simcarrier.CarrierConfig{
		Default: simcarrier.Behaviour{Sound: simcarrier.Tone},
		Numbers: map[string]simcarrier.Behaviour{brief.Digits(): {HangUp: soon}, nobody.Digits(): {Forever: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	calls := map[e164.Number]uuid.UUID{friend: uuid.New(), brief: uuid.New(), nobody: uuid.New(), "": uuid.New()}
	next, ends := make(chan e164.Number, len(calls)), make(chan pbx.End, 2*len(calls))
	r := start(t, func(ctx context.Context, r *rig, in pbx.Leg) {
		_ = in.Answer(ctx)
		number := <-next
		for attempt := 1; number != "" && ctx.Err() == nil; attempt++ { // the trunk is known in a moment
			out, err := r.Dial(ctx, in, pbx.Target{
				Call: calls[number], Attempt: attempt, Trunk: routing.Trunk{Code: trunkNo}, Number: number,
				RingTimeout: time.Minute, Limit: time.Minute,
			})
			if err == nil {
				<-out.Done()
				ends <- out.End()
				break
			}
		}
		<-in.Done()
		ends <- in.End()
	})
	r.trunks.Store(&[]routing.Trunk{{Code: trunkNo, Address: far.Addr(), Enabled: true}})
	record := func(n e164.Number, is func(simcarrier.Record) bool) simcarrier.Record {
		t.Helper()
		got, err := far.Await(r.ctx, func(c simcarrier.Record) bool { return c.Number == n.Digits() && is(c) })
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	answered := func(c simcarrier.Record) bool { return !c.Answered.IsZero() }
	phones := map[e164.Number]*simcarrier.Call{}
	for number := range calls {
		phones[number] = r.call()
		next <- number
	}
	talk := record(friend, answered)
	record(nobody, func(simcarrier.Record) bool { return true })
	record(brief, answered)

	first := r.Engine
	left := r.ended
	r.run(func(context.Context, *rig, pbx.Leg) { t.Error("a call came in") })
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(context.Background(), 3*patience) // what is led by nobody takes half of that
	defer cancel()
	if err := wait(r, left); !errors.Is(err, errReplaced) {
		t.Errorf("the one that was cut off ended by %v", err)
	}
	for len(ends) > 0 {
		if end := <-ends; end.By != pbx.ByAnother {
			t.Errorf("it says that a leg has ended by %+v", end)
		}
	}
	over := record(brief, simcarrier.Record.Done)

	var asked []pbx.Unled
	for _, call := range calls {
		asked = append(asked, pbx.Unled{Call: call})
	}
	asked = append(asked, pbx.Unled{Call: uuid.New()}) // of which Asterisk knows nothing
	found := map[uuid.UUID]pbx.Left{}
	for len(asked) > 0 {
		told, err := r.Recover(r.ctx, asked)
		if err != nil {
			t.Fatal(err)
		}
		rest := asked[:0:0]
		for _, c := range asked {
			if l, ok := told[c.Call]; ok {
				found[c.Call] = l
			} else {
				rest = append(rest, c)
			}
		}
		if asked = rest; len(asked) > 0 {
			time.Sleep(lookAlive)
		}
	}
	near := func(what string, got, want time.Time) {
		t.Helper()
		if d := got.Sub(want).Abs(); d > 500*time.Millisecond {
			t.Errorf("%s at %s, want %s", what, got, want)
		}
	}
	for number, call := range calls {
		switch l := found[call]; {
		case number == friend:
			if l.Caller == nil || l.Far == nil || l.Trunk != trunkNo {
				t.Fatalf("a talk is %+v", l)
			}
			near("answered", l.AnsweredAt, talk.Answered)
		case number == brief:
			near("answered", l.AnsweredAt, over.Answered)
			near("over", l.EndedAt, over.Ended)
			fallthrough
		default:
			if l.Caller != nil || l.Far != nil || number != brief && !l.AnsweredAt.IsZero() {
				t.Errorf("%s: a call that is over is %+v", number, l)
			}
			wait(r, phones[number].Done())
		}
	}
	if c := record(nobody, simcarrier.Record.Done); c.How != simcarrier.Cancelled {
		t.Errorf("what rang is %s", c.How)
	}

	l := found[calls[friend]]
	b, err := r.Bridge(l.Caller, l.Far)
	if err != nil {
		t.Fatal(err)
	}
	if err := phones[friend].Dial(r.ctx, "#"); err != nil {
		t.Fatal(err)
	}
	if d := wait(r, b.Digits()); d != '#' {
		t.Errorf("digit %q", d)
	}
	heard := phones[friend].Heard().Tone
	if err := phones[friend].WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone > heard+5 }); err != nil {
		t.Error(err)
	}
	phones[friend].Hangup()
	wait(r, l.Caller.Done())
	l.Far.Hangup(pbx.NormalClearing)
	ended := record(friend, simcarrier.Record.Done)
	near("hung up", l.Caller.End().At, ended.Ended)
	if first.addr.Port != r.addr.Port {
		t.Errorf("SIP is taken at %s now", r.addr)
	}
}
