package commune

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// What happens to rent that does not come (economics.md 7.8, P-12): each step is somebody's, and is refused before its day.
// The days are those that the members voted, counted from the day on which the oldest rent fell due.

// agreementState is the State of agreement g on the day $1.
const agreementState = `CASE WHEN g.broken AND g.end_on <= $1::date THEN 'terminated' WHEN g.end_on <= $1::date THEN 'ended'
    WHEN ` + inArrears + ` THEN 'in_arrears' WHEN g.end_on IS NOT NULL THEN 'notice_given' ELSE 'running' END`

// moveAgreement checks that a step is possible for an agreement on the operation's day.
func (o *op) moveAgreement(ctx context.Context, g Agreement, step Step) error {
	var state State
	if err := o.tx.GetContext(ctx, &state, `SELECT `+agreementState+` FROM agreement g WHERE g.code = $2`, string(o.day), g.Code); err != nil {
		return err
	}
	if _, err := agreementMoves.after(state, step); err != nil {
		return fmt.Errorf("agreement %s: %w", g.Code, err)
	}
	return nil
}

// NoticeArrears tells a lessee that rent is overdue: every rent that is, of which no notice was given yet. The agreement and
// its enterprise are in arrears until those are paid or written off. ErrEarly, ErrState when nothing is open, ErrUnknown.
func (c *Commune) NoticeArrears(ctx context.Context, a Act, agreement string) error {
	o, err := c.begin(ctx, a, "arrears-notice", agreement, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	if err := o.moveAgreement(ctx, g, StepArrears); err != nil {
		return err
	}
	rents, err := c.openRents(ctx, g.Code)
	if err != nil {
		return err
	}
	noticed, early := 0, error(nil)
	for _, r := range rents {
		due, err := c.due(ctx, r.Month)
		if err != nil {
			return err
		}
		if early = o.notBefore(ctx, DaysNotice, due); early != nil {
			break // the later ones are due later still
		}
		done, err := c.tx.ExecContext(ctx, `
			INSERT INTO arrears_notice (agreement, month, key, day, due_on) VALUES ($1, $2, $3, $4::date, $5::date)
			ON CONFLICT (agreement, month) DO NOTHING`, g.Code, r.Month, o.Key, string(o.day), string(due))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		noticed += int(n)
	}
	switch {
	case noticed > 0:
		return nil
	case early != nil:
		return early
	}
	return fmt.Errorf("of %s no rent is open that notice was not given of: %w", g.Code, ErrState)
}

// due is the day on which the rent of a month falls due, by the policy of its last day.
func (c *Commune) due(ctx context.Context, p ledger.Period) (ledger.Date, error) {
	days, err := c.policy(ctx, DaysDue, p.Last())
	return p.Last().AddDays(days), err
}

// arrears gives the day on which the oldest rent fell due that is open and that notice was given of. ErrState when there is
// none.
func (c *Commune) arrears(ctx context.Context, agreement string) (ledger.Date, error) {
	var due ledger.Date
	err := c.tx.GetContext(ctx, &due, `
		SELECT v.due_on FROM arrears_notice v JOIN rent_posting p ON p.agreement = v.agreement AND p.month = v.month
		WHERE v.agreement = $1 AND p.amount > COALESCE((
		    SELECT sum(s.amount) FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0)
		ORDER BY v.due_on LIMIT 1`, agreement)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("no notice of arrears was given of a rent of %s that is open: %w", agreement, ErrState)
	}
	return due, err
}

// TakeBack returns an asset to the commune whose rent does not come (R16): its agreement ends on the day, and it may be let
// by auction. ErrEarly, ErrState, ErrUnknown.
func (c *Commune) TakeBack(ctx context.Context, a Act, agreement string) error {
	o, err := c.begin(ctx, a, "agreement-taken-back", agreement, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	if err := o.moveAgreement(ctx, g, StepTakeBack); err != nil {
		return err
	}
	due, err := c.arrears(ctx, g.Code)
	if err != nil {
		return err
	}
	if err := o.notBefore(ctx, DaysReturn, due); err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE agreement SET end_on = $2::date, broken = true WHERE code = $1`, g.Code, string(o.day))
	return err
}

// Default gives an asset up for the holders of its bonds when its rent did not come, nobody else rents it and they lack a
// coupon: it can then be sold (R19). ErrEarly, ErrState, ErrUnknown.
func (c *Commune) Default(ctx context.Context, a Act, series string) error {
	o, err := c.begin(ctx, a, "bond-default", series, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	asset, err := one[string](ctx, c, "series", series, `SELECT asset FROM series WHERE code = $1 AND cleared`)
	if err != nil {
		return err
	}
	if err := o.move(ctx, asset, StepDefault); err != nil {
		return err
	}
	b, err := c.bondsOf(ctx, asset)
	if err != nil {
		return err
	}
	if err := o.lacksCoupon(ctx, b); err != nil {
		return err
	}
	var due ledger.Date
	err = c.tx.GetContext(ctx, &due, `
		SELECT v.due_on FROM arrears_notice v JOIN agreement g ON g.code = v.agreement
		WHERE g.asset = $1 AND g.broken ORDER BY v.due_on DESC LIMIT 1`, asset)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s was not taken back for rent that did not come: %w", asset, ErrState)
	}
	if err == nil {
		err = o.notBefore(ctx, DaysDefault, due)
	}
	if err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE series SET defaulted_on = $2::date WHERE code = $1`, series, string(o.day))
	return err
}

// lacksCoupon refuses a series that has got all interest and principal of the closed months.
func (o *op) lacksCoupon(ctx context.Context, b Bonds) error {
	outstanding, err := o.outstanding(ctx, b)
	if err != nil {
		return err
	}
	total, err := Sum(outstanding)
	if err != nil {
		return err
	}
	var interest money.Amount
	err = o.tx.GetContext(ctx, &interest, `
		SELECT COALESCE(-sum(amount), 0)::bigint FROM line WHERE book = $1 AND starts_with(account, $2)`, o.book, ofHolder("2110", b.Code, ""))
	if err == nil && interest == 0 && b.Due(o.open.Previous(), total) == 0 {
		err = fmt.Errorf("%s has got all its interest and principal: %w", b.Code, ErrState)
	}
	return translate(err)
}
