package billing

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

const vatPaymentKind = "vat-payment"

// VATMonth is the VAT of a month's calls. What is paid goes to the oldest month that is due.
type VATMonth struct {
	Month    ledger.Period  `json:"month" db:"month"`
	VAT      money.Amount   `json:"vat" db:"vat"`
	Paid     money.Amount   `json:"paid" db:"-"`
	Due      money.Amount   `json:"due" db:"-"` // VAT - Paid; below a cent it is left for the next payment
	Currency money.Currency `json:"currency" db:"currency"`
}

// settle spreads what was paid over months, the oldest first. A month whose calls were taken back more than made is a
// payment of those after it.
func settle(months []VATMonth, paid money.Amount) {
	for n := range months {
		m := &months[n]
		m.Paid = min(m.VAT, paid)
		if n == len(months)-1 {
			m.Paid = paid // up to a cent more than is due
		}
		paid -= m.Paid
		m.Due = m.VAT - m.Paid
	}
}

// VATDue lists the months of an enterprise with their VAT, oldest first. ErrNotFound.
func (s *Service) VATDue(ctx context.Context, enterprise string) ([]VATMonth, error) {
	months, err := vatDue(ctx, s.db, enterprise)
	if err != nil {
		return nil, fmt.Errorf("VAT: %w", err)
	}
	return months, nil
}

func vatDue(ctx context.Context, db sqlx.QueryerContext, of string) ([]VATMonth, error) {
	if _, err := enterprise(ctx, db, of); err != nil {
		return nil, err
	}
	rows := []struct {
		VATMonth
		Payments money.Amount `db:"payments"`
	}{}
	err := sqlx.SelectContext(ctx, db, &rows, `
		SELECT to_char(e.business_date, 'YYYY-MM') AS month, k.currency,
		    COALESCE(-sum(l.amount) FILTER (WHERE COALESCE(r.kind, e.kind) <> $2), 0)::bigint AS vat,
		    COALESCE(sum(l.amount) FILTER (WHERE COALESCE(r.kind, e.kind) = $2), 0)::bigint AS payments
		FROM line l JOIN entry e ON e.id = l.entry_id LEFT JOIN entry r ON r.id = e.reverses JOIN book k ON k.code = l.book
		WHERE l.book = $1 AND l.account = '2500'
		GROUP BY 1, 2 ORDER BY 1`, of, vatPaymentKind)
	months := []VATMonth{}
	var paid money.Amount
	for _, r := range rows {
		if r.VAT != 0 { // of nothing but payments
			months = append(months, r.VATMonth)
		}
		paid += r.Payments // all together less than a cent beyond the VAT, which the query added up
	}
	settle(months, paid)
	return months, err
}

// VATPayment is VAT that is paid to the tax office.
type VATPayment struct {
	Enterprise string
	Amount     money.Amount // whole cents
	Key        string       // makes it repeatable; none: a new one, named by an error after which it may have been done
	Text       string       // for the books
	Actor      string       // who pays; none: this node
}

// PayVAT books that VAT is paid on, and gives the months as VATDue does. The same key with the same content pays once;
// with another content it is ErrConflict. ErrAmount, ErrNotFound, ErrVATDue, ErrFunds.
func (s *Service) PayVAT(ctx context.Context, p VATPayment) ([]VATMonth, error) {
	if p.Amount <= 0 || p.Amount%money.Cent != 0 {
		return nil, fmt.Errorf("pay VAT: %s is not a positive amount of whole cents: %w", p.Amount, ErrAmount)
	}
	if p.Key == "" {
		p.Key = uuid.NewString()
	}
	months, err := once(ctx, "with --key "+p.Key, func() ([]VATMonth, error) { return s.payVAT(ctx, p) })
	if err != nil {
		return nil, fmt.Errorf("pay VAT: %w", err)
	}
	return months, nil
}

func (s *Service) payVAT(ctx context.Context, p VATPayment) (months []VATMonth, err error) {
	key := vatPaymentKind + ":" + p.Enterprise + "/" + p.Key
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		if err := takeTurn(ctx, tx, p.Enterprise); err != nil {
			return err
		}
		known, err := isPosted(ctx, tx, key)
		if err == nil && !known {
			err = mayPayVAT(ctx, tx, p)
		}
		if err != nil {
			return err
		}
		_, err = ledger.Post(ctx, tx, ledger.Entry{
			Key: key, Kind: vatPaymentKind, Text: cmp.Or(p.Text, "VAT paid"), Actor: s.actor(p.Actor), At: s.now(),
			Lines: VATPaymentLines(p.Enterprise, p.Amount),
		})
		if err != nil {
			return err
		}
		months, err = vatDue(ctx, tx, p.Enterprise)
		return err
	})
	return months, err
}

// mayPayVAT tells whether so much is due: to the cent, since a tax office may round up.
func mayPayVAT(ctx context.Context, tx *sqlx.Tx, p VATPayment) error {
	months, err := vatDue(ctx, tx, p.Enterprise)
	if err != nil {
		return err
	}
	var due money.Amount
	for _, m := range months {
		due += m.Due
	}
	if p.Amount >= due+money.Cent {
		return fmt.Errorf("%s of %s due: %w", p.Amount, due, ErrVATDue)
	}
	return mayPay(ctx, tx, p.Enterprise, p.Amount)
}
