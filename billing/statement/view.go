package statement

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

// view is the statement in words and figures, the same for text, page and PDF. Everything in it is printable: what
// people or carriers wrote can't move the cursor, turn the line round or hide.
type view struct {
	Account, Holder, Enterprise   string
	Period, Month, Zone, Currency string
	AsOf                          *when // none once the month is over
	Short                         bool  // numbers lack their last digits
	FirstDay, LastDay             string
	Opening, Credits, Paid        string
	Closing                       string
	Bookings                      []bookingView
	Groups                        []groupView // the calls
	Totals                        sumView
	Split                         splitView // the totals of the money by themselves
	Attempts                      []attemptView
}

// when is an instant for people and for machines.
type when struct{ Text, Machine string }

type bookingView struct {
	At           when
	What, Amount string
}

// groupView is the calls to a destination.
type groupView struct {
	ID    string // of its place on the page
	Name  string
	Sum   sumView
	Rates []rateView
}

// rateView is those of them that one row of a deck priced.
type rateView struct {
	Steps string
	Calls []callView
}

type callView struct {
	At               when
	Number, Trunk    string
	Note             string
	Answered, Billed string // seconds
	Unrounded        string
	splitView
}

type sumView struct {
	Calls            string // how many
	Answered, Billed string // seconds
	splitView
}

// splitView is a price and where it went.
type splitView struct{ Price, Carrier, VAT, Rest string }

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

	billing.Emergency:        "an emergency number: dial it from your own phone",
	billing.ShortNumber:      "a short number",
	billing.NotInUse:         "the number is not in use",
	billing.SpecialNumber:    "a premium, shared cost, satellite or personal number",
	billing.CountryNotCalled: "a country that is not called from here",
	billing.NumberBlocked:    "a number that is not called from here",
	billing.PriceNotCalled:   "a minute costs more than is called from here",
}

// The words for kinds of bookings.
var kinds = map[string]string{
	"topup":          "Top-up",
	"refund":         "Refund",
	"credit":         "Credit",
	"debit":          "Charge",
	"expiry":         "Expired credit",
	"write-off":      "Written off",
	"transfer":       "Transfer",
	"voucher-issue":  "Voucher",
	"voucher-redeem": "Voucher",
	"voucher-void":   "Voucher made void",
	"reversal":       "Taken back",
}

func (s Statement) view() view {
	balances := column{}
	balances.fit(s.Opening, s.Totals.Bookings, s.Totals.Price, s.Closing)
	v := view{
		Account: s.Account, Holder: report.Printable(cmp.Or(s.Holder, s.Account)), Enterprise: report.Printable(s.Enterprise),
		Period: s.Period.String(), Zone: report.Printable(s.Zone), Currency: report.Printable(string(s.Currency)), Short: s.Short,
		Month:    fmt.Sprintf("%s %d", s.Period.Month, s.Period.Year),
		FirstDay: s.Period.Begin(time.UTC).Format("2 January 2006"),
		LastDay:  s.Period.End(time.UTC).AddDate(0, 0, -1).Format("2 January 2006"),
		Opening:  balances.show(s.Opening), Credits: balances.show(s.Totals.Bookings),
		Paid: balances.show(-s.Totals.Price), Closing: balances.show(s.Closing),
	}
	if s.AsOf != nil {
		v.AsOf = &when{s.AsOf.Format("2 January 2006, 15:04"), s.AsOf.Format(time.RFC3339)}
	}
	bookings := column{}
	for _, b := range s.Bookings {
		bookings.fit(b.Amount)
	}
	for _, b := range s.Bookings {
		v.Bookings = append(v.Bookings, bookingView{moment(b.At), what(b), bookings.show(b.Amount)})
	}
	v.group(s)
	for _, a := range s.Attempts {
		v.Attempts = append(v.Attempts, attemptView{
			moment(a.StartedAt), number(a.Number), report.Printable(a.Destination),
			report.Printable(cmp.Or(outcomes[a.Outcome], string(a.Outcome))),
		})
	}
	return v
}

// group sorts the calls by destination, and in each by the row that priced them, both by time within.
func (v *view) group(s Statement) {
	columns := split{}
	columns.fit(s.Totals.Money)
	for _, c := range s.Calls {
		columns.fit(c.Money)
	}
	own := split{}
	own.fit(s.Totals.Money)
	own.same()
	v.Split, v.Totals = own.show(s.Totals.Money), columns.sum(s.Totals.Sum)

	at := map[string]int{}
	for i, d := range s.Destinations {
		at[d.Destination] = i
		v.Groups = append(v.Groups, groupView{
			ID: "destination-" + strconv.Itoa(i+1), Name: report.Printable(cmp.Or(d.Destination, "Other numbers")), Sum: columns.sum(d.Sum),
		})
	}
	type place struct {
		group int
		row   tariff.Row
		from  time.Time
	}
	known := map[place]int{}
	for _, c := range s.Calls {
		p := place{at[c.Destination], c.Rate, c.RateFrom}
		g := &v.Groups[p.group]
		i, ok := known[p]
		if !ok {
			i = len(g.Rates)
			known[p] = i
			g.Rates = append(g.Rates, rateView{Steps: steps(c, s.Currency)})
		}
		g.Rates[i].Calls = append(g.Rates[i].Calls, callView{
			At: moment(c.StartedAt), Number: number(c.Number), Trunk: report.Printable(c.Trunk), Note: outcomes[c.Outcome],
			Answered: strconv.Itoa(c.AnsweredSeconds), Billed: strconv.Itoa(c.BilledSeconds),
			Unrounded: unrounded(c.Rate, c.AnsweredSeconds, c.BilledSeconds), splitView: columns.show(c.Money),
		})
	}
}

// split gives the parts of prices the decimals that each of their columns needs.
type split struct{ price, carrier, vat, rest column }

func (x *split) fit(m Money) {
	x.price.fit(m.Price)
	x.carrier.fit(m.CarrierCost)
	x.vat.fit(m.VAT)
	x.rest.fit(m.Enterprise)
}

// same gives all parts the decimals of the longest, for those that stand below each other.
func (x *split) same() {
	most := column{max(x.price.decimals, x.carrier.decimals, x.vat.decimals, x.rest.decimals)}
	*x = split{most, most, most, most}
}

func (x split) show(m Money) splitView {
	return splitView{x.price.show(m.Price), x.carrier.show(m.CarrierCost), x.vat.show(m.VAT), x.rest.show(m.Enterprise)}
}

func (x split) sum(s Sum) sumView {
	return sumView{strconv.Itoa(s.Calls), strconv.Itoa(s.AnsweredSeconds), strconv.Itoa(s.BilledSeconds), x.show(s.Money)}
}

func moment(t time.Time) when {
	return when{t.Format("2 Jan 15:04"), t.Format(time.RFC3339)}
}

func number(n string) string { return report.Printable(cmp.Or(n, "none")) }

// what says what a booking was: its own text, after its kind unless that says the same again.
func what(b Booking) string {
	kind, text := cmp.Or(kinds[b.Kind], b.Kind), strings.TrimSpace(b.Text)
	switch {
	case text == "":
		return report.Printable(kind)
	case strings.HasPrefix(text, kind):
		return report.Printable(text)
	}
	return report.Printable(kind + ": " + text)
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
