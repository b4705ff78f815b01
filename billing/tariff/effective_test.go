package tariff_test

import (
	"strings"
	"testing"
	"time"

	"telecommune/billing/tariff"
)

// A plain date is the first instant of that day where the deck is at home, whatever the clocks do there, and wherever
// whoever asks is.
func TestDatesOfADeck(t *testing.T) {
	for _, c := range []struct{ proves, zone, from, to, first, last string }{
		{"UTC", "UTC", "2027-06-01", "2027-07-01", "2027-06-01T00:00:00Z", "2027-06-30T23:59:59Z"},
		{"a month in Berlin", "Europe/Berlin", "2027-06-01", "2027-07-01", "2027-05-31T22:00:00Z", "2027-06-30T21:59:59Z"},
		{"the month in which clocks go forward", "Europe/Berlin", "2027-03-01", "2027-04-01", "2027-02-28T23:00:00Z", "2027-03-31T21:59:59Z"},
		{"the day on which they do", "Europe/Berlin", "2027-03-28", "2027-03-29", "2027-03-27T23:00:00Z", "2027-03-28T21:59:59Z"},
		{"the day on which they go back", "Europe/Berlin", "2027-10-31", "2027-11-01", "2027-10-30T22:00:00Z", "2027-10-31T22:59:59Z"},
		{"a leap day", "Europe/Berlin", "2028-02-29", "2028-03-01", "2028-02-28T23:00:00Z", "2028-02-29T22:59:59Z"},
		{"the end of February without one", "Europe/Berlin", "2027-02-28", "2027-03-01", "2027-02-27T23:00:00Z", "2027-02-28T22:59:59Z"},
		{"the turn of the year", "Pacific/Auckland", "2027-12-31", "2028-01-01", "2027-12-30T11:00:00Z", "2027-12-31T10:59:59Z"},
		{"a day without midnight", "Africa/Cairo", "2024-04-26", "2024-04-27", "2024-04-25T22:00:00Z", "2024-04-26T20:59:59Z"},
		{"a day with two", "America/Havana", "2023-11-05", "2023-11-06", "2023-11-05T04:00:00Z", "2023-11-06T04:59:59Z"},
		{"instants are instants", "Europe/Berlin", "2027-10-31T02:30:00+02:00", "2027-10-31T02:30:00+01:00", "2027-10-31T00:30:00Z", "2027-10-31T01:29:59Z"},
	} {
		spec := retail(zone(t, c.zone))
		deck, err := tariff.ParseDeck(strings.NewReader("prefix,rate_per_minute,effective_from,effective_to\n380,1,"+c.from+","+c.to+"\n"), spec)
		if err != nil {
			t.Errorf("%s: %v", c.proves, err)
			continue
		}
		decks := tariff.NewDecks([]tariff.Deck{deck})
		inForce := func(at time.Time) bool {
			_, ok := decks.Retail("standard", "+380441234567", at.In(zone(t, "Asia/Tokyo")))
			return ok
		}
		first, err := time.Parse(time.RFC3339, c.first)
		last, err2 := time.Parse(time.RFC3339, c.last)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if !inForce(first) || !inForce(last) || inForce(first.Add(-1)) || inForce(last.Add(time.Second)) {
			t.Errorf("%s: from %v to %v; want %s to %s", c.proves, deck.Rows[0].EffectiveFrom, deck.Rows[0].EffectiveTo, c.first, c.last)
		}
	}
}
