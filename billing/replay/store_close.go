package replay

import (
	"context"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
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

// closeBooks does what a close does but for the seal: other books are in the same database.
func (r *run) closeBooks(ctx context.Context, p ledger.Period, keys string, at time.Time) (commune.Figures, error) {
	c := &ledger.Closing{Tx: r.tx, Period: p, From: r.next.First(), At: at, Actor: "replay", Keys: keys}
	figures, err := r.commune.Close(ctx, c)
	if err != nil {
		return commune.Figures{}, err
	}
	return figures, ledger.EnterpriseResults(ctx, c)
}
