package commune

import (
	"context"
	"errors"
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// AddEnterprise founds an enterprise with a book of its own, owned whole by the commune (R5), which works at once. ErrState
// for a code that is used.
func (c *Commune) AddEnterprise(ctx context.Context, a Act, code, name string) error {
	o, err := c.begin(ctx, a, "enterprise", []string{code, name}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	return o.found(ctx, code, name, Active)
}

// Proposal is an enterprise that a member wants to be founded.
type Proposal struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Member string `json:"member"`
}

// ProposeEnterprise writes a proposal down. It may not rent, employ or sell anything before it is started. ErrNotMember,
// ErrUnknown; ErrState for a code that is used.
func (c *Commune) ProposeEnterprise(ctx context.Context, a Act, p Proposal) error {
	o, err := c.begin(ctx, a, "enterprise-proposal", p, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := o.active(ctx, p.Member); err != nil {
		return err
	}
	return o.found(ctx, p.Code, p.Name, Proposed)
}

func (o *op) found(ctx context.Context, code, name string, state State) error {
	done, err := o.tx.ExecContext(ctx, `
		INSERT INTO book (code, name, currency) SELECT $1, $2, currency FROM commune ON CONFLICT (code) DO NOTHING`, code, name)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("there is a book %s already: %w", code, ErrState))
	}
	_, err = o.tx.ExecContext(ctx, `INSERT INTO enterprise (code, name, state) VALUES ($1, $2, $3)`, code, name, state)
	return err
}

// inArrears is true of agreement g with a rent of which notice was given, as long as that is open.
const inArrears = `EXISTS (
    SELECT FROM arrears_notice v JOIN rent_posting p ON p.agreement = v.agreement AND p.month = v.month
    WHERE v.agreement = g.code AND p.amount > COALESCE((
        SELECT sum(s.amount) FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0))`

// enterpriseState is the State of enterprise e. That it is in arrears stands in its rents, and ends with them.
const enterpriseState = `CASE WHEN e.state = 'active' AND EXISTS (SELECT FROM agreement g WHERE g.enterprise = e.code AND ` + inArrears + `)
    THEN 'in_arrears' ELSE e.state END`

// moveEnterprise checks that a step is possible for an enterprise, and gives the state it leads to.
func (c *Commune) moveEnterprise(ctx context.Context, code string, step Step) (State, error) {
	state, err := one[State](ctx, c, "enterprise", code, `SELECT `+enterpriseState+` FROM enterprise e WHERE e.code = $1`)
	if err != nil {
		return "", err
	}
	next, err := enterpriseMoves.after(state, step)
	if err != nil {
		return "", fmt.Errorf("enterprise %s: %w", code, err)
	}
	return next, nil
}

// working refuses an enterprise that is proposed, suspended or wound up: it takes on nothing new. ErrState, ErrUnknown.
func (c *Commune) working(ctx context.Context, code string) error {
	state, err := one[State](ctx, c, "enterprise", code, `SELECT state FROM enterprise WHERE code = $1`)
	if err == nil && state != Active {
		err = fmt.Errorf("enterprise %s is %s: %w", code, state, ErrState)
	}
	return err
}

// Resolution is a decision about an enterprise.
type Resolution struct {
	Enterprise string `json:"enterprise"`
	Text       string `json:"text"` // of the decision
}

// resolve begins an operation by which an enterprise moves.
func (c *Commune) resolve(ctx context.Context, a Act, kind string, r Resolution, step Step) (*op, State, error) {
	o, err := c.begin(ctx, a, kind, r, inOpenMonth)
	if err != nil || o.again {
		return o, "", err
	}
	if r.Text == "" {
		return o, "", fmt.Errorf("a decision about %.40q needs its text: %w", r.Enterprise, ErrState)
	}
	next, err := c.moveEnterprise(ctx, r.Enterprise, step)
	return o, next, err
}

func (o *op) setEnterprise(ctx context.Context, code string, state State) error {
	_, err := o.tx.ExecContext(ctx, `UPDATE enterprise SET state = $2 WHERE code = $1`, code, state)
	return err
}

// StartEnterprise lets a proposed enterprise begin. ErrState, ErrUnknown.
func (c *Commune) StartEnterprise(ctx context.Context, a Act, r Resolution) error {
	o, next, err := c.resolve(ctx, a, "enterprise-start", r, StepStart)
	if err != nil || o.again {
		return err
	}
	return o.setEnterprise(ctx, r.Enterprise, next)
}

// SuspendEnterprise stops an enterprise that owes rent and has returned all that it rented: it rents and sells nothing more,
// and its callers make no calls. ErrState with what is not returned, ErrUnknown.
func (c *Commune) SuspendEnterprise(ctx context.Context, a Act, r Resolution) error {
	o, next, err := c.resolve(ctx, a, "enterprise-suspension", r, StepSuspend)
	if err != nil || o.again {
		return err
	}
	var rented []string
	err = c.tx.SelectContext(ctx, &rented, `
		SELECT code FROM agreement WHERE enterprise = $1 AND (end_on IS NULL OR end_on > GREATEST(start_on, $2::date)) ORDER BY code`,
		r.Enterprise, string(o.day))
	if err != nil {
		return err
	}
	if len(rented) > 0 {
		return fmt.Errorf("%s has not returned what it rents by %s: %w", r.Enterprise, rented[0], ErrState)
	}
	return o.setEnterprise(ctx, r.Enterprise, next)
}

