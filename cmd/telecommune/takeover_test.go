package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/e164"
	"telecommune/internal/postgres"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// stage is how far a call has come when something is killed.
type stage struct {
	name    string
	access  string               // the number that is called
	account string               // that pays
	far     simcarrier.Behaviour // of who is reached
}

const (
	killAfter = 2500 * time.Millisecond // the answer and the hang-up of some calls, from their INVITE
	shortTime = 8                       // seconds that one account's calls last at most
	ownerless = 30 * time.Second        // until channels that nobody leads are gone
)

var (
	talking   = stage{"talking", "+49305550101", "anna", simcarrier.Behaviour{}}
	leaving   = stage{"leaving", "+49305550102", "anna", simcarrier.Behaviour{}} // the caller hangs up while nobody leads
	short     = stage{"short", "+49305550103", "ben", simcarrier.Behaviour{}}    // its paid time is used up meanwhile, or soon
	dialling  = stage{"dialling", "+49305550104", "anna", simcarrier.Behaviour{Forever: true}}
	answering = stage{"answering", "+49305550105", "anna", simcarrier.Behaviour{Ring: killAfter}}
	hangingUp = stage{"hanging up", "+49305550106", "anna", simcarrier.Behaviour{HangUp: killAfter}}
	arriving  = stage{"arriving", "+49305550107", "anna", simcarrier.Behaviour{}} // may not even be answered by us
	stages    = []stage{talking, leaving, short, dialling, answering, hangingUp, arriving}
)

// TestKilledAtEachStage kills serve, Asterisk, or both, while calls are at all stages at once. What goes on is led on, what
// ended meanwhile is charged exactly where Asterisk has written it down, nobody pays for more than was delivered, nothing
// is held or up that nobody leads, and new calls work.
func TestKilledAtEachStage(t *testing.T) {
	each, rounds := 3, 1
	if os.Getenv("TELECOMMUNE_LONG") == "1" {
		each, rounds = 10, 5
	}
	folder := asterisktest.Folder(t)
	for round := range rounds {
		for _, victim := range []string{"serve", "asterisk", "both"} {
			t.Run(fmt.Sprintf("%s/%d", victim, round), func(t *testing.T) {
				t.Parallel()
				state := freshState(t)
				asterisktest.Reap(t, filepath.Join(state, "asterisk"))
				k := newKilling(t, state, " --asterisk "+folder, nil, each)
				k.begin()
				k.kill(victim)
				k.goOn(victim)
				k.check(victim)
			})
		}
	}
}

// killing is a serve on Asterisk, with people who call.
type killing struct {
	t     *testing.T
	each  int // calls at each stage
	state string
	flags string
	serve *served
	// operator runs the Asterisk; nil when serve does.
	operator *asterisktest.Operator
	carrier  *simcarrier.Carrier
	bank     *billing.Service
	db       *postgres.DB
	killed   time.Time

	mu     sync.Mutex
	phones map[string]*simcarrier.Phone // by number
	calls  map[string]*simcarrier.Call  // those that were answered
}

// number is that of the phone which makes a call.
func (s stage) number(i int) string {
	return fmt.Sprintf("+49171392%s%03d", strings.TrimPrefix(s.access, "+493055501"), i)
}

// to is the number of who is reached.
func (s stage) to() string { return "+3804412345" + strings.TrimPrefix(s.access, "+493055501") }

func newKilling(t *testing.T, state, flags string, operator *asterisktest.Operator, each int) *killing {
	t.Helper()
	k := &killing{
		t: t, each: each, state: state, flags: " --engine asterisk --max-cps 1000" + flags, operator: operator,
		phones: map[string]*simcarrier.Phone{}, calls: map[string]*simcarrier.Call{},
	}
	k.start()
	t.Cleanup(k.tellLog)
	behaviours := map[string]simcarrier.Behaviour{}
	for _, s := range stages {
		behaviours[strings.TrimPrefix(s.to(), "+")] = s.far
	}
	var err error
	if k.carrier, err = simcarrier.Start(context.Background(), simcarrier.CarrierConfig{Numbers: behaviours}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.carrier.Close)
	lines := []string{
		"provider add pstn --address 127.0.0.2",
		"trunk add alpha --caller-id pass --address " + k.carrier.Addr(),
		"deck import " + file(t, "cost.csv", "prefix,rate_per_minute\n380,0.30\n") + " --trunk alpha",
		"deck import " + file(t, "retail.csv", "prefix,rate_per_minute\n380,0.60\n") + " --retail retail",
		"account add anna --call-limit 120",
		"account topup anna 1000.00",
		"account add ben --call-limit " + strconv.Itoa(shortTime),
		"account topup ben 1000.00",
	}
	for _, s := range stages {
		lines = append(lines, "access-number add "+s.access+" --provider pstn --country DE --service contact",
			"contact add --account "+s.account+" --access-number "+s.access+" --to "+s.to())
	}
	for _, line := range lines {
		if r := tcWith(t, "", append(strings.Fields(line), "--state", k.state)...); r.code != 0 {
			t.Fatalf("%s: %s", line, r.err)
		}
	}
	k.open()
	for _, s := range stages {
		for i := range each {
			if err := k.bank.AddPhone(t.Context(), billing.Phone{Number: e164.Number(s.number(i)), Account: s.account}); err != nil {
				t.Fatal(err)
			}
			k.phone(s.number(i))
		}
	}
	k.phone("+491713929999")
	await(t, "the set-up to be taken up", func() bool {
		_, err := k.phones["+491713929999"].Call(t.Context(), stages[len(stages)-1].access) // what was added last
		return err == nil
	})
	return k
}

