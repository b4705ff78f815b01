package statement

import (
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

const (
	lineWidth = 96
	gap       = "  "
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
	line(b, v.Enterprise, "Statement "+v.Period)
	line(b, v.Holder+" ("+v.Account+")", v.Month)
	if v.AsOf != nil {
		line(b, "", "so far, as of "+v.AsOf.Text)
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
	t := table{right: []bool{false, true}}
	t.row("Balance at the start of "+v.FirstDay, v.Opening)
	t.row("Top-ups, vouchers and other bookings", v.Credits)
	t.row("Calls", v.Paid)
	t.row(closing, v.Closing)
	t.write(b)
	if len(v.Groups) == 0 {
		return
	}
	b.WriteString("\nWhere the money of the calls went\n")
	t = table{right: []bool{false, true}}
	t.row("  Carriers", v.Split.Carrier)
	t.row("  VAT", v.Split.VAT)
	t.row("  "+v.Enterprise, v.Split.Rest)
	t.row("  All calls, VAT included", v.Split.Price)
	t.write(b)
}

func (v view) bookings(b *strings.Builder) {
	if len(v.Bookings) == 0 {
		return
	}
	b.WriteString("\nTOP-UPS, VOUCHERS AND OTHER BOOKINGS\n")
	t := table{right: []bool{false, false, true}, grow: 1}
	for _, x := range v.Bookings {
		t.row(figureDate(x.At), x.What, x.Amount)
	}
	t.write(b)
}

func (v view) destinations(b *strings.Builder) {
	if len(v.Groups) == 0 {
		b.WriteString("\nCALLS\nNone.\n")
		return
	}
	b.WriteString("\nCALLS BY DESTINATION\n")
	t := table{right: []bool{false, true, true, true, true, true, true, true}}
	t.row("Destination", "Calls", "Delivered", "Billed", "Carrier", "VAT", "Enterprise", "Price")
	row := func(name string, x sumView) {
		t.row(name, x.Calls, x.Answered+" s", x.Billed+" s", x.Carrier, x.VAT, x.Rest, x.Price)
	}
	for _, g := range v.Groups {
		row(g.Name, g.Sum)
	}
	row("All", v.Totals)
	t.write(b)
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
	t := table{right: []bool{false, false, true, true, true, true}, grow: 1}
	t.row("Started", "Number, trunk", "Delivered", "Billed", "Unrounded", "Price")
	for _, g := range v.Groups {
		t.wide("")
		t.wide(g.Name)
		for _, r := range g.Rates {
			t.wide(r.Steps)
			for _, x := range r.Calls {
				t.row(figureDate(x.At), x.Number, x.Answered+" s", x.Billed+" s", x.Unrounded, x.Price)
				t.under(x.Trunk, "carrier "+pad(x.Carrier, carrier, true)+gap+"VAT "+pad(x.VAT, vat, true)+gap+
					"enterprise "+pad(x.Rest, rest, true))
				if x.Note != "" {
					t.under(x.Note, "")
				}
			}
		}
	}
	t.write(b)
}

func (v view) attempts(b *strings.Builder) {
	if len(v.Attempts) == 0 {
		return
	}
	b.WriteString("\nCALLS THAT NOBODY ANSWERED, free of charge\n")
	t := table{right: make([]bool, 4), grow: 2}
	for _, x := range v.Attempts {
		t.row(figureDate(x.At), x.Number, x.Destination, x.What)
	}
	t.write(b)
}

// figureDate puts the days of months below each other.
func figureDate(w when) string { return pad(w.Text, len("31 Jan 15:04"), true) }

// line writes one text at the left end and one at the right.
func line(b *strings.Builder, left, right string) {
	b.WriteString(strings.TrimRight(spread(left, right, lineWidth), " ") + "\n")
}

// table lines cells up. One column grows to fill the line, or is cut short.
type table struct {
	right []bool // columns aligned right
	grow  int    // the column that fills the line
	rows  []tableRow
}

// tableRow has cells, or two texts that stand below the row before it, from its second column to the end of the line, or
// a text over the whole width.
type tableRow struct {
	cells       []string
	left, under string
	wide        *string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, tableRow{cells: cells}) }
func (t *table) under(left, under string) {
	t.rows = append(t.rows, tableRow{left: left, under: under})
}

func (t *table) wide(text string) { t.rows = append(t.rows, tableRow{wide: &text}) }

func (t *table) write(b *strings.Builder) {
	widths := make([]int, len(t.right))
	for _, r := range t.rows {
		for i, c := range r.cells {
			widths[i] = max(widths[i], displaywidth.String(c))
		}
	}
	free := lineWidth - len(gap)*(len(widths)-1)
	for i, w := range widths {
		if i != t.grow {
			free -= w
		}
	}
	widths[t.grow] = max(free, 12)
	for _, r := range t.rows {
		if r.wide != nil {
			b.WriteString(strings.Join(wrap(*r.wide, lineWidth, displaywidth.String), "\n") + "\n")
			continue
		}
		var cells []string
		for i, c := range r.cells {
			cells = append(cells, pad(c, widths[i], t.right[i]))
		}
		if cells == nil {
			indent := widths[0] + len(gap)
			cells = []string{strings.Repeat(" ", indent) + spread(r.left, r.under, lineWidth-indent)}
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, gap), " ") + "\n")
	}
}

// wrap breaks a text at its spaces into lines of a width, by a measure. A word wider than that has a line of its own.
func wrap[W int | float64](text string, width W, measure func(string) W) []string {
	lines := []string{""}
	for word := range strings.SplitSeq(text, " ") {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case measure(*last+" "+word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// spread puts one text at the left end of a width and one at the right; the left one is cut short if need be.
func spread(left, right string, width int) string {
	if room := width - displaywidth.String(right); right == "" {
		left = displaywidth.TruncateString(left, room, "…")
	} else {
		left = displaywidth.TruncateString(left, max(0, room-len(gap)), "…")
	}
	return left + pad(right, width-displaywidth.String(left), true)
}

// pad brings a text to a width in columns of a terminal, which wide and combining characters don't have one each. A
// text aligned right is a figure and never cut.
func pad(s string, width int, right bool) string {
	if !right {
		s = displaywidth.TruncateString(s, width, "…")
	}
	space := strings.Repeat(" ", max(0, width-displaywidth.String(s)))
	if right {
		return space + s
	}
	return s + space
}
