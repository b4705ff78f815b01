package tariff_test

import (
	"fmt"
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// Who asks at three minutes before an hour is told of all that comes into force up to the hour.
func TestQuote(t *testing.T) {
	hourly := windows("Europe/Berlin", nil, "", "tue 14:00-15:00", "tue 14:58-14:59") // Berlin is two hours ahead
	for _, c := range []struct {
		proves string
		decks  []tariff.Deck
		at     time.Duration // after noon in UTC
		want   string        // cents, then cents@seconds later
	}{
		{"nothing comes", []tariff.Deck{windows("UTC", nil, "")}, 0, "1"},
		{"no row, and one that comes too late for a price to be told", []tariff.Deck{windows("UTC", nil, "tue 12:01-13:00")}, 0, "none"},
		{"a window begins", []tariff.Deck{hourly}, -2 * time.Second, "1 2@2"},
		{"a window begins right at the end", []tariff.Deck{hourly}, -3 * time.Minute, "1 2@180"},
		{"a nanosecond too late", []tariff.Deck{hourly}, -3*time.Minute - 1, "1"},
		{"a window ends", []tariff.Deck{hourly}, time.Hour - time.Second, "2 1@1"},
		{"one begins and ends", []tariff.Deck{windows("UTC", nil, "", "tue 12:01-12:02")}, 0, "1 2@60 1@120"},
		{"a row whose time begins, not at a minute", []tariff.Deck{deckOf("std", 1, noon, "380=1@..0.01", "380=5@0.01")}, 0, "1 5@36"},
		{"a longer prefix comes", []tariff.Deck{deckOf("std", 1, noon, "380=1", "38044=5@0.01..0.02")}, 0, "1 5@36 1@72"},
		{"the only row ends: it goes on", []tariff.Deck{deckOf("std", 1, noon, "380=1@..0.01")}, 0, "1"},
		{"the next version", []tariff.Deck{deckOf("std", 1, noon, "380=1"), deckOf("std", 2, noon.Add(time.Minute), "38=4")}, 0, "1 4@60"},
		{"a version that has no row for it", []tariff.Deck{deckOf("std", 1, noon, "380=1"), deckOf("std", 2, noon.Add(time.Minute), "44=4")}, 0, "1"},
		{"now in force, not to come", []tariff.Deck{deckOf("std", 1, noon.Add(-time.Minute), "380=1"), deckOf("std", 2, noon, "380=4")}, 0, "4"},
	} {
		at := noon.Add(c.at)
		decks := tariff.NewDecks(c.decks)
		q, ok := decks.Quote("std", "+380441234567", at, at.Add(3*time.Minute))
		got := "none"
		if ok {
			got = fmt.Sprint(int64(q.RatePerMinute / money.Cent))
		}
		for _, l := range q.Later {
			got += fmt.Sprintf(" %d@%v", l.Row.RatePerMinute/money.Cent, l.From.Sub(at).Seconds())
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.proves, got, c.want)
		}
		// What was quoted for a moment is the row in force then, as long as there is one.
		for s := range 181 {
			answered := at.Add(time.Duration(s) * time.Second)
			if row, known := decks.Retail("std", "+380441234567", answered); ok && known && q.At(answered) != row {
				t.Errorf("%s: after %d s %v was quoted, %v is in force", c.proves, s, q.At(answered), row)
			}
		}
	}
	decks := tariff.NewDecks([]tariff.Deck{hourly})
	if n := testing.AllocsPerRun(100, func() { decks.Quote("std", "+380441234567", noon.Add(time.Minute), noon.Add(4*time.Minute)) }); n != 0 {
		t.Errorf("a quote without changes: %v allocations", n)
	}
}

func TestQuoteKnowsAnAnswerBeforeItWasMade(t *testing.T) {
	q := tariff.Quote{Row: tariff.Retail.Defaults(), Later: []tariff.Later{{From: noon, Row: tariff.Trunk.Defaults()}}}
	for at, want := range map[time.Time]tariff.Row{{}: q.Row, noon.Add(-1): q.Row, noon: q.Later[0].Row, noon.AddDate(1, 0, 0): q.Later[0].Row} {
		if q.At(at) != want {
			t.Errorf("at %v: %+v", at, q.At(at))
		}
	}
	q.Later[0].Row = tariff.Row{}
	if price, err := q.Price(60); err == nil {
		t.Errorf("a row that can't price: %v", price)
	}
}
