package tariff_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestParseExchangeRate(t *testing.T) {
	for _, c := range []struct {
		text string
		want tariff.ExchangeRate
	}{
		{"1.0856", 1_085_600},
		{"0.000001", 1},
		{"17234.5", 17_234_500_000},
		{"1000000", 1_000_000_000_000},
		{"1000000.000001", 0},
		{"0", 0},
		{"-1", 0},
		{"1e3", 0},
		{"", 0},
		{"1.0000001", 0},
		{"1,08", 0},
	} {
		got, err := tariff.ParseExchangeRate(c.text)
		if got != c.want || c.want == 0 != errors.Is(err, tariff.ErrExchangeRate) {
			t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
}

// dollars is a trunk's deck of 0.12 USD a minute with a fee of 0.01.
func dollars() tariff.Deck {
	row := tariff.Trunk.Defaults()
	row.Prefix, row.RatePerMinute, row.ConnectFee = "380", 120_000, 10_000
	return tariff.Deck{Spec: tariff.Spec{Kind: tariff.Trunk, Name: "T1", Currency: "USD"}, Version: 1, Rows: []tariff.Row{row}}
}

func TestExchange(t *testing.T) {
	const day = 24 * time.Hour
	rates := []tariff.DatedRate{
		{Currency: "USD", From: noon, Rate: 1_200_000},
		{Currency: "GBP", From: noon.Add(-9 * day), Rate: 1},
		{Currency: "USD", From: noon.Add(-day), Rate: 1_000_000},
		{Currency: "USD", From: noon.Add(day), Rate: 1_085_600},
	}
	decks := tariff.NewDecks([]tariff.Deck{dollars()})
	for _, c := range []struct {
		proves string
		decks  *tariff.Decks
		at     time.Time
		rate   tariff.ExchangeRate
		want   money.Amount // of a minute and a half
		ok     bool
	}{
		{"before the first rate there is no row", decks.In("EUR", rates), noon.Add(-day - 1), 0, 0, false},
		{"from its first instant", decks.In("EUR", rates), noon.Add(-day), 1_000_000, 190_000, true},
		{"to its last", decks.In("EUR", rates), noon.Add(-1), 1_000_000, 190_000, true},
		{"the next", decks.In("EUR", rates), noon, 1_200_000, 158_333, true},
		{"rounded half up, once", decks.In("EUR", rates), noon.Add(9 * day), 1_085_600, 175_018, true}, // 175018.42
		{"the commune's own currency", decks.In("USD", rates), noon, 0, 190_000, true},
		{"no rate at all", decks.In("EUR", nil), noon, 0, 0, false},
	} {
		row, ok := c.decks.Trunk("T1", "+380441234567", c.at)
		price, err := row.Price(90)
		if ok != c.ok || row.ExchangeRate != c.rate || ok && (price != c.want || err != nil) {
			t.Errorf("%s: %v at %v, %v; want %v", c.proves, price, row.ExchangeRate, err, c.want)
		}
		if unpriced := c.decks.Unpriced(c.at); (len(unpriced) == 1) == c.ok {
			t.Errorf("%s: unpriced %v", c.proves, unpriced)
		}
		// A call that was stored with its row is costed again to the same.
		stored, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		var read tariff.Row
		if err := json.Unmarshal(stored, &read); err != nil || !reflect.DeepEqual(read, row) {
			t.Errorf("%s: %v; stored %s, read %+v", c.proves, err, stored, read)
		}
	}
}

// The price in the commune's currency is the exact one, rounded once.
func TestExchangeRoundsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := tariff.Trunk.Defaults()
		row.RatePerMinute = money.Amount(rapid.Int64Range(0, 10_000_000).Draw(t, "rate"))
		row.ConnectFee = money.Amount(rapid.Int64Range(0, 10_000_000).Draw(t, "fee"))
		row.IntervalFirst, row.IntervalNext = rapid.IntRange(1, 60).Draw(t, "first"), rapid.IntRange(1, 60).Draw(t, "next")
		row.ExchangeRate = tariff.ExchangeRate(rapid.Int64Range(1, 1_000_000_000_000).Draw(t, "exchange"))
		seconds := rapid.IntRange(1, 90_000).Draw(t, "seconds")
		got, err := row.Price(seconds)
		if err != nil {
			t.Fatal(err)
		}
		exact := big.NewRat(int64(row.RatePerMinute)*int64(row.Billed(seconds)), 60)
		exact.Add(exact, big.NewRat(int64(row.ConnectFee), 1))
		exact.Mul(exact, big.NewRat(1_000_000, int64(row.ExchangeRate)))
		off := exact.Sub(big.NewRat(int64(got), 1), exact)
		if off.Cmp(big.NewRat(-1, 2)) <= 0 || off.Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%v is off by %v millionths", got, off)
		}
	})
}

