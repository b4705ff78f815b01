package tariff_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// numberOf makes a number that begins with a prefix of three digits.
func numberOf(prefix int) e164.Number { return e164.Number(fmt.Sprintf("+%d1234567", prefix)) }

// tell writes a difference in short: prefix, change, both prefixes with rates, percent and anomalies.
func tell(d tariff.Difference) string {
	side := func(prefix string, rate *money.Amount) string {
		if rate == nil {
			return "-"
		}
		return fmt.Sprintf("%s=%v", prefix, rate)
	}
	line := fmt.Sprintf("%s %s %s %s %v", d.Prefix, d.Change, side(d.PrefixBefore, d.RateBefore), side(d.PrefixAfter, d.RateAfter), d.Percent)
	if d.Window != "" {
		line += " in " + string(d.Window)
	}
	if d.From.Year() > 2050 {
		line += d.From.Format(" from 2006-01-02")
	}
	return strings.TrimSpace(line + " " + d.Anomalies.String())
}

func TestDiff(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	spec := retail(nil)
	spec.Name = "retail"
	if _, err := store.Import(t.Context(), parse(t, spec, "prefix,rate_per_minute,window\n44,0.12,\n44,0.10,sat-sun\n4420,0.24,\n380,0.36,\n")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proves        string
		before, after string
		want          []string
		same          int
	}{
		{"the same", "380,0.1", "380,0.1", nil, 1},
		{"dearer, cheaper, gone, new", "1,0.1\n2,0.1\n3,0.1", "1,0.11\n2,0.09\n5,0.1", []string{
			"1 dearer 1=0.10 1=0.11 10.00", "2 cheaper 2=0.10 2=0.09 -10.00", "3 gone 3=0.10 - 0.00", "5 new - 5=0.10 0.00",
		}, 0},
		{"30 % is not over 30 %", "1,0.1\n2,0.1", "1,0.13\n2,0.130001", []string{
			"1 dearer 1=0.10 1=0.13 30.00", "2 dearer 2=0.10 2=0.130001 30.001 over_30_percent",
		}, 0},
		{"what was free", "1,0", "1,0.01", []string{"1 dearer 1=0.00 1=0.01 1000000.00 over_30_percent"}, 0},
		{"a new prefix is compared with the one that carried its calls", "38,0.1", "38,0.1\n38050,0.2", []string{
			"38050 new 38=0.10 38050=0.20 100.00 over_30_percent",
		}, 1},
		{"calls of a prefix that is gone go by the shorter one", "38,0.1\n380,0.02\n38050,0.05", "38,0.1", []string{
			"380 gone 380=0.02 38=0.10 400.00 over_30_percent", "38050 gone 38050=0.05 38=0.10 100.00 over_30_percent",
		}, 1},
		{"a longer step is dearer, though the rate is the same", "1,0.1,,1,1", "1,0.1,,60,60", []string{"1 dearer 1=0.10 1=0.10 100.00 over_30_percent"}, 0},
		{"so is a connection fee, though the rate is lower", "1,0.1", "1,0.09,0.03", []string{"1 dearer 1=0.10 1=0.09 50.00 over_30_percent"}, 0},
		{"over five times the median of the country", "4,1", "4,1\n491,0.01\n492,0.02\n493,0.03\n494,0.100001\n495,0.10\n48,1", []string{
			"48 new 4=1.00 48=1.00 0.00", "491 new 4=1.00 491=0.01 -99.00", "492 new 4=1.00 492=0.02 -98.00", "493 new 4=1.00 493=0.03 -97.00",
			"494 new 4=1.00 494=0.100001 -89.9999", "495 new 4=1.00 495=0.10 -90.00",
		}, 1},
		{"the lower of two medians", "4,1", "4,1\n491,0.01\n492,0.06", []string{
			"491 new 4=1.00 491=0.01 -99.00", "492 new 4=1.00 492=0.06 -94.00 over_5x_median",
		}, 1},
		{"no margin: 180 s cost more than callers pay without 20 % VAT at some hour", "44,0.07\n4420,0.07\n380,0.3\n7,1", "44,0.084\n4420,0.084\n380,0.301\n7,1.1", []string{
			"380 dearer 380=0.30 380=0.301 0.333334 no_margin", "44 dearer 44=0.07 44=0.084 20.00 no_margin",
			"4420 dearer 4420=0.07 4420=0.084 20.00", "7 dearer 7=1.00 7=1.10 10.00",
		}, 0},
		{"margin by the shorter retail prefix", "447,0.07", "447,0.085", []string{"447 dearer 447=0.07 447=0.085 21.428572 no_margin"}, 0},
		{"a row to come is compared with the one before it", "1,0.1", "1,0.1,,,,,2090-01-01\n1,0.12,,,,2090-01-01", []string{
			"1 dearer 1=0.10 1=0.12 20.00 from 2090-01-01",
		}, 1},
		{"a row that ends without another", "1,0.1", "1,0.1,,,,,2090-01-01", []string{"1 gone 1=0.10 - 0.00 from 2090-01-01"}, 1},
		{"rows that are over don't count", "1,0.1,,,,,2020-01-01\n2,0.1", "1,0.5,,,,,2020-01-01\n2,0.1", nil, 1},
		{"a window of its own is compared with the row for all times", "1,0.1", "1,0.1\n1,0.2,,,,,,mon-fri", []string{
			"1 new 1=0.10 1=0.20 100.00 in mon-fri over_30_percent",
		}, 1},
		{"each window with its like", "1,0.1\n1,0.2,,,,,,mon-fri", "1,0.1\n1,0.21,,,,,,mon-fri", []string{"1 dearer 1=0.20 1=0.21 5.00 in mon-fri"}, 1},
	} {
		const head = "prefix,rate_per_minute,connect_fee,interval_first,interval_next,effective_from,effective_to,window\n"
		var versions []tariff.Version
		for _, rows := range []string{c.before, c.after} {
			var csv strings.Builder
			csv.WriteString(head)
			for line := range strings.SplitSeq(rows, "\n") {
				csv.WriteString(line + strings.Repeat(",", 7-strings.Count(line, ",")) + "\n")
			}
			v, err := store.Import(t.Context(), parse(t, carrier(), csv.String()))
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, v)
		}
		var got []string
		diff, err := store.Diff(t.Context(), versions[0], versions[1], tariff.Compare{
			Against: "retail", VAT: 20_000_000, Worst: 100,
			Each: func(d tariff.Difference) error { got = append(got, tell(d)); return nil },
		})
		if err != nil || !reflect.DeepEqual(got, c.want) || diff.Same != c.same {
			t.Errorf("%s:\n got %q, %v\nwant %q, %d the same", c.proves, got, err, c.want, c.same)
			continue
		}
		if _, err := store.Diff(t.Context(), versions[0], versions[1], tariff.Compare{Against: "nobody"}); err != nil {
			t.Errorf("%s: without a retail deck: %v", c.proves, err)
		}
		if sum := diff.New + diff.Gone + diff.Dearer + diff.Cheaper; sum != len(c.want) || len(diff.Worst) != len(c.want) {
			t.Errorf("%s: %+v", c.proves, diff)
		}
		words := strings.Join(got, " ")
		for word, counted := range map[tariff.Anomaly]int{
			tariff.OverThirty: diff.OverThirty, tariff.OverMedian: diff.OverMedian, tariff.NoMargin: diff.NoMargin,
		} {
			if strings.Count(words, string(word)) != counted {
				t.Errorf("%s: %d times %s counted in %q", c.proves, counted, word, got)
			}
		}
	}
}

