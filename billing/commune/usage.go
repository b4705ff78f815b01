package commune

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// The limits of a file of use.
const (
	MaxUses      = 100_000
	maxUsesBytes = 32 << 20
	maxUseText   = 200 // bytes, of a key too
)

// ErrUses is returned by ReadUses for a file that is none.
var ErrUses = errors.New("not a file of use")

// Use is that of an asset on a day: units in seconds, or in millionths of a quantity.
type Use struct {
	Asset      string `json:"asset"`
	Enterprise string `json:"enterprise"` // that uses it; none: whoever rents it
	Units      int64  `json:"units"`
	Text       string `json:"text,omitempty"`
}

// Reported is a use that somebody tells of. How many units it is depends on the meter of its asset.
type Reported struct {
	Line       int // of a file; 0: of none
	Key        string
	Day        ledger.Date // none: that of the act
	Asset      string
	Enterprise string
	Quantity   money.Amount // seconds or units, in millionths
	Text       string
}

// units gives the quantity in the units of a meter: whole seconds, or millionths. ErrAmount.
func (r Reported) units(m Meter) (int64, error) {
	switch {
	case r.Quantity <= 0:
		return 0, fmt.Errorf("%s, want a quantity over zero: %w", r.Quantity, ErrAmount)
	case m == Seconds && r.Quantity%money.Unit != 0:
		return 0, fmt.Errorf("%s, want whole seconds: %w", r.Quantity, ErrAmount)
	case m == Seconds:
		return int64(r.Quantity / money.Unit), nil
	}
	return int64(r.Quantity), nil
}

var codeSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// useColumns are the columns of a file of use, and how each is read.
var useColumns = map[string]func(r *Reported, zone *time.Location, s string) error{
	"asset": func(r *Reported, _ *time.Location, s string) error { return isCode(&r.Asset, s) },
	"enterprise": func(r *Reported, _ *time.Location, s string) error {
		if s == "" {
			return nil
		}
		return isCode(&r.Enterprise, s)
	},
	"day": func(r *Reported, _ *time.Location, s string) (err error) {
		r.Day, err = ledger.ParseDate(s)
		return err
	},
	"at": func(r *Reported, zone *time.Location, s string) error {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return fmt.Errorf("at %.40q is not an instant such as 2027-06-30T12:00:00+02:00", s)
		}
		r.Day = ledger.DateOf(at, zone)
		return nil
	},
	"quantity": func(r *Reported, _ *time.Location, s string) (err error) {
		if r.Quantity, err = money.Parse(s); err == nil && r.Quantity <= 0 {
			err = fmt.Errorf("quantity %s is not over zero", s)
		}
		return err
	},
	"key": func(r *Reported, _ *time.Location, s string) error {
		if s == "" {
			return errors.New("no key")
		}
		return isText(&r.Key, s)
	},
	"text": func(r *Reported, _ *time.Location, s string) error { return isText(&r.Text, s) },
}

func isCode(to *string, s string) error {
	if *to = s; !codeSyntax.MatchString(s) {
		return fmt.Errorf("%.40q is not a code: want 1 to 32 letters, digits, - or _", s)
	}
	return nil
}

func isText(to *string, s string) error {
	if *to = s; len(s) > maxUseText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%.40q is not a text of at most %d bytes", s, maxUseText)
	}
	return nil
}

// ReadUses reads reports of use: CSV in UTF-8 with a header, the columns asset, quantity and key, and at choice enterprise,
// text and one of day and at, in any order. Instants count on their day in zone. ErrUses names the line.
func ReadUses(r io.Reader, zone *time.Location) ([]Reported, error) {
	limited := &io.LimitedReader{R: r, N: maxUsesBytes + 1}
	in := bufio.NewReader(limited)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		in.Discard(3) //nolint:errcheck // they are there
	}
	c := csv.NewReader(in)
	header, err := c.Read()
	if err == nil {
		err = checkHeader(header)
	}
	if err != nil {
		return nil, usesErr(1, err)
	}
	header = slices.Clone(header)
	c.ReuseRecord = true
	var all []Reported
	for {
		fields, err := c.Read()
		switch {
		case errors.Is(err, io.EOF) && limited.N > 0:
			return all, nil
		case limited.N <= 0:
			return nil, fmt.Errorf("%w: more than %d MB", ErrUses, maxUsesBytes>>20)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrUses, err) // it names the line
		}
		line, _ := c.FieldPos(0)
		if len(all) == MaxUses {
			return nil, usesErr(line, fmt.Errorf("more than %d reports", MaxUses))
		}
		row := Reported{Line: line}
		for i, name := range header {
			if err := useColumns[name](&row, zone, fields[i]); err != nil {
				return nil, usesErr(line, err)
			}
		}
		all = append(all, row)
	}
}

func usesErr(line int, err error) error { return fmt.Errorf("%w: line %d: %w", ErrUses, line, err) }

// checkHeader refuses columns that are unknown, twice there or missing.
func checkHeader(header []string) error {
	for i, name := range header {
		if useColumns[name] == nil {
			return fmt.Errorf("no column %.40q is known", name)
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("column %s twice", name)
		}
	}
	for _, name := range []string{"asset", "quantity", "key"} {
		if !slices.Contains(header, name) {
			return fmt.Errorf("no column %s", name)
		}
	}
	if slices.Contains(header, "day") && slices.Contains(header, "at") {
		return errors.New("columns day and at: want one of them")
	}
	return nil
}
