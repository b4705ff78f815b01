package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

const (
	closedMonth = "2027-01"
	socket      = ".s.PGSQL.5432"
)

// TestCloseKilled kills `period close` at any step, the program or its server process or both, and repeats it until it is
// done; and lets two programs close at once. Whatever happens, the month is closed once, whole, and as if nothing had
// happened: the same entries and figures as an undisturbed close of the same books, one seal, books without a finding.
func TestCloseKilled(t *testing.T) {
	rounds, calls := 2, 3000
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		rounds, calls = 40, 20_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := newCloseRounds(t, calls, seed)
	c.undisturbed()
	for round := range rounds {
		c.round(round)
	}
	for round := range max(1, rounds/6) {
		c.both(round)
	}
	c.alone(rounds)
	t.Logf("%d programs and %d server processes killed; %d times in the middle of a close, %d times after it", c.programs, c.backends, c.middle, c.late)
	if c.middle == 0 {
		t.Error("nothing was killed in the middle of a close")
	}
}

// closeRounds closes copies of one month's books.
type closeRounds struct {
	t     *testing.T
	state string
	db    *postgres.DB // keeps the server running
	admin *sqlx.DB     // of the server, connected to another database
	dice  *rand.Rand

	want  string        // the content of a closed month
	steps int64         // of the program that closes it
	took  time.Duration // by it

	programs, backends int // killed
	middle, late       int // of them, with the month open afterwards, or closed
}

func newCloseRounds(t *testing.T, calls int, seed uint64) *closeRounds {
	t.Helper()
	c := &closeRounds{t: t, state: freshState(t), dice: rand.New(rand.NewPCG(seed, seed))}
	c.open()
	c.admin = c.connect("postgres", postgres.AsLogin)
	c.world(calls)
	return c
}

