package asterisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/routing"
)

const tries = pbx.MaxAttempts + 2 // over trunks, of a call

// followed is an engine that follows a scripted Asterisk, in fake time. Calls are answered and handed to the test.
type followed struct {
	*scripted
	engine *Engine
	t      *testing.T
	legs   chan *leg
}

func follow(t *testing.T, story func(f *followed)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as inWorld
	synctest.Test(t, func(t *testing.T) {
		admission := &pbx.Admission{
			Providers: []pbx.Provider{{Code: "pstn", TrustCallerID: true}},
			Numbers:   map[e164.Number]pbx.AccessNumber{access: {Number: access}},
		}
		f := &followed{scripted: script(t), t: t, legs: make(chan *leg, 10)}
		f.engine = newEngine(Config{
			Admission: func() *pbx.Admission { return admission }, Trunks: func() []routing.Trunk { return nil }, MaxAttempts: tries, Log: slog.New(slog.DiscardHandler),
		}, newARI("http://"+scriptedAddr+"/ari", "secret"))
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- f.engine.Run(ctx, func(ctx context.Context, in pbx.Leg) {
				_ = in.Answer(ctx)
				f.legs <- in.(*leg)
				<-ctx.Done()
			})
		}()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		<-f.engine.Ready()
		story(f)
	})
}

// call is a caller who has been answered.
func (f *followed) call() (*leg, *party) {
	p := f.arrive("pstn", "+49301234567", access.Digits(), nil)
	return <-f.legs, p
}

// dial calls a far party, who answers after a while; none: he never does.
func (f *followed) dial(caller *leg, after, limit time.Duration) (pbx.Leg, *party, error) {
	var far *party
	f.rings = func(p *party) {
		far = p
		if after > 0 {
			time.AfterFunc(after, func() { f.answers(p) })
		}
	}
	l, err := f.engine.Dial(context.Background(), caller, pbx.Target{
		Trunk: routing.Trunk{Code: "t", Address: "carrier.example:5060"}, Number: friend, RingTimeout: 20 * time.Second, Limit: limit,
	})
	return l, far, err
}

