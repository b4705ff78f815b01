package replay

import (
	"context"
	"fmt"
	"time"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// openFrom gives the commune the scenario's zone, and its next period as the first that is open. That is seen in this
// transaction alone, and undone with it; the wait is for another run, which may take its time.
func (r *run) openFrom(ctx context.Context) error {
	if _, err := r.tx.ExecContext(ctx, `SET LOCAL lock_timeout = '2min'`); err != nil {
		return err
	}
	_, err := r.tx.ExecContext(ctx, `UPDATE commune SET zone = $1, open_from = $2::date`, r.world.zone.String(), string(r.next.First()))
	return err
}

// closePeriod closes the next period; one that is closed stays as it is. The commune's part is not supported yet: it must
// be empty, so that only the enterprises' results are left.
func (r *run) closePeriod(ctx context.Context, e *event) error {
	p := e.period("period")
	switch err := e.done(); {
	case err != nil:
		return err
	case p < r.next:
		return nil
	case p > r.next:
		return refuse(periodOpen, "%s: the next period to close is %s", e.path, r.next)
	case len(r.world.assets) > 0 || r.world.opening["COM"]["3200:pool"] != 0:
		return fmt.Errorf("%s, a close with the commune's part: %w", e.path, ErrUnsupported)
	}
	last, err := time.ParseInLocation(time.DateOnly, string(p.Last()), r.world.zone)
	if err != nil {
		return err
	}
	c := &ledger.Closing{Tx: r.tx, Period: p, From: r.next.First(), At: last, Actor: "replay", Keys: r.key(e.n) + ":"}
	for _, enterprise := range r.world.enterprises {
		if err := c.Result(ctx, r.book(enterprise)); err != nil {
			return refused(e, err)
		}
	}
	r.next = p.Next()
	if err := r.openFrom(ctx); err != nil {
		return err
	}
	for _, id := range c.Posted() {
		r.posted[id] = e.id
	}
	r.periods[p] = r.world.emptyPeriod(p)
	return nil
}

// emptyPeriod is a period in which the commune had nothing to share: each member of any of its days gets nothing.
func (w *world) emptyPeriod(p ledger.Period) Period {
	none := map[string]money.Amount{}
	period := Period{
		Rents: none, Interest: none, InterestPaid: none, Redeemed: none, Remainder: none, Dividends: map[string]money.Amount{},
	}
	for id, m := range w.members {
		if m.joined <= p.Last() && (m.left == "" || m.left > max(p.First(), m.joined)) {
			period.Dividends[id] = 0
		}
	}
	return period
}
