package commune

import (
	"context"
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Election is how a member wants what is payable: by the bank, or as credit of a caller's account, whose ledger account
// in the book of an enterprise is given.
type Election struct {
	Member     string `json:"member"`
	Enterprise string `json:"enterprise,omitempty"` // none: by the bank
	Account    string `json:"account,omitempty"`    // such as 2100:anna
}

// PayDividend pays a member, also a former one, all that is payable now (T-15e, D-37), and gives the amount. ErrState when
// nothing is, ErrFunds, ErrUnknown.
func (c *Commune) PayDividend(ctx context.Context, a Act, e Election) (money.Amount, error) {
	o, err := c.begin(ctx, a, "dividend-paid", e, inOpenMonth)
	if err != nil {
		return 0, err
	}
	if o.again {
		return one[money.Amount](ctx, c, "payout", o.Key, `SELECT amount FROM payout WHERE key = $1`)
	}
	if err := c.knownMember(ctx, e.Member); err != nil {
		return 0, err
	}
	balance, err := c.balance(ctx, c.book, sub("2000", e.Member))
	if err != nil {
		return 0, err
	}
	amount := -balance
	if amount <= 0 {
		return 0, fmt.Errorf("%s has no dividend to be paid: %w", e.Member, ErrState)
	}
	lines := []ledger.Line{ledger.Debit(c.book, sub("2000", e.Member), amount)}
	way := "bank"
	if e.Enterprise == "" {
		lines = append(lines, ledger.Credit(c.book, bank, amount))
	} else {
		way = "credit"
		lines = append(lines, ledger.Credit(c.book, sub("2050", e.Enterprise), amount),
			ledger.Debit(e.Enterprise, "1400", amount), ledger.Credit(e.Enterprise, e.Account, amount))
	}
	_, err = c.tx.ExecContext(ctx, `
		INSERT INTO payout (key, member, day, amount, way, enterprise, account) VALUES ($1, $2, $3::date, $4, $5, $6, $7)`,
		o.Key, e.Member, string(o.day), amount, way, nullable(e.Enterprise), nullable(e.Account))
	if err != nil {
		return 0, err
	}
	return amount, o.post(ctx, fmt.Sprintf("Dividend %s by %s", e.Member, way), lines...)
}

// Forfeit brings dividends of a member back to the pool that were declared longer ago than the members voted and not claimed
// since (economics.md 4), and gives their amount. Payouts count for the oldest dividends first. ErrEarly with the day from
// which there is something, ErrState when nothing is payable, ErrUnknown.
func (c *Commune) Forfeit(ctx context.Context, a Act, member string) (money.Amount, error) {
	o, err := c.begin(ctx, a, "dividend-forfeit", member, inOpenMonth)
	if err != nil {
		return 0, err
	}
	if o.again {
		return one[money.Amount](ctx, c, "forfeit", o.Key, `SELECT amount FROM forfeit WHERE key = $1`)
	}
	if err := c.knownMember(ctx, member); err != nil {
		return 0, err
	}
	months, err := c.policy(ctx, Limitation, o.day)
	if err != nil {
		return 0, err
	}
	unclaimed, err := c.unclaimed(ctx, member)
	if err != nil {
		return 0, err
	}
	var amount money.Amount
	last := ledger.PeriodOf(o.day).AddMonths(-months - 1)
	for _, d := range unclaimed {
		if d.Month <= last {
			amount += d.Open
		}
	}
	switch {
	case len(unclaimed) == 0:
		return 0, fmt.Errorf("%s has no dividend that was not claimed: %w", member, ErrState)
	case amount == 0:
		return 0, fmt.Errorf("the oldest dividend of %s is that of %s, it may be claimed before %s: %w",
			member, unclaimed[0].Month, unclaimed[0].Month.AddMonths(months+1).First(), ErrEarly)
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO forfeit (key, member, day, amount) VALUES ($1, $2, $3::date, $4)`, o.Key, member, string(o.day), amount)
	if err != nil {
		return 0, err
	}
	return amount, o.post(ctx, "Dividends that "+member+" did not claim",
		ledger.Debit(c.book, sub("2000", member), amount), ledger.Credit(c.book, pool, amount))
}

// unclaimed lists the dividends of a member that were neither paid nor forfeited, the oldest first.
func (c *Commune) unclaimed(ctx context.Context, member string) (open []openRent, err error) {
	err = c.tx.SelectContext(ctx, &open, `
		WITH taken AS (
		    SELECT COALESCE((SELECT sum(amount) FROM payout WHERE member = $1), 0) + COALESCE((SELECT sum(amount) FROM forfeit WHERE member = $1), 0) AS amount
		), declared AS (
		    SELECT month, amount, sum(amount) OVER (ORDER BY month) AS so_far FROM dividend WHERE member = $1
		)
		SELECT d.month, LEAST(d.amount, d.so_far - t.amount)::bigint AS open FROM declared d, taken t WHERE d.so_far > t.amount ORDER BY d.month`, member)
	return open, translate(err)
}

// Settle pays an enterprise what the commune owes it for call credit. ErrFunds, ErrState, ErrUnknown.
func (c *Commune) Settle(ctx context.Context, a Act, enterprise string, amount money.Amount) error {
	o, err := c.begin(ctx, a, "settlement", []any{enterprise, amount}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(amount); err != nil {
		return err
	}
	if err := c.knownEnterprise(ctx, enterprise); err != nil {
		return err
	}
	if err := o.owes(ctx, enterprise, amount); err != nil {
		return err
	}
	return o.post(ctx, "Call credit settled with "+enterprise,
		ledger.Debit(c.book, sub("2050", enterprise), amount), ledger.Credit(c.book, bank, amount),
		ledger.Debit(enterprise, bank, amount), ledger.Credit(enterprise, "1400", amount))
}

// Wage is what an enterprise owes or pays for work. It never touches the split (R4, I-17).
type Wage struct {
	Enterprise string       `json:"enterprise"`
	Member     string       `json:"member"`
	Amount     money.Amount `json:"amount"`
}

// EarnWage books remuneration (T-09). ErrUnknown.
func (c *Commune) EarnWage(ctx context.Context, a Act, w Wage) error {
	o, err := c.wage(ctx, a, "remuneration", w)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(w.Amount); err != nil {
		return err
	}
	return o.post(ctx, "Remuneration "+w.Member,
		ledger.Debit(w.Enterprise, sub("5200", w.Member), w.Amount), ledger.Credit(w.Enterprise, sub("2400", w.Member), w.Amount))
}

// PayWage pays remuneration; no amount: all that is owed. ErrState, ErrFunds, ErrUnknown.
func (c *Commune) PayWage(ctx context.Context, a Act, w Wage) error {
	o, err := c.wage(ctx, a, "remuneration-paid", w)
	if err != nil || o.again {
		return err
	}
	balance, err := c.balance(ctx, w.Enterprise, sub("2400", w.Member))
	if err != nil {
		return err
	}
	if w.Amount == 0 {
		w.Amount = -balance
	}
	if balance == 0 || w.Amount > -balance {
		return fmt.Errorf("%s owes %s %s: %w", w.Enterprise, w.Member, -balance, ErrState)
	}
	if err := wholeCents(w.Amount); err != nil {
		return err
	}
	return o.post(ctx, "Remuneration "+w.Member+" paid",
		ledger.Debit(w.Enterprise, sub("2400", w.Member), w.Amount), ledger.Credit(w.Enterprise, bank, w.Amount))
}

func (c *Commune) wage(ctx context.Context, a Act, kind string, w Wage) (*op, error) {
	o, err := c.begin(ctx, a, kind, w, inOpenMonth)
	if err == nil {
		err = c.knownEnterprise(ctx, w.Enterprise)
	}
	if err == nil {
		err = c.knownMember(ctx, w.Member)
	}
	return o, err
}

// NoteExpense notes an expense that all members bear; the next close pays it (R25).
func (c *Commune) NoteExpense(ctx context.Context, a Act, amount money.Amount, text string) error {
	o, err := c.begin(ctx, a, "mutual-expense", []any{amount, text}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(amount); err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO mutual_expense (key, day, amount, text) VALUES ($1, $2::date, $3, $4)`,
		o.Key, string(o.day), amount, text)
	return err
}

// VoteLevy records the vote on a month's renewal levy, in place of an earlier one (P-15, D-32). ledger.ErrPeriodClosed.
func (c *Commune) VoteLevy(ctx context.Context, a Act, p ledger.Period, l Levy) error {
	o, err := c.begin(ctx, a, "levy-vote", []any{p, l}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if l.Amount < 0 || l.Amount%money.Cent != 0 || l.BPS < 0 || l.BPS > 10_000 || l.Amount > 0 && l.BPS > 0 {
		return fmt.Errorf("levy of %s or %d bps: %w", l.Amount, l.BPS, ErrAmount)
	}
	if p < o.open {
		return fmt.Errorf("%s: %w", p, ledger.ErrPeriodClosed)
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO levy_vote (key, month, amount, bps) VALUES ($1, $2, $3, $4)`, o.Key, p, l.Amount, l.BPS)
	return err
}
