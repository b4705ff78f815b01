package tariff

import "fmt"

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
