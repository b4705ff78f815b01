package tariff

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// checker looks at the rows of a deck as they are read, and passes the good ones on. Of each row it keeps only when it
// counts, to find at the end those that count at the same time. From the first bad one on no row is passed on.
type checker struct {
	spec    Spec
	yield   func(Row, error) bool
	stopped bool // nobody wants more
	spans   []rowSpan
	windows windowSet
	bad     BadDeck

	mayBeEmpty bool // there may be no row at all
}

// rowSpan is when a row counts.
type rowSpan struct {
	prefix   int64 // no prefix begins with 0
	from, to int64 // microseconds since 1970; the least and the greatest stand for ever
	line     int32
	window   uint8 // its number in windows
}

func newChecker(spec Spec, yield func(Row, error) bool) checker {
	return checker{spec: spec, yield: yield, windows: newWindowSet()}
}

func (c *checker) refuse(line int, problem string) { c.bad.add(line, problem) }

// add takes a row, or tells why it can't be one.
func (c *checker) add(line int, row Row) error {
	if c.stopped {
		return nil
	}
	if !row.EffectiveTo.IsZero() && !row.EffectiveFrom.Before(row.EffectiveTo) {
		return errors.New("effective_to is not after effective_from")
	}
	if len(row.Destination) > maxDestination {
		return fmt.Errorf("destination: more than %d bytes", maxDestination)
	}
	if _, err := row.Price(longestCall); err != nil {
		return fmt.Errorf("the price of a day: %w", err)
	}
	if len(c.spans) == maxRows {
		return fmt.Errorf("the deck is too long: want at most %d rows", maxRows)
	}
	window, err := c.windows.add(row.Window)
	if err != nil {
		return fmt.Errorf("window: %w", err)
	}
	prefix, err := strconv.ParseInt(row.Prefix, 10, 64)
	if err != nil {
		return err // setPrefix lets nothing through that is none
	}
	c.spans = append(c.spans, rowSpan{
		prefix, microseconds(row.EffectiveFrom, math.MinInt64), microseconds(row.EffectiveTo, math.MaxInt64), int32(line), window,
	})
	if len(c.bad.Lines) == 0 && !c.yield(row, nil) {
		c.stopped = true
	}
	return nil
}

func microseconds(t time.Time, never int64) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMicro()
}

// end takes what ended the reading, and passes on what is wrong with the rows, if anything.
func (c *checker) end(err error) {
	switch {
	case err != nil:
		c.yield(Row{}, fmt.Errorf("read deck: %w", err))
		return
	case c.stopped && len(c.bad.Lines) == 0:
		return
	}
	c.refuseOverlaps()
	if len(c.spans) == 0 && len(c.bad.Lines) == 0 && !c.mayBeEmpty {
		c.refuse(1, "no rows: want a header row and at least one rate")
	}
	if len(c.bad.Lines) > 0 {
		c.yield(Row{}, &c.bad)
	}
}

// twice is two lines with rows that count at the same time.
type twice struct {
	prefix         int64
	later, earlier int32
	windows        [2]uint8
}

// refuseOverlaps finds rows of one prefix that count at the same time; the later line is the bad one. Effective times and
// windows are compared each by itself: rows whose days never come within the time that both are in force are refused too.
func (c *checker) refuseOverlaps() {
	slices.SortFunc(c.spans, func(a, b rowSpan) int {
		return cmp.Or(cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.from, b.from), cmp.Compare(a.line, b.line))
	})
	clashes := c.windows.clashes(newCalendar(c.spec.Zone, c.spec.Holidays))
	longest := make([]*rowSpan, len(clashes)) // by window: the one of the prefix that lasts longest so far
	var found []twice
	for i := range c.spans {
		row := &c.spans[i]
		if i == 0 || c.spans[i-1].prefix != row.prefix {
			clear(longest)
		}
		for other, before := range longest {
			if before != nil && clashes[row.window][other].both && row.from < before.to {
				found = append(found, twice{
					row.prefix, max(before.line, row.line), min(before.line, row.line), [2]uint8{row.window, uint8(other)},
				})
			}
		}
		if before := longest[row.window]; before == nil || before.to < row.to {
			longest[row.window] = row
		}
	}
	c.refuseTwice(found, clashes)
}

// refuseTwice adds the lines of overlapping rows to the bad ones, each once.
func (c *checker) refuseTwice(found []twice, clashes [][]clash) {
	slices.SortStableFunc(found, func(a, b twice) int { return cmp.Compare(a.later, b.later) })
	found = slices.CompactFunc(found, func(a, b twice) bool { return a.later == b.later })
	for i, f := range found {
		if i == maxBadLines {
			c.bad.More += len(found) - i
			break
		}
		as := fmt.Sprintf("as in line %d", f.earlier)
		if f.earlier == f.later {
			as = "twice"
		}
		problem := fmt.Sprintf("prefix %d %s, at the same time%s", f.prefix, as, clashes[f.windows[0]][f.windows[1]].at)
		c.bad.Lines = append(c.bad.Lines, BadLine{int(f.later), problem})
	}
	slices.SortStableFunc(c.bad.Lines, func(a, b BadLine) int { return cmp.Compare(a.Line, b.Line) })
	c.bad.More += max(len(c.bad.Lines)-maxBadLines, 0)
	c.bad.Lines = c.bad.Lines[:min(len(c.bad.Lines), maxBadLines)]
}
