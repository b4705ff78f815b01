package statement

import (
	"regexp"
	"slices"
	"strings"
)

// hidden are the last digits that a shortened number does without.
const hidden = 3

// ShortNumbers gives the same statement with the last three digits of each number hidden, for those who share it with
// people whom the numbers are no business of. Numbers in the texts of bookings are shortened, too.
func (s Statement) ShortNumbers() Statement {
	s.Short = true
	s.Calls, s.Attempts, s.Bookings = slices.Clone(s.Calls), slices.Clone(s.Attempts), slices.Clone(s.Bookings)
	for i := range s.Calls {
		c := &s.Calls[i]
		c.Number = shorten(c.Number)
		// A deck may have a row for one number; what is hidden there must not be read here.
		seen := len(strings.TrimRight(strings.TrimPrefix(c.Number, "+"), "x"))
		c.Rate.Prefix = c.Rate.Prefix[:min(seen, len(c.Rate.Prefix))]
	}
	for i := range s.Attempts {
		s.Attempts[i].Number = shorten(s.Attempts[i].Number)
	}
	for i := range s.Bookings {
		s.Bookings[i].Text = written.ReplaceAllStringFunc(s.Bookings[i].Text, shorten)
	}
	return s
}

// written is a number within a text.
var written = regexp.MustCompile(`\+[0-9]{4,15}`)

// shorten hides the last digits of a number, or all of one that has no more.
func shorten(number string) string {
	digits := []rune(number)
	kept := max(0, len(digits)-hidden)
	return string(digits[:kept]) + strings.Repeat("x", len(digits)-kept)
}
