package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/postgres"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// commandLine in the environment makes the test binary run as the program itself, in a process that can be killed.
const commandLine = "TELECOMMUNE_TEST_COMMAND"

func runAsProgram() {
	if line := os.Getenv(commandLine); line != "" {
		os.Unsetenv(commandLine)
		os.Exit(asProcess(strings.Fields(line)))
	}
}

// served is a serve in a process of its own.
type served struct {
	process *exec.Cmd
	sip     string
	ended   chan struct{} // closed when it has
	log     sync.WaitGroup
	lines   []string // of its log, when that is over
}

var readyLine = regexp.MustCompile(`msg=ready sip=(\S+)`)

// startServe starts serve on a state folder and waits until it takes calls.
func startServe(t *testing.T, state, flags string) *served {
	t.Helper()
	s, sip := startServeUntil(t, state, flags, readyLine)
	s.sip = sip
	return s
}

// startServeUntil starts serve and waits until it logs a line, of which it gives what the parentheses take.
func startServeUntil(t *testing.T, state, flags string, line *regexp.Regexp) (s *served, found string) {
	t.Helper()
	s = &served{process: exec.Command(os.Args[0]), ended: make(chan struct{})}
	s.process.Env = append(os.Environ(),
		commandLine+"=serve --sip 127.0.0.1:0 --http 127.0.0.1:0 --rtp-ports 20000-40000 --node one --state "+state+flags)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // tests that are killed leave none
	stderr, said := io.Pipe()
	s.process.Stderr = said
	started := make(chan error)
	go func() { // on a thread that stays, for the signal comes at its end
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			_ = s.process.Wait() // it is killed as a rule
		}
		said.Close()
		close(s.ended)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill(t) })
	lines, logged := bufio.NewScanner(stderr), make(chan string, 1)
	s.log.Go(func() {
		defer close(logged)
		for lines.Scan() {
			if m := line.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case logged <- m[1]:
				default: // said again
				}
			}
			s.lines = append(s.lines, lines.Text())
		}
	})
	select {
	case found = <-logged:
	case <-time.After(time.Minute):
		s.kill(t)
	}
	if found == "" {
		t.Fatalf("serve does not say %s:\n%s", line, strings.Join(s.lines, "\n"))
	}
	return s, found
}

// stop asks serve to end, and gives its exit code.
func (s *served) stop(t *testing.T) int {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Error("serve does not end")
		s.kill(t)
	}
	s.log.Wait()
	return s.process.ProcessState.ExitCode()
}

// kill is kill -9; a second call does nothing.
func (s *served) kill(t *testing.T) {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	s.log.Wait()
	<-s.ended
}

// TestKilledInTheMiddleOfCalls kills serve with its own engine while fifty people talk. After a new start each call is
// charged up to its last sign of life, and nothing is held any more.
func TestKilledInTheMiddleOfCalls(t *testing.T) {
	const callers = 50
	state := freshState(t)
	first := startServe(t, state, " --max-cps 1000")
	_, phone := equip(t, first, state)
	await(t, "the set-up to be taken up", func() bool {
		_, err := phone.Call(t.Context(), "+49305550100")
		return err == nil
	})
	for range callers - 1 {
		go func() { _, _ = phone.Call(t.Context(), "+49305550100") }() // it is the database that tells how they went
	}
	before := signs(t, state, callers)
	first.kill(t)

	startServe(t, state, "")
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	bank := billing.New(db.DB, billing.Options{Node: "test", Log: quiet()})
	await(t, "all holds to be released", func() bool {
		account, err := bank.Account(t.Context(), "anna")
		return err == nil && account.Held == 0
	})
	calls, err := bank.Calls(t.Context(), billing.CallFilter{})
	if err != nil || len(calls) != callers {
		t.Fatalf("%d calls, %v; want %d", len(calls), err, callers)
	}
	for _, call := range calls {
		want := billing.AnsweredSeconds(before[call.ID], 120)
		// A further sign may have been stored between our look and the kill, not more than one.
		if call.Outcome != billing.Lost || call.EndedAt == nil || call.Entry == nil ||
			call.AnsweredSeconds < want || call.AnsweredSeconds > want+6 {
			t.Errorf("call %s is %s after %d s, want lost after %d or a little more", call.ID, call.Outcome, call.AnsweredSeconds, want)
		}
		if int64(call.Price) != int64(call.AnsweredSeconds)*10_000 {
			t.Errorf("call %s of %d s costs %s", call.ID, call.AnsweredSeconds, call.Price)
		}
	}
	attempts, err := routing.NewStore(db.DB).AttemptsOf(t.Context(), slices.Collect(maps.Keys(before)))
	for id := range before {
		if a := attempts[id]; len(a) != 1 || a[0].Trunk != "alpha" || a[0].Prefix != "380" || a[0].Outcome != string(billing.Answered) || a[0].PDD != 0 {
			t.Errorf("the attempts of call %s are %+v, %v", id, a, err)
		}
	}
	trial, err := ledger.Trial(t.Context(), db, ledger.TrialFilter{})
	if err != nil || len(trial) == 0 {
		t.Fatalf("trial balance of %d accounts, %v", len(trial), err)
	}
	var sum int64
	for _, l := range trial {
		sum += int64(l.Balance)
	}
	if sum != 0 {
		t.Errorf("the trial balance is off by %d", sum)
	}
}

