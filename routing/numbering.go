package routing

import (
	"slices"

	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/internal/e164"
)

// byCode are country codes of ITU-T E.164 that are no country's, by what answers there. The numbering plans of
// phonenumbers call some of them mobile, VoIP or freephone, and their minutes cost several units.
var byCode = map[string]Denial{
	"800": SharedCost,  // universal international freephone, E.169.1: who calls from abroad pays his carrier for it
	"808": SharedCost,  // universal shared cost, E.169.3
	"870": Satellite,   // Inmarsat
	"878": Personal,    // universal personal telecommunication, E.168
	"881": Satellite,   // global mobile satellite systems
	"882": Satellite,   // international networks: ships, aircraft, machines
	"883": Satellite,   // the same
	"888": Unallocated, // was for disaster relief, and was given back
	"979": Premium,     // universal premium rate, E.169.2
}

// byType are the kinds of national numbers that cost more than a call.
var byType = map[phonenumbers.PhoneNumberType]Denial{
	phonenumbers.PREMIUM_RATE:    Premium,
	phonenumbers.SHARED_COST:     SharedCost,
	phonenumbers.PERSONAL_NUMBER: Personal,
}

// noCountry is how phonenumbers writes that a number has no country.
const noCountry = "ZZ"

// emergencies are known far beyond the countries that have them: whoever dials one in distress is told at once.
var emergencies = []string{"000", "110", "112", "911", "999"}

// OfShort tells what short digits, as they are dialled in a country (ISO 3166), stand for: Emergency, Short, or nothing
// when they are no short number there.
func OfShort(digits, country string) Denial {
	if slices.Contains(emergencies, digits) || phonenumbers.IsEmergencyNumber(digits, country) {
		return Emergency
	}
	n, err := phonenumbers.Parse(digits, country)
	if err == nil && phonenumbers.IsValidShortNumberForRegion(n, country) {
		return Short
	}
	return ""
}

// CountryOf is the country of a number (ISO 3166), as far as the numbering plans tell it; empty for one of no country.
func CountryOf(n e164.Number) string {
	_, country := classify(n)
	return country
}

// classify tells why a number is not called by default, if so, and its country. It takes about 20 µs: once a call.
func classify(n e164.Number) (kind Denial, country string) {
	digits := n.Digits()
	if len(digits) < 4 {
		return Unallocated, ""
	}
	if kind := byCode[digits[:3]]; kind != "" {
		return kind, ""
	}
	parsed, err := phonenumbers.Parse(n.String(), noCountry)
	if err != nil {
		return Unallocated, ""
	}
	if country = phonenumbers.GetRegionCodeForNumber(parsed); len(country) != 2 || country == noCountry {
		country = "" // 001: a code of no country
	}
	if kind := phonenumbers.GetNumberType(parsed); kind != phonenumbers.UNKNOWN { // then the number is valid
		return byType[kind], country
	}
	// A country's short numbers are no less what they are behind its code.
	national := phonenumbers.GetNationalSignificantNumber(parsed)
	for _, c := range phonenumbers.GetRegionCodesForCountryCode(int(parsed.GetCountryCode())) {
		if phonenumbers.IsEmergencyNumber(national, c) {
			return Emergency, c
		}
	}
	if phonenumbers.IsValidShortNumber(parsed) {
		return Short, country
	}
	return Unallocated, country
}
