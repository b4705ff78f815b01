package statement

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"telecommune/billing"
	"telecommune/internal/money"
)

// view is the statement in words and figures, the same for text and for the page. Everything in it is printable: what
// people or carriers wrote can't move the cursor, turn the line round or hide.
type view struct {
	Account, Holder, Enterprise   string
	Period, Month, Zone, Currency string
	AsOf                          *when // none once the month is over
	FirstDay, LastDay             string
	Opening, Credits, Paid        string
	Closing                       string
	Bookings                      []bookingView
	Calls                         []callView
	Attempts                      []attemptView
	Totals                        callView
	Split                         callView // the totals of the money by themselves
	HasFees                       bool     // some call had a connection fee
}

// when is an instant for people and for machines.
type when struct{ Text, Machine string }

type bookingView struct {
	At           when
	What, Amount string
}

type callView struct {
	At                         when
	Number, Destination, Trunk string
	Note                       string
	Answered, Billed           string // seconds
	Rate                       string
	Price, Carrier, VAT, Rest  string
}

type attemptView struct {
	At                        when
	Number, Destination, What string
}

// The words for what came of a call. The answered ones have none.
var outcomes = map[billing.Outcome]string{
	billing.Busy:        "busy",
	billing.NotAnswered: "no answer",
	billing.GaveUp:      "you hung up before the answer",
	billing.Failed:      "could not be connected",
	billing.Refused:     "not put through: credit, number or account",
	billing.NoNumber:    "no number was dialled",
	billing.Unavailable: "our service was not available",
	billing.Served:      "a service of ours",
	billing.Lost:        "cut off by a fault of ours",
}

// The words for kinds of bookings.
var kinds = map[string]string{
	"topup":          "Top-up",
	"voucher-issue":  "Voucher",
	"voucher-redeem": "Voucher",
}

func (s Statement) view() view {
	rates, fees := column{}, column{}
	prices, carriers, vats, rests := column{}, column{}, column{}, column{}
	prices.fit(s.Totals.Price)
	for _, c := range s.Calls {
		rates.fit(c.RatePerMinute)
		fees.fit(c.ConnectFee)
		prices.fit(c.Price)
		carriers.fit(c.CarrierCost)
		vats.fit(c.VAT)
		rests.fit(c.Enterprise)
	}
	balances, bookings := column{}, column{}
	balances.fit(s.Opening, s.Totals.Bookings, s.Totals.Price, s.Closing)

	v := view{
		Account: s.Account, Holder: printable(cmp.Or(s.Holder, s.Account)), Enterprise: printable(s.Enterprise),
		Period: s.Period.String(), Zone: printable(s.Zone), Currency: printable(string(s.Currency)),
		Month:    fmt.Sprintf("%s %d", s.Period.Month, s.Period.Year),
		FirstDay: s.Period.Begin(time.UTC).Format("2 January 2006"),
		LastDay:  s.Period.End(time.UTC).AddDate(0, 0, -1).Format("2 January 2006"),
		Opening:  balances.show(s.Opening), Credits: balances.show(s.Totals.Bookings),
		Paid: balances.show(-s.Totals.Price), Closing: balances.show(s.Closing),
	}
	if s.AsOf != nil {
		v.AsOf = &when{s.AsOf.Format("2 January 2006, 15:04"), s.AsOf.Format(time.RFC3339)}
	}
	for _, b := range s.Bookings {
		bookings.fit(b.Amount)
	}
	for _, b := range s.Bookings {
		v.Bookings = append(v.Bookings, bookingView{moment(b.At), what(b), bookings.show(b.Amount)})
	}
	split := func(row callView, m Money) callView {
		row.Price, row.Carrier = prices.show(m.Price), carriers.show(m.CarrierCost)
		row.VAT, row.Rest = vats.show(m.VAT), rests.show(m.Enterprise)
		return row
	}
	sums, t := column{}, s.Totals.Money
	sums.fit(t.Price, t.CarrierCost, t.VAT, t.Enterprise)
	v.Split = callView{
		Price: sums.show(t.Price), Carrier: sums.show(t.CarrierCost), VAT: sums.show(t.VAT), Rest: sums.show(t.Enterprise),
	}
	for _, c := range s.Calls {
		row := callView{
			At: moment(c.StartedAt), Number: number(c.Number), Destination: printable(c.Destination),
			Trunk: printable(c.Trunk), Note: outcomes[c.Outcome], Rate: rates.show(c.RatePerMinute),
			Answered: strconv.Itoa(c.AnsweredSeconds), Billed: strconv.Itoa(c.BilledSeconds),
		}
		if c.ConnectFee != 0 {
			row.Rate = fees.show(c.ConnectFee) + " + " + row.Rate
			v.HasFees = true
		}
		v.Calls = append(v.Calls, split(row, c.Money))
	}
	v.Totals = split(callView{
		Number:   strconv.Itoa(s.Totals.Calls),
		Answered: strconv.Itoa(s.Totals.AnsweredSeconds), Billed: strconv.Itoa(s.Totals.BilledSeconds),
	}, s.Totals.Money)
	for _, a := range s.Attempts {
		v.Attempts = append(v.Attempts, attemptView{
			moment(a.StartedAt), number(a.Number), printable(a.Destination),
			printable(cmp.Or(outcomes[a.Outcome], string(a.Outcome))),
		})
	}
	return v
}

func moment(t time.Time) when {
	return when{t.Format("_2 Jan 15:04"), t.Format(time.RFC3339)}
}

func number(n string) string { return printable(cmp.Or(n, "none")) }

// what says what a booking was: its own text, after its kind unless that says the same again.
func what(b Booking) string {
	kind, text := cmp.Or(kinds[b.Kind], b.Kind), strings.TrimSpace(b.Text)
	switch {
	case text == "":
		return printable(kind)
	case strings.HasPrefix(text, kind):
		return printable(text)
	}
	return printable(kind + ": " + text)
}

// column gives all amounts of a column as many decimals as the longest of them needs, so that the points stand below
// each other.
type column struct{ decimals int }

func (c *column) fit(amounts ...money.Amount) {
	for _, a := range amounts {
		_, frac, _ := strings.Cut(a.String(), ".")
		c.decimals = max(c.decimals, len(frac))
	}
}

func (c column) show(a money.Amount) string {
	s := a.String()
	_, frac, _ := strings.Cut(s, ".")
	return s + strings.Repeat("0", max(0, c.decimals-len(frac)))
}

// printable keeps letters, digits, signs and plain spaces. Other white space becomes a space; control characters, line
// and direction marks and broken UTF-8 become U+FFFD.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}
