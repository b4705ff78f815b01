package tariff

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Holiday is a day that a deck's windows take for another kind of day than the calendar does.
type Holiday struct {
	Date     string `json:"date" db:"date"`           // such as 2027-12-24
	CountsAs string `json:"counts_as" db:"counts_as"` // mon to sun, or hol: a kind of its own
	Name     string `json:"name" db:"name"`
}

// maxHolidays is more than a country has in a century.
const maxHolidays = 5000

func (h Holiday) kind() kind { return kind(max(slices.Index(kindNames, h.CountsAs), 0)) }

// ParseHolidays reads a list of holidays as CSV with a header row: date, and if wanted counts_as (sun when empty) and
// name. Whatever is wrong with the lines comes as one *BadDeck.
func ParseHolidays(r io.Reader) ([]Holiday, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxLine*maxHolidays))
	in.Buffer(nil, maxLine)
	var bad BadDeck
	var names []string
	found := map[string]Holiday{}
	for number := 1; in.Scan(); number++ {
		text := strings.TrimPrefix(in.Text(), byteOrderMark)
		if strings.TrimSpace(text) == "" {
			continue
		}
		fields, err := split(text, ',')
		switch {
		case err != nil:
		case len(found) == maxHolidays:
			err = fmt.Errorf("more than %d holidays", maxHolidays)
		case names != nil:
			err = addHoliday(found, names, fields)
		default:
			if err = checkHolidayHeader(fields); err == nil {
				names = fields
			}
		}
		if err != nil {
			bad.add(number, err.Error())
		}
		if names == nil || bad.More > 0 { // nothing can be read without a header
			break
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read holidays: %w", err)
	}
	if names == nil && len(bad.Lines) == 0 {
		bad.add(1, "no header row: want the column date")
	}
	if len(bad.Lines) > 0 {
		return nil, &bad
	}
	days := make([]Holiday, 0, len(found))
	for _, h := range found {
		days = append(days, h)
	}
	slices.SortFunc(days, func(a, b Holiday) int { return cmp.Compare(a.Date, b.Date) })
	return days, nil
}

func checkHolidayHeader(names []string) error {
	for i, name := range names {
		if !slices.Contains([]string{"date", "counts_as", "name"}, name) {
			return fmt.Errorf("unknown column %q: want date, counts_as, name", clip(name))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("column %s twice", name)
		}
	}
	if !slices.Contains(names, "date") {
		return errors.New("column date is missing")
	}
	return nil
}

func addHoliday(found map[string]Holiday, names, fields []string) error {
	if len(fields) != len(names) {
		return fmt.Errorf("%d fields, and %d in the header", len(fields), len(names))
	}
	h := Holiday{}
	for i, name := range names {
		switch name {
		case "date":
			h.Date = fields[i]
		case "counts_as":
			h.CountsAs = strings.ToLower(fields[i])
		default:
			h.Name = fields[i]
		}
	}
	h.CountsAs = cmp.Or(h.CountsAs, kindNames[sunday])
	day, err := time.Parse(time.DateOnly, h.Date)
	if err != nil || day.Year() < 1970 {
		return fmt.Errorf("date: %q: want a date such as 2027-12-24", clip(h.Date))
	}
	if !slices.Contains(kindNames, h.CountsAs) {
		return fmt.Errorf("counts_as: %q: want one of %s", clip(h.CountsAs), strings.Join(kindNames, ", "))
	}
	if _, ok := found[h.Date]; ok {
		return fmt.Errorf("%s twice", h.Date)
	}
	found[h.Date] = h
	return nil
}

// WriteHolidays writes a list of holidays so that ParseHolidays reads it.
func WriteHolidays(w io.Writer, days []Holiday) error {
	out := csv.NewWriter(w)
	records := [][]string{{"date", "counts_as", "name"}}
	for _, h := range days {
		records = append(records, []string{h.Date, h.CountsAs, h.Name})
	}
	return out.WriteAll(records)
}
