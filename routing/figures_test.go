package routing_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/e164"
	"telecommune/internal/postgres/pgtest"
	"telecommune/routing"
)

// made is a call with its attempts, as serve leaves it.
type made struct {
	number   e164.Number
	attempts []routing.Attempt
	seconds  int // answered
	price    int64
	vat      int64
	cost     int64
	running  bool
}

func (m made) store(t testing.TB, db *sqlx.DB, store *routing.Store) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	var ended *time.Time
	if !m.running {
		ended = &noon
	}
	_, err := db.Exec(`
		INSERT INTO call (id, access_call, node, provider, access_number, started_at, ended_at, answered_seconds, price, vat,
		    carrier_cost)
		VALUES ($1, $1, 'n', 'p', '+4930', $2, $3, $4, $5, $6, $7)`, id, noon, ended, m.seconds, m.price, m.vat, m.cost)
	if err == nil {
		err = store.RecordAttempts(t.Context(), id, routing.Plan{Number: m.number, At: noon}, m.attempts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func attempt(trunk, prefix string, at time.Time, pdd time.Duration, sip, q850 int, outcome string) routing.Attempt {
	return routing.Attempt{Trunk: trunk, Prefix: prefix, Started: at, PDD: pdd, SIP: sip, Q850: q850, Outcome: outcome}
}

// Ratios by hand: of T1's six attempts one was answered; busy, declined, two that rang for nobody and the answered one
// reached the far party, a 503 did not; a full trunk was not tried.
func TestFigures(t *testing.T) {
	db := pgtest.New(t)
	store, ctx := routing.NewStore(db), t.Context()
	ms := time.Millisecond
	for _, m := range []made{
		{"+380441234567", []routing.Attempt{
			attempt("T0", "380", noon, 0, 0, 0, "full"),
			attempt("T1", "38044", noon, 1000*ms, 200, 0, "answered"),
		}, 61, 190_000, 30_336, 81_333, false},
		{number: "+380441234567", attempts: []routing.Attempt{attempt("T1", "38044", noon, 0, 486, 17, "busy")}},
		{number: "+380441234567", attempts: []routing.Attempt{attempt("T1", "38044", noon, 2000*ms, 603, 21, "busy")}},
		{number: "+380501234567", attempts: []routing.Attempt{attempt("T1", "38050", noon, 3001*ms, 487, 0, "no_answer")}},
		{number: "+380501234567", attempts: []routing.Attempt{attempt("T1", "38050", noon, 500*ms, 0, 0, "gave_up")}},
		{"+4930123456", []routing.Attempt{
			attempt("T1", "49", noon.Add(20*time.Minute), 0, 503, 41, "failed"),
			attempt("T2", "4930", noon.Add(21*time.Minute), 700*ms, 200, 0, "answered"),
		}, 30, 10_000, 0, 20_000, false},
		{number: "+4930123456", running: true, attempts: []routing.Attempt{attempt("T2", "4930", noon, 0, 503, 41, "failed")}},
	} {
		m.store(t, db, store)
	}
	get := func(f routing.FigureFilter) []string {
		t.Helper()
		f.From, f.Zone = noon.Add(-24*time.Hour), "Europe/Berlin"
		figures, err := store.Figures(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range figures {
			lines = append(lines, brief2(f))
		}
		return lines
	}
	for range 2 { // counted once, however often it is asked for
		if err := store.Count(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for why, tc := range map[string]struct {
		f    routing.FigureFilter
		want []string
	}{
		"trunk": {routing.FigureFilter{By: routing.ByTrunk, Window: routing.Whole}, []string{
			"05-31T12:00 T1   6 1 ASR 16.67 NER 83.33 ACD 61 PDD 1625 61s 0.19 - 0.030336 - 0.081333 = 0.078331 [0/0:1 486/17:1 487/0:1 503/41:1 603/21:1]",
			"05-31T12:00 T2   1 1 ASR 100.00 NER 100.00 ACD 30 PDD 700 30s 0.01 - 0.00 - 0.02 = -0.01 []",
		}},
		"country, of one trunk": {routing.FigureFilter{Trunk: "T1", By: routing.ByCountry, Window: routing.Day}, []string{
			"05-31T22:00 T1 DE  1 0 ASR 0.00 NER 0.00 ACD - PDD - 0s 0.00 - 0.00 - 0.00 = 0.00 [503/41:1]",
			"05-31T22:00 T1 UA  5 1 ASR 20.00 NER 100.00 ACD 61 PDD 1625 61s 0.19 - 0.030336 - 0.081333 = 0.078331 [0/0:1 486/17:1 487/0:1 603/21:1]",
		}},
		"prefix, in quarters": {routing.FigureFilter{Trunk: "T1", By: routing.ByPrefix, Window: routing.Quarter}, []string{
			"06-01T12:00 T1 UA 38044 3 1 ASR 33.33 NER 100.00 ACD 61 PDD 1500 61s 0.19 - 0.030336 - 0.081333 = 0.078331 [486/17:1 603/21:1]",
			"06-01T12:00 T1 UA 38050 2 0 ASR 0.00 NER 100.00 ACD - PDD 1751 0s 0.00 - 0.00 - 0.00 = 0.00 [0/0:1 487/0:1]",
			"06-01T12:15 T1 DE 49 1 0 ASR 0.00 NER 0.00 ACD - PDD - 0s 0.00 - 0.00 - 0.00 = 0.00 [503/41:1]",
		}},
		"months of the zone": {routing.FigureFilter{Trunk: "T2", By: routing.ByTrunk, Window: routing.Month}, []string{
			"05-31T22:00 T2   1 1 ASR 100.00 NER 100.00 ACD 30 PDD 700 30s 0.01 - 0.00 - 0.02 = -0.01 []",
		}},
		"a trunk without calls": {routing.FigureFilter{Trunk: "T9", By: routing.ByTrunk, Window: routing.Whole}, nil},
	} {
		if got := get(tc.f); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", why, got, tc.want)
		}
	}
	// A call that runs counts when it is over.
	if _, err := db.Exec(`UPDATE call SET ended_at = now()`); err != nil {
		t.Fatal(err)
	}
	if err := store.Count(ctx); err != nil {
		t.Fatal(err)
	}
	tried, err := store.TriedSince(ctx, noon)
	want := []routing.Tried{{"T1", "DE", 1, 0}, {"T1", "UA", 5, 1}, {"T2", "DE", 2, 1}}
	if err != nil || !reflect.DeepEqual(tried, want) {
		t.Errorf("%v, %v; want %v", tried, err, want)
	}
	if tried, err = store.TriedSince(ctx, noon.Add(15*time.Minute)); err != nil || len(tried) != 2 {
		t.Errorf("a quarter later: %v, %v", tried, err)
	}
}

func brief2(f routing.Figures) string {
	orDash := func(v reflect.Value) string {
		if v.IsNil() {
			return "-"
		}
		return fmt.Sprint(v.Elem().Interface())
	}
	of := reflect.ValueOf
	return fmt.Sprintf("%s %s %s %s %d %d ASR %s NER %s ACD %s PDD %s %ds %s - %s - %s = %s [%s]",
		f.From.Format("01-02T15:04"), f.Trunk, f.Country, f.Prefix, f.Attempts, f.Answered, orDash(of(f.ASR)), orDash(of(f.NER)),
		orDash(of(f.ACD)), orDash(of(f.PDD)), f.Seconds, f.Price, f.VAT, f.Cost, f.Margin, f.Failures)
}

// Whoever counts at once, and while calls end: each attempt is counted once.
func TestCountingAtOnce(t *testing.T) {
	db := pgtest.New(t)
	store, ctx := routing.NewStore(db), t.Context()
	const writers, calls = 4, 60
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range calls {
				m := made{number: "+380441234567", seconds: 10, price: 7, attempts: []routing.Attempt{
					attempt(fmt.Sprint("T", random.IntN(3)), "380", noon, 0, 503, 41, "failed"),
					attempt(fmt.Sprint("T", random.IntN(3)), "380", noon, time.Second, 200, 0, "answered"),
				}}
				m.store(t, db, store)
				if random.IntN(4) == 0 {
					if err := store.Count(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if err := store.Count(ctx); err != nil {
		t.Fatal(err)
	}
	figures, err := store.Figures(ctx, routing.FigureFilter{By: routing.ByTrunk, Window: routing.Whole, From: noon, Zone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	var attempts, answered, seconds, price, failures int64
	for _, f := range figures {
		attempts, answered, seconds, price = attempts+f.Attempts, answered+f.Answered, seconds+f.Seconds, price+int64(f.Price)
		for _, c := range f.Failures {
			failures += c.Attempts
		}
	}
	const n = writers * calls
	if attempts != 2*n || answered != n || seconds != 10*n || price != 7*n || failures != n {
		t.Errorf("%d attempts, %d answered, %d s, price %d, %d failures; want those of %d calls", attempts, answered, seconds, price, failures, n)
	}
}

// BenchmarkCount adds attempts of a month over 10 trunks and 200 prefixes up, and reads the month by prefix: 300,000 with
// TELECOMMUNE_LONG, else a tenth.
func BenchmarkCount(b *testing.B) {
	n := 30_000
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		n = 300_000
	}
	db := pgtest.New(b)
	store, ctx := routing.NewStore(db), b.Context()
	_, err := db.Exec(`
		WITH made AS (
		    INSERT INTO call (id, access_call, node, provider, access_number, started_at, ended_at, answered_seconds, price)
		    SELECT gen_random_uuid(), gen_random_uuid(), 'n', 'p', '+4930', $1, $1, 60, 10000 FROM generate_series(1, $2)
		    RETURNING id
		)
		INSERT INTO attempt (call_id, n, trunk, country, prefix, started_at, pdd_ms, sip, q850, outcome, effective)
		SELECT id, 1, 'T' || k % 10, 'C' || k % 20, '38' || k % 200, $1 + k % 2880 * interval '15 minutes', 900,
		    CASE k % 3 WHEN 0 THEN 503 ELSE 200 END, 0, CASE k % 3 WHEN 0 THEN 'failed' ELSE 'answered' END, k % 3 > 0
		FROM (SELECT id, row_number() OVER () AS k FROM made) m`, noon, n)
	if err == nil {
		_, err = db.Exec(`ANALYZE`)
	}
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := store.Count(ctx); err != nil {
		b.Fatal(err)
	}
	counted := time.Since(began)
	filter := routing.FigureFilter{By: routing.ByPrefix, Window: routing.Month, From: noon, Zone: "Europe/Berlin"}
	for b.Loop() {
		if figures, err := store.Figures(ctx, filter); err != nil || len(figures) < 200 {
			b.Fatal(len(figures), err)
		}
	}
	b.ReportMetric(float64(n)/counted.Seconds(), "counted/s")
}
