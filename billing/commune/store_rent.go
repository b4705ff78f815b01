package commune

import (
	"context"
	"errors"
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// RentPayment pays the rent of an agreement for a month.
type RentPayment struct {
	Agreement string        `json:"agreement"`
	Period    ledger.Period `json:"period"`
	Amount    money.Amount  `json:"amount"` // 0: all that is open
	Offset    money.Amount  `json:"offset"` // of it, netted with what the commune owes the enterprise for call credit
}

// openRent is a month's rent that is not settled.
type openRent struct {
	Month ledger.Period `db:"month"`
	Open  money.Amount  `db:"open"`
}

// openRents lists what is open of an agreement, oldest first.
func (c *Commune) openRents(ctx context.Context, agreement string) (rents []openRent, err error) {
	err = c.tx.SelectContext(ctx, &rents, `
		SELECT month, open FROM (
		    SELECT p.month, p.amount - COALESCE((
		        SELECT sum(s.amount)::bigint FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0) AS open
		    FROM rent_posting p WHERE p.agreement = $1) AS rents
		WHERE open > 0 ORDER BY month`, agreement)
	return rents, err
}

// open is what is open of one month.
func (c *Commune) open(ctx context.Context, agreement string, p ledger.Period) (money.Amount, error) {
	rents, err := c.openRents(ctx, agreement)
	for _, r := range rents {
		if r.Month == p {
			return r.Open, err
		}
	}
	return 0, err
}

// agreement reads one, or gives ErrUnknown; one that is offered and not executed is ErrState.
func (c *Commune) agreement(ctx context.Context, code string) (Agreement, error) {
	a, err := one[Agreement](ctx, c, "agreement", code, selectAgreement+` WHERE code = $1`)
	if errors.Is(err, ErrUnknown) {
		var offered bool
		if err := c.tx.GetContext(ctx, &offered, `SELECT EXISTS (SELECT FROM asset_request WHERE agreement = $1)`, code); err != nil {
			return Agreement{}, err
		}
		if offered {
			err = fmt.Errorf("agreement %s is only offered: %w", code, ErrState)
		}
		return Agreement{}, err
	}
	return a, err
}

const selectAgreement = `
	SELECT code, asset, COALESCE(enterprise, '') AS enterprise, COALESCE(member, '') AS member, fixed, minimum, rate, included,
	    start_on, end_on FROM agreement`

// PayRent pays rent that was posted; of the open month, whose rent the close posts, it is an order to that close, in place
// of an earlier one (D-17). ErrFunds, ErrState, ErrUnknown, ErrPeriodOpen.
func (c *Commune) PayRent(ctx context.Context, a Act, p RentPayment) error {
	o, err := c.begin(ctx, a, "rent-paid", p, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, p.Agreement)
	if err != nil {
		return err
	}
	if p.Amount < 0 || p.Offset < 0 || p.Amount%money.Cent != 0 || p.Offset%money.Cent != 0 {
		return fmt.Errorf("%s, of it netted %s: %w", p.Amount, p.Offset, ErrAmount)
	}
	if p.Offset > 0 && g.Enterprise == "" {
		return fmt.Errorf("%s is let to a member, with whom there is nothing to net: %w", g.Code, ErrState)
	}
	if p.Period >= o.open {
		return o.orderRent(ctx, g, p)
	}
	open, err := c.open(ctx, g.Code, p.Period)
	if err != nil {
		return err
	}
	if p.Amount == 0 {
		p.Amount = open
	}
	if open == 0 || p.Amount > open || p.Offset > p.Amount {
		return fmt.Errorf("of %s %s is open: %w", g.Code, open, ErrState)
	}
	if err := o.owes(ctx, g.Enterprise, p.Offset); err != nil {
		return err
	}
	if err := o.settleRent(ctx, g.Code, p.Period, p.Amount, "paid"); err != nil {
		return err
	}
	return o.post(ctx, fmt.Sprintf("Rent %s %s paid", g.Code, p.Period), g.paymentLines(c.book, p.Amount, p.Offset)...)
}

// orderRent notes a payment for the close.
func (o *op) orderRent(ctx context.Context, g Agreement, p RentPayment) error {
	switch {
	case p.Period > o.open:
		return fmt.Errorf("rent of %s, while %s is not closed: %w", p.Period, o.open, ErrPeriodOpen)
	case g.End != "" && g.End <= o.open.First():
		return fmt.Errorf("%s ended before %s: %w", g.Code, o.open, ErrState)
	case p.Amount > 0 && p.Offset > p.Amount:
		return fmt.Errorf("%s is netted, more than the %s that is paid: %w", p.Offset, p.Amount, ErrState)
	}
	if err := o.owes(ctx, g.Enterprise, p.Offset); err != nil {
		return err
	}
	_, err := o.tx.ExecContext(ctx, `
		INSERT INTO rent_order (agreement, month, amount, netted) VALUES ($1, $2, $3, $4)
		ON CONFLICT (agreement, month) DO UPDATE SET amount = excluded.amount, netted = excluded.netted`,
		g.Code, p.Period, p.Amount, p.Offset)
	return err
}

// owes refuses to net more than the commune owes an enterprise.
func (o *op) owes(ctx context.Context, enterprise string, amount money.Amount) error {
	if amount == 0 {
		return nil
	}
	balance, err := o.balance(ctx, o.book, sub("2050", enterprise))
	if err == nil && amount > -balance {
		err = fmt.Errorf("the commune owes %s %s, not %s: %w", enterprise, -balance, amount, ErrState)
	}
	return err
}

// settleRent notes that rent was settled.
func (o *op) settleRent(ctx context.Context, agreement string, p ledger.Period, amount money.Amount, way string) error {
	_, err := o.tx.ExecContext(ctx, `
		INSERT INTO rent_settlement (key, agreement, month, day, amount, way) VALUES ($1, $2, $3, $4::date, $5, $6)`,
		o.Key, agreement, p, string(o.day), amount, way)
	return err
}

// LeaveRentUnpaid takes an order to pay the open month's rent back. ErrState for rent that was posted.
func (c *Commune) LeaveRentUnpaid(ctx context.Context, a Act, agreement string, p ledger.Period) error {
	o, err := c.begin(ctx, a, "rent-unpaid", []string{agreement, string(p)}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if _, err := c.agreement(ctx, agreement); err != nil {
		return err
	}
	if p < o.open {
		return fmt.Errorf("the rent of %s was posted: %w", p, ErrState)
	}
	_, err = c.tx.ExecContext(ctx, `DELETE FROM rent_order WHERE agreement = $1 AND month = $2`, agreement, p)
	return err
}

// WriteRentOff gives up what is open of a month's rent, in both books (T-22, D-20). ErrState, ErrUnknown.
func (c *Commune) WriteRentOff(ctx context.Context, a Act, agreement string, p ledger.Period) error {
	o, err := c.begin(ctx, a, "rent-write-off", []string{agreement, string(p)}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	open, err := c.open(ctx, g.Code, p)
	if err != nil {
		return err
	}
	if open == 0 {
		return fmt.Errorf("nothing is open of %s %s: %w", g.Code, p, ErrState)
	}
	if err := o.settleRent(ctx, g.Code, p, open, "written_off"); err != nil {
		return err
	}
	lines := []ledger.Line{ledger.Debit(c.book, sub("5300", g.Code), open), ledger.Credit(c.book, sub("1100", g.Code), open)}
	if g.Enterprise != "" {
		lines = append(lines, ledger.Debit(g.Enterprise, sub("2300", g.Code), open), ledger.Credit(g.Enterprise, sub("5100", g.Code), open))
	}
	return o.post(ctx, fmt.Sprintf("Rent %s %s written off", g.Code, p), lines...)
}

// deposit is what a lessee left as security.
func (c *Commune) deposit(ctx context.Context, agreement string) (money.Amount, error) {
	balance, err := c.balance(ctx, c.book, sub("2300", agreement))
	return -balance, err
}

// depositLines move a deposit of so much into the commune's hands, or back if it is negative (D-19).
func (a Agreement) depositLines(book string, amount money.Amount) []ledger.Line {
	lines := []ledger.Line{ledger.Debit(book, bank, amount), ledger.Credit(book, sub("2300", a.Code), amount)}
	if a.Enterprise != "" {
		lines = append(lines, ledger.Debit(a.Enterprise, sub("1350", a.Code), amount), ledger.Credit(a.Enterprise, bank, amount))
	}
	return lines
}

// PayDeposit takes a deposit of a lessee. ErrFunds, ErrState, ErrUnknown.
func (c *Commune) PayDeposit(ctx context.Context, a Act, agreement string, amount money.Amount) error {
	o, err := c.begin(ctx, a, "deposit-paid", []any{agreement, amount}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(amount); err != nil {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	if g.End != "" && g.End <= o.day {
		return fmt.Errorf("%s ended on %s: %w", g.Code, g.End, ErrState)
	}
	return o.post(ctx, "Deposit "+g.Code, g.depositLines(c.book, amount)...)
}

// ApplyDeposit pays open rents out of the deposit, the oldest first (T-18), when they are long enough in arrears (P-12).
// ErrEarly; ErrState when no notice was given, or there is no deposit; ErrUnknown.
func (c *Commune) ApplyDeposit(ctx context.Context, a Act, agreement string) error {
	return c.applyDeposit(ctx, a, agreement, func(o *op, g Agreement) error {
		due, err := c.arrears(ctx, g.Code)
		if err != nil {
			return err
		}
		return o.notBefore(ctx, DaysDeposit, due)
	})
}

// DepositApplied is ApplyDeposit as a fact of a scenario, which has no timetable (D-19).
func (c *Commune) DepositApplied(ctx context.Context, a Act, agreement string) error {
	return c.applyDeposit(ctx, a, agreement, func(*op, Agreement) error { return nil })
}

func (c *Commune) applyDeposit(ctx context.Context, a Act, agreement string, may func(*op, Agreement) error) error {
	o, err := c.begin(ctx, a, "deposit-applied", agreement, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	if err := may(o, g); err != nil {
		return err
	}
	deposit, err := c.deposit(ctx, g.Code)
	if err != nil {
		return err
	}
	rents, err := c.openRents(ctx, g.Code)
	if err != nil {
		return err
	}
	var applied money.Amount
	for _, r := range rents {
		part := min(r.Open, deposit-applied)
		if part == 0 {
			break
		}
		if err := o.settleRent(ctx, g.Code, r.Month, part, "deposit"); err != nil {
			return err
		}
		applied += part
	}
	if applied == 0 {
		return fmt.Errorf("%s has a deposit of %s and %d open rents: %w", g.Code, deposit, len(rents), ErrState)
	}
	lines := []ledger.Line{ledger.Debit(c.book, sub("2300", g.Code), applied), ledger.Credit(c.book, sub("1100", g.Code), applied)}
	if g.Enterprise != "" {
		lines = append(lines, ledger.Debit(g.Enterprise, sub("2300", g.Code), applied), ledger.Credit(g.Enterprise, sub("1350", g.Code), applied))
	}
	return o.post(ctx, "Deposit "+g.Code+" applied", lines...)
}

// RefundDeposit gives back what is left of a deposit when the agreement is over and settled. ErrFunds, ErrState, ErrUnknown.
func (c *Commune) RefundDeposit(ctx context.Context, a Act, agreement string) error {
	o, err := c.begin(ctx, a, "deposit-refund", agreement, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	deposit, err := c.deposit(ctx, g.Code)
	switch {
	case err != nil:
		return err
	case g.End == "" || o.day < g.End || deposit == 0:
		return fmt.Errorf("%s runs, or has no deposit: %w", g.Code, ErrState)
	}
	if err := o.settledRents(ctx, g.Code, `$1`); err != nil {
		return err
	}
	return o.post(ctx, "Deposit "+g.Code+" refunded", g.depositLines(c.book, -deposit)...)
}