func TestStoreKeepsExchangeRates(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	deck := dollars()
	deck.ActiveFrom = noon.Add(-time.Hour)
	if v, err := store.Import(t.Context(), deck); err != nil || v.Currency != "USD" {
		t.Fatal(v, err)
	}
	row := func(at time.Time) (tariff.Row, bool) {
		decks, err := store.LoadAt(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return decks.Trunk("T1", "+380441234567", at)
	}
	if r, ok := row(noon); ok {
		t.Errorf("without a rate: %+v", r)
	}
	var revision, after int
	if err := db.Get(&revision, `SELECT n FROM revision`); err != nil {
		t.Fatal(err)
	}
	for _, r := range []tariff.DatedRate{
		{Currency: "USD", From: noon.Add(time.Hour), Rate: 3_000_000},
		{Currency: "USD", From: noon, Rate: 1_000_000},
		{Currency: "USD", From: noon, Rate: 2_000_000}, // again: in its place
		{Currency: "CHF", Rate: 930_000},               // from now
	} {
		if set, err := store.SetExchangeRate(t.Context(), r); err != nil || set.From.IsZero() || set.Rate != r.Rate {
			t.Fatal(set, err)
		}
	}
	if r, ok := row(noon); !ok || r.ExchangeRate != 2_000_000 || r.Currency != "USD" {
		t.Errorf("%+v, %v", r, ok)
	}
	if err := db.Get(&after, `SELECT n FROM revision`); err != nil || after <= revision {
		t.Errorf("a running serve does not learn of it: revision %d, then %d, %v", revision, after, err)
	}
	rates, err := store.ExchangeRates(t.Context())
	if err != nil || len(rates) != 3 || rates[0].Currency != "CHF" || rates[1].Rate != 3_000_000 || !rates[2].From.Equal(noon) {
		t.Errorf("%+v, %v", rates, err)
	}
	for r, want := range map[tariff.DatedRate]error{
		{Currency: "EUR", Rate: 1_000_000}: tariff.ErrOwnCurrency, {Currency: "USD"}: tariff.ErrExchangeRate,
		{Currency: "USD", Rate: -1}: tariff.ErrExchangeRate, {Currency: "usd", Rate: 1}: nil,
	} {
		if set, err := store.SetExchangeRate(t.Context(), r); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%+v: %+v, %v; want %v", r, set, err, want)
		}
	}
	// With another currency of the commune these rates say nothing.
	if _, err := db.Exec(`UPDATE commune SET currency = 'PLN'`); err != nil {
		t.Fatal(err)
	}
	if rates, err := store.ExchangeRates(t.Context()); err != nil || len(rates) != 0 {
		t.Errorf("%+v, %v", rates, err)
	}
}

func TestStoreKeepsWindowsAndHolidays(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	want := windows("Europe/Berlin", []tariff.Holiday{{Date: "2027-12-24", CountsAs: "sat", Name: "Eve"}, {Date: "2027-12-25", CountsAs: "hol"}},
		"", "hol", "mon-fri 08:00-18:00; sat 09:00-12:00")
	if days, err := store.Holidays(t.Context(), tariff.Retail, "std"); err != nil || len(days) != 0 {
		t.Errorf("before: %v, %v", days, err)
	}
	v, err := store.Import(t.Context(), want)
	if err != nil || v.Holidays != 2 || v.Rows != 3 {
		t.Fatal(v, err)
	}
	want.ActiveFrom = want.ActiveFrom.UTC()
	if got, err := store.Deck(t.Context(), tariff.Retail, "std", 1); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	if days, err := store.Holidays(t.Context(), tariff.Retail, "std"); err != nil || !reflect.DeepEqual(days, want.Holidays) {
		t.Errorf("%v, %v", days, err)
	}
	decks, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2027, 6, 7, 6, 0, 0, 0, time.UTC)
	for at, cents := range map[time.Time]money.Amount{monday: 3, monday.Add(-time.Second): 1, time.Date(2027, 12, 24, 23, 0, 0, 0, time.UTC): 2} {
		if row, _ := decks.Retail("std", "+380441234567", at); row.RatePerMinute != cents*money.Cent {
			t.Errorf("at %v: %+v, want %d cents", at, row, cents)
		}
	}
}