// talk is a call in progress.
func (f *followed) talk(limit time.Duration) (caller, far *leg, who, whom *party) {
	f.t.Helper()
	caller, who = f.call()
	l, whom, err := f.dial(caller, time.Second, limit)
	if err == nil {
		_, err = f.engine.Bridge(caller, l)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return caller, l.(*leg), who, whom
}

// refuses has requests answered in another way, unless answer does not want to.
func (f *followed) refuses(answer func(w http.ResponseWriter, r *request) bool) {
	f.scripted.mu.Lock()
	defer f.scripted.mu.Unlock()
	f.let = func(w http.ResponseWriter, r *request) bool { return !answer(w, r) }
}

// deaf lets nobody connect, and breaks the connection.
func (f *followed) deaf() {
	f.refuses(func(w http.ResponseWriter, r *request) bool {
		if r.URL.Path != "/ari/events" {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	f.lose(false)
}

// lasted is how long a far leg was there, as a call is charged.
func lasted(l pbx.Leg) time.Duration { return l.End().At.Sub(l.AnsweredAt()) }

// TestEventsOfAllKinds: what can't be understood is passed over, and the next event is taken.
func TestEventsOfAllKinds(t *testing.T) {
	follow(t, func(f *followed) {
		l, p := f.call()
		for _, ev := range strange {
			f.tell(strings.ReplaceAll(ev, "c1", p.id), nil)
		}
		for _, ev := range []string{
			`{"type":"ChannelDtmfReceived","digit":"","channel":{"id":"c1"}}`, `{"type":"PlaybackFinished","playback":{"id":"none","target_uri":"channel:c1"}}`,
			`{"type":"ChannelStateChange","timestamp":"yesterday","channel":{"id":"c1","state":"Up"}}`,
			`{"type":"ChannelDtmfReceived","timestamp":"2026-01-01T00:00:00Z","digit":"7","channel":{"id":"c1"}}`,
			`{"type":"ChannelDestroyed","cause":17,"tech_cause":486,"channel":{"id":"c1"}}`,
		} {
			f.tell(strings.ReplaceAll(ev, "c1", p.id), nil)
		}
		<-l.done
		if got := string(<-l.digits); got != "7" || l.End().Q850 != 17 {
			t.Errorf("digit %q, end %+v", got, l.End())
		}
	})
}

// TestDigitsToldTwice: a digit counts once, however often and late it is told; the same digit pressed again is another.
func TestDigitsToldTwice(t *testing.T) {
	follow(t, func(f *followed) {
		l, p := f.call()
		time.Sleep(10 * time.Second)
		first := `{"type":"ChannelDtmfReceived","timestamp":"2000-01-01T00:00:01.000+0000","digit":"7","channel":{"id":"` + p.id + `"}}`
		f.tell(first, nil)
		f.tell(first, nil)
		f.tell(strings.Replace(first, "01.000", "01.200", 1), nil)
		f.tell(first, nil)
		synctest.Wait()
		if n := len(l.digits); n != 2 {
			t.Errorf("%d digits", n)
		}
	})
}

// TestConnectionLost: a leg whose channel is there goes on, also when the question about it fails in whatever way; one
// whose channel is not there twice, or whose Asterisk is another, has ended when it was last heard of.
func TestConnectionLost(t *testing.T) {
	follow(t, func(f *followed) {
		l, p := f.call()
		answers := []struct {
			status int
			body   string
		}{
			{500, `{"message":"no"}`},
			{200, `<html>a proxy speaks</html>`},
			{200, `{"state":"U`},
			{200, `[]`},
			{200, `{}`},
			{404, `{"message":"Channel not found"}`},
			{503, ``},
		}
		var asked atomic.Int32
		f.refuses(func(w http.ResponseWriter, r *request) bool {
			n := int(asked.Load())
			if r.URL.Path != "/ari/channels/"+p.id || n == len(answers) {
				return false
			}
			asked.Add(1)
			w.WriteHeader(answers[n].status)
			_, _ = w.Write([]byte(answers[n].body))
			return true
		})
		time.Sleep(time.Minute)
		f.lose(false)
		time.Sleep(time.Minute)
		if n := int(asked.Load()); l.ctx.Err() != nil || n < len(answers) {
			t.Fatalf("ended by %+v after %d questions", l.End(), n)
		}
		began := time.Now()
		f.lose(false)
		f.leaves(p, 16, 0) // nobody hears it
		<-l.done
		if took := time.Since(began); l.End().By != pbx.ByFailure || !l.End().At.Before(began) || began.Sub(l.End().At) > current || took < lookAgain || took > 10*time.Second {
			t.Errorf("%+v after %s", l.End(), took)
		}
		other, _ := f.call()
		began = time.Now()
		f.crashes(time.Second)
		<-other.done
		if took := time.Since(began); other.End().By != pbx.ByFailure || took > 5*time.Second {
			t.Errorf("an Asterisk that is gone: %+v after %s", other.End(), took)
		}
	})
}

// TestLateIsNotLost: what is told late is charged by its own time; what was late, and is then lost with the connection, by
// what had been heard before.
func TestLateIsNotLost(t *testing.T) {
	for _, loses := range []bool{false, true} {
		follow(t, func(f *followed) {
			f.stall(20 * time.Second)
			_, far, _, whom := f.talk(time.Hour)
			time.Sleep(time.Minute)
			f.stall(20 * time.Second)
			time.Sleep(10 * time.Second)
			f.leaves(whom, 16, 0)
			if loses {
				time.Sleep(5 * time.Second)
				f.lose(false)
			}
			<-far.Done()
			truth := whom.ended.Sub(whom.answered)
			if got := lasted(far); !loses && got != truth || got > truth || truth-got > 12*time.Second {
				t.Errorf("%s, and lost %v: the truth is %s", got, loses, truth)
			}
		})
	}
}

// TestTimeIsOverUnheard: paid time that ends when the far side has left already, which nobody has heard, is not charged; and
// neither is what comes after the caller has left.
func TestTimeIsOverUnheard(t *testing.T) {
	for _, callerLeaves := range []bool{false, true} {
		for _, disconnected := range []bool{false, true} {
			follow(t, func(f *followed) {
				_, far, who, whom := f.talk(30 * time.Second)
				time.Sleep(20 * time.Second)
				f.stall(30 * time.Second)
				if disconnected {
					f.deaf()
				}
				left := whom
				if callerLeaves {
					left = who
				}
				f.leaves(left, 16, 0)
				<-far.Done()
				truth := left.ended.Sub(whom.answered)
				if got := lasted(far); got > truth || truth-got > current {
					t.Errorf("caller leaves %v, disconnected %v: %s, the truth is %s", callerLeaves, disconnected, got, truth)
				}
			})
		}
	}
}

// TestTimeIsOver: while both are there the whole time is theirs, whoever hears of them.
func TestTimeIsOver(t *testing.T) {
	for _, disconnected := range []bool{false, true} {
		follow(t, func(f *followed) {
			_, far, _, _ := f.talk(30 * time.Second)
			time.Sleep(20 * time.Second)
			f.stall(30 * time.Second)
			if disconnected {
				f.deaf()
			}
			<-far.Done()
			if got := lasted(far); got != 30*time.Second || far.End().By != pbx.ByPaidTime {
				t.Errorf("disconnected %v: %s by %s", disconnected, got, far.End().By)
			}
		})
	}
}

// TestCallerLeftUnheard: the far side is heard to hang up after the caller did, which was lost.
func TestCallerLeftUnheard(t *testing.T) {
	follow(t, func(f *followed) {
		caller, far, who, whom := f.talk(time.Hour)
		time.Sleep(time.Minute)
		f.lose(false)
		f.leaves(who, 16, 0)
		time.Sleep(2 * time.Second)
		if caller.ctx.Err() != nil {
			t.Fatal("ended at the first answer that there is no such channel")
		}
		f.leaves(whom, 16, 0)
		<-far.Done()
		if truth, got := who.ended.Sub(whom.answered), lasted(far); got > truth || truth-got > current {
			t.Errorf("%s, the truth is %s", got, truth)
		}
	})
}

// TestToldTwiceIsNoSignOfLife: what was told before the connection was lost, and is told again after it, does not tell that the
// caller, who left unheard, is there.
func TestToldTwiceIsNoSignOfLife(t *testing.T) {
	follow(t, func(f *followed) {
		l, p := f.call()
		again := fmt.Sprintf(`{"type":"ChannelStateChange","timestamp":%q,"channel":{"id":%q,"state":"Up"}}`, p.answered.Format(timeLayout), p.id)
		time.Sleep(time.Minute)
		f.lose(false)
		f.leaves(p, 16, 0) // nobody hears it
		time.AfterFunc(lookAgain/2, func() { f.tell(again, nil) })
		<-l.done
		if truth, got := p.ended, l.End().At; got.After(truth) || truth.Sub(got) > current {
			t.Errorf("ended %s after the truth", got.Sub(truth))
		}
	})
}

// TestAnswerIsLate: a far side that answered is not taken for one that did not, and its own time counts in the end.
func TestAnswerIsLate(t *testing.T) {
	follow(t, func(f *followed) {
		caller, who := f.call()
		time.AfterFunc(5*time.Second, func() { f.stall(30 * time.Second) })
		began := time.Now()
		far, whom, err := f.dial(caller, 10*time.Second, time.Hour)
		if err != nil || time.Since(began) < 20*time.Second {
			t.Fatalf("%v after %s", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		f.leaves(whom, 16, 0)
		<-far.Done()
		if truth, got := whom.ended.Sub(whom.answered), lasted(far); got != truth {
			t.Errorf("%s, the truth is %s", got, truth)
		}
		// The caller leaves after the answer, and both come at once.
		time.AfterFunc(time.Second, func() { f.stall(10 * time.Second) })
		time.AfterFunc(5*time.Second, func() { f.leaves(who, 16, 0) })
		far, whom, err = f.dial(caller, 2*time.Second, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		<-caller.Done()
		if truth, got := who.ended.Sub(whom.answered), caller.End().At.Sub(far.AnsweredAt()); got != truth {
			t.Errorf("%s, the truth is %s", got, truth)
		}
	})
}

// TestDialledUnheard: a channel that was made while nothing was heard is found when it is, and goes on.
func TestDialledUnheard(t *testing.T) {
	follow(t, func(f *followed) {
		caller, _ := f.call()
		f.deaf()
		time.Sleep(time.Second) // it is noticed
		time.AfterFunc(time.Second, func() { f.refuses(func(http.ResponseWriter, *request) bool { return false }) })
		far, _, err := f.dial(caller, time.Second, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		f.deaf()
		f.leaves(f.parties[far.ID()], 16, 0)
		time.AfterFunc(time.Second, func() { f.refuses(func(http.ResponseWriter, *request) bool { return false }) })
		<-far.Done()
		_, _, err = f.dial(caller, 0, time.Hour)
		if !errors.Is(err, pbx.ErrRingTimeout) {
			t.Error(err)
		}
	})
}

// TestSweep: what nobody leads is hung up, however often the question fails; what is only told late is not.
func TestSweep(t *testing.T) {
	follow(t, func(f *followed) {
		l, _ := f.call()
		f.deaf()
		orphan := f.arrive("pstn", "", access.Digits(), nil)
		times := map[string]int{}
		f.refuses(func(w http.ResponseWriter, r *request) bool {
			if r.Method != http.MethodGet || r.URL.Path != "/ari/applications/"+appName && r.URL.Path != "/ari/bridges" {
				return false
			}
			times[r.URL.Path]++
			switch n := times[r.URL.Path]; {
			case n%2 == 1:
				w.WriteHeader(http.StatusInternalServerError)
			case n == 2:
				_, _ = w.Write([]byte(`{"name":"telecommune"}`))
			default:
				return false
			}
			return true
		})
		f.scripted.mu.Lock()
		f.bridges["lonely"] = true
		f.scripted.mu.Unlock()
		time.Sleep(45 * time.Second)
		f.scripted.mu.Lock()
		if orphan.by != asked || l.ctx.Err() != nil || len(f.bridges) > 0 {
			t.Errorf("ended by %q, bridges %v", orphan.by, f.bridges)
		}
		f.scripted.mu.Unlock()
		f.stall(28 * time.Second)
		late := f.arrive("pstn", "", access.Digits(), nil)
		time.Sleep(30 * time.Second)
		f.scripted.mu.Lock()
		defer f.scripted.mu.Unlock()
		if late.by != forItself || len(f.engine.all()) != 2 {
			t.Errorf("ended by %q", late.by)
		}
	})
}

// TestSweepWaits: in an Asterisk that an earlier run has left, a channel may be of a call that goes on until all are known.
func TestSweepWaits(t *testing.T) {
	follow(t, func(f *followed) {
		l, who := f.call()
		later := newEngine(f.engine.conf, f.engine.ari)
		later.inherits, later.proved = true, time.Now().Add(time.Hour)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			later.sweep(ctx)
			close(ended)
		}()
		time.Sleep(10 * sweepEvery)
		if l.ctx.Err() != nil {
			t.Errorf("a channel that may be of a call is hung up: %+v", l.End())
		}
		close(later.recovered)
		time.Sleep(3 * sweepEvery)
		f.scripted.mu.Lock()
		if who.by != asked {
			t.Errorf("what nobody leads has ended by %q", who.by)
		}
		f.scripted.mu.Unlock()
		stop()
		<-ended
	})
}

// TestSweepBridges: a bridge that is empty because it was made just now is not taken apart.
func TestSweepBridges(t *testing.T) {
	follow(t, func(f *followed) {
		there := func() bool {
			f.scripted.mu.Lock()
			defer f.scripted.mu.Unlock()
			return f.bridges["fresh"]
		}
		f.scripted.mu.Lock()
		f.bridges["fresh"] = true
		f.scripted.mu.Unlock()
		seen := f.engine.sweepBridges(context.Background(), nil)
		time.Sleep(time.Second)
		if !there() {
			t.Error("it is taken apart at first sight")
		}
		f.engine.sweepBridges(context.Background(), seen)
		time.Sleep(time.Second)
		if there() {
			t.Error("it is left")
		}
	})
}

// TestSilentConnection: one that nothing comes from, not even the answer to a ping, is given up within ten seconds.
func TestSilentConnection(t *testing.T) {
	follow(t, func(f *followed) {
		for len(f.opened) > 0 {
			<-f.opened
		}
		began := time.Now()
		f.silence(time.Hour)
		<-f.opened
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

// TestClock: what Asterisk measured is what we get, late events or not; a clock that is set makes no call longer.
func TestClock(t *testing.T) {
	at := func(s string) (got stamp) {
		if err := json.Unmarshal([]byte(`"`+s+`"`), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	synctest.Test(t, func(t *testing.T) {
		var c clock
		first := c.local(at("2026-01-01T10:00:00.000+0000"))
		time.Sleep(2 * time.Minute)
		if got := c.local(at("2026-01-01T10:00:00.010+0000")).Sub(first); got != 10*time.Millisecond {
			t.Errorf("10 ms are %s", got)
		}
		for _, set := range []string{"2026-01-01T11:00:00.000+0000", "2026-01-01T10:59:50.000+0000", "2020-01-01T00:00:00Z"} {
			asked := time.Now()
			time.Sleep(time.Second)
			c.notBefore(at(set), asked)
			if got := c.local(at(set)); got.Before(asked) || got.After(time.Now()) {
				t.Errorf("%s: %s after it was asked for", set, got.Sub(asked))
			}
		}
		if got := c.local(at("yesterday")); !got.Equal(time.Now()) {
			t.Errorf("no time is %s", got)
		}
	})
}
