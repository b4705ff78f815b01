// Package clock tells where days begin: not every day has a midnight, and some have two.
package clock

import "time"

// Midnight gives the first instant of a day in a zone. Where clocks are put forward at midnight that is the instant after
// the gap, where they are put back over it the first of the two midnights. A day that a zone left out altogether begins
// with the next.
func Midnight(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	start, end := t.ZoneBounds()
	wanted := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	read := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	switch {
	case read.Before(wanted): // there is no such midnight; time.Date took the offset from after the gap
		return end
	case read.After(wanted): // or that from before it
		return start
	case start.IsZero():
		return t
	}
	_, after := t.Zone()
	_, before := start.Add(-1).Zone()
	if first := t.Add(-time.Duration(before-after) * time.Second); before > after && first.Before(start) {
		return first
	}
	return t
}

// ParseDate reads a date such as 2027-06-30 as the first instant of that day in a zone.
func ParseDate(s string, zone *time.Location) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, err
	}
	return Midnight(day.Year(), day.Month(), day.Day(), zone), nil
}
