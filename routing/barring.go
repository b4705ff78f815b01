package routing

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Denial says why a number may not be called; empty when it may. The list is closed: `route explain` prints it.
type Denial string

const (
	Emergency   Denial = "emergency"   // we can't tell the rescuers where the caller is: no rule lets it through
	Short       Denial = "short"       // a service of one country, or of one network in it
	Premium     Denial = "premium"     // the called party earns by it
	SharedCost  Denial = "shared_cost" // or paid by the called party at home, and by our caller from abroad
	Satellite   Denial = "satellite"   // and international networks
	Personal    Denial = "personal"    // follows a person anywhere, at any price
	Unallocated Denial = "unallocated" // no numbering plan knows it
	Foreign     Denial = "country"     // not in the list of countries
	OwnRule     Denial = "rule"        // a block rule of the house
	TooDear     Denial = "too_dear"    // a minute costs the caller more than the limit
)

// DefaultMaxRate is the most that a minute may cost the caller, VAT included, until the house decides otherwise.
const DefaultMaxRate = money.Unit

// Limits hold for all numbers.
type Limits struct {
	MaxRate   money.Amount `json:"max_rate"`  // most a minute may cost the caller, VAT included
	Countries Countries    `json:"countries"` // that may be called; none named: all
}

// Action is what a rule does with the numbers below its prefix.
type Action string

const (
	Allow Action = "allow" // also what is denied by default or of a country that is not named
	Block Action = "block"
)

// Rule is the house's own word on the numbers below a prefix; of several the longest counts.
type Rule struct {
	Prefix  string        `json:"prefix" db:"prefix"` // digits, country code first
	Action  Action        `json:"action" db:"action"`
	MaxRate *money.Amount `json:"max_rate" db:"max_rate"` // in the place of the limit; nil: the limit holds here too
	Text    string        `json:"text" db:"note"`         // why
}

// Barring decides what may be called from here, whoever calls. It is part of a snapshot and never changes.
type Barring struct {
	limits Limits
	own    map[string]Rule // by prefix
}

// NewBarring makes it of the house's limits and its own rules.
func NewBarring(limits Limits, own []Rule) Barring {
	b := Barring{limits, make(map[string]Rule, len(own))}
	for _, rule := range own {
		b.own[rule.Prefix] = rule
	}
	return b
}

// Denies tells why a number whose minute costs the caller so much may not be called; empty when it may. The longest own
// rule comes before the default, which denies numbers that are no ordinary subscriber's. Emergency numbers are denied
// always, short ones unless a rule allows them, and no rule lifts the price cap unless it has one of its own.
func (b Barring) Denies(to e164.Number, perMinute money.Amount) Denial {
	kind, country := classify(to)
	return b.denies(to, kind, country, perMinute)
}

func (b Barring) denies(to e164.Number, kind Denial, country string, perMinute money.Amount) Denial {
	rule, ruled := b.of(to)
	most := b.limits.MaxRate
	if rule.MaxRate != nil {
		most = *rule.MaxRate
	}
	switch {
	case kind == Emergency:
		return Emergency
	case ruled && rule.Action == Block:
		return OwnRule
	case !ruled && kind != "":
		return kind
	case !ruled && len(b.limits.Countries) > 0 && !slices.Contains(b.limits.Countries, country):
		return Foreign
	case perMinute > most:
		return TooDear
	}
	return ""
}

// of finds the longest own rule for a number.
func (b Barring) of(to e164.Number) (Rule, bool) {
	digits := to.Digits()
	for n := len(digits); n > 0; n-- {
		if rule, ok := b.own[digits[:n]]; ok {
			return rule, true
		}
	}
	return Rule{}, false
}

// Denies tells why a number may not be called, whatever it costs; empty when it may.
func (s *Snapshot) Denies(to e164.Number) Denial { return s.barring.Denies(to, 0) }

// Route decides on a call: it plans the ways to a number that may be called, and gives a plan without any for one that
// may not. The price cap is on what the caller is told.
func (s *Snapshot) Route(at time.Time, to e164.Number, quote tariff.Quote, vat tariff.Percent, seed uint64) Plan {
	told, _ := quote.Told()
	kind, country := classify(to)
	denied := s.barring.denies(to, kind, country, told)
	if denied == "" || s.Ours(to) { // of our own numbers the plan has a reason that says more
		p := s.Plan(at, to, quote.Row, vat, seed)
		p.Country = country
		return p
	}
	p := Plan{Number: to, Country: country, At: at, Denied: denied, Policy: s.policy(to), Candidates: []Candidate{}, Skipped: []Skip{}}
	for _, t := range s.trunks {
		p.Skipped = append(p.Skipped, Skip{t.Code, Blocked})
	}
	return p
}

// ParsePrefix reads the beginning of international numbers, with or without its plus sign.
func ParsePrefix(s string) (string, error) {
	digits := strings.TrimPrefix(s, "+")
	if len(digits) < 1 || len(digits) > e164.MaxDigits || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' {
		return "", fmt.Errorf("%.20q: %w", s, ErrPrefix)
	}
	return digits, nil
}

// Countries are codes of ISO 3166 in alphabetical order.
type Countries []string

// ParseCountries reads codes with commas between them; "all" names none, which lets all be called.
func ParseCountries(s string) (Countries, error) {
	if s == "all" {
		return Countries{}, nil
	}
	named := Countries(strings.Split(strings.ToUpper(s), ","))
	for i, c := range named {
		named[i] = strings.TrimSpace(c)
		if phonenumbers.GetCountryCodeForRegion(named[i]) == 0 {
			return nil, fmt.Errorf("%.20q: %w", c, ErrCountries)
		}
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}

// String writes the codes as ParseCountries reads them.
func (c Countries) String() string {
	if len(c) == 0 {
		return "all"
	}
	return strings.Join(c, ",")
}
