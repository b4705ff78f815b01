package tariff

import (
	"slices"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// medianSum finds the median of the rates of each country, which come one country after the other.
type medianSum struct {
	country string
	rates   []money.Amount // of the country
	found   map[string]money.Amount
}

func (m *medianSum) add(prefix string, rate money.Amount) {
	country := e164.CountryCode(prefix)
	if country != m.country {
		m.end()
		m.country = country
	}
	m.rates = append(m.rates, rate)
}

// end gives the medians by country code: of an even number of rates the lower one of the two in the middle.
func (m *medianSum) end() map[string]money.Amount {
	if m.found == nil {
		m.found = map[string]money.Amount{}
	}
	if n := len(m.rates); n > 0 && m.country != "" {
		slices.Sort(m.rates)
		m.found[m.country] = m.rates[(n-1)/2]
	}
	m.rates = m.rates[:0]
	return m.found
}
