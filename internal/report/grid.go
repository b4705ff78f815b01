package report

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Width is that of a line of text in columns, more only when an amount or a number needs them.
const Width = 96

// Gap is what stands between two columns.
const Gap = "  "

// Line writes one text at the left end and one at the right.
func Line(b *strings.Builder, left, right string) {
	b.WriteString(strings.TrimRight(Spread(left, right, Width), " ") + "\n")
}

// Grid lines cells up. One column grows to fill the line, or is cut short.
type Grid struct {
	Right []bool // columns aligned right
	Grow  int    // the column that fills the line

	rows []gridRow
}

// gridRow has cells, or two texts that stand below the row before it, from its second column to the end of the line, or
// a text over the whole width.
type gridRow struct {
	cells       []string
	left, under string
	wide        *string
}

// Row adds a row.
func (g *Grid) Row(cells ...string) { g.rows = append(g.rows, gridRow{cells: cells}) }

// Under adds two texts below the row before.
func (g *Grid) Under(left, under string) {
	g.rows = append(g.rows, gridRow{left: left, under: under})
}

// Wide adds a text over the whole width.
func (g *Grid) Wide(text string) { g.rows = append(g.rows, gridRow{wide: &text}) }

// Write writes the rows.
func (g *Grid) Write(b *strings.Builder) {
	widths := make([]int, len(g.Right))
	for _, r := range g.rows {
		for i, c := range r.cells {
			widths[i] = max(widths[i], displaywidth.String(c))
		}
	}
	free := Width - len(Gap)*(len(widths)-1)
	for i, w := range widths {
		if i != g.Grow {
			free -= w
		}
	}
	widths[g.Grow] = max(free, 12)
	for _, r := range g.rows {
		if r.wide != nil {
			b.WriteString(strings.Join(Wrap(*r.wide, Width, displaywidth.String), "\n") + "\n")
			continue
		}
		var cells []string
		for i, c := range r.cells {
			cells = append(cells, Pad(c, widths[i], g.Right[i]))
		}
		if cells == nil {
			indent := widths[0] + len(Gap)
			cells = []string{strings.Repeat(" ", indent) + Spread(r.left, r.under, Width-indent)}
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, Gap), " ") + "\n")
	}
}

// Wrap breaks a text at its spaces into lines of a width, by a measure. A word wider than that has a line of its own.
func Wrap[W int | float64](text string, width W, measure func(string) W) []string {
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

// Spread puts one text at the left end of a width and one at the right; the left one is cut short if need be.
func Spread(left, right string, width int) string {
	if room := width - displaywidth.String(right); right == "" {
		left = displaywidth.TruncateString(left, room, "…")
	} else {
		left = displaywidth.TruncateString(left, max(0, room-len(Gap)), "…")
	}
	return left + Pad(right, width-displaywidth.String(left), true)
}

// Pad brings a text to a width in columns of a terminal, which wide and combining characters don't have one each. A
// text aligned right is a figure and never cut.
func Pad(s string, width int, right bool) string {
	if !right {
		s = displaywidth.TruncateString(s, width, "…")
	}
	space := strings.Repeat(" ", max(0, width-displaywidth.String(s)))
	if right {
		return space + s
	}
	return s + space
}