// start starts serve.
func (k *killing) start() {
	k.t.Helper()
	k.serve = startServe(k.t, k.state, k.flags)
	if k.operator != nil {
		k.serve.sip = k.operator.SIP // which is nothing that serve would know
	}
}

// open joins the database of the newest serve.
func (k *killing) open() {
	k.t.Helper()
	db, err := postgres.Open(k.t.Context(), postgres.Options{State: k.state, Log: quiet()})
	if err != nil {
		k.t.Fatal(err)
	}
	k.db, k.bank = db, billing.New(db.DB, billing.Options{Node: "test", Log: quiet()})
	k.t.Cleanup(func() { db.Close() }) //nolint:errcheck // its server may be gone
}

// tellLog logs what the newest serve said, when the test has failed.
func (k *killing) tellLog() {
	if k.t.Failed() {
		k.serve.kill(k.t)
		said, _ := os.ReadFile(filepath.Join(k.state, "asterisk", "log", "messages"))
		k.t.Logf("serve says:\n%s\nAsterisk says:\n%s", strings.Join(k.serve.lines, "\n"), said)
	}
}

// phone makes the phone of a number, for the newest serve.
func (k *killing) phone(number string) *simcarrier.Phone {
	k.t.Helper()
	p, err := simcarrier.NewPhone(context.Background(), simcarrier.PhoneConfig{Server: k.serve.sip, Listen: freeAddress("127.0.0.2"), Number: number})
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(p.Close)
	k.phones[number] = p
	return p
}

// call makes the calls of a stage, all at once.
func (k *killing) call(s stage, pause time.Duration) {
	for i := range k.each {
		time.Sleep(pause)
		number := s.number(i)
		phone := k.phones[number]
		go func() {
			c, err := phone.Call(context.Background(), s.access) // who is not answered is closed with the phone
			if err != nil {
				return
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			k.calls[number] = c
		}()
	}
}

// records are what the carrier has seen of the calls of a stage, by the caller's number.
func (k *killing) records(s stage) map[string]simcarrier.Record {
	found := map[string]simcarrier.Record{}
	for _, r := range k.carrier.Calls() {
		if "+"+r.Number == s.to() {
			found[r.Caller] = r
		}
	}
	return found
}

// count is how many calls of a stage are as is tells.
func (k *killing) count(s stage, is func(simcarrier.Record) bool) (n int) {
	for _, r := range k.records(s) {
		if is(r) {
			n++
		}
	}
	return n
}

func isAnswered(r simcarrier.Record) bool { return !r.Answered.IsZero() }
func isThere(simcarrier.Record) bool      { return true }

// begin makes calls until they are at all stages.
func (k *killing) begin() {
	for _, s := range []stage{talking, leaving, short, dialling} {
		k.call(s, 0)
	}
	await(k.t, "calls to be answered", func() bool {
		return k.count(talking, isAnswered)+k.count(leaving, isAnswered)+k.count(short, isAnswered) == 3*k.each &&
			k.count(dialling, isThere) == k.each
	})
	k.call(answering, 0)
	k.call(hangingUp, 0)
	await(k.t, "calls to be dialled", func() bool { return k.count(answering, isThere) > 0 && k.count(hangingUp, isThere) > 0 })
	time.Sleep(killAfter - time.Second)
	go k.call(arriving, time.Second/time.Duration(k.each))
	for k.count(answering, isAnswered) == 0 && k.count(hangingUp, simcarrier.Record.Done) == 0 {
		time.Sleep(time.Millisecond)
	}
}

// kill kills, and goes on when those who leave have left.
func (k *killing) kill(victim string) {
	k.t.Helper()
	kill := func() {
		text, err := os.ReadFile(filepath.Join(k.state, "asterisk", "run", "asterisk.pid"))
		if err != nil {
			k.t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			k.t.Fatal(err)
		}
		k.killed = time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			k.t.Fatal(err)
		}
	}
	if victim == "asterisk" {
		kill()
		return
	}
	k.killed = time.Now()
	k.serve.kill(k.t)
	k.hangUp(leaving)
	await(k.t, "the carrier to hang up", func() bool {
		return k.count(hangingUp, simcarrier.Record.Done) == k.count(hangingUp, isThere)
	})
	if n := k.count(talking, func(r simcarrier.Record) bool { return !r.Done() }); n != k.each {
		k.t.Errorf("%d of %d talks go on while nobody leads them", n, k.each)
	}
	if victim == "both" {
		kill()
	}
	k.start()
	k.open()
}

