// Package routing chooses the trunk that carries a call: trunks, their capacity and health, the least-cost plan and its
// explanation. A plan is made from an immutable snapshot in memory and takes no I/O.
package routing

import (
	"cmp"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Trunk is a way out to a carrier. It is a value: a running call keeps the one it was dialled with. Where 0 or nothing
// is said to mean no limit or none, that is the zero value.
type Trunk struct {
	Code      string `json:"code" db:"code"`
	Carrier   string `json:"carrier" db:"carrier"`     // sub-account of carrier payable
	Deck      string `json:"deck" db:"deck"`           // name of the deck that costs its calls
	Asset     string `json:"asset" db:"asset"`         // that it belongs to, or empty
	Address   string `json:"address" db:"address"`     // host:port; a domain without port is looked up (RFC 3263)
	Transport string `json:"transport" db:"transport"` // udp, tcp or tls
	TLSCA     string `json:"tls_ca" db:"tls_ca"`       // certificates that vouch for the carrier's, PEM; empty: the system's
	TLSName   string `json:"tls_name" db:"tls_name"`   // that the carrier's certificate must bear; empty: the host of Address
	User      string `json:"user" db:"username"`       // digest user, or empty
	Password  string `json:"-" db:"password"`
	Register  bool   `json:"register" db:"register"`
	Probe     int    `json:"probe_seconds" db:"probe_seconds"` // between OPTIONS; 0: none are sent

	Prefix  string  `json:"prefix" db:"prefix"`   // put before the digits, after Strip
	Strip   int     `json:"strip" db:"strip"`     // leading digits taken off the number without its plus sign
	Rewrite Rewrite `json:"rewrite" db:"rewrite"` // applied to what Strip and Prefix make
	Codecs  string  `json:"codecs" db:"codecs"`   // offered, in order, such as PCMA,PCMU; empty: the caller's alone

	CallerID     CallerID    `json:"caller_id" db:"caller_id"`
	CallerNumber e164.Number `json:"caller_number" db:"caller_number"` // presented by CallerID fixed, and where there is none to pass
	Trusted      bool        `json:"trusted" db:"trusted"`             // is told a number that is withheld (RFC 3325)

	Priority int `json:"priority" db:"priority"` // lower ones are tried first, under the strategy priority
	Weight   int `json:"weight" db:"weight"`     // its share of the calls, under the strategy weighted

	Channels     int           `json:"channels" db:"channels"` // calls at once; 0: no limit
	CPS          int           `json:"cps" db:"cps"`           // calls a second; 0: no limit
	MinutesDay   int           `json:"minutes_day" db:"minutes_day"`
	MinutesMonth int           `json:"minutes_month" db:"minutes_month"`
	SpendDay     money.Amount  `json:"spend_day" db:"spend_day"` // in the commune's currency, like the amounts below
	SpendMonth   money.Amount  `json:"spend_month" db:"spend_month"`
	Prepaid      money.Amount  `json:"prepaid" db:"prepaid"`             // what we had with the carrier at PrepaidAt
	PrepaidFloor money.Amount  `json:"prepaid_floor" db:"prepaid_floor"` // that calls may not take it below
	PrepaidAt    *time.Time    `json:"prepaid_at" db:"prepaid_at"`       // nil: the carrier is paid afterwards
	Hours        tariff.Window `json:"hours" db:"hours"`                 // when it is open; empty: always
	Zone         string        `json:"zone" db:"zone"`                   // of Hours

	Failover    Failover `json:"failover" db:"failover"`         // rows in place of the usual ones
	RingSeconds int      `json:"ring_seconds" db:"ring_seconds"` // from INVITE to answer; 0: UsualRing
	Enabled     bool     `json:"enabled" db:"enabled"`

	zone *time.Location // of Hours, once located; nil: UTC
}

// UsualRing is how many seconds an attempt may take over a trunk that says nothing of it.
const UsualRing = 60

// RingTime is how long an attempt over the trunk may take from INVITE to answer.
func (t Trunk) RingTime() time.Duration {
	return time.Duration(cmp.Or(t.RingSeconds, UsualRing)) * time.Second
}

// DeckName is the name of the deck that costs the trunk's calls: its own code, unless another is set.
func (t Trunk) DeckName() string { return cmp.Or(t.Deck, t.Code) }

// Of priorities and weights.
const (
	usual    = 100 // when none is given
	greatest = 1000
)

// withDefaults fills in what may be left out.
func (t Trunk) withDefaults() Trunk {
	t.Carrier = cmp.Or(t.Carrier, t.Code)
	t.Deck = cmp.Or(t.Deck, t.Code)
	t.Transport = cmp.Or(t.Transport, "udp")
	t.CallerID = cmp.Or(t.CallerID, PassCaller)
	t.Priority, t.Weight = cmp.Or(t.Priority, usual), cmp.Or(t.Weight, usual)
	if t.Hours == "" {
		t.Zone = ""
	}
	return t
}

// located gives the trunk with its zone at hand, so that a plan needn't look for it; without one, or one that this machine
// doesn't know any more, it is UTC.
func (t Trunk) located() Trunk {
	if zone, err := time.LoadLocation(t.Zone); err == nil && zone != time.UTC {
		t.zone = zone
	}
	return t
}

// closed tells why the trunk takes no calls at an instant, whoever calls whom; empty when it does.
func (t *Trunk) closed(at time.Time) Reason {
	switch {
	case !t.Enabled:
		return Disabled
	case !t.Hours.Contains(at, t.zone):
		return ClosedHours
	}
	return ""
}
