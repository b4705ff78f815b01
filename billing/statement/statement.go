// Package statement makes the bill of an account for a month: one model, written as text, page, PDF, CSV and JSON.
//
// Its figures are the books' own: the balances are those of the account `2100:<code>`, and a statement whose calls and
// bookings do not lead from the opening to the closing balance is not made at all.
package statement

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
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
	// Short says that the numbers called lack their last three digits.
	Short bool `json:"numbers_shortened"`

	Opening      money.Amount  `json:"opening_balance"`
	Bookings     []Booking     `json:"bookings"`     // what moved the balance and is not a call
	Destinations []Destination `json:"destinations"` // what the calls come to, by name of the destination
	Calls        []Call        `json:"calls"`        // answered calls, also those that cost nothing, by time
	Attempts     []Attempt     `json:"attempts"`     // calls that nobody answered; they cost nothing
	Totals       Totals        `json:"totals"`
	Closing      money.Amount  `json:"closing_balance"`
}

// Booking is a top-up, a voucher, a refund or a correction.
type Booking struct {
	Entry  uuid.UUID    `json:"entry" db:"id"`
	At     time.Time    `json:"at" db:"at"`
	Kind   string       `json:"kind" db:"kind"`
	Text   string       `json:"text" db:"text"`
	Amount money.Amount `json:"amount" db:"amount"` // what it added to the balance
}

// Call is an answered call, the steps of its price and where that went. What the access number added, where the caller
// pays for that, is a line of its own beside the call's: Access, with the access number as destination and its provider
// as trunk.
type Call struct {
	ID              billing.CallID  `json:"id"`
	Access          bool            `json:"access,omitempty"`
	StartedAt       time.Time       `json:"started_at"`
	Number          string          `json:"number"`
	Destination     string          `json:"destination"`
	Trunk           string          `json:"trunk"`
	Outcome         billing.Outcome `json:"outcome"`
	Rate            tariff.Row      `json:"rate"`               // the deck's row as it is stamped on the call
	RateFrom        time.Time       `json:"rate_from,omitzero"` // when that row came into force
	AnsweredSeconds int             `json:"answered_seconds"`
	BilledSeconds   int             `json:"billed_seconds"`
	Money
	Entry *uuid.UUID `json:"entry"`
}

// Money is a price and where it went: CarrierCost + VAT + Enterprise = Price.
type Money struct {
	Price       money.Amount `json:"price"`        // VAT included
	CarrierCost money.Amount `json:"carrier_cost"` // and what the access number cost, where the caller does not pay for that
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

// Sum is what several calls come to.
type Sum struct {
	Calls           int `json:"calls"`
	AnsweredSeconds int `json:"answered_seconds"`
	BilledSeconds   int `json:"billed_seconds"`
	Money
}

// Destination is what the calls to one destination come to.
type Destination struct {
	Destination string `json:"destination"`
	Sum
}

// Totals are the sums of the lists.
type Totals struct {
	Bookings money.Amount `json:"bookings"`
	Sum
}

func (s *Sum) add(c Call) error {
	s.Calls++
	s.AnsweredSeconds += c.AnsweredSeconds
	s.BilledSeconds += c.BilledSeconds
	for _, x := range []struct {
		sum  *money.Amount
		more money.Amount
	}{
		{&s.Price, c.Price}, {&s.CarrierCost, c.CarrierCost}, {&s.VAT, c.VAT}, {&s.Enterprise, c.Enterprise},
	} {
		var err error
		if *x.sum, err = x.sum.Add(x.more); err != nil {
			return err
		}
	}
	return nil
}

// total sums the lists and checks that they lead from the opening to the closing balance.
func (s *Statement) total() error {
	s.Totals, s.Destinations = Totals{}, []Destination{}
	at := map[string]int{}
	for _, c := range s.Calls {
		i, known := at[c.Destination]
		if !known {
			i = len(s.Destinations)
			at[c.Destination] = i
			s.Destinations = append(s.Destinations, Destination{Destination: c.Destination})
		}
		if err := errors.Join(s.Destinations[i].add(c), s.Totals.add(c)); err != nil {
			return err
		}
		if c.Access { // its call is counted already
			s.Totals.Calls--
			s.Totals.AnsweredSeconds -= c.AnsweredSeconds
			s.Totals.BilledSeconds -= c.BilledSeconds
		}
	}
	slices.SortFunc(s.Destinations, func(a, b Destination) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Destination), strings.ToLower(b.Destination)), cmp.Compare(a.Destination, b.Destination))
	})
	var err error
	for _, b := range s.Bookings {
		if s.Totals.Bookings, err = s.Totals.Bookings.Add(b.Amount); err != nil {
			return err
		}
	}
	end, err := s.Opening.Add(s.Totals.Bookings)
	if err != nil {
		return err
	}
	if end, err = end.Add(-s.Totals.Price); err != nil {
		return err
	}
	if end != s.Closing {
		return errors.Join(ErrBooks, errors.New("they lead to "+end.String()+", the books to "+s.Closing.String()))
	}
	return nil
}
