package commune

import (
	"context"
	"errors"
	"fmt"

	"telecommune/billing/ledger"
)

// Joining is work by which somebody earns a share (R8).
type Joining struct {
	Member     string `json:"member"`
	Name       string `json:"name,omitempty"`
	Enterprise string `json:"enterprise"` // in which the work was done; none: there was no work
	Text       string `json:"text,omitempty"`
	AttestedBy string `json:"attested_by,omitempty"` // another active member; only the first needs none (D-36)
}

// Join issues a share for work; it costs nothing, and nothing is paid for it at the end (P-13: nominal 0, so that neither has
// an entry). Nobody can be refused who worked and whose work is attested (R10); there is no other way
// to a share. ErrNoContribution, ErrSecondShare, ErrUnknown.
func (c *Commune) Join(ctx context.Context, a Act, j Joining) error {
	o, err := c.begin(ctx, a, "member-join", j, alsoLater)
	if err != nil || o.again {
		return err
	}
	if j.Enterprise == "" {
		return fmt.Errorf("%.40q did no work: %w", j.Member, ErrNoContribution)
	}
	if err := c.working(ctx, j.Enterprise); err != nil {
		return err
	}
	if err := o.attested(ctx, j); err != nil {
		return err
	}
	var has bool
	err = c.tx.GetContext(ctx, &has, `
		SELECT EXISTS (SELECT FROM share WHERE member = $1 AND (cancelled_on IS NULL OR cancelled_on > $2::date))`, j.Member, string(o.day))
	if err != nil {
		return err
	}
	if has {
		return fmt.Errorf("%s: %w", j.Member, ErrSecondShare)
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO member (code, name) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING`, j.Member, j.Name)
	if err != nil {
		return err
	}
	if err := o.contribute(ctx, j); err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO share (member, issued_on, contribution) VALUES ($1, $2::date, $3)`, j.Member, string(o.day), o.Key)
	return err
}

// contribute writes work down.
func (o *op) contribute(ctx context.Context, j Joining) error {
	_, err := o.tx.ExecContext(ctx, `
		INSERT INTO contribution (key, member, day, enterprise, kind, text, attested_by) VALUES ($1, $2, $3::date, $4, 'work', $5, $6)`,
		o.Key, j.Member, string(o.day), j.Enterprise, j.Text, nullable(j.AttestedBy))
	return err
}

// Work writes down that a member worked, which keeps the membership from lapsing (P-14); it is attested as for joining.
// ErrNoContribution, ErrNotMember, ErrState, ErrUnknown.
func (c *Commune) Work(ctx context.Context, a Act, j Joining) error {
	o, err := c.begin(ctx, a, "member-work", j, alsoLater)
	if err != nil || o.again {
		return err
	}
	if err := o.active(ctx, j.Member); err != nil {
		return err
	}
	if err := c.working(ctx, j.Enterprise); err != nil {
		return err
	}
	if err := o.attested(ctx, j); err != nil {
		return err
	}
	return o.contribute(ctx, j)
}

// attested finds another active member behind a contribution, if there is one to ask.
func (o *op) attested(ctx context.Context, j Joining) error {
	if j.AttestedBy != "" {
		err := o.knownMember(ctx, j.AttestedBy)
		if err == nil {
			err = o.active(ctx, j.AttestedBy)
		}
		if j.AttestedBy == j.Member || errors.Is(err, ErrNotMember) {
			err = fmt.Errorf("%.40q is not another active member: %w", j.AttestedBy, ErrNoContribution)
		}
		return err
	}
	var others bool
	err := o.tx.GetContext(ctx, &others, `
		SELECT EXISTS (SELECT FROM share WHERE member <> $1 AND issued_on <= $2::date AND (cancelled_on IS NULL OR cancelled_on > $2::date))`,
		j.Member, string(o.day))
	if err == nil && others {
		err = fmt.Errorf("nobody attests the work of %.40q: %w", j.Member, ErrNoContribution)
	}
	return err
}

