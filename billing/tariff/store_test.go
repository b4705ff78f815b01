package tariff_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func parse(t *testing.T, spec tariff.Spec, csv string) tariff.Deck {
	t.Helper()
	deck, err := tariff.ParseDeck(strings.NewReader(csv), spec)
	if err != nil {
		t.Fatal(err)
	}
	return deck
}

func addTrunk(t *testing.T, db *sqlx.DB, code string) {
	t.Helper()
	if _, err := db.Exec(`INSERT INTO trunk (code, carrier, address) VALUES ($1, $1, '127.0.0.1:5060')`, code); err != nil {
		t.Fatal(err)
	}
}

func TestStoreKeepsADeckAsItIs(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	spec := retail(berlin)
	spec.ActiveFrom, spec.Source = noon, "retail.csv"
	for _, want := range []tariff.Deck{
		parse(t, spec, "prefix,rate_per_minute,destination,connect_fee,interval_first,interval_next,grace_seconds,minimum_charge,rounding_unit,rounding_mode,effective_from,effective_to\n"+
			`1,0.01,"North, America",0.02,60,6,5,0.05,0.01,half_up,2027-06-01,2027-07-01`+"\n"+
			`44,9000000,"tab\N, 'quote' and "" quote",,,,,,,,,2027-06-01T00:00:00.123456Z`+"\n"),
		parse(t, tariff.Spec{Kind: tariff.Trunk, Name: "T1", Currency: "EUR", ActiveFrom: noon}, "prefix,rate_per_minute\n1,0.000001\n"),
	} {
		v, err := store.Import(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if v.Number != 1 || v.Rows != len(want.Rows) || !v.ActiveFrom.Equal(noon) || v.Kind != want.Kind || v.Source != want.Source {
			t.Errorf("imported as %+v", v)
		}
		got, err := store.Deck(t.Context(), want.Kind, want.Name, 1)
		want.Version = 1
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
	decks, err := store.LoadAt(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if row, ok := decks.Trunk("T1", "+18005551234", noon); !ok || row.Deck != "T1@1" || row.RatePerMinute != 1 || row.Currency != "EUR" {
		t.Errorf("trunk row %+v, %v", row, ok)
	}
	if row, ok := decks.Retail("standard", "+18005551234", noon); !ok || row.ConnectFee != 2*money.Cent || row.Deck != "standard@1" {
		t.Errorf("retail row %+v, %v", row, ok)
	}
	if row, ok := decks.Retail("standard", "+441234567", noon); ok {
		t.Errorf("a row whose time is over: %+v", row)
	}
}

func TestStoreVersions(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	now := time.Now().Truncate(time.Microsecond)
	for i, from := range []time.Time{now.Add(-48 * time.Hour), now.Add(-24 * time.Hour), now.Add(-24 * time.Hour), now.Add(time.Hour), {}} {
		spec := retail(nil)
		spec.ActiveFrom = from
		if i == 4 {
			spec.Name = "other"
		}
		deck := parse(t, spec, fmt.Sprintf("prefix,rate_per_minute\n380,%d\n", i+1))
		if _, err := store.Import(t.Context(), deck); err != nil {
			t.Fatal(err)
		}
	}
	list, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range list {
		got = append(got, fmt.Sprintf("%s@%d %d %v", v.Name, v.Number, v.Rows, v.InForce))
	}
	want := []string{"other@1 1 true", "standard@4 1 false", "standard@3 1 true", "standard@2 1 false", "standard@1 1 false"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("list %v, want %v", got, want)
	}
	if deck, err := store.Deck(t.Context(), tariff.Retail, "standard", 0); err != nil || deck.Version != 3 {
		t.Errorf("in force: version %d, %v; want 3", deck.Version, err)
	}
	load := func(at time.Time) *tariff.Decks {
		decks, err := store.LoadAt(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return decks
	}
	live, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proves string
		decks  *tariff.Decks
		at     time.Time
		want   string
	}{
		{"the version in force", live, now, "standard@3"},
		{"a version to come, loaded before", live, now.Add(time.Hour), "standard@4"},
		{"an old version is not loaded", live, now.Add(-25 * time.Hour), ""},
		{"an old version when asked for", load(now.Add(-25 * time.Hour)), now.Add(-25 * time.Hour), "standard@1"},
		{"before all versions", load(now.Add(-72 * time.Hour)), now.Add(-72 * time.Hour), ""},
		{"of two with one start the later import", load(now.Add(-24 * time.Hour)), now.Add(-24 * time.Hour), "standard@3"},
	} {
		if row, _ := c.decks.Retail("standard", "+380441234567", c.at); row.Deck != c.want {
			t.Errorf("%s: %q, want %q", c.proves, row.Deck, c.want)
		}
	}
}

func TestStoreRefuses(t *testing.T) {
	db := pgtest.New(t)
	store := tariff.NewStore(db)
	const csv = "prefix,rate_per_minute\n380,1\n"
	dollars := retail(nil)
	dollars.Currency = "USD"
	nameless := parse(t, retail(nil), csv)
	nameless.Name = ""
	twice := parse(t, retail(nil), csv)
	twice.Rows = append(twice.Rows, twice.Rows[0])
	for _, c := range []struct {
		proves string
		deck   tariff.Deck
		err    error
	}{
		{"a trunk that does not exist", parse(t, carrier(), csv), tariff.ErrUnknownTrunk},
		{"another currency", parse(t, dollars, csv), tariff.ErrCurrency},
		{"no name", nameless, nil},
		{"rows that fail in the database", twice, nil},
	} {
		if v, err := store.Import(t.Context(), c.deck); err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v; want %v", c.proves, v, err, c.err)
		}
	}
	dryRun := func(deck tariff.Deck) (tariff.Imported, error) {
		return store.ImportRows(t.Context(), tariff.Import{Spec: deck.Spec, Rows: deck.All(), DryRun: true})
	}
	if v, err := dryRun(parse(t, retail(nil), csv)); err != nil || v.Number != 1 || v.Rows != 1 || v.Diff.New != 1 {
		t.Errorf("dry run: %+v, %v", v, err)
	}
	if _, err := dryRun(parse(t, carrier(), csv)); !errors.Is(err, tariff.ErrUnknownTrunk) {
		t.Errorf("dry run: %v, want ErrUnknownTrunk", err)
	}
	var decks, rates int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM deck), (SELECT count(*) FROM rate)`).Scan(&decks, &rates); err != nil || decks+rates > 0 {
		t.Errorf("%d decks and %d rates were left behind, %v", decks, rates, err)
	}
	for version := range 2 {
		if _, err := store.Deck(t.Context(), tariff.Retail, "standard", version); !errors.Is(err, tariff.ErrNotFound) {
			t.Errorf("version %d of no deck: %v", version, err)
		}
	}
	if list, err := store.List(t.Context()); err != nil || list == nil || len(list) > 0 {
		t.Errorf("list of nothing: %v, %v", list, err)
	}
}

func TestStoreImportsAtOnceHaveVersionsOfTheirOwn(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	deck := parse(t, retail(nil), "prefix,rate_per_minute\n380,1\n")
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			<-start
			if _, err := store.Import(context.Background(), deck); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	list, err := store.List(t.Context())
	if err != nil || len(list) != 8 || list[0].Number != 8 {
		t.Errorf("%d versions, %v: %+v", len(list), err, list)
	}
}

// TestSchemaOfRates holds that the database keeps the rules of decks itself.
func TestSchemaOfRates(t *testing.T) {
	db := pgtest.New(t)
	if _, err := tariff.NewStore(db).Import(t.Context(), parse(t, retail(nil), "prefix,rate_per_minute\n380,1\n")); err != nil {
		t.Fatal(err)
	}
	for statement, tells := range map[string]string{
		`INSERT INTO rate (deck_id, prefix, rate_per_minute, rounding_unit, rounding_mode) SELECT gen_random_uuid(), '7', 1, 1, 'up'`: "rate_deck_id_fkey",
		`DELETE FROM deck`:                                     "rate_deck_id_fkey",
		`UPDATE deck SET id = gen_random_uuid()`:               "rate_deck_id_fkey",
		`UPDATE rate SET rate_per_minute = 0`:                  "permission denied",
		`UPDATE deck SET ended_at = active_from`:               "deck_ended",
		`UPDATE deck SET active_from = NULL, ended_at = now()`: "deck_ended",
	} {
		_, err := db.Exec(statement)
		if err == nil || postgres.Constraint(err) != tells && !strings.Contains(err.Error(), tells) {
			t.Errorf("%s: %v, want %s", statement, err, tells)
		}
	}
}
