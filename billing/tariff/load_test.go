package tariff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// Whatever a row may have comes back by a look-up as it went in, though rows are read as text and shared.
func TestLoadKeepsEveryColumn(t *testing.T) {
	db := pgtest.New(t)
	store := tariff.NewStore(db)
	deck := parse(t, retail(zone(t, "Europe/Berlin")),
		"prefix,rate_per_minute,destination,connect_fee,interval_first,interval_next,grace_seconds,minimum_charge,rounding_unit,"+
			"rounding_mode,effective_from,effective_to,window,allow_loss\n"+
			`1,0.01,"North, America \ 'x'",0.02,60,6,5,0.05,0.01,half_up,1970-01-02,9999-12-30,mon-sun hol,yes`+"\n"+
			"44,9000000,,,,,,,,,2000-02-29T00:00:00.123456Z,2150-06-01T00:00:00.5+02:00,,no\n"+
			"49,0.5,,,,,,,,,,,,\n"+
			"7,0.5,,,,,,,,,,,,\n"+
			"73,0.7,,,,,,,,,,2150-01-01,mon-sun hol,yes\n"+
			"73,0.8,,,,,,,,,,,,\n")
	deck.ActiveFrom = noon.Add(-time.Hour)
	deck.Rows[2].Destination = "a\ttab\tand \\t\nsuch" // no import has it, the column may
	if _, err := store.Import(t.Context(), deck); err != nil {
		t.Fatal(err)
	}
	decks, err := store.LoadAt(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	for i, number := range []e164.Number{"+18005551234", "+441234567", "+491234567", "+71234567", "+731234567"} {
		want := deck.Rows[i]
		want.Deck, want.Currency = "standard@1", "EUR"
		if got, ok := decks.Retail("standard", number, noon); !ok || got != want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", number, got, ok, want)
		}
	}
	if got, ok := decks.Retail("standard", "+731234567", time.Date(2160, 1, 1, 0, 0, 0, 0, time.UTC)); !ok || got.RatePerMinute != 800_000 {
		t.Errorf("the second row of a prefix: %+v, %v", got, ok)
	}
}

// A reload reads what is new and nothing else: what was loaded is still there when its rows are gone from the database.
func TestReloadReadsWhatIsNew(t *testing.T) {
	db := pgtest.New(t)
	store, now := tariff.NewStore(db), time.Now().Truncate(time.Microsecond)
	imported := func(spec tariff.Spec, csv string, from time.Time) {
		t.Helper()
		spec.ActiveFrom = from
		if _, err := store.Import(t.Context(), parse(t, spec, "prefix,rate_per_minute\n"+csv)); err != nil {
			t.Fatal(err)
		}
	}
	for _, code := range []string{"T1", "T2"} {
		addTrunk(t, db, code)
	}
	second := carrier()
	second.Name = "T2"
	imported(retail(nil), "380,1\n3,2\n", now.Add(-3*time.Hour))
	imported(carrier(), "380,3\n38044,4\n", now.Add(-2*time.Hour))
	imported(carrier(), "380,5\n", now.Add(time.Hour))
	decks, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`DELETE FROM rate`); err != nil {
		t.Fatal(err)
	}
	told := func(decks *tariff.Decks, at time.Time) string {
		var s []string
		for _, trunk := range []string{"", "T1", "T2"} {
			row, ok := decks.Trunk(trunk, "+380441234567", at)
			if trunk == "" {
				row, ok = decks.Retail("standard", "+380441234567", at)
			}
			if ok {
				s = append(s, fmt.Sprint(row.Deck, " ", row.Prefix, "=", row.RatePerMinute))
			}
		}
		var offers [4]tariff.Offer
		for _, o := range offers[:decks.Offers("+380441234567", at, offers[:])] {
			s = append(s, fmt.Sprint(decks.Trunks()[o.Deck], " ", o.Cost))
		}
		return strings.Join(s, ", ")
	}
	later := now.Add(2 * time.Hour)
	reload := func(proves, wantNow, wantLater string) {
		t.Helper()
		if decks, err = store.Reload(t.Context(), decks); err != nil {
			t.Fatal(err)
		}
		if got := told(decks, now); got != wantNow {
			t.Errorf("%s: now %s, want %s", proves, got, wantNow)
		}
		if got := told(decks, later); got != wantLater {
			t.Errorf("%s: later %s, want %s", proves, got, wantLater)
		}
	}
	reload("nothing new", "standard@1 380=1.00, T1@1 38044=4.00, T1 12.00", "standard@1 380=1.00, T1@2 380=5.00, T1 15.00")
	imported(second, "38,2\n38044,6\n", now.Add(-time.Minute))
	reload("another trunk's deck", "standard@1 380=1.00, T1@1 38044=4.00, T2@1 38044=6.00, T1 12.00, T2 18.00",
		"standard@1 380=1.00, T1@2 380=5.00, T2@1 38044=6.00, T1 15.00, T2 18.00")
	imported(retail(nil), "38,7\n", later)
	reload("a version to come", "standard@1 380=1.00, T1@1 38044=4.00, T2@1 38044=6.00, T1 12.00, T2 18.00",
		"standard@2 38=7.00, T1@2 380=5.00, T2@1 38044=6.00, T1 15.00, T2 18.00")
	if _, err := db.Exec(`UPDATE deck SET active_from = $1 WHERE name = 'T1' AND version = 2`, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	reload("a version that begins earlier now", "standard@1 380=1.00, T1@2 380=5.00, T2@1 38044=6.00, T1 15.00, T2 18.00",
		"standard@2 38=7.00, T1@2 380=5.00, T2@1 38044=6.00, T1 15.00, T2 18.00")
}

