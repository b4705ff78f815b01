package conformance

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/pbx/prompt/prompttest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// The world of every case: one account with a phone and a PIN, three access numbers, and numbers to call.
const (
	member  = "member"
	mobile  = e164.Number("+4915112345678") // opens the account
	unknown = e164.Number("+4915187654321") // does not

	gateway = e164.Number("+4930901820001")
	contact = e164.Number("+4930901820002") // stands for friend
	echo    = e164.Number("+4930901820003")

	friend = e164.Number("+442079460001")
	other  = e164.Number("+442079460002")
)

const (
	patience = 90 * time.Second // bounds a case
	stopTime = 30 * time.Second // for an engine to end
)

// plan is how a case's world differs from the usual.
type plan struct {
	trunks       []routing.Trunk // cheapest first
	credit       money.Amount    // 0: 10.00
	callLimit    int
	limits       billing.Limits
	mediaTimeout time.Duration                                 // 0: 10 s
	maxCalls     int                                           // at once; 0: no limit
	maxCPS       int                                           // begun in a second; 0: no limit
	handle       func(ctx context.Context, r *rig, in pbx.Leg) // in place of the exchange
	log          slog.Level
	patience     time.Duration // 0: the usual
}

// rig is everything of ours in between, running.
type rig struct {
	t        *testing.T
	ctx      context.Context // of the case
	db       *sqlx.DB
	bank     *billing.Service
	engine   Engine
	address  string // where the engine takes SIP
	exchange *pbx.Exchange
	pin      string
	stop     func() // ends the run and waits; can be called twice
}

// world is a database with the plan's accounts, decks and trunks, as they are handed to a process that serves it.
func world(t *testing.T, db *sqlx.DB, bank *billing.Service, p plan) (pin string) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store := pbx.NewStore(db)
	must(store.AddProvider(ctx, pbx.Provider{Code: "loopback", Address: netip.MustParsePrefix("127.0.0.1/32"), TrustCallerID: true}))
	must(store.AddProvider(ctx, pbx.Provider{Code: "softphone", User: "softphone", Password: softphonePassword}))
	for number, service := range map[e164.Number]pbx.Service{gateway: pbx.Gateway, contact: pbx.Contact, echo: pbx.Echo} {
		_, err := store.AddAccessNumber(ctx, pbx.AccessNumber{Number: number, Provider: "loopback", Country: "DE", Language: "en", Service: service})
		must(err)
	}
	_, err := bank.AddAccount(ctx, billing.NewAccount{Code: member, CallLimit: p.callLimit, Limits: p.limits})
	must(err)
	_, err = bank.TopUp(ctx, billing.TopUp{Account: member, Amount: cmp.Or(p.credit, 10*money.Unit), Key: "first"})
	must(err)
	must(bank.AddPhone(ctx, billing.Phone{Number: mobile, Account: member}))
	pin, err = bank.IssuePIN(ctx, member)
	must(err)
	must(bank.SetContact(ctx, billing.ContactEntry{Account: member, AccessNumber: contact, Number: friend}))

	decks, trunks := tariff.NewStore(db), routing.NewStore(db)
	load := func(spec tariff.Spec, rate money.Amount) {
		deck, err := tariff.ParseDeck(strings.NewReader("prefix,rate_per_minute\n44,"+rate.String()+"\n"), spec)
		must(err)
		_, err = decks.Import(ctx, deck)
		must(err)
	}
	load(tariff.Spec{Kind: tariff.Retail, Name: "retail", Currency: "EUR"}, perMinute)
	for i, trunk := range p.trunks {
		trunk.Code, trunk.Enabled = trunkCode(i), true
		_, err := trunks.AddTrunk(ctx, trunk)
		must(err)
		load(tariff.Spec{Kind: tariff.Trunk, Name: trunk.Code, Currency: "EUR"}, money.Amount(i+1)*money.Cent)
	}
	return pin
}

const (
	perMinute         = 6 * 10 * money.Cent // a cent a second, billed by the second
	softphonePassword = "loudspeaker-in-the-hall"
)

func trunkCode(i int) string { return fmt.Sprintf("trunk%d", i+1) }

// newRig makes a world and sets everything running.
func newRig(t *testing.T, start Start, p plan) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(p.patience, patience))
	t.Cleanup(cancel)
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: cmp.Or(p.log, slog.LevelWarn)}))
	r := &rig{t: t, ctx: ctx, db: pgtest.New(t)}
	r.bank = newBank(r.db, t.TempDir(), log)
	r.pin = world(t, r.db, r.bank, p)
	r.serve(start, p, log)
	return r
}

