package statement

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"telecommune/billing"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
)

func page(t testing.TB, s Statement) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	root := htmltest.Check(t, page(t, sample(t)))
	for _, table := range htmltest.Find(root, "table") {
		columns := 0
		for _, th := range htmltest.Find(htmltest.Find(table, "thead")[0], "th") {
			columns++
			if htmltest.Attr(th, "scope") != "col" {
				t.Errorf("column head %q has another scope", htmltest.Text(th))
			}
		}
		for _, row := range htmltest.Find(table, "tr") {
			cells := 0
			for c := range row.ChildNodes() {
				if c.Type == html.ElementNode {
					span, err := strconv.Atoi(htmltest.Attr(c, "colspan"))
					if err != nil {
						span = 1
					}
					cells += span
				}
			}
			if cells != columns {
				t.Errorf("row of %d cells below %d heads: %q", cells, columns, htmltest.Text(row))
			}
		}
	}
	all := htmltest.Text(htmltest.Find(root, "main")...)
	for _, want := range []string{
		"Statement for June 2027", "+380441234567", "Ukraine, Kyiv", "alpha", "66", "0.0209", "0.008800", "0.003337",
		"0.008763", "-0.005790", "8.7834", "busy", "1.2166",
		"deck retail@3, in force from 1 June 2027", "0.0538",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestStatementsOfNothing(t *testing.T) {
	s := Statement{Account: "anna", Period: Period{2027, 6}, Zone: "UTC", Currency: "EUR"}
	htmltest.Check(t, page(t, s))
	if out := text(t, s); !strings.Contains(out, "CALLS\nNone.\n") {
		t.Errorf("text of an empty month:\n%s", out)
	}
}

func TestMadeTwiceIsTheSame(t *testing.T) {
	s, again := sample(t), sample(t)
	if text(t, s) != text(t, again) || page(t, s) != page(t, again) {
		t.Error("the same statement was written in two ways")
	}
}

// Whatever people or carriers write must stay text: no tags, no escape sequences, no marks that turn the line round.
func TestHostileTextIsHarmless(t *testing.T) {
	const hostile = "</td><script>alert(1)</script>\"'&\x1b[2J\r\n\x00\u202e\u2028\u200b\xff{{.}}"
	s := sample(t)
	s.Holder, s.Enterprise = hostile, hostile
	s.Bookings[0].Text, s.Bookings[1].Kind = hostile, hostile
	c := &s.Calls[0]
	c.Number, c.Destination, c.Trunk, c.Outcome = hostile, hostile, hostile, hostile
	a := &s.Attempts[0]
	a.Number, a.Destination, a.Outcome = hostile, hostile, hostile

	out := page(t, s)
	root := htmltest.Check(t, out) // finds scripts and tags closed too early
	if got := strings.Count(htmltest.Text(root), "<script>alert(1)</script>"); got < 9 {
		t.Errorf("%d of 9 hostile texts came through as text", got)
	}
	for name, written := range map[string]string{"page": out, "text": text(t, s)} {
		for i, r := range written {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U at byte %d", name, r, i)
			}
		}
	}
	if got, want := strings.Count(text(t, s), "\n"), strings.Count(text(t, sample(t)), "\n"); got != want {
		t.Errorf("hostile texts made %d lines of %d", got, want)
	}
}

func TestHugeAmountsKeepTheLayout(t *testing.T) {
	s := sample(t)
	s.Calls[0].Price, s.Calls[0].Enterprise = math.MaxInt64, math.MinInt64
	s.Bookings[0].Amount = math.MinInt64
	for l := range strings.Lines(text(t, s)) {
		if strings.Contains(l, money.Amount(math.MaxInt64).String()) && !strings.HasSuffix(l, money.Amount(math.MaxInt64).String()+"\n") {
			t.Errorf("price not at the end: %q", l)
		}
	}
	htmltest.Check(t, page(t, s))
}

func TestEveryOutcomeHasWords(t *testing.T) {
	for _, o := range []billing.Outcome{
		billing.Busy, billing.NotAnswered, billing.GaveUp, billing.Failed, billing.Refused, billing.NoNumber,
		billing.Unavailable, billing.Served, billing.Lost, billing.Emergency, billing.ShortNumber, billing.NotInUse,
		billing.SpecialNumber, billing.CountryNotCalled, billing.NumberBlocked, billing.PriceNotCalled,
	} {
		if outcomes[o] == "" {
			t.Errorf("no words for %q", o)
		}
	}
}

// Whatever may move a balance has words, the same in every form of the bill.
func TestEveryBookingHasWords(t *testing.T) {
	s := Statement{Account: "anna", Period: Period{2027, 6}, Zone: "UTC", Currency: "EUR"}
	want := map[string]string{
		string(billing.PaidIn): "Top-up: why", string(billing.Refund): "Refund: why", string(billing.Goodwill): "Credit: why",
		string(billing.Adjustment): "Charge: why", string(billing.Lapse): "Expired credit: why",
		string(billing.WriteOff): "Written off: why", string(billing.Transfer): "Transfer: why",
		"voucher-issue": "Voucher: why", "voucher-redeem": "Voucher: why", "voucher-void": "Voucher made void: why",
		"reversal": "Taken back: why",
	}
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		s.Bookings = append(s.Bookings, Booking{Kind: kind, Text: "why", Amount: -money.Cent})
		s.Closing -= money.Cent
	}
	if err := s.total(); err != nil {
		t.Fatal(err)
	}
	var text, table bytes.Buffer
	if err := errors.Join(s.WriteText(&text), s.WriteCSV(&table)); err != nil {
		t.Fatal(err)
	}
	for form, said := range map[string]string{
		"text": text.String(), "CSV": table.String(), "page": htmltest.Text(htmltest.Check(t, page(t, s))),
		"PDF": poppler(t, pdf(t, s), "pdftotext", "-layout", "FILE", "-"),
	} {
		for kind, words := range want {
			if !strings.Contains(said, words) {
				t.Errorf("%s: %s is not %q", form, kind, words)
			}
		}
	}
}
