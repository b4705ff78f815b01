package tariff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// cell is what stands in one place of a file.
type cell struct {
	text   string
	number bool   // a spreadsheet's number, as plain digits
	bad    string // why it can't be used, such as for a formula

	since1904 bool // as a date the number is days since 1904
}

// mapper makes rows of a carrier's file by its format.
type mapper struct {
	checker
	format  *Format
	closed  *Closed
	columns []mappedColumn // nil before the header was read
	width   int            // fields of the header, or of the first row
}

// mappedColumn is a column that the format uses.
type mappedColumn struct {
	name, ref string
	index     int
	set       func(m *mapper, to *mapped, c cell) error
}

// mapped is a line of the file on its way to rows.
type mapped struct {
	row           Row
	country, code string
	closed        bool
}

// used lists the columns that the format has.
func (c *Columns) used() []mappedColumn {
	all := []mappedColumn{
		{"mark", c.Mark, 0, (*mapper).setMark},
		{"country_code", c.CountryCode, 0, func(_ *mapper, to *mapped, c cell) error { to.country = c.text; return nil }},
		{"prefix", c.Prefix, 0, func(_ *mapper, to *mapped, c cell) error { to.code = c.text; return nil }},
		{"destination", c.Destination, 0, func(_ *mapper, to *mapped, c cell) error { to.row.Destination = c.text; return nil }},
		{"rate", c.Rate, 0, (*mapper).setRate},
		{"connect_fee", c.ConnectFee, 0, (*mapper).setFee},
		{"increments", c.Increments, 0, (*mapper).setIncrements},
		{"interval_first", c.IntervalFirst, 0, plainSetter("interval_first")},
		{"interval_next", c.IntervalNext, 0, plainSetter("interval_next")},
		{"effective_from", c.EffectiveFrom, 0, func(m *mapper, to *mapped, c cell) (err error) {
			to.row.EffectiveFrom, err = m.date(c)
			return err
		}},
		{"effective_to", c.EffectiveTo, 0, func(m *mapper, to *mapped, c cell) (err error) {
			to.row.EffectiveTo, err = m.date(c)
			return err
		}},
	}
	return slices.DeleteFunc(all, func(c mappedColumn) bool { return c.ref == "" })
}

// plainSetter sets a column as the plain format does.
func plainSetter(name string) func(*mapper, *mapped, cell) error {
	plain, _ := findColumn(name)
	return func(m *mapper, to *mapped, c cell) error { return plain.set(&to.row, c.text, m.spec.Zone) }
}

// row takes a line of the file, and tells whether it wants another.
func (m *mapper) row(line int, cells []cell, err error) bool {
	blank := err == nil && !slices.ContainsFunc(cells, func(c cell) bool { return c.text != "" || c.bad != "" })
	switch {
	case err == nil && line <= m.format.Skip:
		return true
	case blank:
		return !m.format.EndAtBlank || m.columns == nil
	}
	begun := m.columns != nil
	if err == nil && !begun {
		err = m.header(cells)
	}
	if err == nil && (begun || !m.format.Header) {
		err = m.fields(line, cells)
	}
	if err != nil {
		m.refuse(line, err.Error())
	}
	return m.columns != nil && !m.stopped
}

// header finds the columns.
func (m *mapper) header(cells []cell) error {
	used := m.format.Columns.used()
	for i := range used {
		if !m.format.Header {
			used[i].index = letterColumn(used[i].ref)
			continue
		}
		named := func(c cell) bool { return c.text == used[i].ref }
		used[i].index = slices.IndexFunc(cells, named)
		if used[i].index < 0 {
			return fmt.Errorf("no column %q in the header: want it as the format says (%s)", clip(used[i].ref), used[i].name)
		}
		if slices.ContainsFunc(cells[used[i].index+1:], named) {
			return fmt.Errorf("two columns %q in the header: name them by letters, with header = false", clip(used[i].ref))
		}
	}
	m.columns, m.width = used, len(cells)
	return nil
}

