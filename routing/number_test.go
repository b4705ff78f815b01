package routing_test

import (
	"errors"
	"strings"
	"testing"

	"telecommune/internal/e164"
	"telecommune/routing"
)

func TestTrunkDial(t *testing.T) {
	for _, c := range []struct {
		proves  string
		strip   int
		prefix  string
		rewrite routing.Rewrite
		want    string // empty: refused
	}{
		{"bare digits", 0, "", "", "380441234567"},
		{"with a plus", 0, "+", "", "+380441234567"},
		{"with two zeros", 0, "00", "", "00380441234567"},
		{"strip before prefix", 2, "99#0", "", "99#00441234567"},
		{"more stripped than there is", 15, "9", "", "9"},
		{"rewritten after both", 0, "+", `^\+380=>0`, "0441234567"},
		{"no match changes nothing", 0, "+", `^\+49=>0`, "+380441234567"},
		{"groups", 0, "", `^(380)(44)(\d+)$=>$2*$1#$3`, "44*380#1234567"},
		{"a group before a digit is not the tenth", 0, "", `^(380)=>$10`, "3800441234567"},
		{"each match", 0, "", `4=>7`, "380771237567"},
		{"nothing left", 0, "", `380.*=>`, ""},
		{"too long", 0, "", `(.*)=>$1$1$1$1`, ""},
	} {
		trunk := routing.Trunk{Strip: c.strip, Prefix: c.prefix, Rewrite: c.rewrite}
		got, err := trunk.Dial(kyiv)
		if got != c.want || (c.want == "") != errors.Is(err, routing.ErrNumberForm) {
			t.Errorf("%s: %q, %v, want %q", c.proves, got, err, c.want)
		}
	}
}

// FuzzRewrite: whatever is taken as a rewrite makes something that can be dialled, or an error, and nothing else.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"^49=>0", "(.)(.*)=>$2$1", ".*=>", "(a*)*=>1", "=>", "^(380)=>$10"} {
		f.Add(s, "380441234567")
	}
	f.Fuzz(func(t *testing.T, rewrite, digits string) {
		n, err := e164.FromDigits(digits)
		if err != nil {
			return
		}
		got, err := routing.Trunk{Rewrite: routing.Rewrite(rewrite)}.Dial(n)
		if err == nil && (len(got) == 0 || len(got) > 40 || strings.Trim(got, "0123456789+*#") != "") {
			t.Errorf("%q makes %q of %s", rewrite, got, n)
		}
	})
}

func TestIdentify(t *testing.T) {
	const anna, ours = e164.Number("+4915112345678"), e164.Number("+4930123456")
	known := routing.Caller{Number: anna, Vouched: true, Verified: true}
	pin, shy, claimed := known, known, known
	pin.Verified, shy.Withheld, claimed.Vouched = false, true, false
	for _, c := range []struct {
		proves          string
		trunk           routing.Trunk
		caller          routing.Caller
		shown, asserted e164.Number
	}{
		{"pass: a number that is vouched for", routing.Trunk{CallerID: "pass"}, known, anna, anna},
		{"the zero value is pass", routing.Trunk{}, known, anna, anna},
		{"pass: a number that anybody may claim is not passed", routing.Trunk{CallerID: "pass"}, claimed, "", ""},
		{"pass: ours in the place of none", routing.Trunk{CallerID: "pass", CallerNumber: ours}, claimed, ours, ours},
		{"pass: withheld", routing.Trunk{CallerID: "pass", CallerNumber: ours}, shy, "", ""},
		{"pass: withheld, and told to a carrier that keeps it", routing.Trunk{CallerID: "pass", Trusted: true}, shy, "", anna},
		{"verified: a phone of the account", routing.Trunk{CallerID: "verified"}, known, anna, anna},
		{"verified: a phone that paid by PIN", routing.Trunk{CallerID: "verified"}, pin, "", ""},
		{"verified: ours in the place of that", routing.Trunk{CallerID: "verified", CallerNumber: ours}, pin, ours, ours},
		{"fixed: whoever calls", routing.Trunk{CallerID: "fixed", CallerNumber: ours}, known, ours, ours},
		{"fixed: it is not the caller's to withhold", routing.Trunk{CallerID: "fixed", CallerNumber: ours}, shy, ours, ours},
		{"withheld: whoever calls", routing.Trunk{CallerID: "withheld"}, known, "", ""},
		{"withheld, and told to a carrier that keeps it", routing.Trunk{CallerID: "withheld", Trusted: true}, known, "", anna},
		{"withheld: a claim is not told either", routing.Trunk{CallerID: "withheld", Trusted: true}, claimed, "", ""},
		{"nobody knows who calls", routing.Trunk{Trusted: true}, routing.Caller{Vouched: true, Withheld: true}, "", ""},
	} {
		if shown, asserted := c.trunk.Identify(c.caller); shown != c.shown || asserted != c.asserted {
			t.Errorf("%s: shown %q, asserted %q; want %q, %q", c.proves, shown, asserted, c.shown, c.asserted)
		}
	}
}
