package routing

import "telecommune/internal/e164"

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
