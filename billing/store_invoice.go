package billing

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// The kinds of entries about carriers' invoices.
const (
	invoiceKind        = "carrier-invoice"
	invoicePaymentKind = "carrier-payment"
)

const selectInvoice = `
SELECT i.enterprise, i.carrier, i.number, i.first_day, i.last_day, i.amount, i.accrued, i.amount - i.accrued AS difference,
    k.currency, i.received_at, p.at AS paid_at, i.entry_id, i.payment_id
FROM carrier_invoice i JOIN book k ON k.code = i.enterprise LEFT JOIN entry p ON p.id = i.payment_id`

// AddInvoice takes down a carrier's invoice and compares it with what the calls of its days have accrued: the difference
// is an entry, so that what is owed to the carrier is what it asks for (economics.md 5.3). Taking down the same one again
// changes nothing; another content under its number is ErrConflict. ErrAmount, ErrInvoice, ErrInvoiced, ErrNotFound for a
// carrier that no trunk has and no provider is.
func (s *Service) AddInvoice(ctx context.Context, n NewInvoice) (Invoice, error) {
	n.Enterprise = cmp.Or(n.Enterprise, "CALL")
	err := n.check()
	var i Invoice
	if err == nil {
		i, err = once(ctx, "the command", func() (Invoice, error) { return s.addInvoice(ctx, n) })
	}
	if err != nil {
		return Invoice{}, fmt.Errorf("invoice %.64q of %.40q: %w", n.Number, n.Carrier, err)
	}
	return i, nil
}

func (s *Service) addInvoice(ctx context.Context, n NewInvoice) (i Invoice, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		// One at a time of each carrier, so that no two are for the same days.
		_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('invoices of ' || $1 || '/' || $2, 0))`,
			n.Enterprise, n.Carrier)
		if err != nil {
			return err
		}
		i, err = invoice(ctx, tx, n.Enterprise, n.Carrier, n.Number)
		switch {
		case err == nil && !i.is(n):
			return ErrConflict
		case err == nil || !errors.Is(err, ErrNotFound):
			return err
		}
		if err := mayInvoice(ctx, tx, n); err != nil {
			return err
		}
		if err := s.storeInvoice(ctx, tx, n); err != nil {
			return err
		}
		i, err = invoice(ctx, tx, n.Enterprise, n.Carrier, n.Number)
		return err
	})
	return i, err
}

// is tells whether this is what was taken down.
func (i Invoice) is(n NewInvoice) bool {
	var days Days
	if i.From != nil && i.To != nil {
		days = Days{*i.From, *i.To}
	}
	return i.Amount == n.Amount && days == n.Days
}

func mayInvoice(ctx context.Context, tx *sqlx.Tx, n NewInvoice) error {
	var found struct {
		Known bool
		Other sql.NullString // invoice for some of the days
	}
	err := tx.GetContext(ctx, &found, `
		SELECT EXISTS (SELECT FROM trunk WHERE carrier = $2) OR EXISTS (SELECT FROM provider WHERE code = $2)
		        OR EXISTS (SELECT FROM line WHERE book = $1 AND account = '2200:' || $2) AS known, (
		    SELECT number FROM carrier_invoice
		    WHERE enterprise = $1 AND carrier = $2 AND first_day <= NULLIF($4, '')::date AND last_day >= NULLIF($3, '')::date
		    LIMIT 1) AS other`, n.Enterprise, n.Carrier, string(n.Days.First), string(n.Days.Last))
	switch {
	case err != nil:
		return err
	case !found.Known:
		return fmt.Errorf("carrier: %w", ErrNotFound)
	case found.Other.Valid:
		return fmt.Errorf("%.64q: %w", found.Other.String, ErrInvoiced)
	}
	return nil
}

func (s *Service) storeInvoice(ctx context.Context, tx *sqlx.Tx, n NewInvoice) error {
	accrued, err := accruedFor(ctx, tx, n)
	if err != nil {
		return err
	}
	difference, err := n.Amount.Add(-accrued)
	if err != nil {
		return err
	}
	var entry uuid.NullUUID
	if difference != 0 {
		entry.Valid = true
		entry.UUID, err = ledger.Post(ctx, tx, ledger.Entry{
			Key: invoiceKey(invoiceKind, n.Enterprise, n.Carrier, n.Number), Kind: invoiceKind, Text: n.text(accrued),
			Actor: s.actor(n.Actor), At: s.now(), Lines: InvoiceLines(n.Enterprise, n.Carrier, difference),
		})
		if err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO carrier_invoice (enterprise, carrier, number, first_day, last_day, amount, accrued, entry_id)
		VALUES ($1, $2, $3, NULLIF($4, '')::date, NULLIF($5, '')::date, $6, $7, $8)`,
		n.Enterprise, n.Carrier, n.Number, string(n.Days.First), string(n.Days.Last), n.Amount, accrued, entry)
	return err
}