// TestDiffIsThatOfLinearSearch compares random decks with what is found by looking at all prefixes each time.
func TestDiffIsThatOfLinearSearch(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	rapid.Check(t, func(rt *rapid.T) {
		decks := [2]map[string]money.Amount{}
		var versions [2]tariff.Version
		for i := range decks {
			decks[i] = rapid.MapOfN(rapid.StringMatching(`[1-3][0-2]{0,4}`), rapid.Custom(func(t *rapid.T) money.Amount {
				return money.Amount(rapid.IntRange(1, 4).Draw(t, "cents")) * money.Cent
			}), 1, 30).Draw(rt, "deck")
			d := tariff.Deck{Spec: carrier()}
			for _, prefix := range slices.Sorted(maps.Keys(decks[i])) {
				row := tariff.Trunk.Defaults()
				row.Prefix, row.RatePerMinute = prefix, decks[i][prefix]
				d.Rows = append(d.Rows, row)
			}
			var err error
			if versions[i], err = store.Import(t.Context(), d); err != nil {
				rt.Fatal(err)
			}
		}
		cover := func(deck map[string]money.Amount, prefix string) (string, *money.Amount) {
			for n := len(prefix); n > 0; n-- {
				if rate, ok := deck[prefix[:n]]; ok {
					return prefix[:n], &rate
				}
			}
			return "", nil
		}
		var want []string
		all := maps.Clone(decks[0])
		maps.Copy(all, decks[1])
		for _, prefix := range slices.Sorted(maps.Keys(all)) {
			before, had := decks[0][prefix]
			after, has := decks[1][prefix]
			if had && has && before == after {
				continue
			}
			d := tariff.Difference{Prefix: prefix}
			d.PrefixBefore, d.RateBefore = cover(decks[0], prefix)
			d.PrefixAfter, d.RateAfter = cover(decks[1], prefix)
			switch {
			case !had:
				d.Change = tariff.New
			case !has:
				d.Change = tariff.Gone
			case after > before:
				d.Change = tariff.Dearer
			default:
				d.Change = tariff.Cheaper
			}
			want = append(want, fmt.Sprint(d.Prefix, d.Change, d.PrefixBefore, d.RateBefore, d.PrefixAfter, d.RateAfter))
		}
		var got []string
		_, err := store.Diff(t.Context(), versions[0], versions[1], tariff.Compare{Each: func(d tariff.Difference) error {
			got = append(got, fmt.Sprint(d.Prefix, d.Change, d.PrefixBefore, d.RateBefore, d.PrefixAfter, d.RateAfter))
			return nil
		}})
		if err != nil || !reflect.DeepEqual(got, want) {
			rt.Fatalf("%v\n got %q\nwant %q", err, got, want)
		}
	})
}