// hangUp has the callers of a stage hang up.
func (k *killing) hangUp(s stage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all sync.WaitGroup
	for i := range k.each {
		if c := k.calls[s.number(i)]; c != nil {
			all.Go(c.Hangup)
		}
	}
	all.Wait()
}

// hangUpBut has callers hang up who are not among those.
func (k *killing) hangUpBut(those map[string]*simcarrier.Call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for number, c := range k.calls {
		if those[number] != c {
			c.Hangup()
		}
	}
}

// goOn leads the calls that go on to their end, and waits until nothing is up or held.
func (k *killing) goOn(victim string) {
	began := time.Now()
	if victim == "serve" {
		k.talkOn()
	}
	var told map[string]*simcarrier.Call
	if victim != "serve" { // these were told nothing
		k.mu.Lock()
		told = maps.Clone(k.calls)
		k.mu.Unlock()
		for _, c := range told {
			c.Vanish()
		}
	}
	await(k.t, "all holds to be released", func() bool {
		if told != nil { // who was about to arrive is taken by the next Asterisk
			k.hangUpBut(told)
		}
		for _, account := range []string{"anna", "ben"} {
			if a, err := k.bank.Account(k.t.Context(), account); err != nil || a.Held != 0 {
				return false
			}
		}
		return true
	})
	await(k.t, "all channels to be gone", func() bool { return k.up("channels") == 0 && k.up("bridges") == 0 })
	took := time.Since(began)
	k.t.Logf("%s killed: nothing is held or up %s later", victim, took.Round(time.Millisecond))
	if took > ownerless {
		k.t.Errorf("that took %s", took)
	}
	fresh := k.phone("+491713929998")
	await(k.t, "a new call", func() bool {
		_, err := fresh.Call(k.t.Context(), talking.access)
		return err == nil
	})
}

// talkOn looks whether the talks are led on, and ends them.
func (k *killing) talkOn() {
	k.t.Helper()
	var some uuid.UUID
	await(k.t, "the talks to be led on", func() bool {
		live, err := askServe(k.state).live(k.t.Context())
		n := 0
		for _, c := range live {
			if string(c.AccessNumber) == talking.access && c.State == "talking" && c.AnsweredAt != nil {
				some = c.ID
				n++
			}
		}
		return err == nil && n == k.each
	})
	if err := askServe(k.state).hangup(k.t.Context(), some); err != nil {
		k.t.Error(err)
	}
	await(k.t, "the paid time to be used up", func() bool { return k.count(short, simcarrier.Record.Done) == k.each })
	for _, s := range []stage{talking, answering, arriving} {
		k.hangUp(s)
	}
}

// up counts what Asterisk has, of one kind.
func (k *killing) up(kind string) int {
	if k.operator != nil {
		return countARI(k.t, k.operator.URL, k.operator.Password, kind)
	}
	var reach struct{ HTTP, Password string }
	text, err := os.ReadFile(filepath.Join(k.state, "asterisk", "run", "reach.json"))
	if err == nil {
		err = json.Unmarshal(text, &reach)
	}
	if err != nil {
		return -1
	}
	return countARI(k.t, "http://"+reach.HTTP+"/ari", reach.Password, kind)
}

