package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
)

// lastSign is how old the last sign of life of a call may be when serve is killed.
const lastSign = 6 * time.Second

// joining are the flags of a serve on an operator's Asterisk.
func joining(t *testing.T, o *asterisktest.Operator) string {
	t.Helper()
	return " --engine asterisk --ari-url " + o.URL + " --ari-password-file " + file(t, "password", o.Password+"\n")
}

// TestServeElsewhere: a serve that joins an operator's Asterisk carries a call, has it in the books, and ends in order. Another
// one, of the same node's name and with other books, leaves it alone.
func TestServeElsewhere(t *testing.T) {
	t.Parallel()
	operator, state := asterisktest.NewOperator(t), freshState(t)
	s := startServe(t, state, joining(t, operator))
	if s.sip != operator.URL {
		t.Errorf("it is ready at %s", s.sip)
	}
	s.sip = operator.SIP
	carrier, phone := equip(t, s, state)
	call := connected(t, carrier, phone)
	stranger, _ := startServeUntil(t, freshState(t), joining(t, operator), regexp.MustCompile(`(another node leads) the calls`))
	<-stranger.ended
	if code := stranger.process.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("a serve with other books exits with %d", code)
	}
	if byPeer, _ := call.EndedByPeer(); byPeer {
		t.Error("it has the call hung up")
	}
	call.Hangup()
	type row struct {
		Answered int `json:"answered_seconds"`
		Price    string
		Entry    *string
	}
	var calls []row
	await(t, "the call to be in the books", func() bool {
		r := tcWith(t, "", "call", "list", "-o", "json", "--state", state)
		if r.code != 0 {
			t.Fatal(r.err)
		}
		calls = slices.DeleteFunc(decode[[]row](t, r.out), func(c row) bool { return c.Entry == nil })
		return len(calls) > 0
	})
	r := carrier.Calls()[0]
	want := billing.AnsweredSeconds(r.Ended.Sub(r.Answered), 120)
	if c := calls[0]; len(calls) != 1 || c.Answered < want-1 || c.Answered > want+1 || c.Price != fmt.Sprintf("0.%02d", c.Answered) {
		t.Errorf("%+v, want one of %d seconds at 0.01 each", calls, want)
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("exit %d:\n%s", code, strings.Join(s.lines, "\n"))
	}
	for _, kind := range []string{"channels", "bridges"} {
		if n := countARI(t, operator.URL, operator.Password, kind); n != 0 {
			t.Errorf("%d %s are left", n, kind)
		}
	}
}

