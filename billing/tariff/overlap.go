package tariff

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// maxWindows is how many different windows a deck may have: each pair of them is compared.
const maxWindows = 64

// windowSet is the different windows of a deck, taken apart. Number 0 is the empty one, of rows that count at any time
// that the others leave.
type windowSet struct {
	number map[Window]uint8
	spans  []spans
}

func newWindowSet() windowSet {
	return windowSet{number: map[Window]uint8{"": 0}, spans: make([]spans, 1)}
}

// add gives the number of a window. What is none, or one too many, is an error.
func (s *windowSet) add(w Window) (uint8, error) {
	if n, ok := s.number[w]; ok {
		return n, nil
	}
	spans, err := parseSpans(string(w))
	if err != nil {
		return 0, err
	}
	if len(s.spans) > maxWindows {
		return 0, fmt.Errorf("more than %d different windows in a deck", maxWindows)
	}
	n := uint8(len(s.spans))
	s.number[w], s.spans = n, append(s.spans, spans)
	return n, nil
}

// clash is two windows at one time, and when.
type clash struct {
	at   string
	both bool
}

// clashes tells for each pair of windows whether they overlap. Those without window are all the same.
func (s *windowSet) clashes(c calendar) [][]clash {
	all := make([][]clash, len(s.spans))
	sequences := c.sequences()
	for i := range s.spans {
		all[i] = make([]clash, len(s.spans))
		for j := range s.spans[:i+1] {
			switch {
			case i == j:
				all[i][j] = clash{both: true}
			case j > 0:
				if m, ok := s.spans[i].overlap(s.spans[j], sequences); ok {
					all[i][j] = clash{" (" + m.String() + ")", true}
					all[j][i] = all[i][j]
				}
			}
		}
	}
	return all
}

// refuseOverlaps finds rows of one prefix that count at the same time; the later line is the bad one. Effective times and
// windows are compared each by itself: rows whose days never come within the time that both are in force are refused too.
func (p *parser) refuseOverlaps() {
	rows := p.deck.Rows
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rows[a].Prefix, rows[b].Prefix), rows[a].EffectiveFrom.Compare(rows[b].EffectiveFrom),
			cmp.Compare(a, b))
	})
	clashes := p.windows.clashes(newCalendar(p.deck.Zone, p.deck.Holidays))
	longest := make([]int, len(clashes)) // by window: the row of the prefix that lasts longest so far, counted from 1
	twice := map[int]string{}            // by the later line of two
	for i, at := range order {
		row := &rows[at]
		if i == 0 || rows[order[i-1]].Prefix != row.Prefix {
			clear(longest)
		}
		own := p.windows.number[row.Window]
		for other, before := range longest {
			if before == 0 || !clashes[own][other].both || !rows[before-1].lastsOver(row.EffectiveFrom) {
				continue
			}
			first, second := min(p.lines[before-1], p.lines[at]), max(p.lines[before-1], p.lines[at])
			twice[second] = fmt.Sprintf("prefix %s as in line %d, at the same time%s", row.Prefix, first, clashes[own][other].at)
		}
		if before := longest[own]; before == 0 || rows[before-1].endsBefore(row) {
			longest[own] = at + 1
		}
	}
	for line, problem := range twice {
		p.bad.Lines = append(p.bad.Lines, BadLine{line, problem})
	}
}

// lastsOver tells whether the row is still in force at an instant after its beginning.
func (r *Row) lastsOver(at time.Time) bool { return r.EffectiveTo.IsZero() || at.Before(r.EffectiveTo) }

// endsBefore tells which of two rows ends first.
func (r *Row) endsBefore(other *Row) bool {
	return !r.EffectiveTo.IsZero() && (other.EffectiveTo.IsZero() || r.EffectiveTo.Before(other.EffectiveTo))
}
