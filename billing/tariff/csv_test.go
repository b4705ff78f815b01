package tariff_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func retail(zone *time.Location) tariff.Spec {
	return tariff.Spec{Kind: tariff.Retail, Name: "standard", Currency: "EUR", Zone: zone}
}

func carrier() tariff.Spec { return tariff.Spec{Kind: tariff.Trunk, Name: "T1", Currency: "EUR"} }

func TestParseDeck(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day := func(month, day, hour int) time.Time {
		return time.Date(2027, time.Month(month), day, hour, 0, 0, 0, time.UTC)
	}
	row := func(k tariff.Kind, prefix string, rate money.Amount, set func(*tariff.Row)) tariff.Row {
		r := k.Defaults()
		r.Prefix, r.RatePerMinute = prefix, rate
		if set != nil {
			set(&r)
		}
		return r
	}
	for _, c := range []struct {
		proves string
		spec   tariff.Spec
		csv    string
		want   []tariff.Row
	}{
		{
			"the least a deck can be, with the defaults of retail", retail(nil), "prefix,rate_per_minute\n380,0.019",
			[]tariff.Row{row(tariff.Retail, "380", 19_000, nil)},
		},
		{
			"the defaults of a carrier", carrier(), "prefix,rate_per_minute\n380,0.008\n",
			[]tariff.Row{{Prefix: "380", RatePerMinute: 8_000, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: 1, RoundingMode: money.HalfUp}},
		},
		{
			"columns in any order, all of them; dates are midnights in the zone", retail(berlin),
			"rate_per_minute,prefix,rounding_mode,rounding_unit,minimum_charge,grace_seconds,interval_next,interval_first,connect_fee,destination,effective_to,effective_from\n" +
				"0.10,44,half_up,0.01,0.05,5,6,60,0.02,United Kingdom,2027-12-01,2027-06-01\n",
			[]tariff.Row{{
				Prefix: "44", Destination: "United Kingdom", RatePerMinute: 100_000, ConnectFee: 20_000, IntervalFirst: 60,
				IntervalNext: 6, GraceSeconds: 5, MinimumCharge: 50_000, RoundingUnit: money.Cent, RoundingMode: money.HalfUp,
				EffectiveFrom: day(5, 31, 22), EffectiveTo: day(11, 30, 23),
			}},
		},
		{
			"byte order mark, CRLF, empty lines, quotes, spaces around fields", retail(nil),
			"\ufeffprefix , \"rate_per_minute\",destination\r\n\r\n 61 ,\"0.02\", \"Australia, \"\"mobile\"\"\" \r\n   \r\n",
			[]tariff.Row{row(tariff.Retail, "61", 20_000, func(r *tariff.Row) { r.Destination = `Australia, "mobile"` })},
		},
		{
			"empty optional fields have their defaults", retail(nil), "prefix,rate_per_minute,connect_fee,interval_first,effective_from\n7,0,,,\n",
			[]tariff.Row{row(tariff.Retail, "7", 0, nil)},
		},
		{
			"one prefix may follow itself in time", retail(nil),
			"prefix,rate_per_minute,effective_from,effective_to\n7,2,2027-06-01T12:00:00Z,\n7,1,,2027-06-01T14:00:00+02:00\n",
			[]tariff.Row{
				row(tariff.Retail, "7", 2*money.Unit, func(r *tariff.Row) { r.EffectiveFrom = day(6, 1, 12) }),
				row(tariff.Retail, "7", money.Unit, func(r *tariff.Row) { r.EffectiveTo = day(6, 1, 12) }),
			},
		},
		{
			"a row may allow a loss, or say that it doesn't", retail(nil), "prefix,rate_per_minute,allow_loss\n7,1,yes\n8,1,no\n9,1,\n",
			[]tariff.Row{
				row(tariff.Retail, "7", money.Unit, func(r *tariff.Row) { r.AllowLoss = true }),
				row(tariff.Retail, "8", money.Unit, nil), row(tariff.Retail, "9", money.Unit, nil),
			},
		},
		{
			"a carrier may say what holds anyway", carrier(), "prefix,rate_per_minute,grace_seconds,rounding_mode\n7,1,0,half_up\n",
			[]tariff.Row{row(tariff.Trunk, "7", money.Unit, nil)},
		},
	} {
		deck, err := tariff.ParseDeck(strings.NewReader(c.csv), c.spec)
		if err != nil || !reflect.DeepEqual(deck.Rows, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.proves, deck.Rows, err, c.want)
		}
		if c.spec.Zone == nil && deck.Zone != time.UTC {
			t.Errorf("%s: zone %v", c.proves, deck.Zone)
		}
	}
}

