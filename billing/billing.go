// Package billing keeps the callers' side of the money: accounts with their phones, PINs, contacts and vouchers, the
// hold before a call, its settlement afterwards, and what the bill says. PostgreSQL is the truth; every write is
// idempotent by a key made before its first attempt.
package billing

import (
	"time"

	"github.com/google/uuid"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// CallID names one attempt to reach a far number, and is the idempotency key of its hold and its settlement.
type CallID = uuid.UUID

// Caller is the account that a call is made on, as the script needs it.
type Caller struct {
	Account    string // code
	Enterprise string // that the account is a customer of
	Tariff     string // name of the retail deck
	CallLimit  int    // most seconds of one call
	Blocked    bool
	Currency   money.Currency
	VAT        tariff.Percent // of the enterprise
	// PassesAccess says that the tariff makes the caller pay what the access number costs.
	PassesAccess bool `db:"passes_access"`
}

// PINSource is where a PIN was typed, for the limits on guessing (design.md 9.6).
type PINSource struct {
	Caller   string // calling number, or the address of a web client
	Provider string // code of the provider, or on the web the account that is asked for, behind "web:"
}

// Origin is what is known of a call before anybody pays for it.
type Origin struct {
	Call         CallID
	AccessCall   uuid.UUID // the access call that it is part of; several after ##
	Provider     string
	AccessNumber e164.Number
	Caller       e164.Number // none when withheld
	Started      time.Time
	Access       AccessLeg
}

// Request asks for a hold.
type Request struct {
	Origin
	Account string
	Number  e164.Number
	Rate    tariff.Row     // the retail row that prices the call, if it is answered before Later
	Later   []tariff.Later // rows that come into force before it may be answered; mostly none
	VAT     tariff.Percent
	// CallLimit is the most seconds to hold for; at least 1.
	CallLimit int
}

func (r Request) quote() tariff.Quote {
	return tariff.Quote{Row: r.Rate, Later: r.Later, Access: r.Access.PassedOn}
}

// Hold is money set aside for a call: what it costs at most, and the seconds that buys.
type Hold struct {
	Call    CallID
	Account string
	Amount  money.Amount
	Seconds int // the paid time: announced, enforced, and never charged beyond
	// SpendLimited tells that the account's limit an hour or a day kept it from being more, and not the credit.
	SpendLimited bool
}

// Sign is a sign of life of a running call that holds money, stored in batches.
type Sign struct {
	Call       CallID
	Trunk      string // empty before the answer, like the three below
	Carrier    string
	Cost       tariff.Row
	AnsweredAt time.Time
	Answered   time.Duration // answered time up to now, by the monotonic clock
}

// Outcome is how a call came out, in one word for lists and figures.
type Outcome string

const (
	Answered     Outcome = "answered"
	Busy         Outcome = "busy"
	NotAnswered  Outcome = "no_answer"
	GaveUp       Outcome = "gave_up"        // the caller hung up before the answer
	Failed       Outcome = "failed"         // no trunk could carry it
	Refused      Outcome = "refused"        // not allowed: blocked account, no credit, number that can't be called
	TooManyCalls Outcome = "too_many_calls" // refused for a limit of the account (Limits), like the three below
	TooDear      Outcome = "too_dear"
	SpendLimit   Outcome = "spend_limit"
	Barred       Outcome = "country_barred"
	Unidentified Outcome = "no_account"  // neither caller ID nor PIN named an account
	NoNumber     Outcome = "no_number"   // nothing, or nothing sensible, was dialled
	Unavailable  Outcome = "unavailable" // our own fault: database away, overload
	Served       Outcome = "served"      // a service of ours answered: echo, or the menu after the last call of an access call
	Lost         Outcome = "lost"        // found after a crash, settled up to its last sign of life
	Tested       Outcome = "test"        // an acceptance call of ours over a trunk

	// What the house does not let anybody call.
	Emergency        Outcome = "emergency"
	ShortNumber      Outcome = "short_number"
	NotInUse         Outcome = "not_in_use"      // no numbering plan knows the number
	SpecialNumber    Outcome = "special_number"  // premium, shared cost, satellite, personal
	CountryNotCalled Outcome = "country_blocked" // not in the list of countries
	NumberBlocked    Outcome = "number_blocked"  // by a rule of the house
	PriceNotCalled   Outcome = "price_blocked"   // a minute costs more than the house allows
)

// Settlement closes a call that has a hold.
type Settlement struct {
	Call       CallID
	Trunk      string // the trunk that answered, or was tried last; may be empty
	Carrier    string
	Cost       tariff.Row    // the carrier's row; used when Answered > 0
	AnsweredAt time.Time     // zero: never answered
	Answered   time.Duration // from the far side's answer to the first hang-up; more than was held is the house's
	AccessTime time.Duration // of the access leg, from our answer to the end of this call
	Ended      time.Time
	Outcome    Outcome
	SIP, Q850  int
}

// Closing records a call that never got a hold: who called and why nothing came of it.
type Closing struct {
	Origin
	Account    string
	Number     e164.Number
	AccessTime time.Duration // of the access leg, from our answer to the end of this call
	Ended      time.Time
	Outcome    Outcome
	SIP, Q850  int
}

// Call is a call as it stands in the database (JSON contract of design.md 6).
type Call struct {
	ID              CallID         `json:"id" db:"id"`
	Account         string         `json:"account" db:"account"`
	AccessNumber    string         `json:"access_number" db:"access_number"`
	Caller          string         `json:"caller" db:"caller"`
	Number          string         `json:"number" db:"number"`
	Destination     string         `json:"destination" db:"destination"`
	Trunk           string         `json:"trunk" db:"trunk"`
	StartedAt       time.Time      `json:"started_at" db:"started_at"`
	AnsweredAt      *time.Time     `json:"answered_at" db:"answered_at"`
	EndedAt         *time.Time     `json:"ended_at" db:"ended_at"`
	AnsweredSeconds int            `json:"answered_seconds" db:"answered_seconds"`
	BilledSeconds   int            `json:"billed_seconds" db:"billed_seconds"`
	Price           money.Amount   `json:"price" db:"price"`
	VAT             money.Amount   `json:"vat" db:"vat"`
	CarrierCost     money.Amount   `json:"carrier_cost" db:"carrier_cost"`
	AccessPrice     money.Amount   `json:"access_price" db:"access_price"` // part of Price
	AccessCost      money.Amount   `json:"access_cost" db:"access_cost"`   // to the access number's provider
	Currency        money.Currency `json:"currency" db:"currency"`
	Outcome         Outcome        `json:"outcome" db:"outcome"`
	SIP             int            `json:"sip" db:"sip"`
	Q850            int            `json:"q850" db:"q850"`
	Entry           *uuid.UUID     `json:"entry" db:"entry_id"`
}

// AnsweredSeconds is the delivered time that is charged: ceil(ms / 1000), at most what was held (design.md 3).
func AnsweredSeconds(answered time.Duration, held int) int {
	if answered <= 0 {
		return 0
	}
	return int(min((answered.Milliseconds()+999)/1000, int64(held)))
}
