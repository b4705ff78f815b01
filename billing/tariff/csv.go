package tariff

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
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
	maxBytes = 512 << 20
	// longestCall is the answered time, a day, that every row must be able to price.
	longestCall = 24 * 60 * 60
)

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

// ParseDeck reads a deck in the plain CSV format of design.md 7: a header row, then a row a line. Fields may be quoted,
// lines end with LF or CRLF, a byte order mark and empty lines are passed over. Whatever is wrong with the lines comes
// as one *BadDeck; then there is no deck.
func ParseDeck(r io.Reader, spec Spec) (Deck, error) {
	if err := spec.check(); err != nil {
		return Deck{}, err
	}
	p := parser{deck: Deck{Spec: spec}, windows: newWindowSet()}
	if err := p.read(r); err != nil {
		return Deck{}, fmt.Errorf("read deck: %w", err)
	}
	p.refuseOverlaps()
	if len(p.deck.Rows) == 0 && len(p.bad.Lines) == 0 {
		p.refuse(1, "no rows: want a header row and at least one rate")
	}
	if len(p.bad.Lines) > 0 {
		slices.SortStableFunc(p.bad.Lines, func(a, b BadLine) int { return cmp.Compare(a.Line, b.Line) })
		p.bad.More += max(len(p.bad.Lines)-maxBadLines, 0)
		p.bad.Lines = p.bad.Lines[:min(len(p.bad.Lines), maxBadLines)]
		return Deck{}, &p.bad
	}
	return p.deck, nil
}

// WriteCSV writes the deck so that ParseDeck reads the same rows from it.
func (d Deck) WriteCSV(w io.Writer) error {
	written := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.retailOnly && d.Kind == Trunk })
	out := csv.NewWriter(w)
	record := make([]string, len(written))
	for i, c := range written {
		record[i] = c.name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for i := range d.Rows {
		for j, c := range written {
			record[j] = c.get(&d.Rows[i])
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// parser builds a deck line by line.
type parser struct {
	deck    Deck
	lines   []int // of each row
	columns []column
	windows windowSet
	bad     BadDeck
}

func (p *parser) refuse(line int, problem string) { p.bad.add(line, problem) }

// read takes all lines. It returns an error only when r does.
func (p *parser) read(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	in := bufio.NewReaderSize(limited, maxLine+2)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			_, err = in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		if limited.N <= 0 || number > maxLines {
			p.refuse(number, fmt.Sprintf("the deck is too long: want at most %d lines and %d MB", maxLines, maxBytes>>20))
			return nil
		}
		if long {
			p.refuse(number, fmt.Sprintf("longer than %d bytes", maxLine))
		} else {
			p.line(number, line)
		}
		if err == io.EOF || p.columns == nil && len(p.bad.Lines) > 0 { // nothing can be read without a header
			return nil
		}
	}
}

func (p *parser) line(number int, raw []byte) {
	text := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if number == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	fields, err := split(text)
	if err == nil && p.columns == nil {
		err = p.header(fields)
	} else if err == nil {
		err = p.row(number, fields)
	}
	if err != nil {
		p.refuse(number, err.Error())
	}
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

func (p *parser) row(number int, fields []string) error {
	if len(fields) != len(p.columns) {
		return fmt.Errorf("%d fields, and %d in the header", len(fields), len(p.columns))
	}
	row := p.deck.Kind.Defaults()
	for i, c := range p.columns {
		required := c.name == "prefix" || c.name == "rate_per_minute"
		if fields[i] == "" && !required {
			continue
		}
		before := row
		if err := c.set(&row, fields[i], p.deck.Zone); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if c.retailOnly && p.deck.Kind == Trunk && row != before {
			return fmt.Errorf("%s: a carrier's deck has no grace, minimum, rounding or loss", c.name)
		}
	}
	if !row.EffectiveTo.IsZero() && !row.EffectiveFrom.Before(row.EffectiveTo) {
		return errors.New("effective_to is not after effective_from")
	}
	if _, err := row.Price(longestCall); err != nil {
		return fmt.Errorf("the price of a day: %w", err)
	}
	if _, err := p.windows.add(row.Window); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	p.deck.Rows = append(p.deck.Rows, row)
	p.lines = append(p.lines, number)
	return nil
}

// split takes a line apart at its commas. A field may stand in quotes, with quotes in it doubled.
func split(line string) ([]string, error) {
	if !utf8.ValidString(line) {
		return nil, errors.New("not UTF-8 text")
	}
	for _, r := range line {
		if unicode.IsControl(r) {
			return nil, fmt.Errorf("control character %U: want plain text", r)
		}
	}
	var fields []string
	for {
		field, rest, more, err := cutField(strings.TrimSpace(line))
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

// cutField gives the first field, and what is left after the comma, when there is one.
func cutField(line string) (field, rest string, more bool, err error) {
	line, quoted := strings.CutPrefix(line, `"`)
	if !quoted {
		field, rest, more = strings.Cut(line, ",")
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
	before, rest, more := strings.Cut(line, ",")
	if strings.TrimSpace(before) != "" {
		return "", "", false, errors.New("text after the closing quote of a field")
	}
	return strings.TrimSpace(field), rest, more, nil
}
