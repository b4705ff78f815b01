// Package replay feeds a scenario file to the books and compares what comes out: the acceptance test of the accounting,
// which anybody can run (`telecommune books replay FILE`). A scenario is a world, a list of events and the books that
// must follow from them.
//
// It posts facts with the program's own ledger, tariff and journal templates; nothing is routed, held or judged for loss
// (design.md 9.4). Everything happens in one transaction that is always rolled back, in books of its own, so it can be
// run beside real ones and leaves nothing behind.
package replay

import (
	"fmt"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Result is what a scenario came to (design.md 9.4).
type Result struct {
	Balances map[string]map[string]money.Amount `json:"balances"` // by book and account, debit positive, none is zero
	Periods  map[ledger.Period]Period           `json:"periods"`  // closed by the run
	Auctions map[string]Auction                 `json:"auctions"` // of bonds by series, of rents by event
	Calls    map[string]Call                    `json:"calls"`
	Journal  []Entry                            `json:"journal"`
	Error    *Refusal                           `json:"error"`
}

// Call is what one call came to.
type Call struct {
	Billed int          `json:"billed"`
	Price  money.Amount `json:"price"`
	VAT    money.Amount `json:"vat"`
	Cost   money.Amount `json:"cost"`
}

// Period is what a close came to (scenario format 10).
type Period = commune.Figures

// Auction is what an auction came to, of bonds or of a rent; the other's fields are empty.
type Auction struct {
	Status string `json:"status"`

	RateBPS    *int                    `json:"rate_bps,omitempty"`
	Allotments map[string]money.Amount `json:"allotments,omitempty"` // by bidder
	Refunds    map[string]money.Amount `json:"refunds,omitempty"`    // by bidder
	Shortfall  *money.Amount           `json:"shortfall,omitempty"`  // after a liquidation

	Reserve   *money.Amount `json:"reserve,omitempty"`
	Winner    string        `json:"winner,omitempty"`
	Agreement string        `json:"agreement,omitempty"`
	Amount    *money.Amount `json:"amount,omitempty"`
}

// Entry is one journal entry and the event that caused it.
type Entry struct {
	Event string      `json:"event"`
	Date  ledger.Date `json:"date"`
	Text  string      `json:"text"`
	Lines []Line      `json:"lines"`
}

// Line is one side of an entry: one of Debit and Credit is nil.
type Line struct {
	Book    string        `json:"book"`
	Account string        `json:"account"`
	Debit   *money.Amount `json:"debit,omitempty"`
	Credit  *money.Amount `json:"credit,omitempty"`
}

// Refusal is the event that ended the run, counted from 0, or -1 for the world itself, and the code that says why.
type Refusal struct {
	Event  int    `json:"event"`
	Code   string `json:"code"`
	Reason string `json:"-"` // for people
}

func (r *Refusal) Error() string {
	where := fmt.Sprintf("event %d", r.Event)
	if r.Event < 0 {
		where = "the world"
	}
	return fmt.Sprintf("%s is refused: %s: %s", where, r.Code, r.Reason)
}

// The codes of events that the harness itself refuses. Those that the commune refuses stand in its errors.
const (
	badScenario        = "bad_scenario"
	amountPrecision    = "amount_precision"
	duplicateEventID   = "duplicate_event_id"
	periodClosed       = "period_closed"
	periodOpen         = "period_open"
	unknownAccount     = "unknown_account"
	unknownReference   = "unknown_reference"
	wrongState         = "wrong_state"
	insufficientCredit = "insufficient_credit"
)

// refuse makes a refusal; run puts the number of the event to it.
func refuse(code, format string, args ...any) error {
	return &Refusal{Event: -1, Code: code, Reason: fmt.Sprintf(format, args...)}
}

func empty() Result {
	return Result{
		Balances: map[string]map[string]money.Amount{}, Periods: map[ledger.Period]Period{}, Auctions: map[string]Auction{},
		Calls: map[string]Call{}, Journal: []Entry{},
	}
}
