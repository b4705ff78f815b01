package statement

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

func pdf(t testing.TB, s Statement) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.WritePDF(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// poppler runs one of the programs of poppler over a PDF; whatever it complains of is an error.
func poppler(t *testing.T, pdf []byte, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v; it is in Debian's package poppler-utils (deploy/install-deps.sh --test)", err)
	}
	file := filepath.Join(t.TempDir(), "statement.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "FILE" {
			args[i] = file
		}
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%s: %v, %s", name, err, errs.String())
	}
	return out.String()
}

func TestPDF(t *testing.T) {
	s := sample(t)
	s.Holder = "Ганна Арендт and 漢娜"
	b := pdf(t, s)
	said := poppler(t, b, "pdftotext", "-layout", "FILE", "-")
	for _, want := range []string{
		"Statement for June 2027", "+380441234567", "Ukraine, Kyiv", "alpha", "0.0209", "0.008800", "-0.005790", "8.7834", "busy",
		"1.216600", "deck retail@3, in force from 1 June 2027", "cut off by a fault of ours", "Page 1 of 1",
		"Ганна Арендт and 漢娜",   // the fonts don't have the last two, but who copies gets them
		"中国移动, mobile networks", // so here
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the PDF does not say %q in\n%s", want, said)
		}
	}
	info := poppler(t, b, "pdfinfo", "-isodates", "FILE")
	for _, want := range []string{"Statement 2027-06, anna", "Long-distance calls", "2027-06-30T22:00:00Z"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q in\n%s", want, info)
		}
	}
	for font := range strings.Lines(poppler(t, b, "pdffonts", "FILE")) {
		if strings.Contains(font, "TrueType") && !strings.Contains(font, "yes") {
			t.Errorf("not embedded: %s", font)
		}
	}
	if !bytes.Contains(b, []byte("/Lang (en)")) || !bytes.Contains(b, []byte("xmpMM:DocumentID>uuid:")) {
		t.Error("no language, or no id")
	}
}

func TestPDFTwiceIsTheSame(t *testing.T) {
	long := many(sample(t), 500)
	if !bytes.Equal(pdf(t, long), pdf(t, many(sample(t), 500))) {
		t.Error("the same statement was written in two ways")
	}
	other := many(sample(t), 500)
	other.Calls[1].ID[3]++
	if bytes.Equal(pdf(t, long), pdf(t, other)) {
		t.Error("two statements have one id")
	}
}

// many gives a statement more calls.
func many(s Statement, calls int) Statement {
	for i := 0; len(s.Calls) < calls; i++ {
		c := s.Calls[i%4]
		c.StartedAt = c.StartedAt.Add(time.Duration(i) * time.Second)
		s.Calls = append(s.Calls, c)
	}
	s.Closing = 0
	if err := s.total(); err == nil {
		panic("the balance can't be right")
	}
	return s
}

// TestPDFOfManyPages: heads and page number on each, no call lost between two of them.
func TestPDFOfManyPages(t *testing.T) {
	s := sample(t)
	for i := range 1000 {
		c := s.Calls[0]
		c.Number = fmt.Sprintf("+38044%07d", i)
		s.Calls = append(s.Calls, c)
	}
	for i := range 200 {
		b := s.Bookings[0]
		b.Text = fmt.Sprintf("Booking number %d, with a text that is so long that it does not fit one line of the table and so has to be broken into several of them", i)
		s.Bookings = append(s.Bookings, b)
	}
	s.total() //nolint:errcheck // the balance is not right, which nobody looks at here
	pages := strings.Split(strings.TrimSuffix(poppler(t, pdf(t, s), "pdftotext", "-layout", "FILE", "-"), "\f"), "\f")
	if len(pages) < 20 {
		t.Fatalf("%d pages", len(pages))
	}
	for i, page := range pages {
		if !strings.Contains(page, fmt.Sprintf("Page %d of %d", i+1, len(pages))) {
			t.Errorf("page %d has no number", i+1)
		}
		if i > 0 && !strings.Contains(page, "Long-distance calls, statement 2027-06, account anna") {
			t.Errorf("page %d has no head", i+1)
		}
		if strings.Contains(page, "+38044000") && !(strings.Contains(page, "Started") && strings.Contains(page, "Enterprise")) {
			t.Errorf("page %d has calls without heads:\n%s", i+1, page)
		}
	}
	all := strings.Join(pages, "")
	for i := range 1000 {
		if n := fmt.Sprintf("+38044%07d", i); strings.Count(all, n) != 1 {
			t.Errorf("%s is there %d times", n, strings.Count(all, n))
		}
	}
	for i := range 200 {
		if n := fmt.Sprintf("Booking number %d,", i); strings.Count(all, n) != 1 {
			t.Errorf("%s is there %d times", n, strings.Count(all, n))
		}
	}
}

