package tariff_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestParseWindow(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"mon-fri 08:00-18:00", "mon-fri 08:00-18:00"},
		{" Mon,Tue, WED  08:00-18:00 ;sat", "mon-wed 08:00-18:00; sat"},
		{"fri-mon", "mon fri-sun"},
		{"sun-mon 22:00-06:00", "mon sun 22:00-06:00"},
		{"mon-sun", "mon-sun"},
		{"mon-sun hol", "00:00-24:00"},
		{"18:00-00:00", "18:00-24:00"},
		{"18:00-24:00", "18:00-24:00"},
		{"sat hol 09:00-12:00 14:00-16:00", "sat hol 09:00-12:00 14:00-16:00"},
		{"sat 09:00-12:00; sat 14:00-16:00", "sat 09:00-12:00 14:00-16:00"},
		{"sat; sat 14:00-16:00", "sat; sat 14:00-16:00"},
		{"00:00-24:00", "00:00-24:00"},
		{"tue-tue", "tue"},
		{"", ""},
		{";", ""},
		{"mon;", ""},
		{"monday", ""},
		{"mon-hol", ""},
		{"hol-mon", ""},
		{"mon 8:00-18:00", ""},
		{"mon 08:00", ""},
		{"mon 08:00-18:60", ""},
		{"mon 24:00-06:00", ""},
		{"mon 08:00-24:01", ""},
		{"mon 08:00-08:00", ""},
		{"08:00-18:00 mon", ""},
		{"mon 08.00-18.00", ""},
		{"mon 0a:00-18:00", ""},
		{strings.Repeat("mon 08:00-18:00;", 30) + "tue", ""},
	} {
		got, err := tariff.ParseWindow(c.text)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
		}
		if again, err := tariff.ParseWindow(c.want); c.want != "" && (again != got || err != nil) {
			t.Errorf("%q is not canonical: %q, %v", got, again, err)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"mon-fri 08:00-18:00; sat", "fri-mon hol 22:00-06:00 12:00-13:00", ";;", "24:00-24:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := tariff.ParseWindow(s)
		if err != nil {
			return
		}
		if again, err := tariff.ParseWindow(string(w)); err != nil || again != w || w == "" || len(w) > 400 {
			t.Fatalf("%q gives %q, which gives %q, %v", s, w, again, err)
		}
		// Written otherwise or not, it is the same time.
		in := func(s string) tariff.Deck { return windows("Europe/Berlin", nil, "", s) }
		one, other := tariff.NewDecks([]tariff.Deck{in(s)}), tariff.NewDecks([]tariff.Deck{in(string(w))})
		for at := noon; at.Before(noon.AddDate(0, 0, 8)); at = at.Add(47 * time.Minute) {
			a, _ := one.Retail("std", "+380441234567", at)
			b, _ := other.Retail("std", "+380441234567", at)
			if a.RatePerMinute != b.RatePerMinute {
				t.Fatalf("%q and %q differ at %v", s, w, at)
			}
		}
	})
}

// windows is a retail deck with a row for each window; the first costs one cent, the next two, and so on.
func windows(zone string, holidays []tariff.Holiday, all ...string) tariff.Deck {
	d := deckOf("std", 1, noon.AddDate(-20, 0, 0))
	d.Holidays = holidays
	var err error
	if d.Zone, err = time.LoadLocation(zone); err != nil {
		panic(err)
	}
	for i, w := range all {
		row := tariff.Retail.Defaults()
		row.Prefix, row.RatePerMinute, row.Window = "380", money.Amount(i+1)*money.Cent, tariff.Window(w)
		d.Rows = append(d.Rows, row)
	}
	return d
}

