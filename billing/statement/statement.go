// Package statement makes the bill of an account for a month: one model, written as text, as a page and as JSON.
//
// Its figures are the books' own: the balances are those of the account `2100:<code>`, and a statement whose calls and
// bookings do not lead from the opening to the closing balance is not made at all.
package statement

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/money"
)

// ErrBooks is returned by Make when calls and bookings do not lead from the opening to the closing balance: the tables
// and the books differ, and a wrong bill would be worse than none.
var ErrBooks = errors.New("the calls do not tie to the books")

// Statement is the bill of an account for a month.
type Statement struct {
	Account    string         `json:"account"`
	Holder     string         `json:"name"`
	Enterprise string         `json:"enterprise"` // its name, for people
	Period     Period         `json:"period"`
	Zone       string         `json:"zone"` // of the commune; the period and all times are in it
	Currency   money.Currency `json:"currency"`
	// AsOf is when a statement of a month that is not over was made; none afterwards, so that it never changes again.
	AsOf *time.Time `json:"as_of,omitempty"`

	Opening  money.Amount `json:"opening_balance"`
	Bookings []Booking    `json:"bookings"` // what moved the balance and is not a call
	Calls    []Call       `json:"calls"`    // answered calls, also those that cost nothing
	Attempts []Attempt    `json:"attempts"` // calls that nobody answered; they cost nothing
	Totals   Totals       `json:"totals"`
	Closing  money.Amount `json:"closing_balance"`
}

// Booking is a top-up, a voucher, a refund or a correction.
type Booking struct {
	Entry  uuid.UUID    `json:"entry" db:"id"`
	At     time.Time    `json:"at" db:"at"`
	Kind   string       `json:"kind" db:"kind"`
	Text   string       `json:"text" db:"text"`
	Amount money.Amount `json:"amount" db:"amount"` // what it added to the balance
}

// Call is an answered call and where its price went.
type Call struct {
	ID              billing.CallID  `json:"id"`
	StartedAt       time.Time       `json:"started_at"`
	Number          string          `json:"number"`
	Destination     string          `json:"destination"`
	Trunk           string          `json:"trunk"`
	Outcome         billing.Outcome `json:"outcome"`
	AnsweredSeconds int             `json:"answered_seconds"`
	BilledSeconds   int             `json:"billed_seconds"`
	RatePerMinute   money.Amount    `json:"rate_per_minute"`
	ConnectFee      money.Amount    `json:"connect_fee"`
	Money
	Entry *uuid.UUID `json:"entry"`
}

// Money is a price and where it went: CarrierCost + VAT + Enterprise = Price.
type Money struct {
	Price       money.Amount `json:"price"` // VAT included
	CarrierCost money.Amount `json:"carrier_cost"`
	VAT         money.Amount `json:"vat"`
	Enterprise  money.Amount `json:"enterprise_share"` // what is left; negative when the call cost more than it brought
}

// Attempt is a call that nobody answered.
type Attempt struct {
	ID          billing.CallID  `json:"id"`
	StartedAt   time.Time       `json:"started_at"`
	Number      string          `json:"number"`
	Destination string          `json:"destination"`
	Trunk       string          `json:"trunk"` // the last one tried
	Outcome     billing.Outcome `json:"outcome"`
}

// Totals are the sums of the lists.
type Totals struct {
	Bookings        money.Amount `json:"bookings"`
	Calls           int          `json:"calls"`
	AnsweredSeconds int          `json:"answered_seconds"`
	BilledSeconds   int          `json:"billed_seconds"`
	Money
}

// total sums the lists and checks that they lead from the opening to the closing balance.
func (s *Statement) total() error {
	t := Totals{Calls: len(s.Calls)}
	sums := []struct {
		sum  *money.Amount
		each func(Money) money.Amount
	}{
		{&t.Price, func(m Money) money.Amount { return m.Price }},
		{&t.CarrierCost, func(m Money) money.Amount { return m.CarrierCost }},
		{&t.VAT, func(m Money) money.Amount { return m.VAT }},
		{&t.Enterprise, func(m Money) money.Amount { return m.Enterprise }},
	}
	var err error
	for _, c := range s.Calls {
		t.AnsweredSeconds += c.AnsweredSeconds
		t.BilledSeconds += c.BilledSeconds
		for _, x := range sums {
			if *x.sum, err = x.sum.Add(x.each(c.Money)); err != nil {
				return err
			}
		}
	}
	for _, b := range s.Bookings {
		if t.Bookings, err = t.Bookings.Add(b.Amount); err != nil {
			return err
		}
	}
	s.Totals = t
	end, err := s.Opening.Add(t.Bookings)
	if err != nil {
		return err
	}
	if end, err = end.Add(-t.Price); err != nil {
		return err
	}
	if end != s.Closing {
		return errors.Join(ErrBooks, errors.New("they lead to "+end.String()+", the books to "+s.Closing.String()))
	}
	return nil
}
