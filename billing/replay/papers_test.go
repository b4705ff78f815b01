package replay_test

import (
	"context"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/billing/replay"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// TestPapersOfTheGoldenMonth: the closed month's results show though its accounts are at zero, and both sides of each
// balance sheet are equal on any of its days.
func TestPapersOfTheGoldenMonth(t *testing.T) {
	db := pgtest.New(t)
	want := map[string]struct{ income, expenses, assets money.Amount }{
		"CALL": {92_040_000, 85_405_267, 79_470_000},
		"COM":  {15_530_000, 7_990_000, 190_550_000},
	}
	seen := 0
	_, differences, err := replay.Run(t.Context(), db, file(t, "02-golden-june.json"), replay.Options{
		Inspect: func(ctx context.Context, tx *sqlx.Tx, names map[string]string) error {
			for code, name := range names {
				for day := ledger.Date("2027-05-31"); day < "2027-07-05"; day = day.Next() {
					if _, err := ledger.BalanceSheetOf(ctx, tx, code, day); err != nil {
						return err
					}
				}
				income, err := ledger.IncomeStatementOf(ctx, tx, code, "2027-06")
				if err != nil {
					return err
				}
				sheet, err := ledger.BalanceSheetOf(ctx, tx, code, "2027-06-30")
				if err != nil {
					return err
				}
				seen++
				w := want[name]
				if income.Income.Total != w.income || income.Expenses.Total != w.expenses || sheet.Assets.Total != w.assets ||
					income.Closed != income.Result || sheet.Result != 0 {
					t.Errorf("%s: %+v, %+v", name, income, sheet)
				}
			}
			return nil
		},
	})
	if err != nil || len(differences) > 0 || seen != len(want) {
		t.Errorf("%d books, %v, %v", seen, err, differences)
	}
}
