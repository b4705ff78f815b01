package billing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Limits keep an account's calls within bounds, whatever its credit. Each is checked in the statement that books the
// hold, so that calls at once don't pass one together. What is zero is not limited.
type Limits struct {
	// MaxCalls is how many calls may run at once: those that hold money, from before they are dialled to their settlement.
	MaxCalls int `json:"max_calls,omitzero" db:"max_calls"`
	// MaxRate is the most that a minute may cost, as the caller is told it (tariff.Quote.Told). A connection fee is no part
	// of it: MaxPerHour and MaxPerDay bound that.
	MaxRate money.Amount `json:"max_rate,omitzero" db:"max_rate"`
	// MaxPerHour is the most that calls may cost within sixty minutes, whenever these begin: what was charged for calls
	// that ended in the last hour, and what is held by those that run.
	MaxPerHour money.Amount `json:"max_per_hour,omitzero" db:"max_per_hour"`
	// MaxPerDay is the same within 24 hours.
	MaxPerDay money.Amount `json:"max_per_day,omitzero" db:"max_per_day"`
	// Countries are those that may be called.
	Countries Countries `json:"countries,omitzero" db:"countries"`
}

// LimitsChange is what SetAccount changes of the limits: whatever is not nil. The zero value takes a limit away.
type LimitsChange struct {
	MaxCalls   *int
	MaxRate    *money.Amount
	MaxPerHour *money.Amount
	MaxPerDay  *money.Amount
	Countries  *Countries
}

// Countries is a list of countries, as the two letters of ISO 3166 in alphabetical order with commas between them.
type Countries string

// ParseCountries reads a list such as "DE,UA". ErrCountry.
func ParseCountries(s string) (Countries, error) {
	countries := strings.Split(strings.ToUpper(s), ",")
	for i, c := range countries {
		countries[i] = strings.TrimSpace(c)
		if len(countries[i]) != 2 || phonenumbers.GetCountryCodeForRegion(countries[i]) == 0 {
			return "", fmt.Errorf("%.20q is %w", c, ErrCountry)
		}
	}
	slices.Sort(countries)
	return Countries(strings.Join(slices.Compact(countries), ",")), nil
}

// String gives the list as ParseCountries reads it.
func (c Countries) String() string { return string(c) }

// MarshalJSON writes an array.
func (c Countries) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("[]"), nil
	}
	return json.Marshal(strings.Split(string(c), ","))
}

// countryOf tells in which country a number is: by its calling code, and where countries share one (+1, +7, +44 and
// others) by the digits behind it. Numbers of networks that belong to no country, and those that no numbering plan of a
// shared code knows, are nowhere: no list of countries has them.
func countryOf(n e164.Number) string {
	parsed, err := phonenumbers.Parse(n.String(), "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(parsed)
}
