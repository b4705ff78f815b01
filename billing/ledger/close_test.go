package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

var july = time.Date(2027, 7, 2, 12, 0, 0, 0, time.UTC)

// earn is a call's entry of a day.
func earn(key string, at time.Time, price, cost money.Amount) ledger.Entry {
	return ledger.Entry{Key: key, Kind: "call", Text: "Call", Actor: "test", At: at, Late: true, Lines: []ledger.Line{
		ledger.Debit("CALL", "2100:ana", price), ledger.Credit("CALL", "4000:alpha", price),
		ledger.Debit("CALL", "5000:alpha", cost), ledger.Credit("CALL", "2200:K", cost),
	}}
}

func closeMonth(t *testing.T, db *sqlx.DB, p ledger.Period) (ledger.Outcome, error) {
	t.Helper()
	return ledger.Close(t.Context(), db, ledger.Order{Period: p, Actor: "test", Now: july})
}

func mustClose(t *testing.T, db *sqlx.DB, p ledger.Period) ledger.Outcome {
	t.Helper()
	out, err := closeMonth(t, db, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verify gives what Verify finds.
func verify(t *testing.T, db *sqlx.DB, seals map[ledger.Period]ledger.Seal) (found []ledger.Finding) {
	t.Helper()
	v, err := ledger.Verify(t.Context(), db, ledger.Check{
		Seals: seals, Finding: func(f ledger.Finding) { found = append(found, f) },
	})
	if err != nil || v.Found != int64(len(found)) {
		t.Fatalf("%+v, %d told, %v", v, len(found), err)
	}
	return found
}

func mustVerify(t *testing.T, db *sqlx.DB) {
	t.Helper()
	for _, f := range verify(t, db, nil) {
		t.Errorf("verify: %+v", f)
	}
}

func TestClose(t *testing.T) {
	db := pgtest.New(t)
	june := noon
	mustPost(t, db, earn("a", june, 10, 4))
	mustPost(t, db, earn("b", june.AddDate(0, 0, -29), 5, 0x7fff))
	mustPost(t, db, earn("c", july, 100, 1)) // of July: stays out of June's result

	dry, err := ledger.Close(t.Context(), db, ledger.Order{Period: "2027-06", Now: july, DryRun: true})
	if err != nil || dry.State != ledger.Open || len(dry.Posted) != 1 {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	if _, err := closeMonth(t, db, "2027-07"); !errors.Is(err, ledger.ErrPeriodOpen) {
		t.Errorf("a month too far: %v", err)
	}
	out := mustClose(t, db, "2027-06")
	want := []ledger.Line{
		{Book: "CALL", Account: "3900", Amount: -15 + 4 + 0x7fff},
		{Book: "CALL", Account: "4000:alpha", Amount: 15},
		{Book: "CALL", Account: "5000:alpha", Amount: -4 - 0x7fff},
	}
	posted, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{Key: "close:2027-06:result:CALL"})
	if err != nil || len(posted) != 1 || posted[0].Date != "2027-06-30" {
		t.Fatalf("%+v, %v", posted, err)
	}
	slices.SortFunc(posted[0].Lines, func(a, b ledger.Line) int { return int(a.Account[0]) - int(b.Account[0]) })
	if !slices.Equal(posted[0].Lines, want) {
		t.Errorf("result: %+v, want %+v", posted[0].Lines, want)
	}
	if out.State != ledger.Closed || out.Entries != 3 || len(out.Seal) != 32 || !reflect.DeepEqual(out.Posted[0].Lines, dry.Posted[0].Lines) {
		t.Errorf("outcome %+v, dry run %+v", out, dry)
	}
	trial, err := ledger.Trial(t.Context(), db, ledger.TrialFilter{Book: "CALL", At: "2027-06-30"})
	for _, l := range trial {
		if (l.Account[0] == '4' || l.Account[0] == '5') && l.Balance != 0 || err != nil {
			t.Errorf("after the close %+v, %v", l, err)
		}
	}
	again := mustClose(t, db, "2027-06")
	if len(again.Posted) != 0 || again.Seal.String() != out.Seal.String() {
		t.Errorf("closed again: %+v, want as before and no entry", again)
	}
	if before := mustClose(t, db, "2027-05"); before.State != ledger.Closed || len(before.Posted) != 0 {
		t.Errorf("a month before the first: %+v", before)
	}
	mustVerify(t, db)
}

func TestCloseOfARunningMonth(t *testing.T) {
	db := pgtest.New(t)
	if _, err := db.Exec(`UPDATE commune SET zone = 'America/New_York'`); err != nil {
		t.Fatal(err)
	}
	mustPost(t, db, earn("a", noon, 10, 4))
	stillJune := ledger.Order{Period: "2027-06", Now: time.Date(2027, 7, 1, 3, 59, 59, 0, time.UTC)}
	if _, err := ledger.Close(t.Context(), db, stillJune); !errors.Is(err, ledger.ErrPeriodRuns) {
		t.Errorf("the evening of the last day: %v", err)
	}
	stillJune.DryRun = true
	if _, err := ledger.Close(t.Context(), db, stillJune); err != nil {
		t.Errorf("dry run: %v", err)
	}
	stillJune.DryRun, stillJune.Early = false, true
	if _, err := ledger.Close(t.Context(), db, stillJune); err != nil {
		t.Errorf("early: %v", err)
	}
}

func TestClosedPeriodTakesNothing(t *testing.T) {
	db := pgtest.New(t)
	old := mustPost(t, db, topUp("old", 5))
	mustClose(t, db, "2027-06")
	dated := topUp("dated", 5)
	dated.At, dated.Date = july, "2027-06-30"
	for _, e := range []ledger.Entry{topUp("by its instant", 5), dated} {
		if _, err := post(t, db, e); !errors.Is(err, ledger.ErrPeriodClosed) {
			t.Errorf("%s: %v, want %v", e.Key, err, ledger.ErrPeriodClosed)
		}
	}
	if id, err := post(t, db, topUp("old", 5)); err != nil || id != old {
		t.Errorf("an entry from before the close again: %v, %v; want %v", id, err, old)
	}
	if _, err := post(t, db, topUp("old", 6)); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("its key with another content: %v", err)
	}
	mustPost(t, db, earn("late", noon, 10, 4))
	posted, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{Key: "late"})
	if err != nil || len(posted) != 1 || posted[0].Date != "2027-07-01" || !posted[0].At.Equal(noon) {
		t.Errorf("a late call: %+v, %v; want it on the first open day", posted, err)
	}
	// Written by hand: the database refuses it, from its owner as well.
	for _, db := range []*sqlx.DB{db, pgtest.Owner(t, db)} {
		_, err := db.Exec(`
			WITH e AS (INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, line_count, hash)
			    VALUES (gen_random_uuid(), 'hand', '', 'hand', now(), '2027-06-30', 'UTC', '', '', 2, '') RETURNING id)
			INSERT INTO line (entry_id, line_count, n, book, account, amount)
			SELECT id, 2, n, 'CALL', '1000', amount FROM e, (VALUES (1, 5), (2, -5)) AS l (n, amount)`)
		if err == nil {
			t.Error("an entry of a closed period, written by hand: taken")
		}
	}
	mustVerify(t, db)
}

