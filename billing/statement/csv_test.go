package statement

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"telecommune/internal/money"
)

func records(t testing.TB, s Statement) []map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	read, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, r := range read[1:] {
		row := map[string]string{}
		for i, name := range read[0] {
			row[name] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestCSV(t *testing.T) {
	s := sample(t)
	rows := records(t, s)
	kinds := map[string]int{}
	var sum money.Amount
	for _, r := range rows {
		kinds[r["row"]]++
		if r["amount"] == "" || r["row"] == "closing" {
			continue
		}
		amount, err := money.Parse(r["amount"])
		if err != nil {
			t.Fatal(err)
		}
		sum += amount
	}
	if kinds["opening"] != 1 || kinds["booking"] != 2 || kinds["call"] != 4 || kinds["attempt"] != 2 || kinds["closing"] != 1 {
		t.Errorf("rows %v", kinds)
	}
	if last := rows[len(rows)-1]; last["amount"] != s.Closing.String() || sum != s.Closing || last["date"] != "2027-06-30" {
		t.Errorf("the rows add up to %s, the last is %v", sum, last)
	}
	for column, want := range map[string]string{
		"date": "2027-06-14T10:22:00+02:00", "number": "+380441234567", "destination": "Ukraine, Kyiv", "trunk": "alpha",
		"prefix": "38044", "deck": "retail@3", "rate_from": "2027-06-01T00:00:00+02:00", "answered_seconds": "62",
		"billed_seconds": "66", "rate_per_minute": "0.019", "interval_next": "6", "grace_seconds": "3", "rounding_unit": "0.0001",
		"rounding_mode": "up", "price": "0.0209", "carrier_cost": "0.0088", "vat": "0.003337", "enterprise_share": "0.008763",
		"amount": "-0.0209", "currency": "EUR", "rate_currency": "EUR", "exchange_rate": "",
	} {
		if got := rows[3][column]; got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
}

// A spreadsheet must take what people or carriers wrote for text.
func TestCSVOfHostileTexts(t *testing.T) {
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "@SUM(A1)": "'@SUM(A1)", "-2+3": "'-2+3", "+cmd|x": "'+cmd|x", "\t=1": "'=1", "\r\n=1": "'=1",
		"a\nb": "a b", "x\x1b": "x\ufffd", "+380441234567": "+380441234567", "+380441234xxx": "+380441234xxx", "\"a\",b": "\"a\",b",
	} {
		s := sample(t)
		s.Calls[0].Destination, s.Calls[0].Number, s.Attempts[0].Trunk = text, text, text
		rows := records(t, s)
		i := slices.IndexFunc(rows, func(r map[string]string) bool { return r["row"] == "call" })
		j := slices.IndexFunc(rows, func(r map[string]string) bool { return r["row"] == "attempt" })
		for _, got := range []string{rows[i]["destination"], rows[i]["number"], rows[j]["trunk"]} {
			if got != want {
				t.Errorf("%q is written as %q, want %q", text, got, want)
			}
		}
	}
	s := sample(t)
	s.Bookings[0].Kind, s.Bookings[0].Text = "=1", ""
	if got := records(t, s)[1]["text"]; !strings.HasPrefix(got, "'=") {
		t.Errorf("a booking says %q", got)
	}
}