// countARI counts what an Asterisk has, of one kind; -1 when it does not tell.
func countARI(t *testing.T, url, password, kind string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/"+kind, nil)
	if err != nil {
		return -1
	}
	req.SetBasicAuth("telecommune", password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	defer res.Body.Close()
	var all []struct{ ID string }
	if json.NewDecoder(res.Body).Decode(&all) != nil || res.StatusCode != http.StatusOK {
		return -1
	}
	return len(all)
}

// check compares what was charged with what the carrier has delivered.
func (k *killing) check(victim string) {
	k.t.Helper()
	calls, err := k.bank.Calls(k.t.Context(), billing.CallFilter{})
	if err != nil {
		k.t.Fatal(err)
	}
	charged, entries := map[string]billing.Call{}, 0
	for _, c := range calls {
		if c.EndedAt == nil && c.Caller != "+491713929998" {
			k.t.Errorf("a call of %s is not closed", c.Caller)
		}
		if _, twice := charged[c.Caller]; twice && !strings.HasPrefix(c.Caller, "+49171392999") {
			k.t.Errorf("two rows for the call of %s", c.Caller)
		}
		charged[c.Caller] = c
		if c.Entry != nil {
			entries++
		}
	}
	var posted int
	if err := k.db.GetContext(k.t.Context(), &posted, `SELECT count(*) FROM entry WHERE kind = 'call'`); err != nil || posted != entries {
		k.t.Errorf("%d entries for %d calls, %v", posted, entries, err)
	}
	for _, s := range stages {
		records := k.records(s)
		told := map[billing.Outcome]int{}
		for i := range k.each {
			number := s.number(i)
			c := charged[number]
			told[c.Outcome]++
			k.compare(s, victim, i, c, records[number])
		}
		k.t.Logf("%s killed, %s: %v", victim, s.name, told)
	}
	k.attempts(calls)
	trial, err := ledger.Trial(k.t.Context(), k.db, ledger.TrialFilter{})
	var sum int64
	for _, l := range trial {
		sum += int64(l.Balance)
	}
	if err != nil || len(trial) == 0 || sum != 0 {
		k.t.Errorf("the trial balance of %d accounts is off by %d, %v", len(trial), sum, err)
	}
}

// attempts waits until the attempt which was answered is recorded of each call, and holds that it is once.
func (k *killing) attempts(calls []billing.Call) {
	k.t.Helper()
	for _, c := range calls {
		if c.AnsweredSeconds == 0 || c.EndedAt == nil {
			continue
		}
		await(k.t, fmt.Sprintf("the attempt of the call of %s, %s, to be there once", c.Caller, c.Outcome), func() bool {
			all, err := routing.NewStore(k.db.DB).Attempts(k.t.Context(), c.ID)
			all = slices.DeleteFunc(all, func(a routing.Attempt) bool { return a.Outcome != string(billing.Answered) })
			return err == nil && len(all) == 1 && all[0].Trunk == "alpha" && all[0].Prefix == "380"
		})
	}
}

// compare compares a call with the carrier's record of it, if it got there.
func (k *killing) compare(s stage, victim string, i int, c billing.Call, r simcarrier.Record) {
	k.t.Helper()
	end := r.Ended
	if victim != "serve" && r.Answered.Before(k.killed) && (end.IsZero() || end.After(k.killed)) {
		end = k.killed // then nothing was delivered any more, though nobody told the carrier
	}
	if call := k.calls[s.number(i)]; call != nil && victim != "asterisk" {
		select {
		case <-call.Done(): // whoever hangs up first ends the call
			if left := call.AnsweredAt().Add(call.Lasted()); left.Before(end) {
				end = left
			}
		default:
		}
	}
	var delivered time.Duration
	if isAnswered(r) {
		delivered = end.Sub(r.Answered)
	}
	const near = 100 * time.Millisecond // between what Asterisk and the carrier take for the moment of the answer or the end
	most := billing.AnsweredSeconds(delivered+near, 120)
	if delivered == 0 {
		most = 0
	}
	exact := victim == "serve" && s != answering && s != arriving || victim == "both" && (s == hangingUp || s == leaving)
	if k.operator != nil {
		exact = s == talking // of what ended meanwhile nobody tells more than the last sign of life, which is not far
		if seen := k.killed.Sub(r.Answered) - lastSign; isAnswered(r) && s != hangingUp && c.AnsweredSeconds < min(most-1, int(seen/time.Second)) {
			k.t.Errorf("%s: %d s are charged as %s, it was seen for %s", s.name, c.AnsweredSeconds, c.Outcome, seen)
		}
	}
	if c.AnsweredSeconds > most || exact && c.AnsweredSeconds < most-1 || int64(c.Price) != int64(c.AnsweredSeconds)*10_000 {
		k.t.Errorf("%s killed, %s: %d s are charged with %s as %s, %s were delivered", victim, s.name, c.AnsweredSeconds, c.Price, c.Outcome, delivered)
	}
}
