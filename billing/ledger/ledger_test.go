package ledger_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var noon = time.Date(2027, 6, 30, 12, 0, 0, 0, time.UTC)

// topUp is a good entry over an amount.
func topUp(key string, amount money.Amount) ledger.Entry {
	return ledger.Entry{Key: key, Kind: "topup", Text: "Top-up", Actor: "test", At: noon, Lines: []ledger.Line{
		ledger.Debit("CALL", "1000", amount), ledger.Credit("CALL", "2100:ana", amount),
	}}
}

// testingT is *testing.T or *rapid.T.
type testingT interface {
	Helper()
	Context() context.Context
}

func post(t testingT, db *sqlx.DB, e ledger.Entry) (uuid.UUID, error) {
	t.Helper()
	var id uuid.UUID
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		var err error
		id, err = ledger.Post(t.Context(), tx, e)
		return err
	})
	return id, err
}

func mustPost(t *testing.T, db *sqlx.DB, e ledger.Entry) uuid.UUID {
	t.Helper()
	id, err := post(t, db, e)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPostIsRepeatable(t *testing.T) {
	db := pgtest.New(t)
	change := func(f func(*ledger.Entry)) ledger.Entry {
		e := topUp("k1", money.Unit)
		e.Lines = slices.Clone(e.Lines)
		f(&e)
		return e
	}
	first := mustPost(t, db, topUp("k1", money.Unit))
	tests := []struct {
		name string
		e    ledger.Entry
		err  error
	}{
		{"the same", topUp("k1", money.Unit), nil},
		{"lines in another order", change(func(e *ledger.Entry) { slices.Reverse(e.Lines) }), nil},
		{"later and by somebody else", change(func(e *ledger.Entry) { e.At, e.Actor = noon.Add(time.Hour), "else" }), nil},
		{"another amount", topUp("k1", money.Cent), ledger.ErrConflict},
		{"another text", change(func(e *ledger.Entry) { e.Text = "Gift" }), ledger.ErrConflict},
		{"another kind", change(func(e *ledger.Entry) { e.Kind = "gift" }), ledger.ErrConflict},
		{"another date", change(func(e *ledger.Entry) { e.Date = "2027-01-01" }), ledger.ErrConflict},
		{"another account", change(func(e *ledger.Entry) { e.Lines[1].Account = "2100:bob" }), ledger.ErrConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := post(t, db, tt.e)
			if !errors.Is(err, tt.err) || err == nil && id != first {
				t.Errorf("%v, %v; want %v, %v", id, err, first, tt.err)
			}
		})
	}
	if all, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{}); err != nil || len(all) != 1 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func TestPostRefuses(t *testing.T) {
	db := pgtest.New(t)
	lines := func(l ...ledger.Line) ledger.Entry {
		e := topUp("bad", 1)
		e.Lines = l
		return e
	}
	debit, credit := ledger.Debit, ledger.Credit
	nameless := topUp("", 1)
	timeless := topUp("bad", 1)
	timeless.At = time.Time{}
	tests := []struct {
		name string
		e    ledger.Entry
		err  error
	}{
		{"no key", nameless, ledger.ErrEntry},
		{"no time", timeless, ledger.ErrEntry},
		{"no lines", lines(), ledger.ErrEntry},
		{"one line", lines(debit("CALL", "1000", 1)), ledger.ErrEntry},
		{"a zero line", lines(debit("CALL", "1000", 0), credit("CALL", "2100", 0)), ledger.ErrEntry},
		{"unbalanced", lines(debit("CALL", "1000", 2), credit("CALL", "2100", 1)), ledger.ErrUnbalanced},
		{"balanced over two books only", lines(debit("CALL", "1000", 1), credit("COM", "1000", 1)), ledger.ErrUnbalanced},
		{"not an account", lines(debit("CALL", "bank", 1), credit("CALL", "2100", 1)), ledger.ErrAccount},
		{"an account with a line break", lines(debit("CALL", "1000\n", 1), credit("CALL", "2100", 1)), ledger.ErrAccount},
		{"no such book", lines(debit("HOST", "1000", 1), credit("HOST", "2100", 1)), ledger.ErrAccount},
		{
			"a sum that wraps to zero", lines(debit("CALL", "1000", math.MaxInt64), debit("CALL", "1000", math.MaxInt64),
				debit("CALL", "1000", 2)), money.ErrRange,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := post(t, db, tt.e); !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
		})
	}
	var n int
	if err := db.Get(&n, `SELECT (SELECT count(*) FROM entry) + (SELECT count(*) FROM line)`); err != nil || n != 0 {
		t.Errorf("%d rows left behind, %v", n, err)
	}
}

