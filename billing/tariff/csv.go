package tariff

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of a deck. They are far over what carriers send and keep a hostile file from filling the memory.
const (
	maxLine  = 4096      // bytes
	maxLines = 2_000_000 // the longest decks have about a million
	maxRows  = 2_000_000 // a line may make many
	// MaxFile is how long a deck in text may be, in bytes.
	MaxFile = 512 << 20
	// maxDestination is the longest name of a destination, in bytes.
	maxDestination = 200
	// longestCall is the answered time, a day, that every row must be able to price.
	longestCall = 24 * 60 * 60
)

const byteOrderMark = "\ufeff"

var errLong = fmt.Errorf("the deck is too long: want at most %d lines and %d MB", maxLines, MaxFile>>20)

var (
	nameSyntax     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	currencySyntax = regexp.MustCompile(`^[A-Z]{3}$`)
)

// check fills in the zone and refuses a spec that could not be stored.
func (s *Spec) check() error {
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	switch {
	case s.Kind != Retail && s.Kind != Trunk:
		return fmt.Errorf("deck kind %q: want %s or %s", s.Kind, Retail, Trunk)
	case !nameSyntax.MatchString(s.Name):
		return fmt.Errorf("deck name %q: want 1 to 32 letters, digits, - or _", clip(s.Name))
	case !currencySyntax.MatchString(string(s.Currency)):
		return fmt.Errorf("deck currency %q: want three capital letters, such as EUR", clip(string(s.Currency)))
	case s.Zone == time.Local:
		return errors.New("deck zone: want its name, such as Europe/Berlin")
	}
	return nil
}

// Rows are the rows of a deck one after the other. An error is the last that comes: a *BadDeck tells all that is wrong
// with them. Until the end there may be one, so that nothing must be done for good before.
type Rows = iter.Seq2[Row, error]

