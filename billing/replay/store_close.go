package replay

import (
	"context"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

// openNext makes the next period the first that is open.
func (r *run) openNext(ctx context.Context) error {
	_, err := r.tx.ExecContext(ctx, `UPDATE replay.commune SET open_from = $1::date`, string(r.next.First()))
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
