package ledger

import (
	"fmt"
	"sync/atomic"
	"time"
)

// calendar is what the commune says of days: whose days they are, and which of them still take entries.
type calendar struct {
	Zone     string `db:"zone"`
	OpenFrom Date   `db:"open_from"` // the first day that is not closed

	location *time.Location // of Zone
}

// guess is the calendar that was found last, by anybody in this process. Entries are dated and hashed by it before the
// database is asked; the statement that posts them compares it and does nothing if it is wrong, so it costs a repetition
// then and never an error.
var guess atomic.Pointer[calendar]

func init() { guess.Store(&calendar{Zone: "UTC", OpenFrom: always, location: time.UTC}) }

// always is the first open day as long as no month was closed.
const always = Date("0001-01-01")

// found keeps a calendar that was read as the next guess.
func (c *calendar) found() error {
	if before := guess.Load(); before.same(c) {
		c.location = before.location
		return nil
	}
	var err error
	if c.location, err = time.LoadLocation(c.Zone); err != nil {
		return fmt.Errorf("the commune's zone: %w", err)
	}
	guess.Store(c)
	return nil
}

func (c *calendar) same(other *calendar) bool {
	return c.Zone == other.Zone && c.OpenFrom == other.OpenFrom
}

// day gives the day on which an entry counts, or ErrPeriodClosed.
func (c *calendar) day(e *Entry) (Date, error) {
	day := e.Date
	if day == "" {
		day = DateOf(e.At, c.location)
	}
	switch {
	case day >= c.OpenFrom:
		return day, nil
	case e.Late:
		return c.OpenFrom, nil
	}
	return "", fmt.Errorf("%s, the first open day is %s: %w", day, c.OpenFrom, ErrPeriodClosed)
}