// accruedFor gives what the books have for a carrier's calls of some days: all that moved what is owed to it but the entries
// about invoices, and those that take these back.
func accruedFor(ctx context.Context, tx *sqlx.Tx, n NewInvoice) (sum money.Amount, err error) {
	err = tx.GetContext(ctx, &sum, `
		SELECT COALESCE(-sum(l.amount), 0)::bigint
		FROM line l JOIN entry e ON e.id = l.entry_id LEFT JOIN entry r ON r.id = e.reverses
		WHERE l.book = $1 AND l.account = '2200:' || $2
		    AND e.business_date BETWEEN NULLIF($3, '')::date AND NULLIF($4, '')::date
		    AND COALESCE(r.kind, e.kind) NOT IN ($5, $6)`,
		n.Enterprise, n.Carrier, string(n.Days.First), string(n.Days.Last), invoiceKind, invoicePaymentKind)
	return sum, err
}

func invoice(ctx context.Context, tx *sqlx.Tx, enterprise, carrier, number string) (i Invoice, err error) {
	err = tx.GetContext(ctx, &i, selectInvoice+` WHERE i.enterprise = $1 AND i.carrier = $2 AND i.number = $3`,
		enterprise, carrier, number)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return i, err
}

// InvoicePayment says that an invoice is paid, whole.
type InvoicePayment struct {
	Enterprise string // default CALL
	Carrier    string
	Number     string
	Text       string // for the books
	Actor      string // who pays; none: this node
}

// PayInvoice books that an invoice is paid (T-04), once. ErrNotFound, ErrFunds.
func (s *Service) PayInvoice(ctx context.Context, p InvoicePayment) (Invoice, error) {
	p.Enterprise = cmp.Or(p.Enterprise, "CALL")
	i, err := once(ctx, "the command", func() (Invoice, error) { return s.payInvoice(ctx, p) })
	if err != nil {
		return Invoice{}, fmt.Errorf("pay invoice %.64q of %.40q: %w", p.Number, p.Carrier, err)
	}
	return i, nil
}

func (s *Service) payInvoice(ctx context.Context, p InvoicePayment) (i Invoice, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			SELECT FROM carrier_invoice WHERE enterprise = $1 AND carrier = $2 AND number = $3 FOR NO KEY UPDATE`,
			p.Enterprise, p.Carrier, p.Number)
		if err == nil {
			i, err = invoice(ctx, tx, p.Enterprise, p.Carrier, p.Number)
		}
		if err != nil || i.Payment != nil {
			return err
		}
		if err := mayPay(ctx, tx, p.Enterprise, i.Amount); err != nil {
			return err
		}
		payment, err := ledger.Post(ctx, tx, ledger.Entry{
			Key: invoiceKey(invoicePaymentKind, p.Enterprise, p.Carrier, p.Number), Kind: invoicePaymentKind,
			Text:  cmp.Or(p.Text, fmt.Sprintf("Invoice %s of %s paid", p.Number, p.Carrier)),
			Actor: s.actor(p.Actor), At: s.now(), Lines: InvoicePaymentLines(p.Enterprise, p.Carrier, i.Amount),
		})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE carrier_invoice SET payment_id = $4 WHERE enterprise = $1 AND carrier = $2 AND number = $3`,
			p.Enterprise, p.Carrier, p.Number, payment)
		if err != nil {
			return err
		}
		i, err = invoice(ctx, tx, p.Enterprise, p.Carrier, p.Number)
		return err
	})
	return i, err
}

// InvoiceFilter chooses invoices. Its zero value means all.
type InvoiceFilter struct {
	Carrier string
	Open    bool // those that are not paid
}

// Invoices lists carriers' invoices in the order in which they came.
func (s *Service) Invoices(ctx context.Context, f InvoiceFilter) ([]Invoice, error) {
	list := []Invoice{}
	err := s.db.SelectContext(ctx, &list, selectInvoice+`
		WHERE ($1 = '' OR i.carrier = $1) AND (NOT $2 OR i.payment_id IS NULL)
		ORDER BY i.received_at, i.carrier COLLATE "C", i.number COLLATE "C"`, f.Carrier, f.Open)
	if err != nil {
		return nil, fmt.Errorf("carriers' invoices: %w", err)
	}
	return list, nil
}
