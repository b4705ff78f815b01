package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Voucher is credit on paper.
type Voucher struct {
	ID         uuid.UUID      `json:"id" db:"id"`            // also of the entry that issued it
	Number     string         `json:"code,omitempty" db:"-"` // 15 digits in groups; known when issued, never stored
	Amount     money.Amount   `json:"amount" db:"amount"`
	Currency   money.Currency `json:"currency" db:"currency"`
	Enterprise string         `json:"enterprise" db:"enterprise"`
	IssuedBy   string         `json:"issued_by" db:"issued_by"`
	IssuedAt   time.Time      `json:"issued_at" db:"issued_at"`
	RedeemedBy *string        `json:"redeemed_by" db:"redeemed_by"`
	RedeemedAt *time.Time     `json:"redeemed_at" db:"redeemed_at"`
}

// VoucherIssue asks for a voucher out of an account's credit.
type VoucherIssue struct {
	Account string
	Amount  money.Amount
	Key     string // makes it repeatable: the same key gives the same voucher; none: a new one
	Actor   string // who asks for it; none: this node
}

const selectVoucher = `
SELECT v.id, v.amount, k.currency, v.enterprise, v.issued_by, v.issued_at, v.redeemed_by, v.redeemed_at
FROM voucher v JOIN book k ON k.code = v.enterprise`

// IssueVoucher takes an amount out of an account's free credit (T-02) and gives the voucher with its number. The same
// key with the same content gives the same voucher, with another content ErrConflict. ErrAmount, ErrInsufficientCredit,
// ErrBlocked, ErrNotFound, ErrKey.
func (s *Service) IssueVoucher(ctx context.Context, i VoucherIssue) (Voucher, error) {
	v, err := s.issueVoucher(ctx, i)
	if err != nil {
		return Voucher{}, fmt.Errorf("issue voucher of %.40q: %w", i.Account, err)
	}
	return v, nil
}

func (s *Service) issueVoucher(ctx context.Context, i VoucherIssue) (Voucher, error) {
	if i.Amount <= 0 {
		return Voucher{}, fmt.Errorf("%s is not positive: %w", i.Amount, ErrAmount)
	}
	if i.Key == "" {
		i.Key = uuid.NewString()
	}
	number, err := s.key.voucher(i.Key)
	if err != nil {
		return Voucher{}, err
	}
	mac, err := s.key.mac("voucher", number)
	if err != nil {
		return Voucher{}, err
	}
	v, err := once(ctx, i.Key, func() (Voucher, error) { return s.storeVoucher(ctx, i, mac) })
	v.Number = FormatVoucher(number)
	return v, err
}

func (s *Service) storeVoucher(ctx context.Context, i VoucherIssue, mac []byte) (v Voucher, err error) {
	key := "voucher-issue:" + i.Key
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		a, err := account(ctx, tx, i.Account)
		if err != nil {
			return err
		}
		if a.Blocked { // what was issued before that is still given
			var issued bool
			if err := tx.GetContext(ctx, &issued, `SELECT EXISTS (SELECT FROM entry WHERE key = $1)`, key); err != nil {
				return err
			}
			if !issued {
				return ErrBlocked
			}
		}
		id, err := ledger.Post(ctx, tx, ledger.Entry{
			Key: key, Kind: "voucher-issue", Text: "Voucher of " + i.Account, Actor: s.actor(i.Actor),
			At: time.Now(), Lines: VoucherIssueLines(a.Enterprise, i.Account, i.Amount),
		})
		if err != nil {
			return err
		}
		// The voucher bears the id of its entry, so a repetition finds its own.
		_, err = tx.ExecContext(ctx, `
			INSERT INTO voucher (id, hmac, enterprise, amount, issued_by) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO NOTHING`, id, mac, a.Enterprise, i.Amount, i.Account)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &v, selectVoucher+` WHERE v.id = $1`, id)
	})
	return v, err
}

// RedeemVoucher turns a voucher into credit of an account of the same enterprise (T-02), once. Redeeming it again into
// the same account gives the same result. ErrVoucherNumber, ErrNotFound, ErrVoucherSpent, ErrKey.
func (s *Service) RedeemVoucher(ctx context.Context, number, into, actor string) (Voucher, error) {
	v, err := s.redeemVoucher(ctx, number, into, actor)
	if err != nil {
		return Voucher{}, fmt.Errorf("redeem voucher into %.40q: %w", into, err)
	}
	return v, nil
}

func (s *Service) redeemVoucher(ctx context.Context, number, into, actor string) (Voucher, error) {
	digits, err := parseVoucher(number)
	if err != nil {
		return Voucher{}, err
	}
	mac, err := s.key.mac("voucher", digits)
	if err != nil {
		return Voucher{}, err
	}
	var v Voucher
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		a, err := account(ctx, tx, into)
		if err != nil {
			return err
		}
		v = Voucher{}
		err = tx.GetContext(ctx, &v, selectVoucher+` WHERE v.hmac = $1 AND v.enterprise = $2 FOR UPDATE OF v`, mac, a.Enterprise)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("voucher: %w", ErrNotFound)
		case err != nil:
			return err
		case v.RedeemedBy != nil && *v.RedeemedBy == into:
			return nil
		case v.RedeemedBy != nil:
			return ErrVoucherSpent
		}
		_, err = ledger.Post(ctx, tx, ledger.Entry{
			Key: "voucher-redeem:" + v.ID.String(), Kind: "voucher-redeem", Text: "Voucher redeemed by " + into, Actor: s.actor(actor),
			At: time.Now(), Lines: VoucherRedeemLines(a.Enterprise, into, v.Amount),
		})
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &v, `
			UPDATE voucher SET redeemed_by = $2, redeemed_at = now() WHERE id = $1 RETURNING redeemed_by, redeemed_at`, v.ID, into)
	})
	return v, err
}

// Vouchers lists the vouchers that an account issued or redeemed, or all, oldest first.
func (s *Service) Vouchers(ctx context.Context, account string) ([]Voucher, error) {
	list := []Voucher{}
	err := s.db.SelectContext(ctx, &list, selectVoucher+`
		WHERE $1 = '' OR v.issued_by = $1 OR v.redeemed_by = $1 ORDER BY v.issued_at, v.id`, account)
	if err != nil {
		return nil, fmt.Errorf("vouchers: %w", err)
	}
	return list, nil
}
