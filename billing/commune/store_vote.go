package commune

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
)

// Vote is a decision of the members on a policy: a value from a day on, in place of all votes before it.
type Vote struct {
	Policy string      `json:"policy" db:"policy"`
	Value  int         `json:"value" db:"value"`
	From   ledger.Date `json:"from" db:"from_on"`
	Text   string      `json:"text" db:"text"` // where and how it was taken
}

// VotePolicy records a vote. It counts from a day of the open month or later: what was closed was closed by the rules of
// then. ErrUnknown, ErrAmount, ErrState without a text, ledger.ErrPeriodClosed.
func (c *Commune) VotePolicy(ctx context.Context, a Act, v Vote) error {
	o, err := c.begin(ctx, a, "policy-vote", v, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if v.From == "" {
		v.From = o.day
	}
	p, err := policyNamed(v.Policy)
	if err == nil {
		err = p.may(v.Value)
	}
	switch {
	case err != nil:
		return err
	case v.Text == "":
		return fmt.Errorf("a vote says where and how it was taken: %w", ErrState)
	case v.From < o.open.First():
		return fmt.Errorf("%s: %w", v.From, ledger.ErrPeriodClosed)
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO policy_vote (key, policy, from_on, value, text) VALUES ($1, $2, $3::date, $4, $5)`,
		o.Key, v.Policy, string(v.From), v.Value, v.Text)
	return err
}

// policy is the value of a policy on a day.
func (c *Commune) policy(ctx context.Context, name string, day ledger.Date) (int, error) {
	p, err := policyNamed(name)
	if err != nil {
		return 0, err
	}
	v, err := voted(ctx, c.tx, p, day)
	return v.Value, err
}

// voted gives the vote on a policy that counts on a day, or one of nobody for its usual value.
func voted(ctx context.Context, q sqlx.QueryerContext, p Policy, day ledger.Date) (Vote, error) {
	v := Vote{Policy: p.Name}
	err := sqlx.GetContext(ctx, q, &v, `
		SELECT policy, value, from_on, text FROM policy_vote WHERE policy = $1 AND from_on <= $2::date ORDER BY n DESC LIMIT 1`, p.Name, string(day))
	if errors.Is(err, sql.ErrNoRows) {
		v.Value, err = p.Usual, nil
	}
	return v, err
}

// notBefore refuses what a policy lets happen only so many days after a day.
func (o *op) notBefore(ctx context.Context, name string, after ledger.Date) error {
	days, err := o.policy(ctx, name, o.day)
	if err != nil {
		return err
	}
	if from := after.AddDays(days); o.day < from {
		return fmt.Errorf("by the policy %s not before %s: %w", name, from, ErrEarly)
	}
	return nil
}

// PolicyNow is a policy with the value that counts on a day.
type PolicyNow struct {
	Policy

	Value int         `json:"value"`
	From  ledger.Date `json:"from"` // none: nobody voted on it
	Text  string      `json:"text"` // of that vote
}

// PoliciesOn lists the policies that are numbers, as they count on a day.
func (s *Store) PoliciesOn(ctx context.Context, day ledger.Date) ([]PolicyNow, error) {
	all := make([]PolicyNow, len(Policies))
	for i, p := range Policies {
		v, err := voted(ctx, s.db, p, day)
		if err != nil {
			return nil, err
		}
		all[i] = PolicyNow{p, v.Value, v.From, v.Text}
	}
	return all, nil
}

// Voted is a vote as it stands in the minute book.
type Voted struct {
	Vote

	Actor string    `json:"recorded_by" db:"actor"`
	At    time.Time `json:"recorded_at" db:"at"`
}

// Votes lists the votes on a policy, or on all, in their order. ErrUnknown.
func (s *Store) Votes(ctx context.Context, policy string) (all []Voted, err error) {
	if policy != "" {
		if _, err := policyNamed(policy); err != nil {
			return nil, err
		}
	}
	err = s.db.SelectContext(ctx, &all, `
		SELECT v.policy, v.value, v.from_on, v.text, m.actor, m.at FROM policy_vote v JOIN act m ON m.key = v.key
		WHERE $1 = '' OR v.policy = $1 ORDER BY v.n`, policy)
	return all, err
}