// newBank is the billing of a run of the one node there is.
func newBank(db *sqlx.DB, spool string, log *slog.Logger) *billing.Service {
	return billing.New(db, billing.Options{
		Key: []byte("conformance-conformance"), Node: "node1", Boot: uuid.New(), Spool: spool, Log: log,
	})
}

// serve starts engine and exchange.
func (r *rig) serve(start Start, p plan, log *slog.Logger) {
	r.t.Helper()
	c := wire(r.t, r.db, r.bank, log)
	snapshot, admission := c.Routes(), c.Admission
	r.engine = start.New(r.t, Config{
		Admission: admission, Trunks: snapshot.Trunks, MediaTimeout: cmp.Or(p.mediaTimeout, 10*time.Second),
		MaxCalls: p.maxCalls, MaxCPS: p.maxCPS, Log: log,
	})
	r.address = r.engine.Addr().String()
	c.Switch, c.MaxCalls, c.MaxCPS = r.engine, p.maxCalls, p.maxCPS
	r.exchange = pbx.New(c)

	run, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		if p.handle != nil {
			ended <- r.engine.Run(run, func(ctx context.Context, in pbx.Leg) { p.handle(ctx, r, in) })
		} else {
			ended <- r.exchange.Run(run)
		}
	}()
	stopped := false
	r.stop = func() {
		if cancel(); stopped {
			return
		}
		stopped = true
		select {
		case err := <-ended:
			if err != nil {
				r.t.Errorf("run: %v", err)
			}
		case <-time.After(stopTime):
			r.t.Errorf("the engine did not end within %s", stopTime)
		}
	}
	r.t.Cleanup(r.stop)
	select {
	case <-r.engine.Ready():
	case err := <-ended:
		ended <- err
		r.t.Fatal("the engine does not start")
	case <-r.ctx.Done():
		r.t.Fatal("the engine takes no calls")
	}
}

// wire makes an exchange's configuration of what is in the database. Its Switch is still to be set.
func wire(t testing.TB, db *sqlx.DB, bank *billing.Service, log *slog.Logger) pbx.Config {
	t.Helper()
	ctx := context.Background()
	routes := routing.NewStore(db)
	snapshot, err := routes.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := pbx.LoadAdmission(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	clips, err := prompt.Open(clips(t))
	if err != nil {
		t.Fatal(err)
	}
	if missing := clips.Check(); len(missing) > 0 {
		t.Fatalf("clips that the suite does not make: %v", missing)
	}
	return pbx.Config{
		Callers: bank, Credit: bank, Signs: bank.Alive, Routes: func() *routing.Snapshot { return snapshot },
		Gate: routing.NewGate(), Attempts: routes.RecordAttempts, Admission: func() *pbx.Admission { return admission },
		Prompts: clips, Node: "node1", Log: log,
	}
}

// testLog writes what is logged to the test's log.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// clips makes a folder with a clip for each text: 60 ms of 500 Hz in place of words, so that no speech is needed and a
// price is told within a second.
func clips(t testing.TB) string {
	t.Helper()
	const samples = 480
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00")
	for i := range samples {
		wav = binary.LittleEndian.AppendUint16(wav, uint16(int16(8000*math.Sin(2*math.Pi*500*float64(i)/8000))))
	}
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	binary.LittleEndian.PutUint32(wav[40:], 2*samples)
	return prompttest.Folder(t, wav)
}

// phone makes a simulated phone that calls here, with the member's number unless c has another.
func (r *rig) phone(c simcarrier.PhoneConfig) *simcarrier.Phone {
	r.t.Helper()
	c.Server, c.Number = r.address, cmp.Or(c.Number, mobile.String())
	p, err := simcarrier.NewPhone(r.ctx, c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
	return p
}

// call calls an access number from a phone of its own, and waits for the answer.
func (r *rig) call(c simcarrier.PhoneConfig, number e164.Number) *simcarrier.Call {
	r.t.Helper()
	call, err := r.phone(c).Call(r.ctx, number.Digits())
	if err != nil {
		r.t.Fatal(err)
	}
	return call
}

// dial waits for the question and dials.
func (r *rig) dial(c *simcarrier.Call, digits string) {
	r.t.Helper()
	r.must(c.WaitQuiet(r.ctx))
	r.must(c.Dial(r.ctx, digits))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// receive waits for what comes, within the time of the case.
func receive[T any](r *rig, from <-chan T) (got T) {
	r.t.Helper()
	select {
	case got = <-from:
	case <-r.ctx.Done():
		r.t.Fatal("waited in vain")
	}
	return got
}

// hearTone waits until the call hears a tone, which only the far side sends.
func (r *rig) hearTone(c *simcarrier.Call) {
	r.t.Helper()
	before := c.Heard().Tone
	r.must(c.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone >= before+5 }))
}

// carrier starts a simulated carrier.
func carrier(t *testing.T, c simcarrier.CarrierConfig) *simcarrier.Carrier {
	t.Helper()
	s, err := simcarrier.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// answering is a carrier that answers with a tone.
func answering() simcarrier.CarrierConfig {
	return simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Ring: 50 * time.Millisecond, Sound: simcarrier.Tone}}
}

