package main

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// How values are written, by the name of their field (design: amounts are decimal strings, instants RFC 3339, durations
// whole seconds).
var (
	amountFields = strings.Fields(`balance held free limit amount price vat carrier_cost cost debit credit rate_per_minute
		connect_fee minimum_charge rounding_unit opening_balance closing_balance vat_percent cost_per_minute cost_connect_fee
		access_price access_cost accrued difference paid due`)
	amountSyntax  = regexp.MustCompile(`^-?[0-9]+\.[0-9]{2,6}$`)
	percentSyntax = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,6})?$`)
	instantFields = regexp.MustCompile(`(^|_)(at|of|from|to)$`)
	countFields   = regexp.MustCompile(`(_seconds|(^|_)interval_(first|next)|^call_limit|^rank|^rows|_ms|^sip|^q850)$`)
)

// checkValues looks at the values of an object and of what is in it.
func checkValues(t *testing.T, what string, o map[string]any) {
	t.Helper()
	for name, v := range o {
		text, isText := v.(string)
		number, isNumber := v.(json.Number)
		switch {
		case v == nil:
		case name == "vat_percent":
			if !percentSyntax.MatchString(text) {
				t.Errorf("%s: %s is %v, want a decimal string", what, name, v)
			}
		case slices.Contains(amountFields, name):
			if !amountSyntax.MatchString(text) {
				t.Errorf("%s: %s is %v, want an amount as a string", what, name, v)
			}
		case instantFields.MatchString(name) && text != "":
			if _, err := time.Parse(time.RFC3339, text); err != nil && !isDate(text) {
				t.Errorf("%s: %s is %v, want RFC 3339", what, name, v)
			}
		case countFields.MatchString(name):
			if _, err := number.Int64(); !isNumber || err != nil {
				t.Errorf("%s: %s is %v, want a whole number", what, name, v)
			}
		case !isText && !isNumber:
			switch v := v.(type) {
			case map[string]any:
				checkValues(t, what+" "+name, v)
			case []any:
				for _, each := range v {
					if o, ok := each.(map[string]any); ok {
						checkValues(t, what+" "+name, o)
					}
				}
			}
		}
	}
}

// isDate is for business dates and the days that exchange rates count from.
func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// checkCSV holds that the CSV of a list has a column for each field that is one word or figure, with the value that JSON
// has, and a line for each row.
func checkCSV(t *testing.T, what, text string, rows []map[string]any) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) < 2 {
		t.Errorf("%s -o csv: %v, %d lines", what, err, len(lines))
		return
	}
	if len(lines) != len(rows)+1 {
		t.Errorf("%s -o csv: %d lines for %d rows", what, len(lines), len(rows))
		return
	}
	for i, row := range rows {
		for name, v := range row {
			switch v.(type) {
			case map[string]any, []any, nil:
				continue
			}
			col := slices.Index(lines[0], name)
			if col < 0 {
				t.Errorf("%s -o csv: no column %s in %v", what, name, lines[0])
				continue
			}
			got := lines[i+1][col]
			want, isText := v.(string)
			if isText && got == want || !isText && strings.Trim(string(mustMarshal(t, v)), `"`) == got {
				continue
			}
			// A time of day below seconds is not written.
			if at, err := time.Parse(time.RFC3339, want); err == nil && at.UTC().Truncate(time.Second).Format(time.RFC3339) == got {
				continue
			}
			t.Errorf("%s -o csv: %s is %q, JSON has %v", what, name, got, v)
		}
	}
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