// equip sets a service up that runs: a carrier that answers, and a phone whose calls cost 0.60 a minute.
func equip(t *testing.T, s *served, state string) (*simcarrier.Carrier, *simcarrier.Phone) {
	t.Helper()
	carrier, err := simcarrier.Start(t.Context(), simcarrier.CarrierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	retail := file(t, "retail.csv", "prefix,rate_per_minute\n380,0.60\n")
	cost := file(t, "cost.csv", "prefix,rate_per_minute\n380,0.30\n")
	for _, line := range []string{
		"provider add pstn --address 127.0.0.2",
		"access-number add +49305550100 --provider pstn --country DE --service contact",
		"trunk add alpha --address " + carrier.Addr(),
		"deck import " + cost + " --trunk alpha",
		"deck import " + retail + " --retail retail",
		"account add anna --call-limit 120",
		"account topup anna 100.00",
		"phone add +491713920001 --account anna",
		"contact add --account anna --access-number +49305550100 --to +380441234567",
	} {
		if r := tcWith(t, "", append(strings.Fields(line), "--state", state)...); r.code != 0 {
			t.Fatalf("%s: %s", line, r.err)
		}
	}
	phone, err := simcarrier.NewPhone(t.Context(), simcarrier.PhoneConfig{
		Server: s.sip, Listen: freeAddress("127.0.0.2"), Number: "+491713920001",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phone.Close)
	return carrier, phone
}

// TestFollowed lets a newer run claim the node of a serve in the middle of a call: it hangs up, writes nothing more and
// ends with a clear word, long before the time that it gives calls when it is asked to end.
func TestFollowed(t *testing.T) {
	state := freshState(t)
	s := startServe(t, state, "")
	_, phone := equip(t, s, state)
	var call *simcarrier.Call
	await(t, "the set-up to be taken up", func() (ok bool) {
		var err error
		call, err = phone.Call(t.Context(), "+49305550100")
		return err == nil
	})
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	await(t, "the far side to answer", func() (is bool) {
		if err := db.Get(&is, `SELECT count(answered_ms) > 0 FROM hold`); err != nil {
			t.Fatal(err)
		}
		return is
	})
	if _, err := db.Exec(`SELECT take_node('one', $1)`, uuid.New()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-call.Done():
	case <-time.After(time.Minute):
		t.Fatal("the call goes on")
	}
	if err := db.Close(); err != nil { // its server waits for us
		t.Error(err)
	}
	<-s.ended
	s.log.Wait()
	if s.process.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %s", s.process.ProcessState)
	}
	last := s.lines[len(s.lines)-1]
	if !strings.Contains(last, "another serve has begun to run as this node") || !strings.Contains(last, "--node") {
		t.Errorf("its last word is %q", last)
	}

	again, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	var held int
	if err := again.Get(&held, `SELECT count(*) FROM hold`); err != nil || held != 1 {
		t.Errorf("%d calls hold money, %v; want the one, for the newer run", held, err)
	}
}

// signs waits until so many calls have shown that they were answered, some of them for over a second, and gives the
// answered time that each call's last sign of life tells.
func signs(t *testing.T, state string, calls int) map[billing.CallID]time.Duration {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var found map[billing.CallID]time.Duration
	await(t, fmt.Sprintf("%d calls to be answered", calls), func() bool {
		var rows []struct {
			Call billing.CallID `db:"call_id"`
			MS   int64          `db:"answered_ms"`
		}
		if err := db.SelectContext(t.Context(), &rows, `SELECT call_id, answered_ms FROM hold WHERE answered_ms > 1000`); err != nil {
			t.Fatal(err)
		}
		found = map[billing.CallID]time.Duration{}
		for _, r := range rows {
			found[r.Call] = time.Duration(r.MS) * time.Millisecond
		}
		return len(found) == calls
	})
	return found
}

// await asks again and again until is, for a minute at most.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
