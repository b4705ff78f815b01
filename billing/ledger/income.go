package ledger

import (
	"context"
	"fmt"
	"io"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/report"
)

// closingKind is the kind of the entries by which a close, or a sale, brings what was earned and spent to equity. They move
// a result and are no part of it.
const closingKind = "close"

// IncomeStatement is what a book earned and spent in a month, before the entries that close its accounts, and what those brought to
// which equity. So it is the same before the month's close and after it.
type IncomeStatement struct {
	BookName

	Period   Period         `json:"period"`
	State    string         `json:"state"`    // of the month: open or closed
	Income   Side           `json:"income"`   // credits positive
	Expenses Side           `json:"expenses"` // debits positive
	Result   money.Amount   `json:"result"`
	Closed   money.Amount   `json:"closed"` // of the result, brought to equity
	Equity   []EquityChange `json:"equity"`
	Journal  string         `json:"journal"` // the command that lists the entries of an account
}

// EquityChange is what a month did to an account of equity, credits positive.
type EquityChange struct {
	Account string       `json:"account"`
	Name    string       `json:"name"`
	Start   money.Amount `json:"start"`
	Result  money.Amount `json:"result"` // brought in by closing
	Other   money.Amount `json:"other"`
	End     money.Amount `json:"end"`
}

// IncomeStatementOf makes that of a book for a month. ErrAccount for a book that there is not; money.ErrRange.
func IncomeStatementOf(ctx context.Context, db sqlx.QueryerContext, book string, p Period) (IncomeStatement, error) {
	r := IncomeStatement{Period: p, State: Closed, Income: Side{Figures: []Figure{}}, Expenses: Side{Figures: []Figure{}}, Equity: []EquityChange{}}
	r.Journal = fmt.Sprintf("telecommune books journal --book %s --from %s --to %s --account ACCOUNT", book, p.First(), p.Next().First())
	var err error
	if r.BookName, err = readBook(ctx, db, book); err == nil {
		err = r.read(ctx, db)
	}
	if err != nil {
		return IncomeStatement{}, fmt.Errorf("result of %.40q for %s: %w", book, p, translate(err))
	}
	return r, nil
}

func (r *IncomeStatement) read(ctx context.Context, db sqlx.QueryerContext) error {
	c, err := readCalendar(ctx, db, "")
	if err != nil {
		return err
	}
	if c.OpenFrom <= r.Period.First() {
		r.State = Open
	}
	var rows []struct {
		Account string       `db:"account"`
		Before  money.Amount `db:"before"`
		Moved   money.Amount `db:"moved"`
		Closed  money.Amount `db:"closed"`
	}
	err = sqlx.SelectContext(ctx, db, &rows, `
		SELECT l.account,
		    COALESCE(sum(l.amount) FILTER (WHERE e.business_date < $2::date), 0)::bigint AS before,
		    COALESCE(sum(l.amount) FILTER (WHERE e.business_date >= $2::date AND e.kind <> $4), 0)::bigint AS moved,
		    COALESCE(sum(l.amount) FILTER (WHERE e.business_date >= $2::date AND e.kind = $4), 0)::bigint AS closed
		FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = $1 AND e.business_date <= $3::date
		    AND (left(l.account, 1) IN ('4', '5') AND e.business_date >= $2::date OR left(l.account, 1) = '3')
		GROUP BY l.account ORDER BY l.account COLLATE "C"`, r.Book, string(r.Period.First()), string(r.Period.Last()), closingKind)
	if err != nil {
		return err
	}
	for _, x := range rows {
		switch TypeOf(x.Account) {
		case Income:
			err = r.Income.add(r.Book, x.Account, -x.Moved)
		case Expenses:
			err = r.Expenses.add(r.Book, x.Account, x.Moved)
		default:
			err = r.change(x.Account, -x.Before, -x.Closed, -x.Moved)
		}
		if err != nil {
			return err
		}
	}
	r.Result, err = r.Income.Total.Add(-r.Expenses.Total)
	return err
}

// change adds what the month did to an account of equity.
func (r *IncomeStatement) change(account string, start, result, other money.Amount) (err error) {
	c := EquityChange{Account: account, Name: NameOf(r.Book, account), Start: start, Result: result, Other: other}
	if c.End, err = start.Add(result); err == nil {
		c.End, err = c.End.Add(other)
	}
	if err == nil {
		r.Closed, err = r.Closed.Add(result)
	}
	if c.Start != 0 || c.Result != 0 || c.Other != 0 {
		r.Equity = append(r.Equity, c)
	}
	return err
}

// WriteText writes the result for a terminal or a plain printer.
func (r IncomeStatement) WriteText(w io.Writer) error { return r.document().WriteText(w) }

// WriteHTML writes the result as a page that stands alone.
func (r IncomeStatement) WriteHTML(w io.Writer) error { return r.document().WriteHTML(w) }

func (r IncomeStatement) document() report.Document {
	state := fmt.Sprintf("%s is closed: %s of the result went to equity.", r.Period.Words(), r.Closed)
	if r.State == Open {
		state = fmt.Sprintf("%s is not closed: these are the entries so far.", r.Period.Words())
	}
	equity := report.Table{
		Name: "Equity", Note: "What closing brought in, and what else moved it.",
		Columns: []report.Column{{Name: "Account"}, {Name: "At the start", Figure: true}, {Name: "Result", Figure: true}, {Name: "Other", Figure: true}, {Name: "At the end", Figure: true}},
	}
	for _, c := range r.Equity {
		name := Figure{c.Account, c.Name, 0}.cell()
		equity.Rows = append(equity.Rows, report.Row{Cells: report.Cells(name, c.Start.String(), c.Result.String(), c.Other.String(), c.End.String())})
	}
	sum := report.Table{Name: "Result", Columns: []report.Column{{Name: "What"}, {Name: "Amount", Figure: true}}, Rows: []report.Row{
		{Cells: report.Cells("Income", r.Income.Total.String())},
		{Cells: report.Cells("Expenses", (-r.Expenses.Total).String())},
		{Cells: report.Cells("Result of "+r.Period.Words(), r.Result.String()), Sum: true},
	}}
	return report.Document{
		Title: fmt.Sprintf("Result of %s, %s", r.title(), r.Period.Words()),
		Lead: []string{
			fmt.Sprintf("Amounts in %s. %s", r.Currency, state),
			"The entries behind a figure: " + r.Journal,
		},
		Tables: []report.Table{r.Income.table("Income", "All income"), r.Expenses.table("Expenses", "All expenses"), sum, equity},
	}
}