// waiting returns when somebody waits for the lock that closes and postings share.
func waiting(t *testing.T, db *sqlx.DB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var n int
		if err := db.Get(&n, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
}

func TestCloseWaitsForPostings(t *testing.T) {
	db := pgtest.New(t)
	tx := db.MustBeginTx(t.Context(), nil)
	defer tx.Rollback() //nolint:errcheck // committed below
	if _, err := ledger.Post(t.Context(), tx, earn("in flight", noon, 10, 4)); err != nil {
		t.Fatal(err)
	}
	var closing sync.WaitGroup
	closing.Go(func() {
		if out, err := closeMonth(t, db, "2027-06"); err != nil || out.Entries != 2 {
			t.Errorf("%+v, %v; want the entry in flight and the result", out, err)
		}
	})
	waiting(t, db)
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	closing.Wait()
	mustVerify(t, db)
}

func TestPostingsWaitForClose(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, earn("early", noon, 10, 4))
	started, proceed := make(chan struct{}), make(chan struct{})
	var closing, posting sync.WaitGroup
	closing.Go(func() {
		out, err := ledger.Close(t.Context(), db, ledger.Order{Period: "2027-06", Now: july, Steps: []ledger.Step{
			func(context.Context, *ledger.Closing) error {
				close(started)
				<-proceed
				return nil
			},
			ledger.EnterpriseResults,
		}})
		if err != nil || out.Entries != 2 {
			t.Errorf("%+v, %v", out, err)
		}
	})
	<-started
	posting.Go(func() {
		if _, err := post(t, db, earn("late", noon, 10, 4)); err != nil {
			t.Error(err)
		}
	})
	posting.Go(func() {
		if _, err := post(t, db, topUp("refused", 5)); !errors.Is(err, ledger.ErrPeriodClosed) {
			t.Errorf("%v, want %v", err, ledger.ErrPeriodClosed)
		}
	})
	waiting(t, db)
	close(proceed)
	closing.Wait()
	posting.Wait()
	if posted, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{Key: "late"}); err != nil || posted[0].Date != "2027-07-01" {
		t.Errorf("%+v, %v", posted, err)
	}
	mustVerify(t, db)
}