// fields makes the rows of a line.
func (m *mapper) fields(line int, cells []cell) error {
	if m.format.File == fileCSV && len(cells) != m.width {
		return fmt.Errorf("%d fields, and %d in the first line", len(cells), m.width)
	}
	to := mapped{row: m.spec.Kind.Defaults()}
	if d := m.format.Defaults; d.IntervalFirst > 0 {
		to.row.IntervalFirst = d.IntervalFirst
	}
	if d := m.format.Defaults; d.IntervalNext > 0 {
		to.row.IntervalNext = d.IntervalNext
	}
	var prefixes []string
	for _, column := range m.columns {
		c := cell{}
		if column.index < len(cells) {
			c = cells[column.index]
		}
		err := column.read(m, &to, c)
		if err == nil && column.name == "prefix" {
			prefixes, err = m.prefixes(&to)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.place(column, line), err)
		}
	}
	for _, prefix := range prefixes {
		if to.closed {
			if m.closed != nil {
				m.closed.add(prefix, to.row.EffectiveFrom)
				m.mayBeEmpty = true
			}
			continue
		}
		to.row.Prefix = prefix
		if err := m.add(line, to.row); err != nil {
			return fmt.Errorf("prefix %s: %w", prefix, err)
		}
	}
	return nil
}

// read sets what a column says. An empty cell says nothing, unless it is needed.
func (c *mappedColumn) read(m *mapper, to *mapped, in cell) error {
	switch {
	case in.bad != "":
		return errors.New(in.bad)
	case to.closed && c.name != "prefix" && c.name != "country_code" && c.name != "effective_from":
		return nil // carriers write all sorts of things there
	case in.text == "" && c.name != "rate" && c.name != "mark":
		return nil
	}
	return c.set(m, to, in)
}

// prefixes gives those of a line; the column of the country code, if any, is read before.
func (m *mapper) prefixes(to *mapped) ([]string, error) {
	prefixes, err := m.format.Codes.expand(to.country, to.code)
	if err != nil {
		return nil, err
	}
	for _, prefix := range prefixes {
		if err := setPrefix(&to.row, prefix, nil); err != nil {
			return nil, err
		}
	}
	return prefixes, nil
}

// place names a cell as a spreadsheet does, and its column as the format does.
func (m *mapper) place(c mappedColumn, line int) string {
	at := "column " + columnLetters(c.index)
	if m.format.File == fileXLSX {
		at = fmt.Sprintf("cell %s%d", columnLetters(c.index), line)
	}
	if m.format.Header {
		return fmt.Sprintf("%s (%s)", at, c.ref)
	}
	return fmt.Sprintf("%s (%s)", at, c.name)
}

func (m *mapper) setMark(to *mapped, c cell) error {
	to.closed = slices.Contains(m.format.Marks.Closed, c.text)
	if !to.closed && !slices.Contains(m.format.Marks.Valid, c.text) {
		return fmt.Errorf("unknown mark %q: the format has to say whether it is valid or closed", clip(c.text))
	}
	return nil
}

func (m *mapper) setRate(to *mapped, c cell) (err error) {
	factor := int64(1)
	if m.format.Per == "second" {
		factor = 60
	}
	to.row.RatePerMinute, err = m.format.amount(c, factor)
	return err
}

func (m *mapper) setFee(to *mapped, c cell) (err error) {
	to.row.ConnectFee, err = m.format.amount(c, 1)
	return err
}

// setIncrements reads the first and the next interval, such as 60/1.
func (m *mapper) setIncrements(to *mapped, c cell) error {
	first, next, ok := strings.Cut(c.text, "/")
	if !ok {
		return fmt.Errorf("%q: want first and next interval in seconds, such as 60/1", clip(c.text))
	}
	return errors.Join(
		plainSetter("interval_first")(m, to, cell{text: strings.TrimSpace(first)}),
		plainSetter("interval_next")(m, to, cell{text: strings.TrimSpace(next)}),
	)
}

// date reads the midnight of a day in the deck's zone.
func (m *mapper) date(c cell) (time.Time, error) {
	var day time.Time
	var err error
	if c.number {
		day, err = serialDay(c)
	} else {
		day, err = time.Parse(m.format.layout, c.text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: want a date as %s", clip(c.text), m.format.Date)
	}
	return parseInstant(day.Format(time.DateOnly), m.spec.Zone)
}