// Offers are what Trunk finds for each trunk, the cheapest as many as there is room for, with or without a deck that asks
// for more than one look.
func TestOffersAreTheTrunks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "12345"[random.IntN(5)]
		}
		return string(b)
	}
	for _, c := range []struct{ decks, rows, depth int }{{1, 1, 1}, {3, 40, 3}, {70, 30, 2}, {300, 20, 2}, {5, 400, 7}, {4, 5, 15}} {
		for _, complete := range []bool{false, true} {
			var decks []tariff.Deck
			for i := range c.decks {
				d := tariff.Deck{Spec: tariff.Spec{Kind: tariff.Trunk, Name: fmt.Sprintf("T%03d", i), Currency: "EUR"}, Version: 1}
				used := map[string]bool{}
				for range c.rows {
					row := tariff.Trunk.Defaults()
					row.Prefix, row.RatePerMinute = digits(1+random.IntN(c.depth)), money.Amount(random.IntN(50))
					if i > 0 && complete {
						row.Prefix = decks[0].Rows[random.IntN(len(decks[0].Rows))].Prefix
					}
					if !used[row.Prefix] {
						used[row.Prefix] = true
						d.Rows = append(d.Rows, row)
					}
				}
				decks = append(decks, d)
			}
			all := tariff.NewDecks(decks)
			for range 200 {
				n := e164.Number("+" + digits(4+random.IntN(12)))
				type offer struct {
					cost money.Amount
					row  tariff.Row
				}
				var want []offer
				for _, code := range all.Trunks() {
					if row, ok := all.Trunk(code, n, noon); ok {
						cost, err := row.Price(tariff.ExpectedSeconds)
						if err != nil {
							t.Fatal(err)
						}
						want = append(want, offer{cost, row})
					}
				}
				slices.SortStableFunc(want, func(a, b offer) int { return int(a.cost - b.cost) })
				for _, room := range []int{0, 1, 5, c.decks} {
					into := make([]tariff.Offer, room)
					var got []offer
					for _, o := range into[:all.Offers(n, noon, into)] {
						got = append(got, offer{o.Cost, all.Row(o, n)})
					}
					if wanted := want[:min(room, len(want))]; !slices.Equal(got, wanted) {
						t.Fatalf("%+v, %s, room for %d:\n got %v\nwant %v", c, n, room, got, wanted)
					}
				}
			}
		}
	}
}