func TestOneKeyAtOnce(t *testing.T) {
	db := pgtest.New(t)
	const racers = 12
	ids := make([]uuid.UUID, racers)
	start := make(chan struct{})
	var racing sync.WaitGroup
	for i := range racers {
		racing.Go(func() {
			<-start
			var err error
			if ids[i], err = post(t, db, topUp("k1", money.Unit)); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	racing.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("two entries for one key: %v, %v", id, ids[0])
		}
	}
}

func TestBusinessDate(t *testing.T) {
	db := pgtest.New(t)
	if _, err := db.Exec(`UPDATE commune SET zone = 'Europe/Berlin'`); err != nil {
		t.Fatal(err)
	}
	late := topUp("late", 1)
	late.At = time.Date(2027, 6, 30, 22, 30, 0, 0, time.UTC)
	asked := topUp("asked", 1)
	asked.Date = "2026-12-31"
	for want, e := range map[ledger.Date]ledger.Entry{"2027-07-01": late, "2027-06-30": topUp("noon", 1), "2026-12-31": asked} {
		mustPost(t, db, e)
		posted, err := ledger.Journal(t.Context(), db, ledger.JournalFilter{Key: e.Key})
		if err != nil || len(posted) != 1 || posted[0].Date != want {
			t.Errorf("%s: %+v, %v; want %s", e.Key, posted, err, want)
		}
	}
}

func TestTrial(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, topUp("a", 10*money.Unit))
	july := topUp("b", money.Unit)
	july.Date, july.Lines = "2027-07-01", append(slices.Clone(july.Lines),
		ledger.Debit("COM", "2050:CALL", 7), ledger.Credit("COM", "1000", 7), ledger.Debit("CALL", "2100:ana", 5), ledger.Credit("CALL", "1000", 5))
	mustPost(t, db, july)
	com := []ledger.TrialLine{{"COM", "1000", 0, 7, -7}, {"COM", "2050:CALL", 7, 0, 7}}
	call := []ledger.TrialLine{
		{"CALL", "1000", 11 * money.Unit, 5, 11*money.Unit - 5}, {"CALL", "2100:ana", 5, 11 * money.Unit, 5 - 11*money.Unit},
	}
	june := []ledger.TrialLine{
		{"CALL", "1000", 10 * money.Unit, 0, 10 * money.Unit}, {"CALL", "2100:ana", 0, 10 * money.Unit, -10 * money.Unit},
	}
	for _, tt := range []struct {
		f    ledger.TrialFilter
		want []ledger.TrialLine
	}{
		{ledger.TrialFilter{}, slices.Concat(call, com)},
		{ledger.TrialFilter{Book: "COM"}, com},
		{ledger.TrialFilter{At: "2027-06-30"}, june},
		{ledger.TrialFilter{Book: "COM", At: "2027-06-30"}, []ledger.TrialLine{}},
	} {
		if got, err := ledger.Trial(t.Context(), db, tt.f); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %+v, %v; want %+v", tt.f, got, err, tt.want)
		}
	}
}

func TestTrialDoesNotWrap(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, topUp("a", math.MaxInt64))
	mustPost(t, db, topUp("b", math.MaxInt64))
	if got, err := ledger.Trial(t.Context(), db, ledger.TrialFilter{}); !errors.Is(err, money.ErrRange) {
		t.Errorf("%+v, %v; want %v", got, err, money.ErrRange)
	}
}

func TestJournalFilter(t *testing.T) {
	db := pgtest.New(t)
	for i, date := range []ledger.Date{"2027-06-03", "2027-06-01", "2027-06-02"} {
		e := topUp(string(date), money.Amount(i+1))
		e.Date = date
		mustPost(t, db, e)
	}
	com := topUp("com", 9)
	com.Date, com.Lines = "2027-06-02", []ledger.Line{ledger.Debit("COM", "1000", 9), ledger.Credit("COM", "2050:CALL", 9)}
	mustPost(t, db, com)
	for _, tt := range []struct {
		name string
		f    ledger.JournalFilter
		want []string
	}{
		{"all, by date and order of posting", ledger.JournalFilter{}, []string{"2027-06-01", "2027-06-02", "com", "2027-06-03"}},
		{"a book", ledger.JournalFilter{Book: "COM"}, []string{"com"}},
		{"an account of another book", ledger.JournalFilter{Book: "COM", Account: "2100:ana"}, []string{}},
		{"half-open dates", ledger.JournalFilter{From: "2027-06-02", To: "2027-06-03"}, []string{"2027-06-02", "com"}},
	} {
		posted, err := ledger.Journal(t.Context(), db, tt.f)
		keys := []string{}
		for _, p := range posted {
			keys = append(keys, p.Key)
			if len(p.Lines) != 2 {
				t.Errorf("%s: entry %s with %d lines", tt.name, p.Key, len(p.Lines))
			}
		}
		if err != nil || !slices.Equal(keys, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, keys, err, tt.want)
		}
	}
}

func TestDate(t *testing.T) {
	for s, ok := range map[string]bool{
		"2027-06-30": true, "2028-02-29": true, "2027-02-29": false, "2027-6-30": false, "2027-06-31": false,
		"": false, "2027-06-30 ": false, "30.06.2027": false,
	} {
		if d, err := ledger.ParseDate(s); (err == nil) != ok || ok && string(d) != s || !ok && !errors.Is(err, ledger.ErrDate) {
			t.Errorf("%q: %q, %v", s, d, err)
		}
	}
}