// active refuses who is not a member on the operation's day.
func (o *op) active(ctx context.Context, member string) error {
	if err := o.knownMember(ctx, member); err != nil {
		return err
	}
	var active bool
	err := o.tx.GetContext(ctx, &active, `
		SELECT EXISTS (SELECT FROM share WHERE member = $1 AND issued_on <= $2::date AND (cancelled_on IS NULL OR cancelled_on > $2::date))`,
		member, string(o.day))
	if err == nil && !active {
		err = fmt.Errorf("%s on %s: %w", member, o.day, ErrNotMember)
	}
	return err
}

// Leave cancels a member's share; the day does not count any more. Dividends for the days before it come with the close
// (7.9). ErrUnknown, ErrState.
func (c *Commune) Leave(ctx context.Context, a Act, member string) error {
	o, err := c.begin(ctx, a, "member-leave", member, alsoLater)
	if err != nil || o.again {
		return err
	}
	return o.cancelShare(ctx, member)
}

// Ending is why a membership ends that nobody gave up.
type Ending struct {
	Member string `json:"member"`
	Death  bool   `json:"death"` // else excluded by a decision of the members
	Text   string `json:"text"`  // the reason
}

// End cancels the share of a member who died, or was excluded by a decision whose reason is recorded. Nothing passes to
// anybody but the dividends up to that day (R9). ErrUnknown, ErrState.
func (c *Commune) End(ctx context.Context, a Act, e Ending) error {
	o, err := c.begin(ctx, a, "member-end", e, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if e.Text == "" {
		return fmt.Errorf("the end of a membership needs its reason: %w", ErrState)
	}
	return o.cancelShare(ctx, e.Member)
}

// Lapse cancels the share of a member who did no work for so many full months as the members voted (P-14). ErrEarly with
// the day from which he may, ErrNotMember, ErrUnknown.
func (c *Commune) Lapse(ctx context.Context, a Act, member string) error {
	o, err := c.begin(ctx, a, "member-lapse", member, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := o.active(ctx, member); err != nil {
		return err
	}
	idle, err := c.policy(ctx, IdleMonths, o.day)
	if err != nil {
		return err
	}
	last, err := one[ledger.Date](ctx, c, "work of", member, `SELECT max(day) FROM contribution WHERE member = $1`)
	if err != nil {
		return err
	}
	if from := lapses(last, idle); o.day < from {
		return fmt.Errorf("%s worked on %s, so the membership can't lapse before %s: %w", member, last, from, ErrEarly)
	}
	return o.cancelShare(ctx, member)
}

// lapses is the first day after so many full months without work.
func lapses(last ledger.Date, idle int) ledger.Date {
	return ledger.PeriodOf(last).AddMonths(idle + 1).First()
}

// cancelShare ends a membership on the operation's day.
func (o *op) cancelShare(ctx context.Context, member string) error {
	if err := o.knownMember(ctx, member); err != nil {
		return err
	}
	done, err := o.tx.ExecContext(ctx, `
		UPDATE share SET cancelled_on = $2::date
		WHERE member = $1 AND issued_on <= $2::date AND (cancelled_on IS NULL OR cancelled_on > $2::date)`, member, string(o.day))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return fmt.Errorf("%s has no share on %s: %w", member, o.day, ErrState)
}

// memberDays lists who was a member in a month, by code.
func (c *Commune) memberDays(ctx context.Context, p ledger.Period) ([]MemberDays, error) {
	members := []MemberDays{}
	err := c.tx.SelectContext(ctx, &members, `
		SELECT member, sum(LEAST(COALESCE(cancelled_on, $2::date), $2::date) - GREATEST(issued_on, $1::date))::integer AS days
		FROM share
		WHERE issued_on < $2::date AND (cancelled_on IS NULL OR cancelled_on > $1::date) AND cancelled_on IS DISTINCT FROM issued_on
		GROUP BY member ORDER BY member COLLATE "C"`, string(p.First()), string(p.Next().First()))
	return members, err
}
