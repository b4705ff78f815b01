package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// WriteText writes the document in lines of 96 columns. The entries that the figures of a row come from stand behind them.
func (d Document) WriteText(w io.Writer) error {
	d = d.printable()
	var b strings.Builder
	b.WriteString(d.Title + "\n")
	paragraphs(&b, d.Lead...)
	for _, t := range d.Tables {
		b.WriteString("\n" + strings.ToUpper(t.Name) + "\n")
		if t.Note != "" {
			paragraphs(&b, t.Note)
		}
		t.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paragraphs(b *strings.Builder, texts ...string) {
	for _, s := range texts {
		b.WriteString(strings.Join(Wrap(s, Width, displaywidth.String), "\n") + "\n")
	}
}

func (t Table) write(b *strings.Builder) {
	g := Grid{Grow: t.widest()}
	var heads []string
	for _, c := range t.Columns {
		g.Right, heads = append(g.Right, c.Figure), append(heads, c.Name)
	}
	refers := slices.ContainsFunc(t.Rows, func(r Row) bool { return r.entries() != "" })
	if refers {
		g.Right, heads = append(g.Right, false), append(heads, "Entries")
	}
	if slices.ContainsFunc(heads, func(h string) bool { return h != "" }) {
		g.Row(heads...)
	}
	for _, r := range t.Rows {
		var cells []string
		for _, c := range r.Cells {
			cells = append(cells, c.Text)
		}
		if refers {
			cells = append(cells, r.entries())
		}
		g.Row(cells...)
	}
	g.Write(b)
}

// widest is the column of text with the longest cell, which gives way or takes the room.
func (t Table) widest() (widest int) {
	most := -1
	for i, c := range t.Columns {
		for _, r := range t.Rows {
			if n := displaywidth.String(r.Cells[i].Text); !c.Figure && n > most {
				widest, most = i, n
			}
		}
	}
	return widest
}

// entries are the numbers of all the entries of a row, each once.
func (r Row) entries() string {
	var all []int
	for _, c := range r.Cells {
		all = append(all, c.Entries...)
	}
	slices.Sort(all)
	return strings.Trim(fmt.Sprint(slices.Compact(all)), "[]")
}
