package commune

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// MemberMonth is what a month came to for one member, and how: from the rent of each asset to his part of the pool. Every
// figure stands in the books; Entries names where.
type MemberMonth struct {
	Member   string         `json:"member"`
	Name     string         `json:"name"`
	Period   ledger.Period  `json:"period"`
	Currency money.Currency `json:"currency"`
	Assets   []AssetMonth   `json:"assets"`

	Brought  money.Amount `json:"brought_forward"` // from the month before
	Rents    money.Amount `json:"rents"`           // what the assets passed to the pool
	Other    money.Amount `json:"other"`           // sales of assets
	Expenses money.Amount `json:"mutual_expenses"`
	Levy     money.Amount `json:"levy"`
	Pool     money.Amount `json:"pool"`
	Shared   money.Amount `json:"shared"` // of the pool, among all
	Carry    money.Amount `json:"carry"`

	Days     int          `json:"days"`     // of his membership
	AllDays  int          `json:"all_days"` // of all members
	Members  int          `json:"members"`
	Dividend money.Amount `json:"dividend"`
	Payouts  []Payout     `json:"payouts"` // in the month, of this and earlier dividends
	Payable  money.Amount `json:"payable"` // now

	Entries []Source `json:"entries"`
}

// AssetMonth is what an asset earned in a month, and what of it went to the pool.
type AssetMonth struct {
	Asset        string       `json:"asset"`
	Kind         string       `json:"kind"`
	Units        int64        `json:"units"` // seconds, or millionths of a quantity
	Rent         money.Amount `json:"rent"`
	Collected    money.Amount `json:"collected"` // in the month, of this and earlier rents
	InterestPaid money.Amount `json:"interest_paid"`
	Redeemed     money.Amount `json:"redeemed"`
	ToPool       money.Amount `json:"to_pool"`
}

// Payout is a dividend that was paid out.
type Payout struct {
	Day     ledger.Date  `json:"day" db:"day"`
	Way     string       `json:"way" db:"way"`         // bank or credit
	Account string       `json:"account" db:"account"` // that it is credit of
	Amount  money.Amount `json:"amount" db:"amount"`
}

// Source is an entry that figures come from.
type Source struct {
	Entry string `json:"entry" db:"entry"`
	Text  string `json:"text" db:"text"`
}

// line is a row of the account of the pool: a figure or a heading of its own.
type line struct {
	What   string
	Amount money.Amount
	Sum    bool
}

// lines tells how the pool came about and what became of it, for people.
func (m MemberMonth) lines() []line {
	all := []line{{"Carried over from the month before", m.Brought, false}}
	for _, a := range m.Assets {
		if a.ToPool != 0 {
			all = append(all, line{"Rent of " + a.Asset + " after its bonds", a.ToPool, false})
		}
	}
	for _, l := range []line{{"Sales of assets", m.Other, false}, {"Mutual expenses", -m.Expenses, false}, {"Levy for renewal", -m.Levy, false}} {
		if l.Amount != 0 {
			all = append(all, l)
		}
	}
	return append(all, line{"Pool", m.Pool, true},
		line{fmt.Sprintf("Shared by %d members for %d days", m.Members, m.AllDays), -m.Shared, false}, line{"Carried to the next month", m.Carry, true})
}

// share says how a dividend is reckoned.
func (m MemberMonth) share() string {
	return fmt.Sprintf("%d of %d days of all members", m.Days, m.AllDays)
}

// used gives what an asset was used in its own measure.
func (a AssetMonth) used() string {
	if a.Units == 0 {
		return ""
	}
	return fmt.Sprint(a.Units)
}

// WriteText writes the month for a terminal or a plain printer.
func (m MemberMonth) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\nMonth %s, amounts in %s\n\n", nameOr(m.Name, m.Member), m.Member, m.Period, m.Currency)
	fmt.Fprintf(&b, "Your dividend: %s, for %s\n\n", m.Dividend, m.share())
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "asset\tused\trent\tcollected\tinterest\tredeemed\tto the pool\t")
	for _, a := range m.Assets {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", a.Asset, a.used(), a.Rent, a.Collected, a.InterestPaid, a.Redeemed, a.ToPool)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString("\n")
	t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range m.lines() {
		fmt.Fprintf(t, "%s\t%14s\n", l.What, l.Amount)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString("\n")
	for _, p := range m.Payouts {
		fmt.Fprintf(&b, "Paid on %s by %s %s: %s\n", p.Day, p.Way, p.Account, p.Amount)
	}
	fmt.Fprintf(&b, "Payable now: %s\n\nIn the books:\n", m.Payable)
	for _, e := range m.Entries {
		fmt.Fprintf(&b, "%s  %s\n", e.Entry, e.Text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

//go:embed month.html
var monthPage string

var monthTemplate = template.Must(template.New("month").Parse(monthPage))

// WriteHTML writes the month as a page that stands alone: one file, no script, nothing loaded.
func (m MemberMonth) WriteHTML(w io.Writer) error {
	type row struct {
		AssetMonth
		Used string
	}
	rows := make([]row, len(m.Assets))
	for i, a := range m.Assets {
		rows[i] = row{a, a.used()}
	}
	return monthTemplate.Execute(w, struct {
		MemberMonth
		Who, Share string
		Rows       []row
		Lines      []line
	}{m, nameOr(m.Name, m.Member), m.share(), rows, m.lines()})
}