func TestParseDeckRefuses(t *testing.T) {
	const head = "prefix,rate_per_minute\n"
	full := "prefix,rate_per_minute,connect_fee,interval_first,interval_next,grace_seconds,minimum_charge,rounding_unit,rounding_mode,effective_from,effective_to\n"
	for _, c := range []struct {
		proves string
		spec   tariff.Spec
		csv    string
		line   int
		tells  string
	}{
		{"an empty file", retail(nil), "", 1, "no rows"},
		{"a header alone", retail(nil), head, 1, "no rows"},
		{"no header", retail(nil), "380,0.02\n", 1, `unknown column "380"`},
		{"an unknown column", retail(nil), "prefix,rate_per_minute,colour\n", 1, `unknown column "colour"`},
		{"semicolons", retail(nil), "prefix;rate_per_minute\n", 1, "separated by commas"},
		{"a column twice", retail(nil), "prefix,rate_per_minute,prefix\n", 1, "prefix twice"},
		{"no rate column", retail(nil), "prefix,destination\n", 1, "rate_per_minute is missing"},
		{"no prefix column", retail(nil), "rate_per_minute\n", 1, "prefix is missing"},
		{"a field too many", retail(nil), head + "380,0.02,x\n", 2, "3 fields, and 2"},
		{"a field too few", retail(nil), head + "380\n", 2, "1 fields, and 2"},
		{"a decimal comma", retail(nil), head + "380,0,02\n", 2, "3 fields, and 2"},
		{"a plus sign", retail(nil), head + "+380,0.02\n", 2, "without +"},
		{"no prefix", retail(nil), head + ",0.02\n", 2, "prefix: "},
		{"a prefix that no number has", retail(nil), head + "0380,0.02\n", 2, "begins with 0"},
		{"a prefix of 16 digits", retail(nil), head + "3804412345678901,0.02\n", 2, "more than 15 digits"},
		{"no rate", retail(nil), head + "380,\n", 2, "rate_per_minute: "},
		{"a negative rate", retail(nil), head + "380,-0.02\n", 2, "less than 0.00"},
		{"seven decimals", retail(nil), head + "380,0.0000001\n", 2, "at most 6 decimals"},
		{"an exponent", retail(nil), head + "380,1e3\n", 2, "not an amount"},
		{"a rate over 63 bits", retail(nil), head + "380,9223372036855\n", 2, "out of range"},
		{"a rate that no call could be priced by", retail(nil), head + "380,9223372036854\n", 2, "the price of a day"},
		{"a negative fee", retail(nil), full + "380,1,-1,,,,,,,,\n", 2, "connect_fee"},
		{"a loss that is neither", retail(nil), "prefix,rate_per_minute,allow_loss\n380,1,true\n", 2, "allow_loss: \"true\": want yes or no"},
		{"a carrier's loss", carrier(), "prefix,rate_per_minute,allow_loss\n380,1,yes\n", 2, "allow_loss: a carrier's deck"},
		{"an interval of 0", retail(nil), full + "380,1,,0,,,,,,,\n", 2, "interval_first"},
		{"a negative interval", retail(nil), full + "380,1,,,-6,,,,,,\n", 2, "interval_next"},
		{"an interval over a day", retail(nil), full + "380,1,,,86401,,,,,,\n", 2, "interval_next"},
		{"negative grace", retail(nil), full + "380,1,,,,-1,,,,,\n", 2, "grace_seconds"},
		{"seconds with a fraction", retail(nil), full + "380,1,,,,1.5,,,,,\n", 2, "grace_seconds"},
		{"a negative minimum", retail(nil), full + "380,1,,,,,-1,,,,\n", 2, "minimum_charge"},
		{"a unit of 0", retail(nil), full + "380,1,,,,,,0,,,\n", 2, "rounding_unit"},
		{"a unit beyond counting", retail(nil), full + "380,1,,,,,,9223372036854,,,\n", 2, "the price of a day"},
		{"an unknown mode", retail(nil), full + "380,1,,,,,,,down,,\n", 2, "up or half_up"},
		{"no date", retail(nil), full + "380,1,,,,,,,,soon,\n", 2, "effective_from"},
		{"a date that is none", retail(nil), full + "380,1,,,,,,,,2027-02-30,\n", 2, "effective_from"},
		{"a year beyond the calendar", retail(nil), full + "380,1,,,,,,,,0000-01-01,\n", 2, "from 1970"},
		{"an end before the start", retail(nil), full + "380,1,,,,,,,,2027-06-02,2027-06-01\n", 2, "not after"},
		{"an empty time", retail(nil), full + "380,1,,,,,,,,2027-06-01,2027-06-01\n", 2, "not after"},
		{"grace with a carrier", carrier(), full + "380,1,,,,5,,,,,\n", 2, "grace_seconds: a carrier's deck"},
		{"a minimum with a carrier", carrier(), full + "380,1,,,,,0.01,,,,\n", 2, "minimum_charge: a carrier's deck"},
		{"a rounding unit with a carrier", carrier(), full + "380,1,,,,,,0.0001,,,\n", 2, "rounding_unit: a carrier's deck"},
		{"a rounding mode with a carrier", carrier(), full + "380,1,,,,,,,up,,\n", 2, "rounding_mode: a carrier's deck"},
		{"the same prefix twice", retail(nil), head + "380,1\n44,1\n380,1\n", 4, "as in line 2"},
		{"overlapping times", retail(nil), full + "380,1,,,,,,,,2027-06-01,\n380,1,,,,,,,,,2027-06-02\n", 3, "as in line 2"},
		{
			"an overlap with a row that lasts past the next one", retail(nil),
			full + "380,1,,,,,,,,2027-01-01,2027-12-01\n380,1,,,,,,,,2027-02-01,2027-03-01\n380,1,,,,,,,,2027-05-01,2027-06-01\n", 4, "as in line 2",
		},
		{"a zero byte", retail(nil), head + "38\x000,1\n", 2, "U+0000"},
		{"a tab", retail(nil), "prefix\trate_per_minute\n", 1, "U+0009"},
		{"a spreadsheet file", retail(nil), "PK\x03\x04\x14\x00\x06\x00\n", 1, "U+0003"},
		{"another encoding", retail(nil), "prefix,rate_per_minute,destination\n43,1,\xd6sterreich\n", 2, "UTF-8"},
		{"two encodings of one line", retail(nil), "\xff\xfep\x00r\x00\n", 1, "UTF-8"},
		{"an open quote", retail(nil), head + "\"380,1\n", 2, "not closed"},
		{"text after a quote", retail(nil), head + "\"380\"1,1\n", 2, "after the closing quote"},
		{"a quote within a field", retail(nil), head + "3\"80,1\n", 2, "quote in a field"},
		{"a line of 10 MB", retail(nil), head + strings.Repeat("3", 10<<20) + ",1\n", 2, "longer than 4096"},
		{"a header of 10 MB", retail(nil), strings.Repeat("a,", 5<<20), 1, "longer than 4096"},
	} {
		deck, err := tariff.ParseDeck(strings.NewReader(c.csv), c.spec)
		var bad *tariff.BadDeck
		if !errors.As(err, &bad) || len(deck.Rows) > 0 {
			t.Errorf("%s: %d rows, %v; want a BadDeck", c.proves, len(deck.Rows), err)
			continue
		}
		got := bad.Lines[len(bad.Lines)-1]
		if got.Line != c.line || !strings.Contains(got.Problem, c.tells) || !strings.Contains(err.Error(), fmt.Sprintf("line %d: ", c.line)) {
			t.Errorf("%s: %v; want line %d: …%s…", c.proves, err, c.line, c.tells)
		}
		if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: the error is not one short line: %q", c.proves, err)
		}
	}
}

