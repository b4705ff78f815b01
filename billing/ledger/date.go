package ledger

import (
	"encoding/json"
	"fmt"
	"time"
)

// Date is a local calendar day of the commune's zone, written 2027-06-30. Dates compare as strings do. The zero value
// means "none".
type Date string

// DateOf gives the day on which t falls in zone.
func DateOf(t time.Time, zone *time.Location) Date { return Date(t.In(zone).Format(time.DateOnly)) }

// ParseDate reads a day written 2027-06-30; anything else is ErrDate.
func ParseDate(s string) (Date, error) {
	if t, err := time.Parse(time.DateOnly, s); err != nil || t.Format(time.DateOnly) != s {
		return "", fmt.Errorf("%.40q: %w", s, ErrDate)
	}
	return Date(s), nil
}

// DaysBetween counts the days from one day to another, which does not count itself; negative if that is the earlier one.
func DaysBetween(from, to Date) int { return int(to.midnight().Sub(from.midnight()).Hours() / 24) }

// Next gives the day after it.
func (d Date) Next() Date { return d.AddDays(1) }

// AddDays gives the day so many days after it, or before it if they are negative.
func (d Date) AddDays(n int) Date { return Date(d.midnight().AddDate(0, 0, n).Format(time.DateOnly)) }

// midnight is the day's first instant in UTC, where all days have 24 hours. A date that is none gives year 1.
func (d Date) midnight() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// UnmarshalJSON reads a day as ParseDate does.
func (d *Date) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%.40s: %w", b, ErrDate)
	}
	v, err := ParseDate(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// Scan takes a column of type date. NULL is none.
func (d *Date) Scan(src any) error {
	if src == nil {
		*d = ""
		return nil
	}
	t, ok := src.(time.Time)
	if !ok {
		return fmt.Errorf("%T is not a date column", src)
	}
	*d = Date(t.Format(time.DateOnly))
	return nil
}
