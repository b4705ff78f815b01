package commune

import (
	"fmt"
	"io"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

// HolderStatement is what somebody lent, and what became of it, entry by entry.
type HolderStatement struct {
	Holder   string         `json:"holder"`
	Currency money.Currency `json:"currency"`
	Holdings []Holding      `json:"holdings"`
	Moves    []Move         `json:"moves"`
}

// Move is what an entry did to what a holder is owed of a series: credits positive.
type Move struct {
	Date      ledger.Date  `json:"date" db:"date"`
	Series    string       `json:"series" db:"series"`
	Text      string       `json:"text" db:"text"`
	Principal money.Amount `json:"principal" db:"principal"`
	Interest  money.Amount `json:"interest" db:"interest"`
	Entry     string       `json:"entry" db:"entry"`
}

// WriteText writes the statement for a terminal or a plain printer.
func (h HolderStatement) WriteText(w io.Writer) error { return h.document().WriteText(w) }

// WriteHTML writes the statement as a page that stands alone.
func (h HolderStatement) WriteHTML(w io.Writer) error { return h.document().WriteHTML(w) }

func (h HolderStatement) document() report.Document {
	held := report.Table{Name: "Bonds", Note: "Each series is backed by its own asset and its rent, and by nothing else.", Columns: []report.Column{
		{Name: "Series"},
		{Name: "Rate", Figure: true},
		{Name: "Bought", Figure: true},
		{Name: "Redeemed", Figure: true},
		{Name: "Outstanding", Figure: true},
		{Name: "Interest paid", Figure: true},
		{Name: "Interest due", Figure: true},
	}}
	for _, x := range h.Holdings {
		held.Rows = append(held.Rows, report.Row{Cells: report.Cells(x.Series, percent(x.RateBPS), x.Allotted.String(), x.Redeemed.String(),
			x.Outstanding.String(), x.Interest.String(), x.InterestDue.String())})
	}
	moves := report.Table{Name: "Entry by entry", Note: "What you are owed: more by what you bought and by interest, less by what you were paid.", Columns: []report.Column{
		{Name: "Date"}, {Name: "What"}, {Name: "Principal", Figure: true}, {Name: "Interest", Figure: true}, {Name: "Entry"},
	}}
	for _, m := range h.Moves {
		moves.Rows = append(moves.Rows, report.Row{Cells: report.Cells(string(m.Date), m.Text, m.Principal.String(), m.Interest.String(), m.Entry)})
	}
	return report.Document{
		Title: "Statement of the bonds of " + h.Holder, Lead: []string{fmt.Sprintf("Amounts in %s.", h.Currency)}, Tables: []report.Table{held, moves},
	}
}

// percent writes basis points as people do.
func percent(bps int) string { return fmt.Sprintf("%d.%02d %%", bps/100, bps%100) }

// AssetLife is an asset from the wish for it to its end: what happened, what it earned and cost, and every entry.
type AssetLife struct {
	Held

	Currency money.Currency `json:"currency"`
	Stations []Station      `json:"stations"`
	Months   []LifeMonth    `json:"months"`
	Entries  []Source       `json:"entries"`
}

// Station is something that happened to an asset.
type Station struct {
	Date ledger.Date `json:"date" db:"date"`
	Text string      `json:"text" db:"text"`
}

// LifeMonth is what a month brought: in a closed one.
type LifeMonth struct {
	Month     ledger.Period `json:"month" db:"month"`
	Rent      money.Amount  `json:"rent" db:"rent"`
	Collected money.Amount  `json:"collected" db:"collected"`
	Interest  money.Amount  `json:"interest_paid" db:"interest_paid"`
	Redeemed  money.Amount  `json:"redeemed" db:"redeemed"`
	ToPool    money.Amount  `json:"to_pool" db:"to_pool"`
}

// WriteText writes the life for a terminal or a plain printer.
func (l AssetLife) WriteText(w io.Writer) error { return l.document().WriteText(w) }

// WriteHTML writes the life as a page that stands alone.
func (l AssetLife) WriteHTML(w io.Writer) error { return l.document().WriteHTML(w) }

func (l AssetLife) document() report.Document {
	now := report.Table{Name: "What it is worth", Columns: []report.Column{{Name: "What"}, {Name: "Account"}, {Name: "Amount", Figure: true}}}
	for _, x := range []struct {
		what, account string
		amount        money.Amount
	}{
		{"Cost", "1500:" + l.Code, l.Cost},
		{fmt.Sprintf("Book value, after %d of %d months", l.Worn, l.Life), "1500:" + l.Code + ", 1590:" + l.Code, l.BookValue},
		{"Bonds outstanding", "2100", l.Bonds},
		{"Commons fund, which is all members'", "3100:" + l.Code, l.Fund},
	} {
		now.Rows = append(now.Rows, report.Row{Cells: report.Cells(x.what, x.account, x.amount.String())})
	}
	stations := report.Table{Name: "What happened", Columns: []report.Column{{Name: "Date"}, {Name: "What"}}}
	for _, s := range l.Stations {
		stations.Rows = append(stations.Rows, report.Row{Cells: report.Cells(string(s.Date), s.Text)})
	}
	months := report.Table{Name: "What it earned", Note: "Rent that was collected pays the bonds; the rest goes to the pool of all members.", Columns: []report.Column{
		{Name: "Month"},
		{Name: "Rent", Figure: true},
		{Name: "Collected", Figure: true},
		{Name: "Interest", Figure: true},
		{Name: "Redeemed", Figure: true},
		{Name: "To the pool", Figure: true},
	}}
	for _, m := range l.Months {
		months.Rows = append(months.Rows, report.Row{Cells: report.Cells(m.Month.Words(), m.Rent.String(), m.Collected.String(), m.Interest.String(),
			m.Redeemed.String(), m.ToPool.String())})
	}
	return report.Document{
		Title: "The life of " + l.Code, Lead: []string{fmt.Sprintf("%s, %s. Amounts in %s.", l.Kind, l.State, l.Currency)},
		Tables: []report.Table{now, stations, months, sources(l.Entries)},
	}
}
