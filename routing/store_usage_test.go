package routing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/routing"
)

// ended stores a call that was answered over T1, as its settlement would.
func ended(t *testing.T, db *sqlx.DB, at time.Time, seconds int, cost money.Amount) uuid.UUID {
	t.Helper()
	id := uuid.New()
	_, err := db.Exec(`
		INSERT INTO call (id, access_call, node, provider, access_number, trunk, started_at, answered_at, ended_at, answered_seconds,
		    carrier_cost, retail_rate)
		VALUES ($1, $1, 'n', 'p', '+4930', 'T1', $2, $3, $4, $5, $6, '{"prefix": "380"}')`,
		id, at.Add(-time.Duration(seconds)*time.Second-time.Minute), at.Add(-time.Duration(seconds)*time.Second), at, seconds, cost)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestStoreSpent: calls count on the day and in the month in which they ended, where the commune is, and towards the
// prepaid balance since that was told.
func TestStoreSpent(t *testing.T) {
	db := pgtest.New(t)
	store, ctx := routing.NewStore(db), t.Context()
	if _, err := db.Exec(`UPDATE commune SET zone = 'Pacific/Auckland'`); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, zone)
	paidAt := month.Add(-time.Hour)
	trunk := routing.Trunk{Code: "T1", Address: "127.0.0.1:5060", Prepaid: money.Unit, PrepaidAt: &paidAt, MinutesDay: 3}
	if trunk, err = store.AddTrunk(ctx, trunk); err != nil {
		t.Fatal(err)
	}
	ended(t, db, month.Add(-2*time.Hour), 1, 1)   // before all that is asked
	ended(t, db, month.Add(-time.Minute), 20, 20) // last month, and since the balance
	first := ended(t, db, month, 300, 300)        // the first moment of the month; on the first, of the day as well
	second := ended(t, db, today, 4000, 4000)     // the first moment of the day
	running := uuid.New()

	spent, among, err := store.Spent(ctx, []string{"T1", "none"}, []uuid.UUID{second, running, first})
	if err != nil {
		t.Fatal(err)
	}
	day := routing.Usage{Seconds: 4000, Cost: 4000}
	if month.Equal(today) {
		day = routing.Usage{Seconds: 4300, Cost: 4300}
	}
	want := routing.Spent{Day: day, Month: routing.Usage{Seconds: 4300, Cost: 4300}, Prepaid: 4320}
	got := spent["T1"]
	if !got.DayEnds.Equal(time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, zone)) ||
		!got.MonthEnds.Equal(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, zone)) {
		t.Errorf("day to %s, month to %s", got.DayEnds, got.MonthEnds)
	}
	got.DayEnds, got.MonthEnds = time.Time{}, time.Time{}
	if got != want || len(spent) != 1 || len(among) != 2 {
		t.Errorf("%+v, among %d of %d; want %+v", spent, len(among), 2, want)
	}

	gate := routing.NewGate()
	if err := store.Refresh(ctx, gate, []routing.Trunk{trunk}); err != nil {
		t.Fatal(err)
	}
	if l := gate.Live(trunk); l.Refuses != routing.SpendLimit || l.MinutesMonth != 72 || *l.Balance != money.Unit-4320 {
		t.Errorf("after a restart: %+v", l)
	}
	if err := store.Refresh(ctx, gate, []routing.Trunk{{Code: "T1"}}); err != nil {
		t.Error(err)
	}
}

func TestStoreHistory(t *testing.T) {
	db := pgtest.New(t)
	store, ctx, now := routing.NewStore(db), t.Context(), time.Now()
	for i, a := range []routing.Attempt{
		{Trunk: "T1", Outcome: "answered", SIP: 200, PDD: time.Second},
		{Trunk: "T1", Outcome: "answered", SIP: 200, PDD: time.Second, Suspect: "fast"},
		{Trunk: "T1", Outcome: "answered", SIP: 200}, // found after a crash: how long it took is not known
		{Trunk: "T1", Outcome: "busy", SIP: 486},
		{Trunk: "T1", Outcome: "gave_up", SIP: 487},
		{Trunk: "T1", Outcome: "full"},
		{Trunk: "T2", Outcome: "failed", SIP: 503},
	} {
		call := ended(t, db, now.Add(-time.Duration(i)*time.Second), 100, 1)
		a.Started = now.Add(-112*time.Second - time.Duration(i)*time.Second) // answered twelve seconds later
		if err := store.RecordAttempts(ctx, call, routing.Plan{}, []routing.Attempt{a}); err != nil {
			t.Fatal(err)
		}
	}
	records, err := store.Records(ctx, now.Add(-time.Hour))
	if got, want := fmt.Sprint(records), "map[T1:{4 3} T2:{1 0}]"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	usual, err := store.Usual(ctx, now.Add(-time.Hour))
	if got, want := fmt.Sprint(usual), "map[380:{2 24s 3m20s}]"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if answers, suspect, err := store.Suspects(ctx, "T1", now.Add(-time.Hour)); err != nil || answers != 3 || suspect != 1 {
		t.Errorf("%d suspect of %d, %v", suspect, answers, err)
	}
	if records, err := store.Records(ctx, now.Add(time.Hour)); err != nil || len(records) > 0 {
		t.Errorf("of the future: %v, %v", records, err)
	}
}
