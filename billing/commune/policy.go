package commune

import (
	"telecommune/internal/money"
)

// Depreciation is that of the asset's next month of life: straight line, whole cents, the last month takes what is left of
// the cost after what was depreciated so far (D-16).
func (a Asset) Depreciation(soFar money.Amount) money.Amount {
	switch {
	case a.Worn >= a.Life:
		return 0
	case a.Worn == a.Life-1:
		return a.Cost - soFar
	}
	return Instalment(a.Cost, a.Life)
}

// CommonsFund is what the commune owns of an asset for good: its book value beyond the bonds (P-10).
func CommonsFund(bookValue, bonds money.Amount) money.Amount { return max(0, bookValue-bonds) }

// Levy is what members voted to keep of a month's pool for renewal (P-15, D-32): an amount, or basis points if that is
// zero.
type Levy struct {
	Amount money.Amount `json:"amount" db:"amount"`
	BPS    int          `json:"bps" db:"bps"`
}

// Of gives the levy on a pool. Only a positive pool bears one.
func (l Levy) Of(pool money.Amount) (money.Amount, error) {
	switch {
	case pool <= 0:
		return 0, nil
	case l.BPS > 0:
		return money.AddMulDiv(0, pool, int64(l.BPS), 10_000, cents)
	}
	return min(pool, l.Amount), nil
}

// Liabilities are what the commune's general cash must be able to pay within 30 days (economics.md 7.5). Bonds and their
// interest are not among them: their recourse is limited to their asset (P-08).
type Liabilities struct{ Dividends, Enterprises, Deposits money.Amount }

// Distributable is the part of the pool that the solvency test lets go (I-11).
func Distributable(pool, bank money.Amount, l Liabilities) (money.Amount, error) {
	free := bank
	for _, owed := range []money.Amount{l.Dividends, l.Enterprises, l.Deposits} {
		var err error
		if free, err = free.Add(-owed); err != nil {
			return 0, err
		}
	}
	return max(0, min(pool, free)), nil
}