// TestDiffAcrossCurrencies compares what the rates of two currencies are worth.
func TestDiffAcrossCurrencies(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	var versions []tariff.Version
	for _, currency := range []money.Currency{"EUR", "USD"} {
		spec := carrier()
		spec.Currency = currency
		v, err := store.Import(t.Context(), parse(t, spec, "prefix,rate_per_minute\n380,0.1\n"))
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	if _, err := store.Diff(t.Context(), versions[0], versions[1], tariff.Compare{}); !errors.Is(err, tariff.ErrNoExchangeRate) {
		t.Errorf("without exchange rate: %v", err)
	}
	rate, err := tariff.ParseExchangeRate("1.25")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SetExchangeRate(t.Context(), tariff.DatedRate{Currency: "USD", From: noon.AddDate(-10, 0, 0), Rate: rate}); err != nil {
		t.Fatal(err)
	}
	diff, err := store.Diff(t.Context(), versions[0], versions[1], tariff.Compare{})
	if err != nil || diff.Cheaper != 1 || diff.Worst[0].Percent != -20_000_000 {
		t.Errorf("%+v, %v; want 20 %% less", diff, err)
	}
}

// TestEffect prices calls of the last month by two versions: by the rows of the same hour of the week after the change.
func TestEffect(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	now := time.Now().UTC()
	sunday := now.AddDate(0, 0, -7-int(now.Weekday())).Truncate(24 * time.Hour).Add(12 * time.Hour)
	calls := []tariff.PastCall{
		{Number: "+380441234567", AnsweredAt: sunday.AddDate(0, 0, 1), Seconds: 60},  // Monday
		{Number: "+380441234567", AnsweredAt: sunday, Seconds: 120},                  // Sunday
		{Number: "+79991234567", AnsweredAt: sunday.AddDate(0, 0, 1), Seconds: 30},   // cheaper
		{Number: "+441234567890", AnsweredAt: sunday.AddDate(0, 0, 1), Seconds: 100}, // no rate any more
		{Number: "+998711234567", AnsweredAt: sunday.AddDate(0, 0, 1), Seconds: 60},  // no rate before
	}
	before, err := store.Import(t.Context(), parse(t, carrier(), "prefix,destination,rate_per_minute\n380,Ukraine,0.10\n7,Russia,0.04\n44,UK,0.01\n"))
	if err != nil {
		t.Fatal(err)
	}
	spec := carrier()
	spec.ActiveFrom = now.AddDate(0, 2, 0)
	after, err := store.Import(t.Context(), parse(t, spec, "prefix,destination,rate_per_minute,window\n380,Ukraine,0.12,\n380,Ukraine,0.08,sun\n7,Russia,0.02,\n998,Uzbekistan,0.5,\n"))
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	diff, err := store.Diff(t.Context(), before, after, tariff.Compare{Worst: 2, Calls: func(kind tariff.Kind, name string, since time.Time) iter.Seq2[tariff.PastCall, error] {
		asked = fmt.Sprint(kind, " ", name, " ", time.Since(since).Round(24*time.Hour))
		return func(yield func(tariff.PastCall, error) bool) {
			for _, c := range calls {
				if !yield(c, nil) {
					return
				}
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if asked != "trunk T1 720h0m0s" {
		t.Errorf("asked for the calls of %s", asked)
	}
	e := *diff.Effect
	want := tariff.Effect{
		Since: e.Since, Calls: 5, NoRate: 1,
		Before: 320_000, // 0.10 + 0.20 + 0.02
		After:  790_000, // 0.12 + 0.16 + 0.01 + 0.50
		Worst: []tariff.DestinationEffect{
			{Destination: "Uzbekistan", Calls: 1, After: 500_000},
			{Destination: "Russia", Calls: 1, Before: 20_000, After: 10_000},
		},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("\n got %+v\nwant %+v", e, want)
	}
	broken := errors.New("broken disk")
	_, err = store.Diff(t.Context(), before, after, tariff.Compare{Calls: func(tariff.Kind, string, time.Time) iter.Seq2[tariff.PastCall, error] {
		return func(yield func(tariff.PastCall, error) bool) { yield(tariff.PastCall{}, broken) }
	}})
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the error of the calls", err)
	}
}
