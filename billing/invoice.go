package billing

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Days are those from a first to a last one, both counted, in the commune's zone. The zero value means "none".
type Days struct{ First, Last ledger.Date }

// ParseDays reads a month such as 2027-06 or two days such as 2027-06-01/2027-06-15 (ISO 8601), or returns ErrDays.
func ParseDays(s string) (Days, error) {
	if month, err := ledger.ParsePeriod(s); err == nil {
		return Days{month.First(), month.Last()}, nil
	}
	first, last, _ := strings.Cut(s, "/")
	from, err := ledger.ParseDate(first)
	to, err2 := ledger.ParseDate(last)
	if err != nil || err2 != nil || to < from {
		return Days{}, fmt.Errorf("%.40q: %w", s, ErrDays)
	}
	return Days{from, to}, nil
}

// String writes days as ParseDays reads them.
func (d Days) String() string { return string(d.First) + "/" + string(d.Last) }

// Invoice is what a carrier asks for. It is known by enterprise, carrier and number.
type Invoice struct {
	Enterprise string       `json:"enterprise" db:"enterprise"`
	Carrier    string       `json:"carrier" db:"carrier"` // sub-account of 2200
	Number     string       `json:"number" db:"number"`   // the carrier's
	From       *ledger.Date `json:"from" db:"first_day"`  // first day of the calls that it is for; none: for something else
	To         *ledger.Date `json:"to" db:"last_day"`     // and the last
	Amount     money.Amount `json:"amount" db:"amount"`
	// Accrued is what the books had for those calls when it came, Difference what it asks for beyond that.
	Accrued    money.Amount   `json:"accrued" db:"accrued"`
	Difference money.Amount   `json:"difference" db:"difference"`
	Currency   money.Currency `json:"currency" db:"currency"`
	ReceivedAt time.Time      `json:"received_at" db:"received_at"`
	PaidAt     *time.Time     `json:"paid_at" db:"paid_at"`    // none while it is open
	Entry      *uuid.UUID     `json:"entry" db:"entry_id"`     // of the difference; none when there is none
	Payment    *uuid.UUID     `json:"payment" db:"payment_id"` // none while it is open
}

// NewInvoice is an invoice that came.
type NewInvoice struct {
	Enterprise string // default CALL
	Carrier    string
	Number     string
	Days       Days         // of the calls that it is for; none: for something else, such as a monthly fee
	Amount     money.Amount // whole cents of the commune's currency
	Text       string       // for the books
	Actor      string       // who enters it; none: this node
}

func (n NewInvoice) check() error {
	switch {
	case n.Amount <= 0 || n.Amount%money.Cent != 0:
		return fmt.Errorf("%s is not a positive amount of whole cents: %w", n.Amount, ErrAmount)
	case len(n.Number) < 1 || len(n.Number) > 64 || !utf8.ValidString(n.Number),
		strings.ContainsFunc(n.Number, func(r rune) bool { return !unicode.IsPrint(r) }):
		return ErrInvoice
	}
	return nil
}

// text is what the entry of its difference says.
func (n NewInvoice) text(accrued money.Amount) string {
	return cmp.Or(n.Text, fmt.Sprintf("Invoice %s of %s: %s, accrued %s", n.Number, n.Carrier, n.Amount, accrued))
}

// key is that of an entry about an invoice. Codes have no slash, so no two invoices have one key.
func invoiceKey(kind, enterprise, carrier, number string) string {
	return kind + ":" + enterprise + "/" + carrier + "/" + number
}
