package billing

import (
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// BookingKind is what sort of booking it is. It is the kind of its entry too, and so stands in the journal.
type BookingKind string

// The bookings on a caller's account that somebody decides on (economics.md 7.1).
const (
	PaidIn     BookingKind = "topup"     // T-01: money comes in
	Refund     BookingKind = "refund"    // unused credit is paid back
	Goodwill   BookingKind = "credit"    // the enterprise gives credit
	Adjustment BookingKind = "debit"     // and takes some back
	Lapse      BookingKind = "expiry"    // the right to unused credit has lapsed: breakage
	WriteOff   BookingKind = "write-off" // what is owed won't be paid
	Transfer   BookingKind = "transfer"  // credit goes to another account, as by a voucher
)

// Booking is money that moves on an account because somebody decided so: neither a call nor a voucher.
type Booking struct {
	Kind    BookingKind
	Account string
	Into    string // the account that a Transfer goes to
	Amount  money.Amount
	Key     string // makes it repeatable; none: a new one, named by an error after which it may have been done
	Text    string // why; it stands on the bill
	Actor   string // who decided; none: this node
}

// The accounts that bookings move money between, beside those that have a code of their own.
const (
	bank   = "1000"
	its    = "the credit of the account"
	others = "the credit of the account that it goes to"
)

// template is what a kind of booking does, and to whom it may be done.
type template struct {
	debit, credit string
	text          string // why, when nobody says it; none: somebody must
	cents         bool   // it moves real money, in whole cents (D-05)
	own           bool   // of the account's own credit that is not held, so not of its limit
	owed          bool   // of what the account owes
	holder        bool   // its holder decides, who may not while it is blocked
}

var templates = map[BookingKind]template{
	PaidIn:     {debit: bank, credit: its, text: "Top-up", cents: true},
	Refund:     {debit: its, credit: bank, text: "Refund of unused credit", cents: true, own: true},
	Goodwill:   {debit: "5300", credit: its},
	Adjustment: {debit: its, credit: "5300"},
	Lapse:      {debit: its, credit: "4100", own: true},
	WriteOff:   {debit: "5300", credit: its, owed: true},
	Transfer:   {debit: its, credit: others, text: "Transfer", holder: true},
}

// check finds what is wrong with a booking whatever the account has.
func (b Booking) check() error {
	t, known := templates[b.Kind]
	switch {
	case !known:
		return fmt.Errorf("%.40q is no kind of booking", b.Kind)
	case b.Amount <= 0:
		return fmt.Errorf("%s is not a positive amount: %w", b.Amount, ErrAmount)
	case t.cents && b.Amount%money.Cent != 0:
		return fmt.Errorf("%s is not a positive amount of whole cents: %w", b.Amount, ErrAmount)
	case t.text == "" && b.Text == "":
		return ErrReason
	case t.credit == others && b.Into == b.Account:
		return ErrSameAccount
	}
	return nil
}

// allowed tells whether an account may be booked on so.
func (b Booking) allowed(a Account) error {
	t := templates[b.Kind]
	switch {
	case t.holder && a.Blocked:
		return ErrBlocked
	case t.own && a.Balance-a.Held < b.Amount:
		return fmt.Errorf("%s of its own is free: %w", max(a.Balance-a.Held, 0), ErrNotOwn)
	case t.owed && -a.Balance < b.Amount:
		return fmt.Errorf("it owes %s: %w", max(-a.Balance, 0), ErrNotOwed)
	}
	return nil
}

// text is what the entry says.
func (b Booking) text() string {
	switch t := templates[b.Kind]; {
	case b.Text != "":
		return b.Text
	case t.credit == others:
		return fmt.Sprintf("%s from %s to %s", t.text, b.Account, b.Into)
	default:
		return t.text + " " + b.Account
	}
}

// Lines are those of the booking's entry in the book of an enterprise.
func (b Booking) Lines(book string) []ledger.Line {
	t := templates[b.Kind]
	return []ledger.Line{ledger.Debit(book, b.account(t.debit), b.Amount), ledger.Credit(book, b.account(t.credit), b.Amount)}
}

// account gives an account of the books by its name in a template.
func (b Booking) account(name string) string {
	switch name {
	case its:
		return CreditAccount(b.Account)
	case others:
		return CreditAccount(b.Into)
	}
	return name
}
