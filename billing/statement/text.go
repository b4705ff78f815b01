package statement

import (
	"io"
	"slices"
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
	b.WriteString("\nAmounts in " + v.Currency + ", times in " + v.Zone + ".\n\n")
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
	if len(v.Calls) == 0 {
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
		t.row(x.At.Text, x.What, x.Amount)
	}
	t.write(b)
}

func (v view) calls(b *strings.Builder) {
	b.WriteString("\nCALLS\n")
	if len(v.Calls) == 0 {
		b.WriteString("None.\n")
		return
	}
	var carrier, vat, rest int // widths
	for _, x := range slices.Concat(v.Calls, []callView{v.Totals}) {
		carrier, vat, rest = max(carrier, len(x.Carrier)), max(vat, len(x.VAT)), max(rest, len(x.Rest))
	}
	t := table{right: []bool{false, false, false, true, true, true, true}, grow: 2}
	t.row("Started", "Number, trunk", "Destination", "Answered", "Billed", "Per min", "Price")
	for _, x := range v.Calls {
		t.row(x.At.Text, x.Number, x.Destination, x.Answered+" s", x.Billed+" s", x.Rate, x.Price)
		t.under(x.Trunk, x.split(carrier, vat, rest))
		if x.Note != "" {
			t.under(x.Note, "")
		}
	}
	t.row("All", v.Totals.Number, "", v.Totals.Answered+" s", v.Totals.Billed+" s", "", v.Totals.Price)
	t.under("", v.Totals.split(carrier, vat, rest))
	t.write(b)
	b.WriteString("\nOf each price: what the carrier got, VAT, and what " + v.Enterprise + " keeps.\n")
	if v.HasFees {
		b.WriteString("A rate with + has a fee for the connection before it.\n")
	}
}

// split says where the price went, with the amounts below each other from call to call.
func (x callView) split(carrier, vat, rest int) string {
	return "carrier " + pad(x.Carrier, carrier, true) + gap + "VAT " + pad(x.VAT, vat, true) + gap +
		"enterprise " + pad(x.Rest, rest, true)
}

func (v view) attempts(b *strings.Builder) {
	if len(v.Attempts) == 0 {
		return
	}
	b.WriteString("\nCALLS THAT NOBODY ANSWERED, free of charge\n")
	t := table{right: make([]bool, 4), grow: 2}
	for _, x := range v.Attempts {
		t.row(x.At.Text, x.Number, x.Destination, x.What)
	}
	t.write(b)
}

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

// tableRow has cells, or two texts that stand below the row before it, from its second column to the end of the line.
type tableRow struct {
	cells       []string
	left, under string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, tableRow{cells: cells}) }
func (t *table) under(left, under string) {
	t.rows = append(t.rows, tableRow{left: left, under: under})
}

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
