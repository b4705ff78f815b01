package tariff

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"telecommune/internal/clock"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// column is one column of the plain CSV format (design.md 7).
type column struct {
	name string
	// retailOnly columns say nothing in a carrier's deck (economics.md D-04).
	retailOnly bool
	set        func(r *Row, field string, zone *time.Location) error
	get        func(r *Row) string
}

// columns stand in the order of an export. The first and the third must be there.
var columns = []column{
	{name: "prefix", set: setPrefix, get: func(r *Row) string { return r.Prefix }},
	{name: "destination", set: setDestination, get: func(r *Row) string { return r.Destination }},
	amount("rate_per_minute", 0, func(r *Row) *money.Amount { return &r.RatePerMinute }),
	amount("connect_fee", 0, func(r *Row) *money.Amount { return &r.ConnectFee }),
	seconds("interval_first", 1, func(r *Row) *int { return &r.IntervalFirst }),
	seconds("interval_next", 1, func(r *Row) *int { return &r.IntervalNext }),
	retailOnly(seconds("grace_seconds", 0, func(r *Row) *int { return &r.GraceSeconds })),
	retailOnly(amount("minimum_charge", 0, func(r *Row) *money.Amount { return &r.MinimumCharge })),
	retailOnly(amount("rounding_unit", money.Micro, func(r *Row) *money.Amount { return &r.RoundingUnit })),
	retailOnly(column{name: "rounding_mode", set: setMode, get: func(r *Row) string { return string(r.RoundingMode) }}),
	instant("effective_from", func(r *Row) *time.Time { return &r.EffectiveFrom }),
	instant("effective_to", func(r *Row) *time.Time { return &r.EffectiveTo }),
	{name: "window", set: setWindow, get: func(r *Row) string { return string(r.Window) }},
	retailOnly(column{name: "allow_loss", set: setAllowLoss, get: allowLoss}),
}

func findColumn(name string) (column, bool) {
	for _, c := range columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

func retailOnly(c column) column {
	c.retailOnly = true
	return c
}

func setPrefix(r *Row, field string, _ *time.Location) error {
	switch {
	case field == "" || strings.Trim(field, "0123456789") != "":
		return fmt.Errorf("%q: want digits, without + or 00", clip(field))
	case len(field) > e164.MaxDigits:
		return fmt.Errorf("%q: more than %d digits", clip(field), e164.MaxDigits)
	case field[0] == '0':
		return fmt.Errorf("%q: no country code begins with 0", field)
	}
	r.Prefix = field
	return nil
}

func setDestination(r *Row, field string, _ *time.Location) error {
	r.Destination = field
	return nil
}

func setWindow(r *Row, field string, _ *time.Location) (err error) {
	r.Window, err = ParseWindow(field)
	return err
}

func setAllowLoss(r *Row, field string, _ *time.Location) error {
	if field != "yes" && field != "no" {
		return fmt.Errorf("%q: want yes or no", clip(field))
	}
	r.AllowLoss = field == "yes"
	return nil
}

func allowLoss(r *Row) string {
	if r.AllowLoss {
		return "yes"
	}
	return "no"
}

func setMode(r *Row, field string, _ *time.Location) error {
	r.RoundingMode = money.Mode(field)
	if r.RoundingMode != money.Up && r.RoundingMode != money.HalfUp {
		return fmt.Errorf("%q: want up or half_up", clip(field))
	}
	return nil
}

func amount(name string, least money.Amount, of func(*Row) *money.Amount) column {
	set := func(r *Row, field string, _ *time.Location) error {
		v, err := money.Parse(field)
		if err != nil {
			return err
		}
		if v < least {
			return fmt.Errorf("%q: less than %v", field, least)
		}
		*of(r) = v
		return nil
	}
	return column{name: name, set: set, get: func(r *Row) string { return of(r).String() }}
}

func seconds(name string, least int, of func(*Row) *int) column {
	set := func(r *Row, field string, _ *time.Location) error {
		v, err := strconv.Atoi(field)
		if err != nil || v < least || v > longestCall || strings.HasPrefix(field, "+") {
			return fmt.Errorf("%q: want whole seconds from %d to %d", clip(field), least, longestCall)
		}
		*of(r) = v
		return nil
	}
	return column{name: name, set: set, get: func(r *Row) string { return strconv.Itoa(*of(r)) }}
}

func instant(name string, of func(*Row) *time.Time) column {
	set := func(r *Row, field string, zone *time.Location) error {
		v, err := parseInstant(field, zone)
		*of(r) = v
		return err
	}
	get := func(r *Row) string {
		if of(r).IsZero() {
			return ""
		}
		return of(r).Format(time.RFC3339Nano)
	}
	return column{name: name, set: set, get: get}
}

var errInstant = errors.New("want a date such as 2027-06-30 or a time such as 2027-06-30T22:30:00Z, from 1970 to 9999")

// parseInstant reads RFC 3339, or a date as its midnight in the zone. PostgreSQL keeps microseconds, and so does it.
func parseInstant(field string, zone *time.Location) (time.Time, error) {
	v, err := time.Parse(time.RFC3339, field)
	if err != nil {
		v, err = clock.ParseDate(field, zone)
	}
	v = v.UTC().Truncate(time.Microsecond)
	if err != nil || v.Year() < 1970 || v.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%q: %w", clip(field), errInstant)
	}
	return v, nil
}
