package tariff

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"telecommune/internal/money"
)

// ExpectedSeconds is the answered time of the call that carriers' rows are compared for (design.md 9.2). Rates alone would
// not tell: a connection fee or a first minute can outweigh them.
const ExpectedSeconds = 180

// sheet is a version of a deck made ready for look-ups, all but its prefixes, which the index has. Many prefixes share
// their terms: those of a country, or of a network in it.
type sheet struct {
	kind     Kind
	name     string
	number   int
	currency money.Currency
	holidays []Holiday
	calendar calendar
	spans    []spans // the different windows
	terms    []term
	costs    []uint32 // of the terms that begin with each
}

// term is a row without its prefix. Terms are the rows that a prefix has, by EffectiveFrom; they are known by the number of
// the first.
type term struct {
	Row
	window uint8 // its number in the sheet's spans
	more   bool  // the next one belongs to the same terms
}

// listing is what a sheet has for which prefix, by prefix: each once.
type listing []listed

type listed struct {
	key   key
	terms uint32
}

// entry is a row of a deck that is being made ready: its prefix, and the number of the row.
type entry struct {
	key key
	row uint32
}

// newSheet makes a deck ready. A row whose prefix can't be read, which no import lets through, never counts.
func newSheet(deck Deck) (*sheet, listing) {
	rows := newRowSet()
	entries := make([]entry, 0, len(deck.Rows))
	for _, r := range deck.Rows {
		prefix := keyOf(r.Prefix)
		if prefix.length() == 0 || prefix.length() != len(r.Prefix) {
			continue
		}
		r.Prefix = ""
		entries = append(entries, entry{prefix, rows.add(r)})
	}
	return makeSheet(deck, rows.all, entries)
}

// rowSet numbers different rows.
type rowSet struct {
	number map[Row]uint32
	all    []term
}

func newRowSet() rowSet { return rowSet{number: map[Row]uint32{}} }

func (s *rowSet) add(r Row) uint32 {
	n, ok := s.number[r]
	if !ok {
		n = uint32(len(s.all))
		s.number[r] = n
		s.all = append(s.all, term{Row: r})
	}
	return n
}

// makeSheet makes a sheet of a deck's different rows, which it keeps, and of where they stand.
func makeSheet(deck Deck, rows []term, entries []entry) (*sheet, listing) {
	s := &sheet{
		kind: deck.Kind, name: deck.Name, number: deck.Version, currency: deck.Currency,
		holidays: deck.Holidays, calendar: newCalendar(deck.Zone, deck.Holidays),
		terms: rows, costs: make([]uint32, len(rows)),
	}
	s.prepare()
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.row, b.row)) })
	list := make(listing, 0, len(entries))
	known := map[string]uint32{} // terms by the numbers of their rows
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].key == entries[0].key {
			n++
		}
		number := entries[0].row
		if n > 1 {
			number = s.together(known, entries[:n])
		}
		list = append(list, listed{entries[0].key, number})
		entries = entries[n:]
	}
	return s, list
}

// prepare stamps the rows with the deck, and takes their windows apart.
func (s *sheet) prepare() {
	set, stamp := newWindowSet(), fmt.Sprintf("%s@%d", s.name, s.number)
	for i := range s.terms {
		t := &s.terms[i]
		t.Deck, t.Currency = stamp, s.currency
		number, err := set.add(t.Window)
		if err != nil { // no import lets it through; it never counts
			number = unreadable
		}
		t.window = number
		s.costs[i] = t.cost()
	}
	s.spans = set.spans
}

// unreadable is the number of a window that is none.
const unreadable = 255

// together gives the terms that several rows of a prefix make. They are known by the numbers of these.
func (s *sheet) together(known map[string]uint32, of []entry) uint32 {
	slices.SortStableFunc(of, func(a, b entry) int {
		return s.terms[a.row].EffectiveFrom.Compare(s.terms[b.row].EffectiveFrom)
	})
	var name []byte
	for _, e := range of {
		name = binary.LittleEndian.AppendUint32(name, e.row)
	}
	number, ok := known[string(name)]
	if !ok {
		number = uint32(len(s.terms))
		known[string(name)] = number
		for i, e := range of {
			t := s.terms[e.row]
			t.more = i < len(of)-1
			s.terms, s.costs = append(s.terms, t), append(s.costs, atThatTime)
		}
	}
	return number
}

// atThatTime is the cost of terms that depends on the time, or that does not fit.
const atThatTime = 0

// cost is what an expected call costs by a row alone, in the deck's currency, plus one millionth.
func (t *term) cost() uint32 {
	if t.window != 0 || !t.EffectiveFrom.IsZero() || !t.EffectiveTo.IsZero() {
		return atThatTime
	}
	cost, err := t.Price(ExpectedSeconds)
	if err != nil || cost >= math.MaxUint32 {
		return atThatTime
	}
	return uint32(cost) + 1
}

// of gives the rows of terms.
func (s *sheet) of(number uint32) []term {
	last := number
	for s.terms[last].more {
		last++
	}
	return s.terms[number : last+1]
}

// at finds the row of terms for an instant: one whose window contains it before the one without window.
func (s *sheet) at(number uint32, at time.Time) (row uint32, ok bool) {
	asked := false
	var when moment
	all := s.of(number)
	for i := range all {
		switch t := &all[i]; {
		case !t.effective(at):
		case t.window == 0:
			row, ok = number+uint32(i), true
		case t.window != unreadable:
			if !asked {
				when, asked = s.calendar.moment(at), true
			}
			if s.spans[t.window].contain(when) {
				return number + uint32(i), true
			}
		}
	}
	return row, ok
}
