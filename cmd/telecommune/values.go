package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"telecommune/internal/clock"
	"telecommune/internal/money"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("want one of %s", strings.Join(c.of, ", "))
	}
	c.value = s
	return nil
}

// interval is a flag that takes the first and the next steps in seconds, FIRST/NEXT.
type interval struct{ first, next *int }

func (i *interval) Type() string { return "string" }

func (i *interval) String() string {
	if i.first == nil || *i.first == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", *i.first, *i.next)
}

func (i *interval) Set(s string) error {
	first, next, both := strings.Cut(s, "/")
	a, errFirst := parsePositive(first)
	b, errNext := parsePositive(next)
	if !both || errFirst != nil || errNext != nil {
		return errors.New("want two numbers of seconds such as 60/1")
	}
	*i.first, *i.next = a, b
	return nil
}

// parsed is a flag whose value is read by a parser of the domain, so that a bad one is wrong usage.
type parsed[T comparable] struct {
	to    *T
	parse func(string) (T, error)
}

func (p parsed[T]) Type() string { return "string" }

// String gives the value as the help shows a default: nothing for what is empty.
func (p parsed[T]) String() string {
	var none T
	if p.to == nil || *p.to == none {
		return ""
	}
	return fmt.Sprint(*p.to)
}

func (p parsed[T]) Set(s string) error {
	v, err := p.parse(s)
	if err == nil {
		*p.to = v
	}
	return err
}

// parsedFlag declares a flag that a parser of the domain reads.
func parsedFlag[T comparable](flags *pflag.FlagSet, to *T, name string, parse func(string) (T, error), usage string) {
	flags.Var(parsed[T]{to, parse}, name, usage)
}

// argument reads the argument that the help names so by a parser of the domain. A bad one is wrong usage, as it is of a
// flag.
func argument[T any](name, s string, parse func(string) (T, error)) (T, error) {
	v, err := parse(s)
	if err != nil {
		return v, usagef("invalid argument %.80q for %s: %w", s, name, err)
	}
	return v, nil
}

// moment is an instant as it is typed: RFC 3339, or a date, which means its midnight in a zone that is known later.
type moment string

func (m moment) String() string { return string(m) }

var errMoment = errors.New("want an instant such as 2027-06-30T18:00:00Z or a date such as 2027-06-30")

func parseMoment(s string) (moment, error) {
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return moment(s), nil
	}
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", errMoment
	}
	return moment(s), nil
}

// in gives the instant, or the zero time for none.
func (m moment) in(zone *time.Location) time.Time {
	if t, err := time.Parse(time.RFC3339, string(m)); err == nil {
		return t
	}
	t, err := clock.ParseDate(string(m), zone)
	if err != nil {
		return time.Time{} // parseMoment lets nothing else through
	}
	return t
}

// parsePositive reads a number of seconds or the like, at least 1.
func parsePositive(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return 0, errors.New("want a whole number, at least 1")
	}
	return int(n), nil
}

// parseCount reads a whole number that may be 0.
func parseCount(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, errors.New("want a whole number, at least 0")
	}
	return int(n), nil
}

// parseLimit reads an amount that is not negative.
func parseLimit(s string) (money.Amount, error) {
	a, err := money.Parse(s)
	if err == nil && a < 0 {
		return 0, errors.New("want an amount that is not negative")
	}
	return a, err
}

// parseSum reads an amount above 0.
func parseSum(s string) (money.Amount, error) {
	a, err := money.Parse(s)
	if err == nil && a <= 0 {
		return 0, errors.New("want an amount above 0")
	}
	return a, err
}

// orNone reads "none", which takes a limit away, besides what parse reads.
func orNone[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(s string) (v T, err error) {
		if s == "none" {
			return v, nil
		}
		if v, err = parse(s); err != nil {
			return v, fmt.Errorf("%w, or none", err)
		}
		return v, nil
	}
}

// operator is who runs the command, for the books.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Geteuid())
	}
	return u.Username
}

// firstLine gives the text up to its first line break.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r")
}
