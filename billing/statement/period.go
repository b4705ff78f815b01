package statement

import (
	"errors"
	"fmt"
	"time"

	"telecommune/internal/clock"
)

// ErrPeriod is returned by ParsePeriod for anything that is not a month, such as 2027-06.
var ErrPeriod = errors.New("not a month: want year and month, such as 2027-06")

// Period is a calendar month. Where it begins and ends is decided by the commune's zone.
type Period struct {
	Year  int
	Month time.Month
}

// ParsePeriod reads a month written YYYY-MM.
func ParsePeriod(s string) (Period, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 1 {
		return Period{}, fmt.Errorf("%.20q: %w", s, ErrPeriod)
	}
	return PeriodOf(t), nil
}

// PeriodOf gives the month of an instant, in the zone that the instant is written in.
func PeriodOf(t time.Time) Period { return Period{t.Year(), t.Month()} }

// String gives the month as YYYY-MM.
func (p Period) String() string { return fmt.Sprintf("%04d-%02d", p.Year, int(p.Month)) }

// MarshalText writes the month as YYYY-MM.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *Period) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePeriod(string(b))
	return err
}

// Add gives the month n months later, or earlier when n is negative.
func (p Period) Add(n int) Period { return PeriodOf(p.Begin(time.UTC).AddDate(0, n, 0)) }

// Begin gives the first instant of the month in a zone.
func (p Period) Begin(zone *time.Location) time.Time {
	return clock.Midnight(p.Year, p.Month, 1, zone)
}

// End gives the first instant after the month in a zone.
func (p Period) End(zone *time.Location) time.Time { return p.Add(1).Begin(zone) }

// Before tells whether the month is earlier than another.
func (p Period) Before(q Period) bool {
	return p.Year < q.Year || p.Year == q.Year && p.Month < q.Month
}