// open starts the server.
func (c *closeRounds) open() {
	c.t.Helper()
	db, err := postgres.Open(c.t.Context(), postgres.Options{State: c.state, Log: quiet()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.db = db
	c.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *closeRounds) connect(database string, as func(pq.Config) (*sqlx.DB, error)) *sqlx.DB {
	c.t.Helper()
	db, err := as(c.config(database))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { db.Close() }) //nolint:errcheck // it may say that its server process was killed
	return db
}

func (c *closeRounds) config(database string) pq.Config {
	return cluster.Connection(filepath.Join(c.state, "postgres"), database)
}

func (c *closeRounds) dsn(database string) string {
	at := c.config(database)
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", at.Host, at.Port, at.User, at.Database)
}

// world makes the books that are to be closed: calls over trunks that are let, one bought with bonds, a second enterprise
// with a metered disk, members, rent that is ordered to be paid, expenses, a levy.
func (c *closeRounds) world(calls int) {
	t := c.t
	t.Helper()
	c.admin.MustExec(`CREATE DATABASE world`)
	if err := postgres.Migrate(t.Context(), c.config("world"), quiet()); err != nil {
		t.Fatal(err)
	}
	db := scratch{app: c.connect("world", postgres.AsApp), owner: c.connect("world", postgres.AsLogin)}
	if err := daysOfCalls(t.Context(), db.owner, 31, calls); err != nil {
		t.Fatal(err)
	}
	if err := letTrunks(t.Context(), db, closeFigure{Members: 30, Assets: 4}); err != nil {
		t.Fatal(err)
	}
	bids := filepath.Join("..", "..", "docs", "examples", "bond-bids.csv")
	for _, line := range []string{
		"asset request alpha --member m-1 --kind trunk --price 120.00 --life 24 --meter seconds --agreement RA --lessee CALL --fixed 11.00 --rate 0.003",
		"bond auction S1 --asset alpha --offer 120.00 --cap-bps 800 --term 12 --bids " + bids,
		"asset acquire alpha",
		"rent pay RA " + closedMonth,
		"period levy " + closedMonth + " --bps 1000",
		"period expense 0.21 --text bank",
		"enterprise add HOST --name Hosting",
		"asset gift disk --kind disk --value 40.00 --life 4 --meter quantity --agreement RD --lessee HOST --rate 0.10",
		"asset use disk 12.5 --key disk-1",
	} {
		if !strings.HasPrefix(line, "enterprise add") {
			line += " --on 2027-01-01"
		}
		if r := tcWith(t, "", append(words(line), "--db", c.dsn("world"))...); r.code != 0 {
			t.Fatalf("%s: %s", line, r.err)
		}
	}
	err := postgres.InTx(t.Context(), db.app, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, ledger.Entry{
			Key: "hosting", Kind: "topup", Actor: "test", At: time.Date(2027, 1, 20, 0, 0, 0, 0, time.UTC),
			Lines: []ledger.Line{ledger.Debit("HOST", "1000", 7*money.Unit), ledger.Credit("HOST", "4000", 7*money.Unit)},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.app.Close(); err != nil {
		t.Error(err)
	}
	if err := db.owner.Close(); err != nil {
		t.Error(err)
	}
}

// copyOf makes a copy of the books under a name.
func (c *closeRounds) copyOf(name string) {
	c.t.Helper()
	c.admin.MustExec(`CREATE DATABASE ` + name + ` TEMPLATE world`)
}

func (c *closeRounds) drop(name string) { c.admin.MustExec(`DROP DATABASE ` + name + ` WITH (FORCE)`) }

// closer is a `period close` in a process of its own.
type closer struct {
	process   *exec.Cmd
	out, errs bytes.Buffer
	ended     chan struct{} // closed
}

// start starts one on a database of the server, perhaps over a wire; or for "" on one whose server it has to start itself.
func (c *closeRounds) start(database string, over *wire) *closer {
	c.t.Helper()
	p := &closer{process: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.process.Env = append(os.Environ(), commandLine+"=period close "+closedMonth+" --early -o json --state "+c.state)
	if database != "" {
		dsn := c.dsn(database)
		if over != nil {
			dsn = strings.Replace(dsn, c.config(database).Host, over.folder, 1)
		}
		p.process.Env = append(p.process.Env, "TELECOMMUNE_DB="+dsn)
	}
	p.process.Stdout, p.process.Stderr = &p.out, &p.errs
	if err := p.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.process.Wait() //nolint:errcheck // its state tells
	}()
	return p
}

// seal is what an ended closer told, or "" when it did not succeed.
func (c *closeRounds) seal(p *closer) string {
	c.t.Helper()
	if !p.process.ProcessState.Success() {
		return ""
	}
	var m struct{ State, Seal string }
	if err := json.Unmarshal(p.out.Bytes(), &m); err != nil || m.State != string(ledger.Closed) || m.Seal == "" {
		c.t.Errorf("%v: %s", err, p.out.String())
	}
	return m.Seal
}

// wire stands between a closer and the server, counts what the closer sends, and lets something happen at one message:
// before it goes on, or when it went. Each message is a step of the program.
type wire struct {
	folder   string // of its socket
	server   string
	at       int64 // 0: never
	before   bool
	happen   func()
	messages atomic.Int64
}

func (c *closeRounds) wire(at int64, before bool, happen func()) *wire {
	c.t.Helper()
	w := &wire{folder: c.t.TempDir(), server: filepath.Join(c.state, "postgres", socket), at: at, before: before, happen: happen}
	listener, err := net.Listen("unix", filepath.Join(w.folder, socket))
	if err != nil {
		c.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.serve(client) })
		}
	})
	c.t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return w
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", w.server)
	if err != nil {
		return
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		io.Copy(client, server) //nolint:errcheck // one of the two has ended
		client.Close()
	})
	defer answering.Wait()
	defer server.Close()
	message := make([]byte, 1<<20)
	for {
		n, err := client.Read(message)
		if err != nil {
			return
		}
		now := w.messages.Add(1) == w.at
		if now && w.before {
			w.happen()
			return
		}
		if _, err := server.Write(message[:n]); err != nil {
			return
		}
		if now {
			w.happen()
		}
	}
}

