package routing

import (
	"strconv"

	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/internal/e164"
)

// Figure is how a trunk did lately with numbers of a prefix.
type Figure struct {
	Trunk    string
	Prefix   string // digits, such as a country code; empty: all numbers
	Answered int    // attempts that were answered, per mille (ASR)
}

// Quality is how trunks did lately. It never changes; nil knows nothing.
type Quality struct {
	answered map[qualityKey]int
	longest  int // of the prefixes
}

type qualityKey struct{ trunk, prefix string }

// fewAttempts are too few to tell how a trunk does: less than that to a country, and nothing is known of it there.
const fewAttempts = 20

// figuresOf sums attempts up by the calling code of their country; countries that share a code (+1, +7, +44) have one figure.
func figuresOf(tried []Tried) []Figure {
	type sum struct{ attempts, answered int64 }
	sums := map[qualityKey]sum{}
	for _, t := range tried {
		code := phonenumbers.GetCountryCodeForRegion(t.Country)
		if code == 0 {
			continue
		}
		key := qualityKey{t.Trunk, strconv.Itoa(code)}
		s := sums[key]
		sums[key] = sum{s.attempts + t.Attempts, s.answered + t.Answered}
	}
	var figures []Figure
	for key, s := range sums {
		if s.attempts >= fewAttempts {
			figures = append(figures, Figure{key.trunk, key.prefix, int(1000 * s.answered / s.attempts)})
		}
	}
	return figures
}

// NewQuality makes it of figures, of which no two have trunk and prefix in common.
func NewQuality(figures []Figure) *Quality {
	q := &Quality{answered: make(map[qualityKey]int, len(figures))}
	for _, f := range figures {
		q.answered[qualityKey{f.Trunk, f.Prefix}] = f.Answered
		q.longest = max(q.longest, len(f.Prefix))
	}
	return q
}

// Answered gives the figure of a trunk for a number, that of the longest prefix.
func (q *Quality) Answered(trunk string, to e164.Number) (perMille int, ok bool) {
	if q == nil {
		return 0, false
	}
	digits := to.Digits()
	for n := min(q.longest, len(digits)); n >= 0 && !ok; n-- {
		perMille, ok = q.answered[qualityKey{trunk, digits[:n]}]
	}
	return perMille, ok
}
