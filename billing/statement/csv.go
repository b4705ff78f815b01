package statement

import (
	"encoding/csv"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"telecommune/internal/report"
)

// csvColumns are the columns of WriteCSV. A row has those of its kind.
var csvColumns = []string{
	"account", "row", "date", "text", "number", "destination", "trunk", "outcome",
	"prefix", "deck", "rate_from", "window", "answered_seconds", "billed_seconds",
	"rate_per_minute", "connect_fee", "interval_first", "interval_next", "grace_seconds", "minimum_charge",
	"rate_currency", "exchange_rate", "rounding_unit", "rounding_mode",
	"price", "carrier_cost", "vat", "enterprise_share", "amount", "currency", "id", "entry",
}

// WriteCSV writes the statement as one table for a spreadsheet, row by row in what `row` says: opening, booking, call,
// access, attempt, closing. In `amount` is what each moved the balance by: the opening balance and all bookings and calls add up
// to the closing one.
func (s Statement) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	write := func(fields map[string]string) error {
		fields["account"], fields["currency"] = s.Account, string(s.Currency)
		record := make([]string, len(csvColumns))
		for i, c := range csvColumns {
			record[i] = fields[c]
		}
		return out.Write(record)
	}
	if err := out.Write(csvColumns); err != nil {
		return err
	}
	first, last := s.Period.Begin(time.UTC), s.Period.End(time.UTC).AddDate(0, 0, -1)
	err := write(map[string]string{"row": "opening", "date": first.Format(time.DateOnly), "amount": s.Opening.String()})
	for _, b := range s.Bookings {
		if err == nil {
			err = write(map[string]string{
				"row": "booking", "date": b.At.Format(time.RFC3339), "text": cell(what(b)), "amount": b.Amount.String(),
				"entry": b.Entry.String(),
			})
		}
	}
	for _, c := range s.Calls {
		if err == nil {
			err = write(c.fields())
		}
	}
	for _, a := range s.Attempts {
		if err == nil {
			err = write(map[string]string{
				"row": "attempt", "date": a.StartedAt.Format(time.RFC3339), "number": cell(a.Number),
				"destination": cell(a.Destination), "trunk": cell(a.Trunk), "outcome": cell(string(a.Outcome)), "id": a.ID.String(),
			})
		}
	}
	if err == nil {
		date := last.Format(time.DateOnly)
		if s.AsOf != nil {
			date = s.AsOf.Format(time.RFC3339)
		}
		err = write(map[string]string{"row": "closing", "date": date, "amount": s.Closing.String()})
	}
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func (c Call) fields() map[string]string {
	r := c.Rate
	fields := map[string]string{
		"row": "call", "date": c.StartedAt.Format(time.RFC3339), "number": cell(c.Number), "destination": cell(c.Destination),
		"trunk": cell(c.Trunk), "outcome": cell(string(c.Outcome)), "prefix": r.Prefix, "deck": r.Deck,
		"window": string(r.Window), "answered_seconds": strconv.Itoa(c.AnsweredSeconds),
		"billed_seconds": strconv.Itoa(c.BilledSeconds), "rate_per_minute": r.RatePerMinute.String(),
		"connect_fee": r.ConnectFee.String(), "interval_first": strconv.Itoa(r.IntervalFirst),
		"interval_next": strconv.Itoa(r.IntervalNext), "grace_seconds": strconv.Itoa(r.GraceSeconds),
		"minimum_charge": r.MinimumCharge.String(), "rate_currency": string(r.Currency),
		"exchange_rate": r.ExchangeRate.String(), "rounding_unit": r.RoundingUnit.String(),
		"rounding_mode": string(r.RoundingMode), "price": c.Price.String(), "carrier_cost": c.CarrierCost.String(),
		"vat": c.VAT.String(), "enterprise_share": c.Enterprise.String(), "amount": (-c.Price).String(), "id": c.ID.String(),
	}
	if c.Access {
		fields["row"] = "access"
	}
	if !c.RateFrom.IsZero() {
		fields["rate_from"] = c.RateFrom.Format(time.RFC3339)
	}
	if c.Entry != nil {
		fields["entry"] = c.Entry.String()
	}
	return fields
}

// formula is how a text begins that a spreadsheet would compute; a number to call is none.
var formula = regexp.MustCompile(`^[=+\-@\t\r]`)

var called = regexp.MustCompile(`^\+[0-9]*x{0,3}$`)

// cell keeps a foreign text a text in a spreadsheet.
func cell(s string) string {
	s = report.Printable(strings.TrimSpace(s))
	if formula.MatchString(s) && !called.MatchString(s) {
		return "'" + s
	}
	return s
}
