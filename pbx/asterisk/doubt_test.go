package asterisk

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

// TestSilentWhileSweeping: a connection that hangs is given up also while bridges are taken apart.
func TestSilentWhileSweeping(t *testing.T) {
	follow(t, func(f *followed) {
		hangs := make(chan struct{}, 1)
		f.refuses(func(_ http.ResponseWriter, r *request) bool {
			if r.Method != http.MethodDelete {
				return false
			}
			select {
			case hangs <- struct{}{}:
			default:
			}
			time.Sleep(answerTime)
			return true
		})
		f.scripted.mu.Lock()
		for i := range 20 {
			f.bridges[fmt.Sprintf("lonely%d", i)] = true
		}
		f.scripted.mu.Unlock()
		<-hangs
		for len(f.opened) > 0 {
			<-f.opened
		}
		began := time.Now()
		f.silence(time.Hour)
		<-f.opened
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("after %s", took)
		}
		f.refuses(func(http.ResponseWriter, *request) bool { return false })
		time.Sleep(time.Minute) // questions that hang
	})
}

// TestListsWithoutACall: that all lists lack a call of an earlier run is no proof that it is over; that there is no such
// channel is. Its attempts have channels of their own, the first as well as the last that there may be.
func TestListsWithoutACall(t *testing.T) {
	for _, attempt := range []int{1, tries} {
		t.Run(strconv.Itoa(attempt), func(t *testing.T) { listsWithout(t, attempt) })
	}
}

func listsWithout(t *testing.T, attempt int) {
	follow(t, func(f *followed) {
		caller, _ := f.call()
		var far *party
		f.rings = func(p *party) {
			far = p
			f.answers(p)
		}
		call := uuid.New()
		if _, err := f.engine.Dial(context.Background(), caller, pbx.Target{
			Call: call, Attempt: attempt, Trunk: routing.Trunk{Code: "t", Address: "carrier.example:5060"}, Number: friend, RingTimeout: time.Minute,
		}); err != nil {
			t.Fatal(err)
		}
		var fails atomic.Bool // to tell of a channel
		f.refuses(func(w http.ResponseWriter, r *request) bool {
			switch {
			case r.Method != http.MethodGet:
			case r.URL.Path == "/ari/channels" || r.URL.Path == "/ari/bridges":
				reply(w, http.StatusOK, []string{})
				return true
			case r.URL.Path == "/ari/applications/"+appName:
				reply(w, http.StatusOK, jsonObject{"channel_ids": []string{}})
				return true
			case strings.HasPrefix(r.URL.Path, "/ari/channels/") && fails.Load():
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		})
		run := func() *Engine {
			later := newEngine(f.engine.conf, f.engine.ari)
			later.inherits = true
			close(later.ready)
			return later
		}
		told := func(later *Engine) bool {
			t.Helper()
			got, err := later.Recover(context.Background(), []pbx.Unled{{Call: call}})
			if err != nil {
				t.Fatal(err)
			}
			sweeps := false // what belongs to nobody is taken away from then on
			select {
			case <-later.recovered:
				sweeps = true
			default:
			}
			if found := len(got) > 0; sweeps != found {
				t.Errorf("found out: %t, swept: %t", found, sweeps)
			}
			return len(got) > 0
		}
		later := run()
		for range 20 {
			if told(later) {
				t.Fatal("a call that goes on is taken for over")
			}
			time.Sleep(time.Second)
		}
		f.leaves(far, 16, 0)
		time.Sleep(2 * lookAgain)
		fails.Store(true)
		if told(later) {
			t.Error("a question that fails is taken for an end")
		}
		fails.Store(false)
		if !told(later) {
			t.Error("a call that is over is not found to be")
		}
		if later = run(); told(later) {
			t.Error("a call is taken for over at first sight")
		}
		time.Sleep(lookAgain)
		if !told(later) {
			t.Error("a call that is over is not found to be by another run")
		}
	})
}

// TestEndedWhileTakenOver: a side that ends after it was seen, and before anything is heard of it, is found to have ended, and
// was there no longer than it was seen.
func TestEndedWhileTakenOver(t *testing.T) {
	follow(t, func(f *followed) {
		caller, far, _, whom := f.talk(0)
		s := scene{at: time.Now()}
		time.Sleep(time.Second)
		f.leaves(whom, 16, 0)
		later := newEngine(f.engine.conf, f.engine.ari)
		left, ok := later.lead(s, pbx.Unled{Call: uuid.New(), Answered: far.AnsweredAt()}, far.id, caller.id)
		if !ok {
			t.Fatal("it is not taken over")
		}
		time.Sleep(2 * lookAgain)
		select {
		case <-left.Far.Done():
		default:
			t.Fatal("its end is missed")
		}
		if got := left.Far.End().At; !got.Equal(s.at) {
			t.Errorf("it ended at %s, and was seen at %s", got, s.at)
		}
		left.Caller.Hangup(pbx.NormalClearing)
		later.work.Wait() // Run, which would wait, is not there
	})
}

// TestNoConnection: who gets no connection says so, and why, once.
func TestNoConnection(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as inWorld
	synctest.Test(t, func(t *testing.T) {
		s, said := script(t), &strings.Builder{}
		s.let = func(w http.ResponseWriter, _ *request) bool {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		}
		e := newEngine(Config{Log: slog.New(slog.NewTextHandler(said, nil))}, newARI("http://"+scriptedAddr+"/ari", "wrong"))
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		e.follow(ctx)
		if strings.Count(said.String(), "no connection to Asterisk") != 1 || !strings.Contains(said.String(), "401") {
			t.Errorf("said: %s", said)
		}
	})
}