// ResumeEnterprise lets a suspended enterprise go on when it owes no rent any more. ErrState, ErrUnknown.
func (c *Commune) ResumeEnterprise(ctx context.Context, a Act, r Resolution) error {
	o, next, err := c.resolve(ctx, a, "enterprise-resumption", r, StepResume)
	if err != nil || o.again {
		return err
	}
	if err := o.owesNoRent(ctx, r.Enterprise); err != nil {
		return err
	}
	return o.setEnterprise(ctx, r.Enterprise, next)
}

// owesNoRent refuses an enterprise that has rent open, or days in the open month whose rent is still to be posted.
func (o *op) owesNoRent(ctx context.Context, enterprise string) error {
	return o.settledRents(ctx, enterprise, `SELECT code FROM agreement WHERE enterprise = $1`)
}

// Distribution is surplus of an enterprise that its workers voted to give to the pool (P-16).
type Distribution struct {
	Resolution

	Amount money.Amount `json:"amount"`
}

// Distribute pays a part of an enterprise's retained result to the commune, where it is the pool's at the month's close
// (4300). Without a vote the surplus stays in the enterprise. One that is in arrears pays its rent first, since that serves
// bonds before it serves the pool. ErrAmount, ErrFunds, ErrState, ErrUnknown.
func (c *Commune) Distribute(ctx context.Context, a Act, d Distribution) error {
	o, err := c.begin(ctx, a, "distribution", d, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(d.Amount); err != nil {
		return err
	}
	if d.Text == "" {
		return fmt.Errorf("a distribution needs the vote of the workers of %.40q: %w", d.Enterprise, ErrState)
	}
	if _, err := c.moveEnterprise(ctx, d.Enterprise, StepDistribute); err != nil {
		return err
	}
	surplus, err := c.balance(ctx, d.Enterprise, retained)
	if err != nil {
		return err
	}
	if d.Amount > -surplus {
		return fmt.Errorf("%s retained %s, not %s: %w", d.Enterprise, -surplus, d.Amount, ErrState)
	}
	return o.post(ctx, "Distribution of "+d.Enterprise,
		ledger.Debit(d.Enterprise, retained, d.Amount), ledger.Credit(d.Enterprise, bank, d.Amount),
		ledger.Debit(c.book, bank, d.Amount), ledger.Credit(c.book, sub("4300", d.Enterprise), d.Amount))
}

// WindUp ends a suspended enterprise: when nothing is owed by it or to it, what it has is the commune's, first for its
// share, the rest for the pool (T-21). Its book takes nothing afterwards. It gives the net assets. ErrState with what is
// open, ErrUnknown.
func (c *Commune) WindUp(ctx context.Context, a Act, r Resolution) (money.Amount, error) {
	// What is being posted in its book right now is seen, and what comes later finds the book closed.
	if err := ledger.LockBooks(ctx, c.tx); err != nil {
		return 0, err
	}
	o, next, err := c.resolve(ctx, a, "enterprise-winding-up", r, StepWindUp)
	if err != nil {
		return 0, err
	}
	if o.again {
		var net money.Amount
		err := c.tx.GetContext(ctx, &net, `
			SELECT COALESCE(-sum(l.amount), 0)::bigint FROM entry e JOIN line l ON l.entry_id = e.id
			WHERE e.key IN ($1 || ':1', $1 || ':2') AND l.book = $2 AND l.account = $3`, o.Key, r.Enterprise, bank)
		return net, err
	}
	if err := o.owesNoRent(ctx, r.Enterprise); err != nil {
		return 0, err
	}
	w := WindingUp{Enterprise: r.Enterprise, Book: c.book}
	if w.Balances, err = o.bookOf(ctx, r.Enterprise); err != nil {
		return 0, err
	}
	if w.Share, err = c.balance(ctx, c.book, sub("1300", r.Enterprise)); err != nil {
		return 0, err
	}
	drafts, net, err := w.entries()
	if err != nil {
		return 0, err
	}
	for _, d := range drafts {
		if err := o.postDraft(ctx, d); err != nil {
			return 0, err
		}
	}
	if _, err := c.tx.ExecContext(ctx, `UPDATE book SET closed_on = $2::date WHERE code = $1`, r.Enterprise, string(o.day)); err != nil {
		return 0, err
	}
	return net, o.setEnterprise(ctx, r.Enterprise, next)
}

// bookOf reads the balances of an enterprise, however they are dated, and refuses one whose accounts hold money for calls
// that run.
func (o *op) bookOf(ctx context.Context, enterprise string) (map[string]money.Amount, error) {
	var held bool
	err := o.tx.GetContext(ctx, &held, `
		SELECT EXISTS (SELECT FROM (SELECT held FROM balance WHERE book = $1 ORDER BY account FOR UPDATE) AS locked WHERE held <> 0)`, enterprise)
	if err != nil {
		return nil, err
	}
	if held {
		return nil, fmt.Errorf("calls of %s are in progress: %w", enterprise, ErrState)
	}
	lines, err := ledger.Trial(ctx, o.tx, ledger.TrialFilter{Book: enterprise})
	if err != nil {
		return nil, err
	}
	balances := make(map[string]money.Amount, len(lines))
	for _, l := range lines {
		balances[l.Account] = l.Balance
	}
	return balances, nil
}