// All gives the rows of a deck in memory.
func (d *Deck) All() Rows {
	return func(yield func(Row, error) bool) {
		for _, row := range d.Rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// ParseDeck is ReadCSV with the rows in memory.
func ParseDeck(r io.Reader, spec Spec) (Deck, error) {
	if err := spec.check(); err != nil {
		return Deck{}, err
	}
	deck := Deck{Spec: spec}
	for row, err := range ReadCSV(r, spec) {
		if err != nil {
			return Deck{}, err
		}
		deck.Rows = append(deck.Rows, row)
	}
	return deck, nil
}

// ReadCSV reads the rows of a deck in the plain CSV format of design.md 7: a header row, then a row a line. Fields may be
// quoted, lines end with LF or CRLF, a byte order mark and empty lines are passed over. What it keeps in memory is a few
// numbers a row.
func ReadCSV(r io.Reader, spec Spec) Rows {
	return func(yield func(Row, error) bool) {
		if err := spec.check(); err != nil {
			yield(Row{}, err)
			return
		}
		p := parser{checker: newChecker(spec, yield)}
		p.end(eachLine(r, maxLine, p.line))
	}
}

// WriteCSV writes the deck so that ParseDeck reads the same rows from it.
func (d Deck) WriteCSV(w io.Writer) error { return WriteCSV(w, d.Kind, d.All()) }

// WriteCSV writes rows of a kind of deck so that ReadCSV reads the same from it.
func WriteCSV(w io.Writer, kind Kind, rows Rows) error {
	written := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.retailOnly && kind == Trunk })
	out := csv.NewWriter(w)
	record := make([]string, len(written))
	for i, c := range written {
		record[i] = c.name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		for j, c := range written {
			record[j] = c.get(&row)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// eachLine gives the lines of r with their numbers, those that are too long with an error, as long as each wants more. The
// lines are only lent.
func eachLine(r io.Reader, longest int, each func(number int, line []byte, err error) bool) error {
	limited := &io.LimitedReader{R: r, N: MaxFile + 1}
	in := bufio.NewReaderSize(limited, longest+2)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		var long error
		for errors.Is(err, bufio.ErrBufferFull) {
			long = fmt.Errorf("longer than %d bytes", longest)
			_, err = in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		if limited.N <= 0 || number > maxLines {
			each(number, nil, errLong)
			return nil
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if !each(number, line, long) || err == io.EOF {
			return nil
		}
	}
}

// parser reads the plain format line by line.
type parser struct {
	checker
	columns []column
}

// line takes a line, and tells whether it wants another.
func (p *parser) line(number int, raw []byte, err error) bool {
	text := string(raw)
	if number == 1 {
		text = strings.TrimPrefix(text, byteOrderMark)
	}
	if err == nil && strings.TrimSpace(text) == "" {
		return true
	}
	var fields []string
	if err == nil {
		fields, err = split(text, ',')
	}
	if err == nil && p.columns == nil {
		err = p.header(fields)
	} else if err == nil {
		err = p.fields(number, fields)
	}
	if err != nil {
		p.refuse(number, err.Error())
	}
	return p.columns != nil && !p.stopped // nothing can be read without a header
}

func (p *parser) header(names []string) error {
	var found []column
	for i, name := range names {
		c, ok := findColumn(name)
		if !ok {
			return fmt.Errorf("unknown column %q: want names separated by commas", clip(name))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("column %s twice", name)
		}
		found = append(found, c)
	}
	for _, name := range []string{"prefix", "rate_per_minute"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("column %s is missing", name)
		}
	}
	p.columns = found
	return nil
}

func (p *parser) fields(number int, fields []string) error {
	if len(fields) != len(p.columns) {
		return fmt.Errorf("%d fields, and %d in the header", len(fields), len(p.columns))
	}
	row := p.spec.Kind.Defaults()
	for i, c := range p.columns {
		required := c.name == "prefix" || c.name == "rate_per_minute"
		if fields[i] == "" && !required {
			continue
		}
		before := row
		if err := c.set(&row, fields[i], p.spec.Zone); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if c.retailOnly && p.spec.Kind == Trunk && row != before {
			return fmt.Errorf("%s: a carrier's deck has no grace, minimum, rounding or loss", c.name)
		}
	}
	return p.add(number, row)
}

// split takes a line apart at its commas or another delimiter. A field may stand in quotes, with quotes in it doubled.
func split(line string, delimiter rune) ([]string, error) {
	if !utf8.ValidString(line) {
		return nil, errors.New("not UTF-8 text")
	}
	for _, r := range line {
		if unicode.IsControl(r) && r != delimiter {
			return nil, fmt.Errorf("control character %U: want plain text", r)
		}
	}
	var fields []string
	for {
		line = strings.TrimLeftFunc(line, func(r rune) bool { return unicode.IsSpace(r) && r != delimiter })
		field, rest, more, err := cutField(line, string(delimiter))
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
		if !more {
			return fields, nil
		}
		line = rest
	}
}

// cutField gives the first field, and what is left after the delimiter, when there is one.
func cutField(line, delimiter string) (field, rest string, more bool, err error) {
	line, quoted := strings.CutPrefix(line, `"`)
	if !quoted {
		field, rest, more = strings.Cut(line, delimiter)
		if strings.Contains(field, `"`) {
			return "", "", false, errors.New("quote in a field that does not begin with one")
		}
		return strings.TrimSpace(field), rest, more, nil
	}
	for {
		part, after, closed := strings.Cut(line, `"`)
		if !closed {
			return "", "", false, errors.New("quote not closed on its line")
		}
		field += part
		if line, quoted = strings.CutPrefix(after, `"`); !quoted {
			break
		}
		field += `"`
	}
	before, rest, more := strings.Cut(line, delimiter)
	if strings.TrimSpace(before) != "" {
		return "", "", false, errors.New("text after the closing quote of a field")
	}
	return strings.TrimSpace(field), rest, more, nil
}