// undisturbed closes a copy to know what it comes to, and how long it takes.
func (c *closeRounds) undisturbed() {
	c.t.Helper()
	c.copyOf("undisturbed")
	w, began := c.wire(0, false, nil), time.Now()
	p := c.start("undisturbed", w)
	<-p.ended
	c.steps, c.took = w.messages.Load(), time.Since(began)
	seal := c.seal(p)
	if seal == "" {
		c.t.Fatal(p.errs.String())
	}
	c.want = c.content("undisturbed", seal)
	if n := strings.Count(c.want, `"key"`); n < 10 {
		c.t.Fatalf("a close of %d entries shows nothing:\n%s", n, c.want)
	}
	c.t.Logf("a close takes %d steps and posts %d lines", c.steps, strings.Count(c.want, `"key"`))
	c.drop("undisturbed")
}

// round closes a copy and kills what closes up to three times, the first time in its middle, then lets it be.
func (c *closeRounds) round(n int) {
	c.t.Helper()
	name := fmt.Sprintf("killed_%d", n)
	c.copyOf(name)
	at := c.steps/4 + c.dice.Int64N(c.steps/2)
	for range 3 {
		if !c.kill(name, at) {
			break
		}
		at = c.step()
	}
	p := c.start(name, nil)
	<-p.ended
	seal := c.seal(p)
	if seal == "" {
		c.t.Fatalf("%s: %s", name, p.errs.String())
	}
	c.check(name, seal)
	c.drop(name)
}

// kill starts a closer and kills it, or the process that serves it, at a step. All must be undone then, or done. It is
// false when the closer got to its end.
func (c *closeRounds) kill(name string, at int64) bool {
	c.t.Helper()
	program := c.dice.IntN(2) == 0
	var killed atomic.Bool
	var p *closer
	started := make(chan struct{})
	w := c.wire(at, c.dice.IntN(2) == 0, func() {
		killed.Store(true)
		<-started
		if program {
			p.process.Process.Kill() //nolint:errcheck // its end is awaited
			<-p.ended
		} else {
			c.terminate(name)
		}
	})
	p = c.start(name, w)
	close(started)
	<-p.ended
	if program {
		c.programs++
	} else {
		c.backends++
	}
	await(c.t, "the server to notice", func() bool {
		var left int
		if err := c.admin.Get(&left, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, name); err != nil {
			c.t.Fatal(err)
		}
		return left == 0
	})
	db := c.connect(name, postgres.AsApp)
	defer db.Close()
	var closed, entries int
	err := db.QueryRow(`SELECT (SELECT count(*) FROM period), (SELECT count(*) FROM entry WHERE key LIKE 'close:%')`).Scan(&closed, &entries)
	if err != nil || (closed == 0) != (entries == 0) {
		c.t.Errorf("%s: %d months closed with %d entries, %v", name, closed, entries, err)
	}
	if closed > 0 {
		c.late++
	} else {
		c.middle++
	}
	return killed.Load()
}

// step is some step of a closer, every other time one of the last: there are the seal and the commit.
func (c *closeRounds) step() int64 {
	if c.dice.IntN(2) == 0 {
		return c.steps - c.dice.Int64N(c.steps/8)
	}
	return 1 + c.dice.Int64N(c.steps)
}

// terminate ends the server processes of a database.
func (c *closeRounds) terminate(name string) {
	if _, err := c.admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name); err != nil {
		c.t.Error(err)
	}
}

