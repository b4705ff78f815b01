package commune_test

import (
	"fmt"
	"testing"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/postgres/pgtest"
)

// TestTenancies: an agreement's days are those of the commune's zone, whatever clocks do on them.
func TestTenancies(t *testing.T) {
	db := pgtest.New(t)
	for _, q := range []string{
		`UPDATE commune SET zone = 'Europe/Berlin'`,
		`INSERT INTO member (code) VALUES ('anna')`,
		`INSERT INTO asset (code, kind, meter, cost, life_months, acquired_on) SELECT 'A' || n, 'trunk', 'seconds', 10000, 1, '2027-01-01' FROM generate_series(1, 6) AS n`,
		`INSERT INTO agreement (code, asset, enterprise, member, fixed, minimum, rate, included, start_on, end_on) VALUES
		    ('R1', 'A1', 'CALL', NULL, 0, 0, 0, 0, '2028-02-29', '2028-03-27'),
		    ('R2', 'A2', 'CALL', NULL, 0, 0, 0, 0, '2028-03-27', NULL),
		    ('R3', 'A3', 'CALL', NULL, 0, 0, 0, 0, '2028-01-01', '2028-03-26'),
		    ('R4', 'A4', NULL, 'anna', 0, 0, 0, 0, '2028-01-01', NULL),
		    ('R5', 'A5', 'CALL', NULL, 0, 0, 0, 0, '2028-04-01', '2028-04-01')`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	// On 26 March 2028 clocks are put forward: 27 March begins at 22:00 UTC, where 26 March began at 23:00.
	at := time.Date(2028, 3, 26, 12, 0, 0, 0, time.UTC)
	all, err := commune.NewStore(db).Tenancies(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, a := range all {
		got += fmt.Sprint(a.Asset, " ", a.Enterprise, " ", a.From.UTC().Format(time.RFC3339), " ")
		if !a.Until.IsZero() {
			got += a.Until.UTC().Format(time.RFC3339)
		}
		got += "\n"
	}
	if want := "A1 CALL 2028-02-28T23:00:00Z 2028-03-26T22:00:00Z\nA2 CALL 2028-03-26T22:00:00Z \n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	day := ledger.DateOf(all[0].Until, time.FixedZone("CEST", 7200))
	if day != "2028-03-27" || !all[0].Until.Equal(all[1].From) {
		t.Errorf("one ends on %s, at %v, and the next begins at %v", day, all[0].Until, all[1].From)
	}
}