func TestWindows(t *testing.T) {
	xmas := []tariff.Holiday{
		{Date: "2027-12-24", CountsAs: "sat"},
		{Date: "2027-12-25", CountsAs: "hol"},
		{Date: "2027-12-27", CountsAs: "sun"},
		{Date: "2028-02-29", CountsAs: "sun"},
	}
	office := windows("Europe/Berlin", xmas, "", "mon-fri 08:00-18:00", "fri 22:00-06:00", "sun", "hol")
	for _, c := range []struct {
		proves string
		deck   tariff.Deck
		at     string // in the deck's zone when without one
		cents  int    // 0: no row
	}{
		{"before office hours", office, "2027-06-01T07:59:59.999999", 1},
		{"their first instant is in", office, "2027-06-01T08:00:00", 2},
		{"their last is in", office, "2027-06-01T17:59:59.999999", 2},
		{"their end is not", office, "2027-06-01T18:00:00", 1},
		{"told in another zone", office, "2027-06-01T06:00:00Z", 2},
		{"the commune's midnight is not the deck's", office, "2027-06-05T22:00:00Z", 4},
		{"Friday night begins", office, "2027-06-04T22:00:00", 3},
		{"goes on over midnight", office, "2027-06-05T05:59:59", 3},
		{"and ends", office, "2027-06-05T06:00:00", 1},
		{"no night from Thursday", office, "2027-06-04T05:00:00", 1},
		{"Saturday", office, "2027-06-05T12:00:00", 1},
		{"all of Sunday, from its first instant", office, "2027-06-06T00:00:00", 4},
		{"to its last", office, "2027-06-06T23:59:59.999999", 4},
		{"a Friday that counts as Saturday", office, "2027-12-24T12:00:00", 1},
		{"and has no Friday night", office, "2027-12-24T23:00:00", 1},
		{"a holiday of its own kind", office, "2027-12-25T12:00:00", 5},
		{"an ordinary Sunday after it", office, "2027-12-26T12:00:00", 4},
		{"a Monday that counts as Sunday", office, "2027-12-27T12:00:00", 4},
		{"up to its end", office, "2027-12-28T00:00:00", 1},
		{"a leap day that is a holiday, a Tuesday", office, "2028-02-29T12:00:00", 4},
		{"the day after", office, "2028-03-01T12:00:00", 2},
		{"the last instant of a month", office, "2027-04-30T17:59:59", 2},
		{"the first of the next, a Saturday", office, "2027-05-01T12:00:00", 1},

		{"a window that is skipped when clocks go forward", windows("Europe/Berlin", nil, "", "sun 02:00-03:00"), "2027-03-28T00:59:59Z", 1},
		{"at once the hour after it", windows("Europe/Berlin", nil, "", "sun 02:00-03:00"), "2027-03-28T01:00:00Z", 1},
		{"one that begins in the gap begins after it", windows("Europe/Berlin", nil, "", "sun 02:30-04:00"), "2027-03-28T01:00:00Z", 2},
		{"one that comes twice when they go back, the first time", windows("Europe/Berlin", nil, "", "sun 02:00-03:00"), "2027-10-31T00:30:00Z", 2},
		{"the second time", windows("Europe/Berlin", nil, "", "sun 02:00-03:00"), "2027-10-31T01:59:59Z", 2},
		{"its end", windows("Europe/Berlin", nil, "", "sun 02:00-03:00"), "2027-10-31T02:00:00Z", 1},
		{"a night over the change, at its end by the clock", windows("Europe/Berlin", nil, "", "sat 22:00-06:00"), "2027-03-28T03:59:59Z", 2},
		{"and past it", windows("Europe/Berlin", nil, "", "sat 22:00-06:00"), "2027-03-28T04:00:00Z", 1},
		{"an offset of three quarters of an hour", windows("Asia/Kathmandu", nil, "", "tue 17:45-18:00"), "2027-06-01T12:00:00Z", 2},

		{"no row at any other time", windows("UTC", nil, "mon", "tue 00:00-12:00"), "2027-06-01T12:00:00", 0},
		{"several windows without a plain row", windows("UTC", nil, "mon", "tue 00:00-12:00"), "2027-06-01T11:59:59", 2},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			if at, err = time.ParseInLocation("2006-01-02T15:04:05.999999", c.at, c.deck.Zone); err != nil {
				t.Fatal(err)
			}
		}
		row, ok := tariff.NewDecks([]tariff.Deck{c.deck}).Retail("std", "+380441234567", at)
		if ok != (c.cents > 0) || row.RatePerMinute != money.Amount(c.cents)*money.Cent {
			t.Errorf("%s: %s in %q, want %d cents", c.proves, row.RatePerMinute, row.Window, c.cents)
		}
	}
}

