package commune

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

// MemberMonth is what a month came to for one member, and how: from the rent of each asset to his part of the pool. Every
// figure stands in the books; the numbers in the fields From are those of the entries that it comes from.
//
// A month that is not closed has the figures that a close would give now, as far as they can be told.
type MemberMonth struct {
	Member   string         `json:"member"`
	Name     string         `json:"name"`
	Period   ledger.Period  `json:"period"`
	Currency money.Currency `json:"currency"`
	State    string         `json:"state"`               // open or closed
	AsOf     *time.Time     `json:"as_of,omitempty"`     // of an open month
	WaitsFor ledger.Period  `json:"waits_for,omitempty"` // a month that is closed first: nothing is known of the pool
	Refused  string         `json:"refused,omitempty"`   // why it could not be closed as it stands
	Assets   []AssetMonth   `json:"assets"`

	Brought  money.Amount `json:"brought_forward"` // from the month before
	Rents    money.Amount `json:"rents"`           // what the assets passed to the pool
	Other    money.Amount `json:"other"`           // sales of assets, distributions of enterprises, dividends that nobody claimed
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

	From    MonthFrom `json:"from"`
	Entries []Source  `json:"entries"`
}

// MonthFrom has the numbers of the entries that the figures of a month come from.
type MonthFrom struct {
	Brought  []int `json:"brought_forward,omitempty"`
	Other    []int `json:"other,omitempty"`
	Expenses []int `json:"mutual_expenses,omitempty"`
	Levy     []int `json:"levy,omitempty"`
	Dividend []int `json:"dividend,omitempty"` // and what was shared
}

// AssetMonth is what an asset earned in a month, and what of it went to the pool.
type AssetMonth struct {
	Asset        string       `json:"asset" db:"asset"`
	Kind         string       `json:"kind" db:"kind"`
	Meter        Meter        `json:"meter" db:"meter"`
	Units        int64        `json:"units" db:"units"` // seconds, or millionths of a quantity
	Rent         money.Amount `json:"rent" db:"rent"`
	Collected    money.Amount `json:"collected" db:"collected"` // in the month, of this and earlier rents
	InterestPaid money.Amount `json:"interest_paid"`
	Redeemed     money.Amount `json:"redeemed"`
	ToPool       money.Amount `json:"to_pool"`
	From         AssetFrom    `json:"from"`
}

// AssetFrom has the numbers of the entries that the figures of an asset come from.
type AssetFrom struct {
	Rent         []int `json:"rent,omitempty"`
	Collected    []int `json:"collected,omitempty"`
	InterestPaid []int `json:"interest_paid,omitempty"`
	Redeemed     []int `json:"redeemed,omitempty"`
	ToPool       []int `json:"to_pool,omitempty"`
}

// Payout is a dividend that was paid out.
type Payout struct {
	Key     string       `json:"-" db:"key"`
	Day     ledger.Date  `json:"day" db:"day"`
	Way     string       `json:"way" db:"way"`         // bank or credit
	Account string       `json:"account" db:"account"` // that it is credit of
	Amount  money.Amount `json:"amount" db:"amount"`
	From    []int        `json:"from,omitempty"`
}

// Source is an entry that figures come from, with its lines in the commune's book. Those of other people are one line for
// all of them.
type Source struct {
	N     int          `json:"n"`
	Entry string       `json:"entry"`
	Date  ledger.Date  `json:"date"`
	Text  string       `json:"text"`
	Lines []SourceLine `json:"lines"`
}

// SourceLine is what an entry moved on an account, debit positive.
type SourceLine struct {
	Account string       `json:"account"`
	Name    string       `json:"name"`
	Amount  money.Amount `json:"amount"`
}

// used gives what an asset was used, in its own measure.
func (a AssetMonth) used() string {
	switch {
	case a.Meter == Seconds:
		return fmt.Sprintf("%d s", a.Units)
	case a.Units == 0:
		return "–"
	}
	return money.Amount(a.Units).String()
}

// WriteText writes the month for a terminal or a plain printer.
func (m MemberMonth) WriteText(w io.Writer) error { return m.document().WriteText(w) }

// WriteHTML writes the month as a page that stands alone.
func (m MemberMonth) WriteHTML(w io.Writer) error { return m.document().WriteHTML(w) }

// HTML gives the month as a part of a page, of that id.
func (m MemberMonth) HTML(id string) (template.HTML, error) { return m.document().HTML(id) }

func (m MemberMonth) document() report.Document {
	d := report.Document{
		Title: fmt.Sprintf("Your part of the rent, %s", m.Period.Words()), Lead: m.lead(),
		Tables: []report.Table{m.assets(), m.pool(), m.dividend(), sources(m.Entries)},
	}
	if m.unknown() {
		d.Tables = []report.Table{m.assets(), m.dividend(), sources(m.Entries)}
	}
	return d
}

// unknown tells that there are no figures of the pool.
func (m MemberMonth) unknown() bool { return m.WaitsFor != "" || m.Refused != "" }