// Many post to the month that two close, of which one is cancelled in the middle before.
func TestCloseAmongPostings(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, earn("first", noon, 10, 4))
	cut, cancel := context.WithCancel(t.Context())
	_, err := ledger.Close(cut, db, ledger.Order{Period: "2027-06", Now: july, Steps: []ledger.Step{
		ledger.EnterpriseResults,
		func(context.Context, *ledger.Closing) error { cancel(); return nil },
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cut off: %v", err)
	}
	var racing, closing sync.WaitGroup
	stop := make(chan struct{})
	for r := range 6 {
		racing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := post(t, db, earn(fmt.Sprint("call/", r, "/", i), noon, 10, 4)); err != nil {
					t.Error(err)
				}
				if _, err := post(t, db, topUp(fmt.Sprint("topup/", r, "/", i), 1)); err != nil && !errors.Is(err, ledger.ErrPeriodClosed) {
					t.Error(err)
				}
			}
		})
	}
	outcomes := make([]ledger.Outcome, 2)
	for i := range outcomes {
		closing.Go(func() {
			var err error
			if outcomes[i], err = closeMonth(t, db, "2027-06"); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
	close(stop)
	racing.Wait()
	if len(outcomes[0].Posted)+len(outcomes[1].Posted) != 1 || outcomes[0].Seal.String() != outcomes[1].Seal.String() {
		t.Errorf("two closed at once: %+v", outcomes)
	}
	mustVerify(t, db)
}

func TestPeriods(t *testing.T) {
	db := pgtest.New(t)
	list := func(now time.Time) (said []string) {
		months, err := ledger.Periods(t.Context(), db, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range months {
			said = append(said, fmt.Sprint(m.Period, " ", m.State, " ", m.Entries))
		}
		return said
	}
	for _, step := range []struct {
		name string
		do   func()
		now  time.Time
		want []string
	}{
		{"nothing", func() {}, july, []string{"2027-07 open 0"}},
		{"gaps", func() {
			mustPost(t, db, earn("a", noon.AddDate(0, -2, 0), 1, 1))
			mustPost(t, db, earn("b", noon, 1, 1))
		}, july, []string{"2027-04 open 1", "2027-05 open 0", "2027-06 open 1", "2027-07 open 0"}},
		{"entries of months to come", func() {}, noon.AddDate(0, -1, 0), []string{"2027-04 open 1", "2027-05 open 0", "2027-06 open 1"}},
		{"closed", func() { mustClose(t, db, "2027-04") }, july, []string{"2027-04 closed 2", "2027-05 open 0", "2027-06 open 1", "2027-07 open 0"}},
		{"an empty one closed", func() { mustClose(t, db, "2027-05") }, july, []string{"2027-04 closed 2", "2027-05 closed 0", "2027-06 open 1", "2027-07 open 0"}},
	} {
		step.do()
		if got := list(step.now); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	mustVerify(t, db)
}

func TestPeriod(t *testing.T) {
	for s, ok := range map[string]bool{"2027-06": true, "2027-6": false, "2027-13": false, "": false, "2027-06-01": false, "0000-01": false} {
		if p, err := ledger.ParsePeriod(s); (err == nil) != ok || ok && string(p) != s || !ok && !errors.Is(err, ledger.ErrPeriod) {
			t.Errorf("%q: %q, %v", s, p, err)
		}
	}
	p := ledger.Period("2027-12")
	if p.First() != "2027-12-01" || p.Last() != "2027-12-31" || p.Next() != "2028-01" || p.Next().Next().Last() != "2028-02-29" {
		t.Errorf("%s %s %s %s", p.First(), p.Last(), p.Next(), p.Next().Next().Last())
	}
}