// A longer prefix outside its window leaves the call to the shorter one, as it does outside its effective time.
func TestWindowsOfLongerPrefixes(t *testing.T) {
	deck := windows("UTC", nil, "")
	night := deck.Rows[0]
	night.Prefix, night.RatePerMinute, night.Window = "38044", 7*money.Cent, "18:00-08:00"
	deck.Rows = append(deck.Rows, night)
	decks := tariff.NewDecks([]tariff.Deck{deck})
	for at, want := range map[time.Time]money.Amount{noon: money.Cent, noon.Add(6 * time.Hour): 7 * money.Cent} {
		if row, _ := decks.Retail("std", "+380441234567", at); row.RatePerMinute != want {
			t.Errorf("at %v: %v, want %v", at, row.RatePerMinute, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { decks.Retail("std", "+380441234567", noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWindowsOfADeckThatOverlap(t *testing.T) {
	spec := retail(nil)
	spec.Zone = zone(t, "Europe/Berlin")
	spec.Holidays = []tariff.Holiday{{Date: "2027-12-24", CountsAs: "sun"}}
	const header = "prefix,rate_per_minute,effective_from,effective_to,window\n"
	for _, c := range []struct{ proves, rows, line, problem string }{
		{"the same window twice", "380,1,,,mon\n380,2,,,MON\n", "line 3", "as in line 2"},
		{"two windows at one time", "380,1,,,mon-fri 08:00-18:00\n380,2,,,wed 17:59-20:00\n", "line 3", "wed 17:59"},
		{"a night into the next morning", "380,1,,,mon 22:00-06:00\n380,2,,,tue 00:00-01:00\n", "line 3", "tue 00:00"},
		{"touching", "380,1,,,mon 22:00-06:00\n380,2,,,tue 06:00-07:00\n380,3,,,mon 21:00-22:00\n", "", ""},
		{"any window beside the plain row", "380,1,,,\n380,2,,,mon\n380,3,,,tue\n", "", ""},
		{"two plain rows", "380,1,,,\n380,2,,,mon\n380,3,,,\n", "line 4", "as in line 2"},
		{"other prefixes", "380,1,,,mon\n3804,2,,,mon\n", "", ""},
		{"one after the other", "380,1,,2027-06-01,mon\n380,2,2027-06-01,,mon\n", "", ""},
		{"an hour of both", "380,1,,2027-06-01T01:00:00Z,mon\n380,2,2027-06-01,,sun-mon\n", "line 3", "as in line 2"},
		{"a holiday brings Sunday before Saturday", "380,1,,,sun 22:00-06:00\n380,2,,,sat\n", "line 3", "sat 00:00"},
		{"which needs the holiday", "380,1,,,sun 22:00-06:00\n380,2,,,wed\n", "", ""},
		{"the third of three, long after the first", "380,1,,,mon\n380,2,,2027-01-01,tue\n380,3,2028-01-01,,mon-tue\n", "line 4", "as in line 2"},
		{"a window that is none", "380,1,,,whenever\n", "line 2", "window: \"whenever\""},
	} {
		_, err := tariff.ParseDeck(strings.NewReader(header+c.rows), spec)
		if (err != nil) != (c.line != "") {
			t.Errorf("%s: %v, want %q", c.proves, err, c.line)
		} else if err != nil && (!strings.Contains(err.Error(), c.line+": ") || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%s: %v, want %s, %s", c.proves, err, c.line, c.problem)
		}
	}
	var rows strings.Builder
	for i := range 65 {
		fmt.Fprintf(&rows, "%d,1,,,mon 00:%02d-01:%02d\n", 100+i, i%60, i%59+i/60)
	}
	if _, err := tariff.ParseDeck(strings.NewReader(header+rows.String()), spec); err == nil || !strings.Contains(err.Error(), "64 different windows") {
		t.Errorf("65 windows: %v", err)
	}
}

// Whatever is not refused has one row for each instant, whatever order its lines stand in.
func TestNoTwoRowsCountAtOnce(t *testing.T) {
	spec := retail(zone(t, "Europe/Berlin"))
	rapid.Check(t, func(t *rapid.T) {
		spec := spec
		for i := range rapid.IntRange(0, 3).Draw(t, "holidays") {
			spec.Holidays = append(spec.Holidays, tariff.Holiday{
				Date: fmt.Sprintf("2027-06-%02d", 1+i*rapid.IntRange(1, 4).Draw(t, "day")), CountsAs: rapid.SampledFrom([]string{"fri", "sun", "hol"}).Draw(t, "as"),
			})
		}
		var lines []string
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			days := rapid.SampledFrom([]string{"", "mon", "sat-sun", "tue-thu", "fri", "hol"}).Draw(t, "days")
			hours := rapid.SampledFrom([]string{"", "00:00-06:00", "06:00-18:00", "18:00-24:00", "22:00-06:00"}).Draw(t, "hours")
			from := rapid.SampledFrom([]string{"", "2027-06-03", "2027-06-05T12:00:00Z"}).Draw(t, "from")
			to := rapid.SampledFrom([]string{"", "2027-06-08"}).Draw(t, "to")
			lines = append(lines, fmt.Sprintf("380,%d,%s,%s,%s", len(lines)+1, from, to, strings.TrimSpace(days+" "+hours)))
		}
		parse := func(lines []string) (*tariff.Decks, []tariff.Row, error) {
			deck, err := tariff.ParseDeck(strings.NewReader("prefix,rate_per_minute,effective_from,effective_to,window\n"+strings.Join(lines, "\n")), spec)
			return tariff.NewDecks([]tariff.Deck{deck}), deck.Rows, err
		}
		decks, rows, err := parse(lines)
		turned, _, err2 := parse(append(append([]string{}, lines[1:]...), lines[0]))
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v; in another order %v", lines, err, err2)
		}
		if err != nil {
			if bad := (&tariff.BadDeck{}); !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		var alone []*tariff.Decks
		for _, row := range rows {
			alone = append(alone, tariff.NewDecks([]tariff.Deck{{Spec: spec, Rows: []tariff.Row{row}}}))
		}
		for at := time.Date(2027, 5, 30, 0, 0, 0, 0, time.UTC); at.Day() != 12; at = at.Add(57 * time.Minute) {
			a, ok := decks.Retail("standard", "+380441234567", at)
			if b, _ := turned.Retail("standard", "+380441234567", at); a.RatePerMinute != b.RatePerMinute {
				t.Fatalf("%q: at %v %v, in another order %v", lines, at, a, b)
			}
			counting := 0
			for i, row := range rows {
				if _, counts := alone[i].Retail("standard", "+380441234567", at); counts && row.Window != "" {
					counting++
				}
			}
			if counting > 1 || counting == 1 && (!ok || a.Window == "") {
				t.Fatalf("%q: %d windows at %v, and %+v", lines, counting, at, a)
			}
		}
	})
}

func TestHolidays(t *testing.T) {
	days, err := tariff.ParseHolidays(strings.NewReader("\ufeffname,date,counts_as\r\n\"Christmas, first\",2027-12-25,HOL\r\n\nNew Year,2027-01-01,\n"))
	want := []tariff.Holiday{{Date: "2027-01-01", CountsAs: "sun", Name: "New Year"}, {Date: "2027-12-25", CountsAs: "hol", Name: "Christmas, first"}}
	if err != nil || fmt.Sprint(days) != fmt.Sprint(want) {
		t.Errorf("%v, %v; want %v", days, err, want)
	}
	var csv strings.Builder
	if err := tariff.WriteHolidays(&csv, days); err != nil {
		t.Fatal(err)
	}
	if again, err := tariff.ParseHolidays(strings.NewReader(csv.String())); err != nil || fmt.Sprint(again) != fmt.Sprint(want) {
		t.Errorf("written and read: %v, %v", again, err)
	}
	for _, c := range []struct{ csv, want string }{
		{"", "line 1: no header row"},
		{"day\n2027-12-25\n", `line 1: unknown column "day"`},
		{"name\nx\n", "line 1: column date is missing"},
		{"date,date\n", "line 1: column date twice"},
		{"date\n2027-12-25\n2027-02-29\n2027-12-25\n", `line 3: date: "2027-02-29"`},
		{"date\n2027-12-25\n\n2027-12-25\n", "line 4: 2027-12-25 twice"},
		{"date,counts_as\n2027-12-25,christmas\n2027-12-26\n", "line 3: 1 fields, and 2 in the header"},
		{"date\n\"2027-12-25\n", "line 2: quote"},
		{"date\n" + strings.Repeat("x", 5000), "too long"},
	} {
		if days, err := tariff.ParseHolidays(strings.NewReader(c.csv)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, %v; want %s", c.csv, days, err, c.want)
		}
	}
}

// TestWindowContains: the canonical text is read without being taken apart first, and says the same.
func TestWindowContains(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for _, c := range []struct {
		window, at string
		want       bool
	}{
		{"", "2027-06-27T03:00:00Z", true},                                                 // no window at all
		{"mon-fri 08:00-18:00", "2027-06-28T06:00:00Z", true},                              // Monday 8:00 there
		{"mon-fri 08:00-18:00", "2027-06-28T05:59:59Z", false},                             // a second before
		{"mon-fri 08:00-18:00", "2027-06-28T16:00:00Z", false},                             // the end is not in it
		{"mon-fri 08:00-12:00 13:00-17:00; sat", "2027-06-28T10:30:00Z", false},            // the break at noon
		{"mon-fri 08:00-12:00 13:00-17:00; sat", "2027-07-02T22:00:00Z", true},             // Saturday's midnight there
		{"fri 22:00-06:00", "2027-07-03T03:59:00Z", true},                                  // over midnight: of Friday
		{"fri 22:00-06:00", "2027-07-04T03:59:00Z", false},                                 // and of no other day
		{"22:00-06:00", "2027-07-04T03:59:00Z", true},                                      // every night
		{"mon wed", "2027-06-30T10:00:00Z", true},                                          // days in a list
		{"hol", "2027-12-25T10:00:00Z", false},                                             // no day is a holiday here
		{"tue 10:00-11:00; mon wed 08:00-09:00 20:00-21:00", "2027-06-30T18:30:00Z", true}, // several parts
	} {
		w, err := tariff.Window(""), error(nil)
		if c.window != "" {
			w, err = tariff.ParseWindow(c.window)
		}
		at, err2 := time.Parse(time.RFC3339, c.at)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got := w.Contains(at, berlin); got != c.want {
			t.Errorf("%q at %s: %v", w, c.at, got)
		}
		if n := testing.AllocsPerRun(10, func() { w.Contains(at, berlin) }); n > 0 {
			t.Errorf("%q: %v allocations", w, n)
		}
	}
}