// connected calls until the set-up is taken up, and waits for the carrier's answer.
func connected(t *testing.T, carrier *simcarrier.Carrier, phone *simcarrier.Phone) (call *simcarrier.Call) {
	t.Helper()
	await(t, "the set-up to be taken up", func() bool {
		var err error
		call, err = phone.Call(t.Context(), "+49305550100")
		return err == nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := carrier.Await(ctx, isAnswered); err != nil {
		t.Fatal(err)
	}
	return call
}

// TestServeIsNotLetIn: what is wrong with the way to an operator's Asterisk is said in one line with what mends it, and serve
// waits for that; it can be ended meanwhile.
func TestServeIsNotLetIn(t *testing.T) {
	t.Parallel()
	operator := asterisktest.NewOperator(t)
	fix := regexp.MustCompile(`level=ERROR msg="Asterisk does not take us.*" fix="(.*)"`)
	for what, tt := range map[string]struct{ url, password, fix string }{
		"a wrong password":  {operator.URL, "wrong", "ari.conf: [telecommune] with the password of --ari-password-file"},
		"nothing is there":  {"http://127.0.0.1:9/ari", operator.Password, "http.conf: enabled = yes"},
		"the wrong address": {strings.TrimSuffix(operator.URL, "/ari"), operator.Password, "--ari-url ends with /ari"},
	} {
		t.Run(what, func(t *testing.T) {
			s, said := startServeUntil(t, freshState(t), joining(t, &asterisktest.Operator{URL: tt.url, Password: tt.password}), fix)
			if !strings.Contains(said, tt.fix) {
				t.Errorf("it says that this mends it: %q", said)
			}
			time.Sleep(time.Second) // in which it tries again
			if code := s.stop(t); code != 0 {
				t.Errorf("exit %d", code)
			}
			if n := strings.Count(strings.Join(s.lines, "\n"), "does not take us"); n != 1 {
				t.Errorf("that is said %d times:\n%s", n, strings.Join(s.lines, "\n"))
			}
		})
	}
}

// TestKilledElsewhere kills serve while calls are at all stages on an operator's Asterisk, of which nothing is known but what
// it has and the signs of life. Talks are led on and charged exactly, the others for no more than was delivered.
func TestKilledElsewhere(t *testing.T) {
	t.Parallel()
	operator := asterisktest.NewOperator(t)
	k := newKilling(t, freshState(t), joining(t, operator), operator, 3)
	k.begin()
	k.kill("serve")
	k.goOn("serve")
	k.check("serve")
}

// TestHeirElsewhere: while a serve stands still, a newer run of its node leads the calls on; when it goes on, it ends without
// hanging any up.
func TestHeirElsewhere(t *testing.T) {
	operator, state := asterisktest.NewOperator(t), freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()}) // kept up
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dsn := "host=" + filepath.Join(state, "postgres") + " user=" + cluster.Superuser + " dbname=" + cluster.Database + " sslmode=disable"
	t.Setenv("TELECOMMUNE_DB", dsn)
	older, newer := freshState(t), freshState(t)
	first := startServe(t, older, joining(t, operator))
	first.sip = operator.SIP
	carrier, phone := equip(t, first, state)
	call := connected(t, carrier, phone)
	await(t, "a sign of life", func() (is bool) {
		if err := db.Get(&is, `SELECT count(answered_ms) > 0 FROM hold`); err != nil {
			t.Fatal(err)
		}
		return is
	})
	key, err := os.ReadFile(filepath.Join(older, keyFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(newer, keyFile), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := first.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`BEGIN; SET LOCAL ROLE NONE;
		SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid();
		COMMIT`); err != nil { // so that it does not have the node's name any more
		t.Fatal(err)
	}
	second := startServe(t, newer, joining(t, operator))
	await(t, "the call to be led on", func() bool {
		live, err := askServe(newer).live(t.Context())
		return err == nil && len(live) == 1 && live[0].State == "talking"
	})
	if err := first.process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.ended:
	case <-time.After(time.Minute):
		t.Fatal("the older one runs on")
	}
	first.log.Wait()
	if last := first.lines[len(first.lines)-1]; first.process.ProcessState.ExitCode() != exitFailed || !strings.Contains(last, "another") {
		t.Errorf("it ended with %s, and says %q", first.process.ProcessState, last)
	}
	time.Sleep(2 * time.Second) // in which what it has hung up would end
	if byPeer, _ := call.EndedByPeer(); byPeer {
		t.Fatal("the call was hung up")
	}
	call.Hangup()
	bank := billing.New(db.DB, billing.Options{Node: "test", Log: quiet()})
	await(t, "the hold to be released", func() bool {
		a, err := bank.Account(t.Context(), "anna")
		return err == nil && a.Held == 0
	})
	calls, err := bank.Calls(t.Context(), billing.CallFilter{})
	r := carrier.Calls()[0]
	want := billing.AnsweredSeconds(call.AnsweredAt().Add(call.Lasted()).Sub(r.Answered), 120)
	if got := calls[0]; err != nil || len(calls) != 1 || got.AnsweredSeconds > want+1 || got.AnsweredSeconds < want-1 || got.Entry == nil {
		t.Errorf("%v: %+v, want one of %d s", err, calls, want)
	}
	if code := second.stop(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}
