package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// VoucherBatch is the vouchers that one entry issued, and how many there are in each state.
type VoucherBatch struct {
	ID         uuid.UUID      `json:"id" db:"id"`   // of the entry
	Key        string         `json:"key" db:"key"` // with which the same vouchers can be had again
	IssuedBy   string         `json:"issued_by" db:"issued_by"`
	IssuedAt   time.Time      `json:"issued_at" db:"issued_at"`
	Amount     money.Amount   `json:"amount" db:"amount"` // of each
	Currency   money.Currency `json:"currency" db:"currency"`
	ExpiresOn  *ledger.Date   `json:"expires_on" db:"expires_on"`
	Enterprise string         `json:"enterprise" db:"enterprise"`
	Count      int            `json:"count" db:"count"`
	Open       int            `json:"open" db:"open"`
	Redeemed   int            `json:"redeemed" db:"redeemed"`
	Void       int            `json:"void" db:"void"`
	Expired    int            `json:"expired" db:"expired"`
}

const selectBatch = `
SELECT e.id, substr(e.key, length('voucher-issue:') + 1) AS key, v.issued_by, min(v.issued_at) AS issued_at, v.amount,
    k.currency, v.expires_on, v.enterprise, count(*) AS count,
    count(*) FILTER (WHERE v.state = 'open') AS open, count(*) FILTER (WHERE v.state = 'redeemed') AS redeemed,
    count(*) FILTER (WHERE v.state = 'void') AS void, count(*) FILTER (WHERE v.state = 'expired') AS expired
FROM (
    SELECT v.batch, v.issued_by, v.issued_at, v.amount, v.expires_on, v.enterprise, ` + voucherState + ` AS state FROM voucher v) v
    JOIN entry e ON e.id = v.batch JOIN book k ON k.code = v.enterprise`

const groupBatch = `
GROUP BY e.id, v.issued_by, v.amount, k.currency, v.expires_on, v.enterprise ORDER BY e.id`

// VoucherBatches lists the batches that an account issued, or all, oldest first. A single voucher is a batch of one.
func (s *Service) VoucherBatches(ctx context.Context, account string) ([]VoucherBatch, error) {
	list := []VoucherBatch{}
	err := s.db.SelectContext(ctx, &list, selectBatch+` WHERE $1 = '' OR v.issued_by = $1`+groupBatch, account)
	if err != nil {
		return nil, fmt.Errorf("batches of vouchers: %w", err)
	}
	return list, nil
}

// VoidVouchers makes the vouchers of a batch worthless that were not redeemed, and gives their credit back to the account
// that it came from, by one entry. Where none is left it changes nothing. ErrNotFound, ErrReason.
func (s *Service) VoidVouchers(ctx context.Context, batch uuid.UUID, reason, actor string) (b VoucherBatch, err error) {
	if err = ErrReason; reason != "" {
		b, err = s.endVouchers(ctx, batch, VoucherVoid, reason, actor)
	}
	if err != nil {
		return VoucherBatch{}, fmt.Errorf("void vouchers: %w", err)
	}
	return b, nil
}

// ExpireVouchers books what vouchers come to whose last day is over: the enterprise keeps it (economics.md 6, breakage).
// Each batch is an entry; they are given as they are then.
func (s *Service) ExpireVouchers(ctx context.Context, actor string) ([]VoucherBatch, error) {
	var over []uuid.UUID
	err := s.db.SelectContext(ctx, &over, `
		SELECT v.batch FROM voucher v
		WHERE v.ended IS NULL AND v.expires_on IS NOT NULL AND `+voucherState+` = 'expired' GROUP BY v.batch ORDER BY v.batch`)
	expired := []VoucherBatch{}
	for _, batch := range over {
		if err == nil {
			var b VoucherBatch
			b, err = s.endVouchers(ctx, batch, VoucherExpired, "Vouchers expired", actor)
			expired = append(expired, b)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("expire vouchers: %w", err)
	}
	return expired, nil
}

func (s *Service) endVouchers(ctx context.Context, batch uuid.UUID, how VoucherState, text, actor string) (VoucherBatch, error) {
	return once(ctx, "the command", func() (b VoucherBatch, err error) {
		err = s.tx(ctx, func(tx *sqlx.Tx) error {
			if err := s.endBatch(ctx, tx, batch, how, text, actor); err != nil {
				return err
			}
			var found []VoucherBatch
			err := tx.SelectContext(ctx, &found, selectBatch+` WHERE v.batch = $1`+groupBatch, batch)
			if err == nil && len(found) == 0 {
				return fmt.Errorf("batch of vouchers %s: %w", batch, ErrNotFound)
			}
			if err == nil {
				b = found[0]
			}
			return err
		})
		return b, err
	})
}

// endBatch books the end of what is left of a batch. The vouchers are locked before anything is decided: one that is being
// redeemed is waited for, and is redeemed or ended but never both.
func (s *Service) endBatch(ctx context.Context, tx *sqlx.Tx, batch uuid.UUID, how VoucherState, text, actor string) error {
	var left []Voucher
	err := tx.SelectContext(ctx, &left, `
		SELECT id, amount, enterprise, issued_by FROM voucher
		WHERE batch = $1 AND redeemed_at IS NULL AND ended IS NULL ORDER BY serial FOR UPDATE`, batch)
	if err != nil || len(left) == 0 {
		return err
	}
	ids := make([]string, len(left))
	var sum money.Amount // of at most MaxBatch
	for n, v := range left {
		ids[n], sum = v.ID.String(), sum+v.Amount
	}
	lines := VoucherRedeemLines(left[0].Enterprise, left[0].IssuedBy, sum)
	kind := "voucher-void"
	if how == VoucherExpired {
		lines, kind = VoucherExpiryLines(left[0].Enterprise, sum), "voucher-expiry"
	}
	_, err = ledger.Post(ctx, tx, ledger.Entry{
		Key: kind + ":" + batch.String(), Kind: kind, Text: text, Actor: s.actor(actor), At: s.now(), Lines: lines,
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE voucher SET ended = $2, ended_at = now() WHERE id = ANY ($1::uuid[])`, pq.Array(ids), how)
	return err
}
