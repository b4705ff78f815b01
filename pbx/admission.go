package pbx

import (
	"net/netip"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Admission is who may send calls, and to which access numbers: an immutable picture in memory, so that an unknown
// source costs no query. Engines are given a function that returns the newest.
type Admission struct {
	Providers []Provider
	Numbers   map[e164.Number]AccessNumber
}

// Provider sends calls to access numbers. It is known by address, or else by a digest user (RFC 3261 section 22), which
// may also register (a softphone).
type Provider struct {
	Code          string       `json:"code"`
	Address       netip.Prefix `json:"address,omitzero"`
	User          string       `json:"user,omitempty"`
	Password      string       `json:"-"`
	TrustCallerID bool         `json:"trust_caller_id"`
}

// Service is what an access number does.
type Service string

const (
	Gateway Service = "gateway" // asks for the number to call
	Contact Service = "contact" // stands for one contact of each caller
	Echo    Service = "echo"    // plays back what it hears, for tests of a phone
)

// AccessNumber is a number that callers dial (DID).
type AccessNumber struct {
	Number   e164.Number `json:"number"`
	Provider string      `json:"provider"`
	Country  string      `json:"country"` // ISO 3166, for national dialling
	Language string      `json:"language"`
	Service  Service     `json:"service"`
	Cost
}

// Cost is what a provider charges for calls to an access number, from our answer to the hang-up: without VAT, in the
// commune's currency. The zero value is a number that costs nothing by the minute.
type Cost struct {
	PerMinute     money.Amount `json:"cost_per_minute" db:"cost_per_minute"`
	ConnectFee    money.Amount `json:"cost_connect_fee" db:"cost_connect_fee"`
	IntervalFirst int          `json:"cost_interval_first" db:"cost_interval_first"` // seconds; 0 is 1
	IntervalNext  int          `json:"cost_interval_next" db:"cost_interval_next"`   // seconds; 0 is 1
}

// row prices an access leg; the zero row where that costs nothing.
func (n AccessNumber) row() tariff.Row {
	if n.PerMinute == 0 && n.ConnectFee == 0 {
		return tariff.Row{}
	}
	row := tariff.Trunk.Defaults()
	row.Prefix, row.Destination = n.Number.Digits(), "Access number "+n.Number.String()
	row.RatePerMinute, row.ConnectFee = n.PerMinute, n.ConnectFee
	row.IntervalFirst, row.IntervalNext = max(n.IntervalFirst, 1), max(n.IntervalNext, 1)
	return row
}

// ByAddress finds the provider known by a source address; the longest prefix wins.
func (a *Admission) ByAddress(src netip.Addr) (Provider, bool) {
	var best Provider
	found := false
	for _, p := range a.Providers {
		if p.Address.IsValid() && p.Address.Contains(src.Unmap()) && (!found || p.Address.Bits() > best.Address.Bits()) {
			best, found = p, true
		}
	}
	return best, found
}

// ByUser finds the provider with a digest user.
func (a *Admission) ByUser(user string) (Provider, bool) {
	for _, p := range a.Providers {
		if p.User == user && user != "" {
			return p, true
		}
	}
	return Provider{}, false
}