func TestPDFOfHostileTexts(t *testing.T) {
	const hostile = "(\\) ] >> endobj \x00\x1b{nb} %%EOF <</S/JavaScript>> \u202e\U0001f4a9 אבג ا\u0301 e\u0301"
	s := sample(t)
	s.Account, s.Holder, s.Enterprise, s.Zone = "anna", strings.Repeat(hostile, 5), hostile, "Europe/Berlin"
	s.Bookings[0].Text, s.Bookings[1].Kind = strings.Repeat("W", 3000), hostile
	for i := range s.Calls {
		c := &s.Calls[i]
		c.Number, c.Destination, c.Trunk, c.Outcome = hostile, hostile, strings.Repeat("W", 200), hostile
		c.Rate.Prefix, c.Rate.Deck = hostile, strings.Repeat("d", 300)
	}
	s.Calls[0].Price, s.Calls[0].Enterprise = math.MaxInt64, math.MinInt64
	s.Attempts[0].Number, s.Attempts[0].Outcome = hostile, hostile
	s.total() //nolint:errcheck // the balance is not right, which nobody looks at here
	b := pdf(t, s)
	said := poppler(t, b, "pdftotext", "-layout", "FILE", "-")
	for _, want := range []string{"endobj", "{nb}", "%%EOF <</S/JavaScript>>", "9223372036854.775807", "-9223372036854.775808", "Page 1 of"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	if bytes.Contains(b, []byte("<</S/JavaScript")) { // in the metadata it stands with &lt;
		t.Error("a text became an object")
	}
}

func TestPDFOfNothing(t *testing.T) {
	s := Statement{Account: "anna", Period: Period{2027, 6}, Zone: "UTC", Currency: "EUR"}
	if said := poppler(t, pdf(t, s), "pdftotext", "FILE", "-"); !strings.Contains(said, "None in this month.") {
		t.Errorf("an empty month: %s", said)
	}
}

func TestGlyphs(t *testing.T) {
	has := glyphs()
	for _, r := range "Aaß€…–ґЇĞşΩλ□\ufffd" {
		if !has[r] {
			t.Errorf("the fonts have %q, and we don't know it", r)
		}
	}
	for _, r := range "漢ا\u0301\U0000e000" {
		if has[r] {
			t.Errorf("we believe that the fonts have %q", r)
		}
	}
	for text, want := range map[string]string{"plain": "plain", "e\u0301": "é", "汉娜": "□□", "\U0001f4a9!": "□!", "Ґанок": "Ґанок"} {
		if got := showable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// Lines are no wider than they may, and nothing of the text is lost but spaces.
func TestLines(t *testing.T) {
	p := newPaper()
	p.font("", 8, ink)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abcWi .,Яж漢e\u0301")), 0, 80, -1).Draw(t, "text")
		width := rapid.Float64Range(5, 60).Draw(t, "width")
		lines := p.lines(text, width)
		for _, l := range lines {
			if p.width(l) > width {
				t.Fatalf("%q is %.1f mm wide, may be %.1f", l, p.width(l), width)
			}
		}
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if bare(strings.Join(lines, "")) != bare(text) {
			t.Fatalf("%q became %q", text, lines)
		}
	})
}

func TestSteps(t *testing.T) {
	s := sample(t)
	row, from := s.Calls[0].Rate, s.Calls[0].RateFrom
	row.IntervalFirst, row.MinimumCharge, row.RoundingMode, row.RoundingUnit = 60, 20_000, money.HalfUp, money.Cent
	row.Currency, row.ExchangeRate = "USD", 1_085_600
	want := "Prefix 38044; deck retail@3, in force from 1 June 2027; 0.019 USD a minute; billed 60 s at first, then in steps of 6 s; " +
		"free up to 3 s; at least 0.02 USD; 1 EUR is 1.0856 USD; rounded to the nearest 0.01"
	if got := steps(Call{Rate: row, RateFrom: from}, "EUR"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	row.IntervalFirst, row.IntervalNext, row.GraceSeconds, row.ExchangeRate = 1, 1, 0, 0
	if got := steps(Call{Rate: row, RateFrom: from.Add(time.Minute)}, "EUR"); !strings.Contains(got, "from 1 June 2027, 00:01:00;") || !strings.Contains(got, "billed by the second") {
		t.Error(got)
	}
}

// What is shown before rounding leads to the price that the tariff computes.
func TestUnroundedLeadsToThePrice(t *testing.T) {
	for _, tt := range []struct {
		rate, fee, minimum money.Amount
		exchange           int64
		answered           int
		want               string
	}{
		{19_000, 0, 0, 0, 66, "0.0209"},
		{19_000, 50_000, 0, 0, 66, "0.0709"},
		{10_000, 0, 0, 0, 1, "0.00016666…"},
		{19_000, 0, 100_000, 0, 66, "0.10"},
		{19_000, 0, 0, 2_000_000, 66, "0.01045"},
		{19_000, 0, 0, 3_000_000, 66, "0.00696666…"},
		{19_000, 0, 0, 0, 3, "free"},
		{math.MaxInt64, 0, 0, 0, 60, "9223372036854.775807"},
	} {
		row := sample(t).Calls[0].Rate
		row.IntervalFirst, row.IntervalNext = 1, 1
		row.RatePerMinute, row.ConnectFee, row.MinimumCharge = tt.rate, tt.fee, tt.minimum
		row.GraceSeconds = 0
		if tt.want == "free" {
			row.GraceSeconds = 3
		}
		row.ExchangeRate = tariff.ExchangeRate(tt.exchange)
		if got := unrounded(row, tt.answered, row.Billed(tt.answered)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		row := sampleRow
		row.RatePerMinute = money.Amount(rapid.IntRange(0, 5_000_000).Draw(t, "rate"))
		row.ConnectFee = money.Amount(rapid.IntRange(0, 500_000).Draw(t, "fee"))
		row.MinimumCharge = money.Amount(rapid.IntRange(0, 500_000).Draw(t, "minimum"))
		row.ExchangeRate = tariff.ExchangeRate(rapid.Int64Range(0, 3_000_000).Draw(t, "exchange"))
		row.RoundingUnit = rapid.SampledFrom([]money.Amount{1, 100, money.Cent}).Draw(t, "unit")
		answered := rapid.IntRange(4, 4000).Draw(t, "seconds")
		price, err := row.Price(answered)
		if err != nil {
			t.Skip()
		}
		shown, cut := strings.CutSuffix(unrounded(row, answered, row.Billed(answered)), "…")
		// Eight decimals cut to six are the exact value or a little less: up by one, they are at least it.
		whole, decimals, _ := strings.Cut(shown, ".")
		low, err := money.Parse(whole + "." + decimals[:min(6, len(decimals))])
		if err != nil {
			t.Fatal(err)
		}
		more := cut || len(decimals) > 6
		units := low / row.RoundingUnit
		if low%row.RoundingUnit != 0 || more {
			units++
		}
		if want := units * row.RoundingUnit; price != want {
			t.Fatalf("%s%v leads to %s, the price is %s", shown, cut, want, price)
		}
	})
}

func TestShortNumbers(t *testing.T) {
	s := sample(t)
	s.Bookings[0].Text = "Refund of the call to +380441234567."
	s.Calls[0].Rate.Prefix = "38044123456"
	short := s.ShortNumbers()
	if short.Calls[0].Number != "+380441234xxx" || short.Attempts[0].Number != "+380441234xxx" || short.Attempts[1].Number != "" ||
		short.Bookings[0].Text != "Refund of the call to +380441234xxx." || short.Calls[0].Rate.Prefix != "380441234" || !short.Short {
		t.Errorf("%+v", short)
	}
	if s.Calls[0].Number != "+380441234567" || s.Short || s.Calls[0].Rate.Prefix != "38044123456" {
		t.Error("the statement itself changed")
	}
	var b bytes.Buffer
	if err := short.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	for form, said := range map[string]string{"text": text(t, short), "page": html.UnescapeString(page(t, short)), "csv": b.String(), "pdf": poppler(t, pdf(t, short), "pdftotext", "FILE", "-")} {
		if strings.Contains(said, "4567") || !strings.Contains(said, "+380441234xxx") {
			t.Errorf("%s: %s", form, said)
		}
	}
	if shorten("12") != "xx" || shorten("") != "" {
		t.Error("numbers of few digits")
	}
	if !slices.Equal(short.Destinations, s.Destinations) {
		t.Error("the sums changed")
	}
}
