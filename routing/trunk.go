// Package routing chooses the trunk that carries a call: trunks, their capacity, the least-cost plan and its
// explanation. A plan is made from an immutable snapshot in memory and takes no I/O.
package routing

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"telecommune/internal/e164"
)

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
	Priority  int    `json:"priority" db:"priority"` // lower ones are tried first, under the strategy priority
	Weight    int    `json:"weight" db:"weight"`     // its share of the calls, under the strategy weighted
}

// Dial gives the user part of the request URI for n: its digits, Strip of them taken off, Prefix put before.
func (t Trunk) Dial(n e164.Number) string {
	digits := n.Digits()
	return t.Prefix + digits[min(t.Strip, len(digits)):]
}

var (
	codeSyntax   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	hostSyntax   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	userSyntax   = regexp.MustCompile(`^[!#-\[\]-~]{0,64}$`) // it is quoted in an Authorization header (RFC 3261 section 25.1)
	prefixSyntax = regexp.MustCompile(`^[0-9+*#]{0,16}$`)
)

// most is more calls at once, or a second, than any trunk carries; a greater number is a slip.
const most = 100_000

// Of priorities and weights.
const (
	usual    = 100 // when none is given
	greatest = 1000
)

// withDefaults fills in what may be left out: the carrier is named as the trunk, the transport is UDP, priority and weight
// are as everybody's.
func (t Trunk) withDefaults() Trunk {
	t.Carrier = cmp.Or(t.Carrier, t.Code)
	t.Transport = cmp.Or(t.Transport, "udp")
	t.Priority, t.Weight = cmp.Or(t.Priority, usual), cmp.Or(t.Weight, usual)
	return t
}

// check returns a *FieldError for the first field that can't be.
func (t Trunk) check() error {
	host, port, err := net.SplitHostPort(t.Address)
	_, ipErr := netip.ParseAddr(host)
	number, portErr := strconv.ParseUint(port, 10, 16)
	for _, f := range []struct {
		name string
		ok   bool
		want string
	}{
		{"code", codeSyntax.MatchString(t.Code), "1 to 32 letters, digits, - or _"},
		{"carrier", codeSyntax.MatchString(t.Carrier), "1 to 32 letters, digits, - or _"},
		{"address", err == nil && (ipErr == nil || hostSyntax.MatchString(host)), "host:port, such as sip.example.net:5060 or [2001:db8::1]:5060"},
		{"address", portErr == nil && number > 0, "a port from 1 to 65535"},
		{"transport", t.Transport == "udp" || t.Transport == "tcp", "udp or tcp"},
		{"user", userSyntax.MatchString(t.User), "up to 64 printable characters without spaces, quotes and backslashes"},
		{"user", t.User != "" || t.Password == "", "a user for the password"},
		{"password", len(t.Password) <= 128 && !strings.ContainsFunc(t.Password, unicode.IsControl), "up to 128 characters on one line"},
		{"register", t.User != "" || !t.Register, "a user to register with"},
		{"channels", t.Channels >= 0 && t.Channels <= most, fmt.Sprintf("0 (no limit) to %d", most)},
		{"cps", t.CPS >= 0 && t.CPS <= most, fmt.Sprintf("0 (no limit) to %d", most)},
		{"prefix", prefixSyntax.MatchString(t.Prefix), "up to 16 digits, +, * or #"},
		{"priority", t.Priority > 0 && t.Priority <= greatest, fmt.Sprintf("1 to %d, lower is tried first", greatest)},
		{"weight", t.Weight > 0 && t.Weight <= greatest, fmt.Sprintf("1 to %d", greatest)},
		{"strip", t.Strip >= 0 && t.Strip <= e164.MaxDigits, fmt.Sprintf("0 to %d digits", e164.MaxDigits)},
	} {
		if !f.ok {
			return &FieldError{Field: f.name, Want: f.want}
		}
	}
	return nil
}
