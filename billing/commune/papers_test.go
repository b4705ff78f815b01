package commune_test

import (
	"pgregory.net/rapid"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// checkPapers: the balance sheet of each book balances on the last day of each month, and says of equity what the income
// statement says.
func (v *village) checkPapers(rt *rapid.T) {
	for _, book := range []string{"COM", "CALL", "HOST"} {
		for _, p := range []ledger.Period{v.open, v.open.Previous()} {
			sheet, err := ledger.BalanceSheetOf(v.Context(), v.tx, book, p.Last())
			if err != nil {
				rt.Fatal(err)
			}
			income, err := ledger.IncomeStatementOf(v.Context(), v.tx, book, p)
			if err != nil {
				rt.Fatal(err)
			}
			var equity money.Amount
			for _, c := range income.Equity {
				equity += c.End
				// In the first month it is opened.
				if paid := v.passedOn(rt, book, p); c.Account == "3900" && c.Other != -paid && p > "2028-01" {
					rt.Fatalf("%s: %s of the retained result of %s came from elsewhere than a close, %s was passed on", book, c.Other, p, paid)
				}
			}
			if equity != sheet.Equity.Total || income.Result-income.Closed != sheet.Result {
				rt.Fatalf("%s of %s: equity %s and result %s less %s, the balance sheet says %s and %s",
					book, p, equity, income.Result, income.Closed, sheet.Equity.Total, sheet.Result)
			}
			if p < v.open && income.Closed != income.Result {
				rt.Fatalf("%s earned %s in %s, and %s was closed", book, income.Result, p, income.Closed)
			}
		}
	}
}

// passedOn is what an enterprise paid the commune out of its retained result in a month, by a vote or because it was wound up.
func (v *village) passedOn(rt *rapid.T, book string, p ledger.Period) (amount money.Amount) {
	err := v.tx.GetContext(v.Context(), &amount, `
		SELECT COALESCE(sum(l.amount), 0)::bigint FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = $1 AND l.account = '3900' AND e.kind IN ('distribution', 'enterprise-winding-up')
		    AND e.business_date >= $2::date AND e.business_date <= $3::date`, book, string(p.First()), string(p.Last()))
	if err != nil {
		rt.Fatal(err)
	}
	return amount
}
