package pbx

import (
	"net/netip"

	"telecommune/internal/e164"
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