// lead says whose month it is, and how far it can be trusted.
func (m MemberMonth) lead() []string {
	who := fmt.Sprintf("%s (%s). Amounts in %s.", nameOr(m.Name, m.Member), m.Member, m.Currency)
	if m.State == ledger.Closed {
		return []string{who, fmt.Sprintf("Your dividend: %s, for %s.", m.Dividend, m.share())}
	}
	lead := []string{who, fmt.Sprintf("%s is not closed yet. Rents are those of the use so far, all else is as of %s; what still happens changes it.",
		m.Period.Words(), m.AsOf.Format("2 January 2006, 15:04"))}
	switch {
	case m.WaitsFor != "":
		return append(lead, fmt.Sprintf("%s is closed first: until then nothing can be said of the pool and your dividend. Your days so far known: %s.",
			m.WaitsFor.Words(), m.share()))
	case m.Refused != "":
		return append(lead, "As it stands it could not be closed: "+m.Refused+".")
	}
	return append(lead, fmt.Sprintf("If it were closed now, your dividend would be %s, for %s.", m.Dividend, m.share()))
}

// share says how a dividend is reckoned.
func (m MemberMonth) share() string {
	return fmt.Sprintf("%d of %d days of all members", m.Days, m.AllDays)
}

func (m MemberMonth) assets() report.Table {
	t := report.Table{
		Name: "What the assets earned", Note: "Rent that was collected pays the bonds of its own asset; the rest goes to the pool.",
		Columns: []report.Column{
			{Name: "Asset"},
			{Name: "Kind"},
			{Name: "Used", Figure: true},
			{Name: "Rent", Figure: true},
			{Name: "Collected", Figure: true},
			{Name: "Interest", Figure: true},
			{Name: "Redeemed", Figure: true},
			{Name: "To the pool", Figure: true},
		},
	}
	for _, a := range m.Assets {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{
			{Text: a.Asset},
			{Text: a.Kind},
			{Text: a.used()},
			{Text: a.Rent.String(), Entries: a.From.Rent},
			{Text: a.Collected.String(), Entries: a.From.Collected},
			{Text: a.InterestPaid.String(), Entries: a.From.InterestPaid},
			{Text: a.Redeemed.String(), Entries: a.From.Redeemed},
			{Text: a.ToPool.String(), Entries: a.From.ToPool},
		}})
	}
	return t
}

var sums = []report.Column{{Name: "What"}, {Name: "Amount", Figure: true}}

// pool tells how the pool came about and what became of it.
func (m MemberMonth) pool() report.Table {
	t := report.Table{Name: "How the pool came about", Columns: sums}
	add := func(what string, amount money.Amount, from []int, sum bool) {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{{Text: what}, {Text: amount.String(), Entries: from}}, Sum: sum})
	}
	add("Carried over from the month before", m.Brought, m.From.Brought, false)
	for _, a := range m.Assets {
		if a.ToPool != 0 {
			add("Rent of "+a.Asset+" after its bonds", a.ToPool, a.From.ToPool, false)
		}
	}
	if m.Other != 0 {
		add("Sales of assets, distributions, unclaimed dividends", m.Other, m.From.Other, false)
	}
	if m.Expenses != 0 {
		add("Mutual expenses", -m.Expenses, m.From.Expenses, false)
	}
	if m.Levy != 0 {
		add("Levy for renewal", -m.Levy, m.From.Levy, false)
	}
	add("Pool", m.Pool, nil, true)
	add(fmt.Sprintf("Shared by %d members for %d days", m.Members, m.AllDays), -m.Shared, m.From.Dividend, false)
	add("Carried to the next month", m.Carry, nil, true)
	return t
}

// dividend tells what the member got and gets.
func (m MemberMonth) dividend() report.Table {
	t := report.Table{Name: "Your dividends", Columns: sums}
	add := func(what string, amount money.Amount, from []int, sum bool) {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{{Text: what}, {Text: amount.String(), Entries: from}}, Sum: sum})
	}
	if !m.unknown() {
		add(fmt.Sprintf("For %s, %s", m.Period.Words(), m.share()), m.Dividend, m.From.Dividend, false)
	}
	for _, p := range m.Payouts {
		to := "to your bank account"
		if p.Account != "" {
			to = "as credit of " + strings.TrimPrefix(p.Account, "2100:")
		}
		add(fmt.Sprintf("Paid on %s %s", p.Day, to), -p.Amount, p.From, false)
	}
	add("Payable to you now, of all months", m.Payable, nil, true)
	return t
}

// sources lists entries with their lines.
func sources(entries []Source) report.Table {
	t := report.Table{
		Name: "In the books", Note: "The entries in the commune's book that the figures come from, debits positive.",
		Columns: []report.Column{{Name: "Entry"}, {Name: "What"}, {Name: "Amount", Figure: true}},
	}
	for _, e := range entries {
		n := fmt.Sprint(e.N)
		t.Rows = append(t.Rows, report.Row{Entry: e.N, Cells: report.Cells(n, fmt.Sprintf("%s %s %s", e.Date, e.Entry, e.Text), "")})
		for _, l := range e.Lines {
			t.Rows = append(t.Rows, report.Row{Cells: report.Cells(n, l.Account+" "+l.Name, l.Amount.String())})
		}
	}
	return t
}
