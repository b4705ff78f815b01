package ledger

import (
	"context"
	"fmt"
	"io"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/report"
)

// BalanceSheet is the balance sheet of a book at the end of a day: assets = liabilities + equity, in which the result that is not
// closed yet counts.
type BalanceSheet struct {
	BookName

	At          Date         `json:"at"`
	Assets      Side         `json:"assets"`      // debits positive
	Liabilities Side         `json:"liabilities"` // credits positive
	Equity      Side         `json:"equity"`      // credits positive, without the result
	Result      money.Amount `json:"result"`      // earned less spent, not closed yet
	Total       money.Amount `json:"total"`       // of liabilities, equity and result
	Journal     string       `json:"journal"`     // the command that lists the entries of an account
}

// BalanceSheetOf makes the balance sheet of a book at the end of a day. ErrAccount for a book that there is not; ErrUnbalanced when
// the two sides differ, which the schema does not let happen; money.ErrRange.
func BalanceSheetOf(ctx context.Context, db sqlx.QueryerContext, book string, at Date) (BalanceSheet, error) {
	s := BalanceSheet{At: at, Assets: Side{Figures: []Figure{}}, Liabilities: Side{Figures: []Figure{}}, Equity: Side{Figures: []Figure{}}}
	s.Journal = fmt.Sprintf("telecommune books journal --book %s --to %s --account ACCOUNT", book, at.Next())
	var err error
	if s.BookName, err = readBook(ctx, db, book); err == nil {
		err = s.read(ctx, db)
	}
	if err != nil {
		return BalanceSheet{}, fmt.Errorf("balance sheet of %.40q on %s: %w", book, at, err)
	}
	return s, nil
}

func (s *BalanceSheet) read(ctx context.Context, db sqlx.QueryerContext) error {
	lines, err := Trial(ctx, db, TrialFilter{Book: s.Book, At: s.At})
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.Balance == 0 {
			continue
		}
		switch TypeOf(l.Account) {
		case Assets:
			err = s.Assets.add(s.Book, l.Account, l.Balance)
		case Liabilities:
			err = s.Liabilities.add(s.Book, l.Account, -l.Balance)
		case Equity:
			err = s.Equity.add(s.Book, l.Account, -l.Balance)
		default:
			s.Result, err = s.Result.Add(-l.Balance)
		}
		if err != nil {
			return err
		}
	}
	if s.Total, err = s.Liabilities.Total.Add(s.Equity.Total); err == nil {
		s.Total, err = s.Total.Add(s.Result)
	}
	if err == nil && s.Total != s.Assets.Total {
		err = fmt.Errorf("assets of %s, liabilities and equity of %s: %w", s.Assets.Total, s.Total, ErrUnbalanced)
	}
	return err
}

// WriteText writes the balance sheet for a terminal or a plain printer.
func (s BalanceSheet) WriteText(w io.Writer) error { return s.document().WriteText(w) }

// WriteHTML writes the balance sheet as a page that stands alone.
func (s BalanceSheet) WriteHTML(w io.Writer) error { return s.document().WriteHTML(w) }

func (s BalanceSheet) document() report.Document {
	equity := s.Equity.table("Equity", "All equity without the result")
	both := report.Table{Name: "The other side", Columns: []report.Column{{Name: "What"}, {Name: "Amount", Figure: true}}, Rows: []report.Row{
		{Cells: report.Cells("Liabilities", s.Liabilities.Total.String())},
		{Cells: report.Cells("Equity", s.Equity.Total.String())},
		{Cells: report.Cells("Result that is not closed yet", s.Result.String())},
		{Cells: report.Cells("Liabilities and equity, equal to all assets", s.Total.String()), Sum: true},
	}}
	return report.Document{
		Title: fmt.Sprintf("Balance sheet of %s, %s", s.title(), s.At),
		Lead: []string{
			fmt.Sprintf("Amounts in %s, at the end of the day.", s.Currency),
			"The entries behind a figure: " + s.Journal,
		},
		Tables: []report.Table{s.Assets.table("Assets", "All assets"), s.Liabilities.table("Liabilities", "All liabilities"), equity, both},
	}
}
