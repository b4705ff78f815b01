package routing

import (
	"cmp"

	"telecommune/internal/e164"
)

// CallerID is whose number a trunk presents to the far side.
type CallerID string

const (
	PassCaller     CallerID = "pass"     // the caller's, if his provider vouches for it
	FixedCaller    CallerID = "fixed"    // one of ours, whoever calls
	VerifiedCaller CallerID = "verified" // the caller's, if it is a phone of the account that pays
	WithheldCaller CallerID = "withheld" // nobody's
)

func (p CallerID) known() bool {
	return p == PassCaller || p == FixedCaller || p == VerifiedCaller || p == WithheldCaller
}

// Caller is what is known of who calls.
type Caller struct {
	Number   e164.Number // none when unknown
	Vouched  bool        // by his provider
	Verified bool        // it is a phone of the account that pays
	Withheld bool        // he asked for privacy (RFC 3323)
}

// Identify gives the number that the far side is shown, none for an anonymous call, and the one that the carrier is told
// in P-Asserted-Identity (RFC 3325), none for no such header. A number that its owner withholds is shown to nobody, and
// told to carriers that are trusted to keep it; a number that nobody vouches for is neither.
func (t Trunk) Identify(c Caller) (shown, asserted e164.Number) {
	own := c.Number
	if !c.Vouched || t.CallerID == VerifiedCaller && !c.Verified {
		own = ""
	}
	switch {
	case t.CallerID == FixedCaller:
		return t.CallerNumber, t.CallerNumber
	case t.CallerID == WithheldCaller || c.Withheld:
		if t.Trusted {
			asserted = cmp.Or(own, t.CallerNumber)
		}
		return "", asserted
	}
	shown = cmp.Or(own, t.CallerNumber)
	return shown, shown
}
