package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/report"
)

// BookName says whose paper it is.
type BookName struct {
	Book     string         `json:"book" db:"code"`
	Name     string         `json:"name" db:"name"`
	Currency money.Currency `json:"currency" db:"currency"`
}

// readBook finds a book, or ErrAccount.
func readBook(ctx context.Context, db sqlx.QueryerContext, code string) (b BookName, err error) {
	err = sqlx.GetContext(ctx, db, &b, `SELECT code, name, currency FROM book WHERE code = $1`, code)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("book %.40q: %w", code, ErrAccount)
	}
	return b, err
}

func (b BookName) title() string { return fmt.Sprintf("%s (%s)", b.Name, b.Book) }

// Figure is what an account comes to in a paper, or all its sub-accounts when they are people's: callers', members',
// holders'. It is positive on the side that the accounts of its type are on.
type Figure struct {
	Account string       `json:"account"`
	Name    string       `json:"name"`
	Amount  money.Amount `json:"amount"`
}

// cell is the name of a figure with its account.
func (f Figure) cell() string {
	if f.Name == "" {
		return f.Account
	}
	return f.Account + " " + f.Name
}

// under gives the account that a figure stands under.
func under(book, account string) string {
	people := map[string]bool{"2100": true, "2400": true, "5200": true}
	if book == "COM" {
		people = map[string]bool{"2000": true, "2100": true, "2110": true, "2200": true, "3000": true}
	}
	if main := code(account); people[main] {
		return main
	}
	return account
}

// Side is the figures of one type of accounts, in the order in which they come, with their sum.
type Side struct {
	Figures []Figure     `json:"accounts"`
	Total   money.Amount `json:"total"`
}

// add adds to the figure of an account. Those of one group follow each other.
func (f *Side) add(book, account string, amount money.Amount) error {
	account = under(book, account)
	if n := len(f.Figures); n == 0 || f.Figures[n-1].Account != account {
		f.Figures = append(f.Figures, Figure{Account: account, Name: NameOf(book, account)})
	}
	last := &f.Figures[len(f.Figures)-1]
	var err error
	if last.Amount, err = last.Amount.Add(amount); err == nil {
		f.Total, err = f.Total.Add(amount)
	}
	return err
}

// table shows the figures with their sum.
func (f Side) table(name, sum string) report.Table {
	t := report.Table{Name: name, Columns: []report.Column{{Name: "Account"}, {Name: "Amount", Figure: true}}}
	for _, x := range f.Figures {
		t.Rows = append(t.Rows, report.Row{Cells: report.Cells(x.cell(), x.Amount.String())})
	}
	t.Rows = append(t.Rows, report.Row{Sum: true, Cells: report.Cells(sum, f.Total.String())})
	return t
}
