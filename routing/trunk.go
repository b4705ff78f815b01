// Package routing chooses the trunk that carries a call: trunks, their capacity, the least-cost plan and its
// explanation. A plan is made from an immutable snapshot in memory and takes no I/O.
package routing

import "telecommune/internal/e164"

// Trunk is a way out to a carrier. It is a value: a running call keeps the one it was dialled with.
type Trunk struct {
	Code      string `json:"code" db:"code"`
	Carrier   string `json:"carrier" db:"carrier"`     // sub-account of carrier payable
	Address   string `json:"address" db:"address"`     // host:port
	Transport string `json:"transport" db:"transport"` // udp or tcp
	User      string `json:"user" db:"username"`       // digest user, or empty
	Password  string `json:"-" db:"password"`
	Register  bool   `json:"register" db:"register"`
	Channels  int    `json:"channels" db:"channels"` // calls at once; 0: no limit
	CPS       int    `json:"cps" db:"cps"`           // calls a second; 0: no limit
	Prefix    string `json:"prefix" db:"prefix"`     // put before the digits, after Strip
	Strip     int    `json:"strip" db:"strip"`       // leading digits taken off the number without its plus sign
	Enabled   bool   `json:"enabled" db:"enabled"`
}

// Dial gives the user part of the request URI for n: its digits, Strip of them taken off, Prefix put before.
func (t Trunk) Dial(n e164.Number) string {
	digits := n.Digits()
	return t.Prefix + digits[min(t.Strip, len(digits)):]
}