func TestParseDeckTellsAllBadLines(t *testing.T) {
	csv := "prefix,rate_per_minute\n1,x\n2,1\n3,-1\n2,1\n"
	_, err := tariff.ParseDeck(strings.NewReader(csv), retail(nil))
	var bad *tariff.BadDeck
	if !errors.As(err, &bad) {
		t.Fatal(err)
	}
	var lines []int
	for _, l := range bad.Lines {
		lines = append(lines, l.Line)
	}
	if want := []int{2, 4, 5}; !reflect.DeepEqual(lines, want) || bad.More != 0 {
		t.Errorf("lines %v and %d more, want %v", lines, bad.More, want)
	}

	csv = "prefix,rate_per_minute\n7,1\n7,1\n" + strings.Repeat("x,1\n", 30)
	_, err = tariff.ParseDeck(strings.NewReader(csv), retail(nil))
	if !errors.As(err, &bad) || len(bad.Lines) != 20 || bad.More != 11 || bad.Lines[0].Line != 3 {
		t.Errorf("%v; want the first 20 of 31 bad lines, from line 3", err)
	}
	if !strings.HasSuffix(err.Error(), "and 11 more bad lines") {
		t.Errorf("%v", err)
	}
}

func TestParseDeckSpec(t *testing.T) {
	for _, c := range []struct {
		proves string
		change func(s *tariff.Spec)
	}{
		{"a kind", func(s *tariff.Spec) { s.Kind = "" }},
		{"a name", func(s *tariff.Spec) { s.Name = "" }},
		{"a name without spaces", func(s *tariff.Spec) { s.Name = "a b" }},
		{"a name of 32 letters", func(s *tariff.Spec) { s.Name = strings.Repeat("a", 33) }},
		{"a currency", func(s *tariff.Spec) { s.Currency = "eur" }},
		{"a zone with a name", func(s *tariff.Spec) { s.Zone = time.Local }},
	} {
		spec := retail(nil)
		c.change(&spec)
		var bad *tariff.BadDeck
		if _, err := tariff.ParseDeck(strings.NewReader("prefix,rate_per_minute\n1,1\n"), spec); err == nil || errors.As(err, &bad) {
			t.Errorf("want %s: %v", c.proves, err)
		}
	}
}

func TestParseDeckPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken disk")
	r := io.MultiReader(strings.NewReader("prefix,rate_per_minute\n1,1\n"), iotest.ErrReader(broken))
	if _, err := tariff.ParseDeck(r, retail(nil)); !errors.Is(err, broken) {
		t.Errorf("%v, want the read error", err)
	}
}

// TestParseDeckEnds reads streams without end: one line of zeros, and empty lines.
func TestParseDeckEnds(t *testing.T) {
	for _, stream := range []endless{"\x00", "\n"} {
		r := io.MultiReader(strings.NewReader("prefix,rate_per_minute\n"), stream)
		_, err := tariff.ParseDeck(r, retail(nil))
		var bad *tariff.BadDeck
		if !errors.As(err, &bad) || bad.Lines[0].Line > 2_000_001 {
			t.Errorf("%q for ever: %v, want a BadDeck after at most 2,000,000 lines", stream, err)
		}
	}
}

type endless string

func (e endless) Read(b []byte) (int, error) {
	n := copy(b, strings.Repeat(string(e), len(b)/len(e)))
	return n, nil
}

// FuzzParseDeck feeds foreign bytes: it must not panic, and what it takes must come back from its own export.
func FuzzParseDeck(f *testing.F) {
	f.Add("prefix,rate_per_minute\n380,0.019\n", false)
	f.Add("\ufeffprefix,destination,rate_per_minute,rounding_unit\r\n44,\"UK, \"\"x\"\"\",1,0.01\r\n", false)
	f.Add("prefix,rate_per_minute,effective_from,effective_to\n7,1,2027-06-01,\n7,2,,2027-06-01T00:00:00Z\n", true)
	f.Fuzz(func(t *testing.T, csv string, ofTrunk bool) {
		spec := retail(nil)
		if ofTrunk {
			spec = carrier()
		}
		deck, err := tariff.ParseDeck(strings.NewReader(csv), spec)
		if err != nil {
			return
		}
		var export bytes.Buffer
		if err := deck.WriteCSV(&export); err != nil {
			t.Fatal(err)
		}
		again, err := tariff.ParseDeck(&export, spec)
		if err != nil || !reflect.DeepEqual(deck, again) {
			t.Fatalf("the export differs:\n%+v\n%+v\n%v", deck, again, err)
		}
	})
}

// sample makes a deck of n rows with prefixes of 1 to 8 digits, some of them prefixes of others.
func sample(spec tariff.Spec, n int) tariff.Deck {
	random := rand.New(rand.NewPCG(1, 2))
	deck := tariff.Deck{Spec: spec, Version: 1}
	seen := map[string]bool{}
	for len(deck.Rows) < n {
		prefix := fmt.Sprint(1 + random.IntN(99_999_999))
		prefix = prefix[:1+random.IntN(len(prefix))]
		if !seen[prefix] {
			seen[prefix] = true
			row := spec.Kind.Defaults()
			row.Prefix, row.RatePerMinute = prefix, money.Amount(random.Int64N(int64(money.Unit)))
			deck.Rows = append(deck.Rows, row)
		}
	}
	return deck
}

func BenchmarkParseDeck(b *testing.B) {
	var csv bytes.Buffer
	if err := sample(retail(nil), 10_000).WriteCSV(&csv); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(csv.Len()))
	for b.Loop() {
		if _, err := tariff.ParseDeck(bytes.NewReader(csv.Bytes()), retail(nil)); err != nil {
			b.Fatal(err)
		}
	}
}