// want is what a call has to look like in the database.
type want struct {
	outcome  billing.Outcome
	or       billing.Outcome // is right as well
	sip      int
	atLeast  int // answered seconds
	atMost   int
	trunk    string
	number   e164.Number
	attempts string // outcomes of the attempts and what is suspect of them, such as "failed answered"; "": not looked at
}

// settled waits until all calls are closed, and compares them, in their order, with what is wanted. Then no money may be
// held, and the books have to balance.
func (r *rig) settled(wants ...want) {
	r.t.Helper()
	var calls []billing.Call
	for {
		var err error
		calls, err = r.bank.Calls(r.ctx, billing.CallFilter{})
		r.must(err)
		open := 0
		for _, c := range calls {
			if c.EndedAt == nil {
				open++
			}
		}
		var holds int
		r.must(r.db.GetContext(r.ctx, &holds, `SELECT count(*) FROM hold`))
		if len(calls) >= len(wants) && open+holds == 0 {
			break
		}
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("%d of %d calls recorded, %d still open, %d holds", len(calls), len(wants), open, holds)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if len(calls) != len(wants) {
		r.t.Fatalf("%d calls recorded, want %d: %+v", len(calls), len(wants), calls)
	}
	var spent money.Amount
	for i, w := range wants {
		r.compare(calls[i], w)
		spent += calls[i].Price
	}
	r.balanced(spent)
}

func (r *rig) compare(c billing.Call, w want) {
	r.t.Helper()
	if c.Outcome != w.outcome && c.Outcome != cmp.Or(w.or, w.outcome) || w.sip != 0 && c.SIP != w.sip || c.AnsweredSeconds < w.atLeast || c.AnsweredSeconds > w.atMost ||
		w.trunk != "" && c.Trunk != w.trunk || w.number != "" && c.Number != w.number.String() {
		r.t.Errorf("call %+v\nwant %+v", c, w)
	}
	if price := money.Amount(c.AnsweredSeconds) * perMinute / 60; c.Price != price {
		r.t.Errorf("price %s of %d s, want %s", c.Price, c.AnsweredSeconds, price)
	}
	if w.attempts == "" {
		return
	}
	attempts, err := routing.NewStore(r.db).Attempts(r.ctx, c.ID)
	for start := time.Now(); err == nil && len(attempts) == 0 && time.Since(start) < 5*time.Second; { // written after the money
		time.Sleep(10 * time.Millisecond)
		attempts, err = routing.NewStore(r.db).Attempts(r.ctx, c.ID)
	}
	r.must(err)
	var outcomes []string
	for _, a := range attempts {
		outcomes = append(outcomes, strings.TrimSpace(a.Outcome+" "+a.Suspect))
	}
	if got := strings.Join(outcomes, " "); got != w.attempts {
		r.t.Errorf("attempts %q, want %q", got, w.attempts)
	}
}

// balanced looks at the account and the books after all is settled.
func (r *rig) balanced(spent money.Amount) {
	r.t.Helper()
	account, err := r.bank.Account(r.ctx, member)
	r.must(err)
	lines, err := ledger.Trial(r.ctx, r.db, ledger.TrialFilter{})
	r.must(err)
	sums := map[string]money.Amount{}
	for _, l := range lines {
		sums[l.Book] += l.Balance
		if l.Account == billing.CreditAccount(member) && -l.Balance != account.Balance {
			r.t.Errorf("the account has %s, the books say %s", account.Balance, -l.Balance)
		}
		if l.Account == billing.CreditAccount(member) && l.Debit != spent {
			r.t.Errorf("the books took %s off the account, the calls cost %s", l.Debit, spent)
		}
	}
	for book, sum := range sums {
		if sum != 0 {
			r.t.Errorf("book %s does not balance: %s", book, sum)
		}
	}
	if len(sums) == 0 || account.Held != 0 {
		r.t.Errorf("books %v, held %s", sums, account.Held)
	}
}
