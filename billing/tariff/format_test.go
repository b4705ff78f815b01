package tariff_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// long tells whether the full counts are asked for.
func long() bool { return os.Getenv("TELECOMMUNE_LONG") != "" }

func format(t testing.TB, text string) tariff.Format {
	t.Helper()
	f, err := tariff.ParseFormat(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return f
}

// collect gives the rows of a file in short: prefix, destination, rate, fee, intervals and dates.
func collect(rows tariff.Rows) (lines []string, err error) {
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		line := fmt.Sprintf("%s %s %v", r.Prefix, r.Destination, r.RatePerMinute)
		if r.ConnectFee > 0 {
			line += fmt.Sprintf("+%v", r.ConnectFee)
		}
		line += fmt.Sprintf(" %d/%d", r.IntervalFirst, r.IntervalNext)
		for _, at := range []time.Time{r.EffectiveFrom, r.EffectiveTo} {
			if !at.IsZero() {
				line += " " + strings.TrimSuffix(at.Format(time.RFC3339), "T00:00:00Z")
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func read(f tariff.Format, file string, spec tariff.Spec, closed *tariff.Closed) ([]string, error) {
	return collect(f.Read(strings.NewReader(file), int64(len(file)), spec, closed))
}

// letters is a format whose columns are prefix, rate and whatever is added.
func letters(add string) string {
	head, columns, _ := strings.Cut(add, "[columns]\n")
	return "file = \"csv\"\nencoding = \"utf-8\"\ndelimiter = \";\"\n" + head + "\n[columns]\nprefix = \"A\"\nrate = \"B\"\n" + columns
}

func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestFormat(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proves string
		format string
		zone   *time.Location
		file   string
		want   []string
	}{
		{"columns by letter, no header", letters(""), nil, "380;0.1\n7;0.02\n", []string{"380  0.10 1/1", "7  0.02 1/1"}},
		{
			"title lines, header, columns by name in any order, other columns passed over",
			"file = \"csv\"\nencoding = \"utf-8\"\ndelimiter = \",\"\nskip = 2\nheader = true\n[columns]\nprefix = \"Code\"\nrate = \"Rate, EUR\"\ndestination = \"Name\"",
			nil, "My \"deck\nof June\nNo,\"Rate, EUR\",Name,Code\n1,0.1,\"Ukraine, Kyiv\",38044\n",
			[]string{"38044 Ukraine, Kyiv 0.10 1/1"},
		},
		{"lists and ranges of codes", letters("[codes]\nseparator = \",\"\nrange = \"-\"\n[columns]\n"), nil, "4420-4422, 49;1\n", []string{
			"4420  1.00 1/1", "4421  1.00 1/1", "4422  1.00 1/1", "49  1.00 1/1",
		}},
		{"a country code before areas", letters("[codes]\nseparator = \",\"\nrange = \"-\"\ncountry_first = true\n[columns]\n"), nil, "61 38,39;1\n61;2\n44 0118-0119;3\n", []string{
			"6138  1.00 1/1", "6139  1.00 1/1", "61  2.00 1/1", "440118  3.00 1/1", "440119  3.00 1/1",
		}},
		{"a column of country codes", letters("[codes]\nplus = \"+\"\nrange = \"-\"\n[columns]\ncountry_code = \"C\"\n"), nil, "38-39;1;+61\n;2;+61\n", []string{
			"6138  1.00 1/1", "6139  1.00 1/1", "61  2.00 1/1",
		}},
		{"what stands before international numbers", letters("[codes]\nplus = \"00\"\nrange = \"-\"\n[columns]\n"), nil, "0049;1\n0041-43;2\n0044-0045;2\n", []string{
			"49  1.00 1/1", "41  2.00 1/1", "42  2.00 1/1", "43  2.00 1/1", "44  2.00 1/1", "45  2.00 1/1",
		}},
		{"a decimal comma and points between thousands", letters("decimal = \",\"\nthousands = \".\"\n"), nil, "1;0,0125\n2;1.234,5\n3;12\n", []string{
			"1  0.0125 1/1", "2  1234.50 1/1", "3  12.00 1/1",
		}},
		{"a price a second is exact", letters("per = \"second\"\n[columns]\nconnect_fee = \"C\"\n"), nil, "1;0.00015;0.02\n", []string{"1  0.009+0.02 1/1"}},
		{"more than six decimals, rounded as declared", letters("round = \"up\"\nper = \"second\"\n"), nil, "1;0.00016667\n2;0.0001\n", []string{
			"1  0.010001 1/1", "2  0.006 1/1",
		}},
		{"half up", letters("round = \"half_up\"\n"), nil, "1;0.0000005\n2;0.00000049\n", []string{"1  0.000001 1/1", "2  0.00 1/1"}},
		{"increments", letters("[columns]\nincrements = \"C\"\n"), nil, "1;1;60/1\n2;1;30 / 6\n3;1;\n", []string{"1  1.00 60/1", "2  1.00 30/6", "3  1.00 1/1"}},
		{"increments of the carrier's terms, unless the row says other ones", letters("[defaults]\ninterval_first = 60\ninterval_next = 30\n[columns]\ninterval_next = \"C\"\n"), nil, "1;1;6\n2;1;\n", []string{
			"1  1.00 60/6", "2  1.00 60/30",
		}},
		{"days before months, in the deck's zone", letters("date = \"dd/mm/yyyy\"\n[columns]\neffective_from = \"C\"\neffective_to = \"D\"\n"), berlin, "1;1;03/04/2027;\n2;1;;3/4/2027\n", []string{
			"1  1.00 1/1 2027-04-02T22:00:00Z", "2  1.00 1/1 2027-04-02T22:00:00Z",
		}},
		{"months before days", letters("date = \"mm.dd.yyyy\"\n[columns]\neffective_from = \"C\"\n"), nil, "1;1;03.04.2027\n", []string{"1  1.00 1/1 2027-03-04"}},
		{"marks: closed rows are none, whatever else they say", letters("[marks]\nvalid = [\"\", \"New\"]\nclosed = [\"Closed\"]\n[columns]\nmark = \"C\"\n"), nil, "1;1;New\n2;n/a;Closed\n3;1;\n", []string{
			"1  1.00 1/1", "3  1.00 1/1",
		}},
		{"blank lines are passed over, also those of delimiters", letters(""), nil, "1;1\n\n;\n2;1\n", []string{"1  1.00 1/1", "2  1.00 1/1"}},
		{"or end the deck", letters("end_at_blank = true\n"), nil, "\n1;1\n;\nPrices without VAT;\n", []string{"1  1.00 1/1"}},
		{"UTF-8 with a byte order mark", letters("[columns]\ndestination = \"C\"\n"), nil, "\ufeff1;1;Österreich\n", []string{"1 Österreich 1.00 1/1"}},
		{"Windows-1252", strings.Replace(letters("[columns]\ndestination = \"C\"\n"), "utf-8", "windows-1252", 1), nil, "1;1;\xd6sterreich \x96 Wien\n", []string{"1 Österreich – Wien 1.00 1/1"}},
		{"Latin-1", strings.Replace(letters("[columns]\ndestination = \"C\"\n"), "utf-8", "iso-8859-1", 1), nil, "1;1;\xd6sterreich\n", []string{"1 Österreich 1.00 1/1"}},
		{"UTF-16", strings.Replace(letters("[columns]\ndestination = \"C\"\n"), "utf-8", "utf-16", 1), nil, utf16le("1;1;Österreich\r\n2;1;中国\r\n"), []string{"1 Österreich 1.00 1/1", "2 中国 1.00 1/1"}},
		{"tabs", strings.Replace(letters("[columns]\ndestination = \"C\"\n"), "\";\"", "\"tab\"", 1), nil, "1\t1\t\"a\"\n2\t1\t\n", []string{"1 a 1.00 1/1", "2  1.00 1/1"}},
	} {
		spec := carrier()
		spec.Zone = c.zone
		got, err := read(format(t, c.format), c.file, spec, nil)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", c.proves, got, err, c.want)
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	dated := letters("date = \"dd/mm/yyyy\"\n[columns]\neffective_from = \"C\"\n")
	list := letters("[codes]\nseparator = \",\"\nrange = \"-\"\n[columns]\n")
	named := "file = \"csv\"\nencoding = \"utf-8\"\ndelimiter = \";\"\nheader = true\n[columns]\nprefix = \"Code\"\nrate = \"Rate\"\n"
	marked := letters("[marks]\nvalid = [\"New\"]\n[columns]\nmark = \"C\"\n")
	latin := strings.Replace(letters(""), "utf-8", "windows-1252", 1)
	for _, c := range []struct {
		proves string
		format string
		file   string
		tells  string
	}{
		{"an empty file", letters(""), "", "line 1: no rows"},
		{"a header without its column", named, "Code;Price\n", `line 1: no column "Rate"`},
		{"a header with a column twice", named, "Code;Rate;Rate\n1;1;2\n", `line 1: two columns "Rate"`},
		{"columns swapped", named, "Code;Rate\n0.02;380\n0.03;49\n0.04;7\n", "line 2: column A (Code): "},
		{"no code", letters(""), "1;1\n;1\n", "line 2: column A (prefix): a code is missing"},
		{"letters for a code", letters(""), "UK;1\n", `line 1: column A (prefix): "UK": want digits`},
		{"a code with zero before it", letters(""), "0380;1\n", "no country code begins with 0"},
		{"sixteen digits", letters(""), "1234567890123456;1\n", "more than 15 digits"},
		{"a list that no format declared", letters(""), "38,39;1\n", `"38,39": want digits`},
		{"a code missing in a list", list, "38,,39;1\n", "a code is missing"},
		{"a range backwards", list, "39-38;1\n", "the lower one first"},
		{"a range of codes of two lengths", list, "38-391;1\n", "same length"},
		{"a range of millions", list, "10000000-99999999;1\n", "more than 10000 codes"},
		{"a code twice in a cell", list, "1,2,1;1\n", "line 1: prefix 1 twice"},
		{"a code twice in the file", list, "10-20;1\n3;1\n15;2\n", "line 3: prefix 15 as in line 1"},
		{"NaN", letters(""), "1;NaN\n", `line 1: column B (rate): "NaN"`},
		{"an exponent", letters(""), "1;1e9\n", `"1e9"`},
		{"a negative price", letters(""), "1;-1\n", `"-1"`},
		{"a currency sign", letters(""), "1;€ 1\n", `"€ 1"`},
		{"no price", letters(""), "1;\n", "column B (rate)"},
		{"a decimal comma that no format declared", letters(""), "1;0,02\n", `"0,02": want`},
		{"a decimal point with a declared comma", letters("decimal = \",\"\n"), "1;0.02\n", "want , before the decimals"},
		{"a decimal point where points part thousands", letters("decimal = \",\"\nthousands = \".\"\n"), "1;0.125\n", "three digits"},
		{"thousands parted elsewhere", letters("thousands = \",\"\n"), "1;1,00\n", "three digits"},
		{"seven decimals", letters(""), "1;0.0000001\n", "more than 6 decimals"},
		{"a second's price that has no exact minute", letters("per = \"second\"\n"), "1;0.00016667\n", "more than 6 decimals a minute"},
		{"a price beyond counting", letters("per = \"second\"\n"), "1;9223372036854\n", "out of range"},
		{"a price that fills the line", letters("round = \"up\"\n"), "1;0." + strings.Repeat("1", 50) + "\n", "want a number"},
		{"one increment", letters("[columns]\nincrements = \"C\"\n"), "1;1;60\n", `column C (increments): "60"`},
		{"an increment of 0", letters("[columns]\nincrements = \"C\"\n"), "1;1;60/0\n", `"0": want whole seconds`},
		{"a month over 12", dated, "1;1;12/31/2027\n", `line 1: column C (effective_from): "12/31/2027": want a date as dd/mm/yyyy`},
		{"a year of two digits", dated, "1;1;31/12/27\n", "want a date"},
		{"a day of a spreadsheet in text", dated, "1;1;45000\n", "want a date"},
		{"a mark that no format declared", marked, "1;1;Blocked\n", `line 1: column C (mark): unknown mark "Blocked"`},
		{"no mark", marked, "1;1;\n", `unknown mark ""`},
		{"a field too many", letters(""), "1;1\n2;1;x\n", "line 2: 3 fields, and 2"},
		{"UTF-16 that no format declared", letters(""), utf16le("1;1\n"), "UTF-16"},
		{"UTF-16 without its mark", strings.Replace(letters(""), "utf-8", "utf-16", 1), "1;1\n", "not UTF-16"},
		{"half a character of UTF-16", strings.Replace(letters("[columns]\ndestination = \"C\"\n"), "utf-8", "utf-16", 1), utf16le("1;1;") + "\x00\xd8", "characters that are none"},
		{"Latin-1 that no format declared", letters("[columns]\ndestination = \"C\"\n"), "1;1;\xd6sterreich\n", "not UTF-8"},
		{"UTF-8 where Windows-1252 is declared", latin, "1;1\n2;1;Österreich\n", "line 2: this is UTF-8"},
		{"a zero byte", letters(""), "1;1\n2\x00;1\n", "line 2: control character"},
		{"an open quote", letters(""), "\"1;1\n", "quote not closed"},
		{"a line of 10 MB", letters(""), "1;1\n" + strings.Repeat("1,", 5<<20) + ";1\n", "line 2: longer than"},
		{"a spreadsheet", letters(""), "PK\x03\x04\n", "control character"},
		{"a name of 1000 bytes", letters("[columns]\ndestination = \"C\"\n"), "1;1;" + strings.Repeat("x", 1000) + "\n", "destination: more than 200"},
	} {
		got, err := read(format(t, c.format), c.file, carrier(), nil)
		var bad *tariff.BadDeck
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %q, %v; want …%s…", c.proves, got, err, c.tells)
			continue
		}
		if len(err.Error()) > 2500 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: the error is not one line: %q", c.proves, err)
		}
	}
}

func TestParseFormatRefuses(t *testing.T) {
	for proves, c := range map[string]struct{ text, tells string }{
		"an unknown key":             {letters("colour = \"red\"\n"), "unknown key colour"},
		"an unknown column":          {letters("[columns]\nprice = \"C\"\n"), "unknown key columns.price"},
		"no TOML":                    {"file csv", "line 1"},
		"no kind of file":            {"[columns]\nprefix = \"A\"\nrate = \"B\"", `file = ""`},
		"an encoding to be guessed":  {strings.Replace(letters(""), "utf-8", "ansi", 1), "encoding = "},
		"a delimiter of two":         {strings.Replace(letters(""), "\";\"", "\";;\"", 1), "delimiter = "},
		"a digit for a delimiter":    {strings.Replace(letters(""), "\";\"", "\"0\"", 1), "delimiter = "},
		"a sheet of a text":          {letters("sheet = \"Rates\"\n"), "sheet is for xlsx"},
		"an encoding of a sheet":     {strings.Replace(letters(""), "\"csv\"", "\"xlsx\"", 1), "for csv"},
		"a column that is no letter": {letters("[columns]\ndestination = \"Name\"\n"), `columns.destination = "Name"`},
		"no columns":                 {"file = \"xlsx\"\n", "prefix and rate"},
		"a date to be guessed":       {letters("date = \"auto\"\n[columns]\neffective_from = \"C\"\n"), "date = "},
		"a year of two digits":       {letters("date = \"dd/mm/yy\"\n"), "date = "},
		"two marks in a date":        {letters("date = \"dd/mm-yyyy\"\n"), "date = "},
		"dates without their order":  {letters("[columns]\neffective_from = \"C\"\n"), "date = "},
		"one mark for two":           {letters("decimal = \",\"\nthousands = \",\"\n"), "thousands"},
		"a unit of time":             {letters("per = \"hour\"\n"), "per = "},
		"down":                       {letters("round = \"down\"\n"), "round = "},
		"a mark both ways":           {letters("[marks]\nvalid = [\"x\"]\nclosed = [\"x\"]\n[columns]\nmark = \"C\"\n"), "both"},
		"a column of marks alone":    {letters("[columns]\nmark = \"C\"\n"), "marks"},
		"increments twice":           {letters("[columns]\nincrements = \"C\"\ninterval_next = \"D\"\n"), "increments"},
		"country codes twice":        {letters("[codes]\ncountry_first = true\n[columns]\ncountry_code = \"C\"\n"), "country code"},
		"a digit for a range":        {letters("[codes]\nrange = \"1\"\n"), "codes.range"},
		"a currency":                 {letters("currency = \"euro\"\n"), "currency = "},
		"lines before the header":    {letters("skip = -1\n"), "skip = "},
		"intervals":                  {letters("[defaults]\ninterval_first = -1\n"), "defaults"},
	} {
		if _, err := tariff.ParseFormat(c.text); err == nil || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %v; want …%s…", proves, err, c.tells)
		}
	}
}

// TestExampleFormats reads the files that the documents show.
func TestExampleFormats(t *testing.T) {
	for name, want := range map[string][]string{
		"beta.csv": {
			"61 Australia 0.0145 1/1 2026-06-01", "614 Australia mobile 0.0312 60/1 2026-06-01", "6114 Australia mobile 0.0312 60/1 2026-06-01",
			"6115 Australia mobile 0.0312 60/1 2026-06-01", "225 Côte d'Ivoire 0.3175 60/60 2026-06-01", "49 Germany 0.0058 1/1 2026-06-01",
			"4915 Germany mobile 0.0142 1/1 2026-06-01", "4916 Germany mobile 0.0142 1/1 2026-06-01", "4917 Germany mobile 0.0142 1/1 2026-06-01",
			"44 United Kingdom 0.0049 1/1 2026-06-01", "4420 United Kingdom London 0.0047 1/1 2026-06-01", "43 Österreich 0.0118 1/1 2026-06-01",
		},
		"gamma-changes.csv": {
			"7701 Kazakhstan mobile 0.096 60/60 2027-12-01", "7702 Kazakhstan mobile 0.096 60/60 2027-12-01",
			"7747 Kazakhstan Altel 0.087 60/60 2027-12-01", "998 Uzbekistan 0.075 60/60 2027-11-15",
		},
		"delta.xlsx": {
			"380 Ukraine 0.1125 60/6 2026-06-01", "38050 Ukraine mobile 0.1475 60/6 2026-06-01", "38063 Ukraine mobile 0.1475 60/6 2026-06-01",
			"38066 Ukraine mobile 0.1475 60/6 2026-06-01", "38067 Ukraine mobile 0.1475 60/6 2026-06-01", "38068 Ukraine mobile 0.1475 60/6 2026-06-01",
			"49 Germany 0.0065 1/1 2026-06-01", "4915 Germany mobile 0.017+0.001 1/1 2026-06-01", "4916 Germany mobile 0.017+0.001 1/1 2026-06-01",
			"4917 Germany mobile 0.017+0.001 1/1 2026-06-01", "48 Poland, summer 0.0108 1/1 2026-06-01 2027-09-01", "48 Poland 0.0125 1/1 2027-09-01",
		},
	} {
		file := filepath.Join("../../docs/examples", name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		declared, err := os.ReadFile(strings.TrimSuffix(file, filepath.Ext(file)) + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(format(t, string(declared)), string(text), carrier(), new(tariff.Closed))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", name, got, err, want)
		}
	}
}

// TestFormatOfRetail holds that a format works for callers' prices as well, with their defaults.
func TestFormatOfRetail(t *testing.T) {
	f := format(t, letters(""))
	for row, err := range f.Read(strings.NewReader("380;0.19\n"), 9, retail(nil), nil) {
		want := tariff.Retail.Defaults()
		want.Prefix, want.RatePerMinute = "380", 190_000*money.Micro
		if err != nil || row != want {
			t.Errorf("%+v, %v", row, err)
		}
	}
}

// FuzzFormatCSV feeds foreign bytes to formats that declare much: it must not panic, and what it takes must come back from
// the plain export.
func FuzzFormatCSV(f *testing.F) {
	formats := []string{
		letters("[codes]\nseparator = \",\"\nrange = \"-\"\ncountry_first = true\n[columns]\ndestination = \"C\"\n"),
		letters("decimal = \",\"\nthousands = \".\"\nper = \"second\"\nround = \"up\"\ndate = \"dd/mm/yyyy\"\n[columns]\neffective_from = \"C\"\n"),
		strings.Replace(letters("end_at_blank = true\n[columns]\nincrements = \"C\"\n"), "utf-8", "utf-16", 1),
		strings.Replace(letters("[marks]\nvalid = [\"new\"]\nclosed = [\"gone\"]\n[columns]\nmark = \"C\"\n"), "utf-8", "windows-1252", 1),
	}
	f.Add("61 38,39;0.1;Australia\n44;0.2;\n", uint8(0))
	f.Add("7;1.234,5;03/04/2027\n", uint8(1))
	f.Add(utf16le("1;1;60/1\n"), uint8(2))
	f.Add("1;1;new\n2;;gone\n3;1;\xd6\n", uint8(3))
	f.Fuzz(func(t *testing.T, file string, which uint8) {
		f := format(t, formats[int(which)%len(formats)])
		comesBack(t, f.Read(strings.NewReader(file), int64(len(file)), carrier(), new(tariff.Closed)))
	})
}

// comesBack holds that rows which are taken stay the same through the plain format.
func comesBack(t *testing.T, rows tariff.Rows) {
	t.Helper()
	deck := tariff.Deck{Spec: carrier()}
	for row, err := range rows {
		if err != nil {
			return
		}
		deck.Rows = append(deck.Rows, row)
	}
	if len(deck.Rows) == 0 {
		return
	}
	var export strings.Builder
	if err := deck.WriteCSV(&export); err != nil {
		t.Fatal(err)
	}
	again, err := tariff.ParseDeck(strings.NewReader(export.String()), carrier())
	if err != nil || !reflect.DeepEqual(again.Rows, deck.Rows) {
		t.Fatalf("the export differs: %v\n%s", err, export.String())
	}
}

// FuzzParseFormat feeds foreign bytes to the reader of formats.
func FuzzParseFormat(f *testing.F) {
	f.Add(letters("date = \"dd/mm/yyyy\"\n[columns]\neffective_from = \"C\"\n"))
	f.Add("file = \"xlsx\"\nheader = true\n[columns]\nprefix = \"Code\"\nrate = \"Rate\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		if f, err := tariff.ParseFormat(text); err == nil {
			_, _ = read(f, "1;1;1\n2;2;2\n", carrier(), nil)
		}
	})
}