// both lets two programs close at once, one of which may be killed.
func (c *closeRounds) both(n int) {
	c.t.Helper()
	name := fmt.Sprintf("both_%d", n)
	c.copyOf(name)
	var two [2]*closer
	var w *wire
	started := make(chan struct{})
	if n%2 == 1 {
		w = c.wire(c.step(), false, func() {
			<-started
			two[0].process.Process.Kill() //nolint:errcheck // its end is awaited
		})
	}
	two[0], two[1] = c.start(name, w), c.start(name, nil)
	close(started)
	seal := ""
	for i, p := range two {
		<-p.ended
		told := c.seal(p)
		if told == "" && (i == 1 || n%2 == 0) || told != "" && seal != "" && told != seal {
			c.t.Errorf("%s: sealed %s, then %s: %s", name, seal, told, p.errs.String())
		}
		seal = cmp.Or(told, seal)
	}
	c.check(name, seal)
	c.drop(name)
}

// alone closes with a server that the program starts and that ends with it. It kills both so many times.
func (c *closeRounds) alone(kills int) {
	t := c.t
	t.Helper()
	c.drop(cluster.Database)
	c.copyOf(cluster.Database)
	for _, db := range []interface{ Close() error }{c.admin, c.db} {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	for range kills {
		p := c.start("", nil)
		select {
		case <-p.ended:
		case <-time.After(time.Duration(c.dice.Int64N(int64(2 * c.took)))):
			c.programs++
			p.process.Process.Kill() //nolint:errcheck // it may have ended just now
			<-p.ended
		}
	}
	p := c.start("", nil)
	<-p.ended
	c.open()
	c.check(cluster.Database, c.seal(p))
}

// check holds a closed copy to be what an undisturbed close comes to, with this seal, also when it is closed again.
func (c *closeRounds) check(name, seal string) {
	t := c.t
	t.Helper()
	again := tcWith(t, "", "period", "close", closedMonth, "--db", c.dsn(name), "-o", "json")
	if again.code != 0 || decode[map[string]any](t, again.out)["seal"] != seal {
		t.Errorf("%s: closed again: %s%s, want the seal %s", name, again.out, again.err, seal)
	}
	if got := c.content(name, seal); got != c.want {
		t.Errorf("%s: closed with\n%s\nwant\n%s", name, got, c.want)
	}
}

// content is what a closed month came to, without ids and times. Its books must be sound, and sealed so.
func (c *closeRounds) content(name, seal string) (text string) {
	t := c.t
	t.Helper()
	db := c.connect(name, postgres.AsApp)
	defer db.Close()
	err := db.GetContext(t.Context(), &text, `
		SELECT json_build_object(
		    'entries', (SELECT json_agg(x) FROM (SELECT e.key, e.kind, e.business_date, e.text, l.n, l.book, l.account, l.amount
		        FROM entry e JOIN line l ON l.entry_id = e.id WHERE e.key LIKE 'close:%' ORDER BY e.key, l.n) x),
		    'months', (SELECT json_agg(x) FROM (SELECT month, entries FROM period ORDER BY month) x),
		    'rents', (SELECT json_agg(r ORDER BY r.agreement) FROM rent_posting r),
		    'settled', (SELECT json_agg(s ORDER BY s.agreement) FROM rent_settlement s),
		    'figures', (SELECT json_agg(d.figures) FROM distribution d),
		    'dividends', (SELECT json_agg(d ORDER BY d.member) FROM dividend d),
		    'balances', (SELECT json_agg(b ORDER BY b.book, b.account) FROM balance b))`)
	if err != nil {
		t.Fatal(err)
	}
	check := ledger.Check{Finding: func(f ledger.Finding) { t.Errorf("%s: %+v", name, f) }}
	parsed, err := ledger.ParseSeal(seal)
	if err != nil {
		t.Fatal(err)
	}
	check.Seals = map[ledger.Period]ledger.Seal{closedMonth: parsed}
	if _, err := ledger.Verify(t.Context(), db, check); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	trial, err := ledger.Trial(t.Context(), db, ledger.TrialFilter{})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]money.Amount{}
	for _, l := range trial {
		sums[l.Book] += l.Balance
	}
	for book, sum := range sums {
		if sum != 0 || len(sums) != 3 {
			t.Errorf("%s: book %s of %d is off by %s", name, book, len(sums), sum)
		}
	}
	return text
}
