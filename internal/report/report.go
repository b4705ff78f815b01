// Package report writes what people read of the books: a heading, a few sentences, and tables of figures; as text for a
// terminal or a plain printer, and as a page for screen, phone and paper. It knows nothing of what the figures mean.
package report

import (
	"strings"
	"unicode"
)

// Document is a paper, before it is written in one form or another. Whatever is in it may be foreign text: what could move
// the cursor, turn the line round or hide is replaced, and a page escapes the rest.
type Document struct {
	Title  string
	Lead   []string // sentences below the title
	Tables []Table  // those without rows are left out
}

// Table is figures under a heading.
type Table struct {
	Name    string
	Note    string // a sentence beside the name
	Columns []Column
	Rows    []Row
}

// Column is one of a table. The first column names the rows.
type Column struct {
	Name   string
	Figure bool // its cells end below each other
}

// Row is a line of a table.
type Row struct {
	Cells []Cell
	Sum   bool // of the rows before it
	// Entry is the number by which cells refer to this row; none: 0.
	Entry int
}

// Cell is a text or a figure, with the numbers of the entries that it comes from.
type Cell struct {
	Text    string
	Entries []int
}

// Cells makes cells of texts.
func Cells(texts ...string) []Cell {
	cells := make([]Cell, len(texts))
	for i, t := range texts {
		cells[i].Text = t
	}
	return cells
}

// Printable keeps letters, digits, signs and plain spaces. Other white space becomes a space; control characters, line
// and direction marks and broken UTF-8 become U+FFFD.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}

// printable is the document without what is not.
func (d Document) printable() Document {
	p := Document{Title: Printable(d.Title)}
	for _, s := range d.Lead {
		p.Lead = append(p.Lead, Printable(s))
	}
	for _, t := range d.Tables {
		if len(t.Rows) == 0 {
			continue
		}
		rows := make([]Row, len(t.Rows))
		for i, r := range t.Rows {
			cells := make([]Cell, len(r.Cells))
			for j, c := range r.Cells {
				cells[j] = Cell{Printable(c.Text), c.Entries}
			}
			rows[i] = Row{cells, r.Sum, r.Entry}
		}
		for i, c := range t.Columns {
			if c.Figure {
				align(rows, i)
			}
		}
		p.Tables = append(p.Tables, Table{Printable(t.Name), Printable(t.Note), t.Columns, rows})
	}
	return p
}

// align gives all decimals of a column as many places as the longest of them has, so that the points stand below each
// other.
func align(rows []Row, column int) {
	places := func(s string) int {
		_, fraction, _ := strings.Cut(s, ".")
		return len(fraction)
	}
	most := 0
	for _, r := range rows {
		most = max(most, places(r.Cells[column].Text))
	}
	for _, r := range rows {
		if c := &r.Cells[column]; strings.Contains(c.Text, ".") {
			c.Text += strings.Repeat("0", most-places(c.Text))
		}
	}
}