// TestLongDecks reads decks that hardly end: what they take is bounded, and the error is short.
func TestLongDecks(t *testing.T) {
	lines, codes := 20_000, "1000-1999"
	if long() {
		lines, codes = 100_000, "1000-9999"
	}
	for _, c := range []struct{ proves, file, tells string }{
		{"one prefix again and again", strings.Repeat("380;0.1\n", lines), "line 2: prefix 380 as in line 1"},
		{"one line of 5 MB", strings.Repeat("3", 5<<20), "line 1: longer than 65536 bytes"},
		{"bad lines for ever", strings.Repeat("x;y\n", lines), fmt.Sprintf("and %d more bad lines", lines-20)},
		{"blank lines for ever", strings.Repeat("\n", 2_000_001), "too long"},
		{"cells of thousands of codes each", strings.Repeat(codes+";1\n", 30), "and 9 more bad lines"},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f := format(t, letters("[codes]\nrange = \"-\"\n[columns]\n"))
		_, err := read(f, c.file, carrier(), nil)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.tells) || len(err.Error()) > 3000 {
			t.Errorf("%s: %.300v; want …%s…", c.proves, err, c.tells)
		}
		if grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; grown > 64 {
			t.Errorf("%s: %d MB are held", c.proves, grown)
		}
	}
}
