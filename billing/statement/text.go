package statement

import (
	"io"
	"strings"

	"telecommune/internal/report"
)

// WriteText writes the statement for a terminal or a plain printer: lines of 96 columns, more only when an amount or a
// number needs them.
func (s Statement) WriteText(w io.Writer) error {
	v := s.view()
	var b strings.Builder
	v.head(&b)
	v.summary(&b)
	v.bookings(&b)
	v.destinations(&b)
	v.calls(&b)
	v.attempts(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (v view) head(b *strings.Builder) {
	report.Line(b, v.Enterprise, "Statement "+v.Period)
	report.Line(b, v.Holder+" ("+v.Account+")", v.Month)
	if v.AsOf != nil {
		report.Line(b, "", "so far, as of "+v.AsOf.Text)
	}
	b.WriteString("\nAmounts in " + v.Currency + ", times in " + v.Zone + ".\n")
	if v.Short {
		b.WriteString("The last three digits of each number are hidden.\n")
	}
	b.WriteString("\n")
}

func (v view) summary(b *strings.Builder) {
	closing := "Balance at the end of " + v.LastDay
	if v.AsOf != nil {
		closing = "Balance now"
	}
	t := report.Grid{Right: []bool{false, true}}
	t.Row("Balance at the start of "+v.FirstDay, v.Opening)
	t.Row("Top-ups, vouchers and other bookings", v.Credits)
	t.Row("Calls", v.Paid)
	t.Row(closing, v.Closing)
	t.Write(b)
	if len(v.Groups) == 0 {
		return
	}
	b.WriteString("\nWhere the money of the calls went\n")
	t = report.Grid{Right: []bool{false, true}}
	t.Row("  Carriers", v.Split.Carrier)
	t.Row("  VAT", v.Split.VAT)
	t.Row("  "+v.Enterprise, v.Split.Rest)
	t.Row("  All calls, VAT included", v.Split.Price)
	t.Write(b)
}

func (v view) bookings(b *strings.Builder) {
	if len(v.Bookings) == 0 {
		return
	}
	b.WriteString("\nTOP-UPS, VOUCHERS AND OTHER BOOKINGS\n")
	t := report.Grid{Right: []bool{false, false, true}, Grow: 1}
	for _, x := range v.Bookings {
		t.Row(figureDate(x.At), x.What, x.Amount)
	}
	t.Write(b)
}

func (v view) destinations(b *strings.Builder) {
	if len(v.Groups) == 0 {
		b.WriteString("\nCALLS\nNone.\n")
		return
	}
	b.WriteString("\nCALLS BY DESTINATION\n")
	t := report.Grid{Right: []bool{false, true, true, true, true, true, true, true}}
	t.Row("Destination", "Calls", "Delivered", "Billed", "Carrier", "VAT", "Enterprise", "Price")
	row := func(name string, x sumView) {
		t.Row(name, x.Calls, x.Answered+" s", x.Billed+" s", x.Carrier, x.VAT, x.Rest, x.Price)
	}
	for _, g := range v.Groups {
		row(g.Name, g.Sum)
	}
	row("All", v.Totals)
	t.Write(b)
	b.WriteString("\nOf each price: what the carrier got, VAT, and what " + v.Enterprise + " keeps.\n")
}

func (v view) calls(b *strings.Builder) {
	if len(v.Groups) == 0 {
		return
	}
	b.WriteString("\nEACH CALL\n")
	var carrier, vat, rest int // widths
	for _, g := range v.Groups {
		for _, r := range g.Rates {
			for _, x := range r.Calls {
				carrier, vat, rest = max(carrier, len(x.Carrier)), max(vat, len(x.VAT)), max(rest, len(x.Rest))
			}
		}
	}
	t := report.Grid{Right: []bool{false, false, true, true, true, true}, Grow: 1}
	t.Row("Started", "Number, trunk", "Delivered", "Billed", "Unrounded", "Price")
	for _, g := range v.Groups {
		t.Wide("")
		t.Wide(g.Name)
		for _, r := range g.Rates {
			t.Wide(r.Steps)
			for _, x := range r.Calls {
				t.Row(figureDate(x.At), x.Number, x.Answered+" s", x.Billed+" s", x.Unrounded, x.Price)
				t.Under(x.Trunk, "carrier "+report.Pad(x.Carrier, carrier, true)+report.Gap+"VAT "+report.Pad(x.VAT, vat, true)+report.Gap+
					"enterprise "+report.Pad(x.Rest, rest, true))
				if x.Note != "" {
					t.Under(x.Note, "")
				}
			}
		}
	}
	t.Write(b)
}

func (v view) attempts(b *strings.Builder) {
	if len(v.Attempts) == 0 {
		return
	}
	b.WriteString("\nCALLS THAT NOBODY ANSWERED, free of charge\n")
	t := report.Grid{Right: make([]bool, 4), Grow: 2}
	for _, x := range v.Attempts {
		t.Row(figureDate(x.At), x.Number, x.Destination, x.What)
	}
	t.Write(b)
}

// figureDate puts the days of months below each other.
func figureDate(w when) string { return report.Pad(w.Text, len("31 Jan 15:04"), true) }
