package tariff

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"slices"
	"strings"
	"time"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Change is what becomes of a prefix from one version of a deck to another.
type Change string

const (
	New     Change = "new"     // the version before had no row of its own for it
	Gone    Change = "gone"    // the new one has none any more
	Dearer  Change = "dearer"  // some call costs more than before
	Cheaper Change = "cheaper" // some call costs less than before, none more
)

// Anomaly is why somebody should look at a row before it counts.
type Anomaly string

const (
	OverThirty Anomaly = "over_30_percent" // some call costs more than 30 % more than before
	OverMedian Anomaly = "over_5x_median"  // its rate is over five times the median of its country
	NoMargin   Anomaly = "no_margin"       // the carrier asks more than callers pay without VAT
)

const (
	thirtyPercent = 30 * hundredPercent / 100
	mostChange    = 1_000_000 * hundredPercent / 100 // a change is told up to this
	medianFactor  = 5
)

// comparedCalls are the answered seconds of the calls that two rows are compared for. Rates alone would not tell: a
// connection fee counts most for short calls, a longer step for those that just begin one.
var comparedCalls = [...]int{30, 61, ExpectedSeconds}

// Difference is a row of one version that the other prices otherwise. Rates are in the deck's currency. A prefix that is
// new or gone is compared with the shorter one that carries its calls in the other version, when there is one.
type Difference struct {
	Prefix       string        `json:"prefix"`
	Destination  string        `json:"destination"`
	Window       Window        `json:"window"`
	From         time.Time     `json:"from"` // when the price of calls changes
	Change       Change        `json:"change"`
	PrefixBefore string        `json:"prefix_before"` // empty: no rate
	RateBefore   *money.Amount `json:"rate_before"`
	PrefixAfter  string        `json:"prefix_after"`
	RateAfter    *money.Amount `json:"rate_after"`
	Percent      Percent       `json:"percent"` // by which the call whose price changes most costs more; under 0: less
	Anomalies    Anomalies     `json:"anomalies"`
}

// Anomalies are all that is odd about a row.
type Anomalies []Anomaly

func (a Anomalies) String() string {
	words := make([]string, len(a))
	for i, one := range a {
		words[i] = string(one)
	}
	return strings.Join(words, " ")
}

// String tells a change in a few words.
func (d Difference) String() string {
	name := d.Prefix
	if d.Destination != "" {
		name += " (" + d.Destination + ")"
	}
	if d.RateBefore == nil || d.RateAfter == nil {
		return name
	}
	return fmt.Sprintf("%s from %v to %v a minute", name, d.RateBefore, d.RateAfter)
}

// Diff is what a version of a deck changes.
type Diff struct {
	Kind     Kind           `json:"kind"`
	Before   string         `json:"before"` // name@version; empty: there is none
	After    string         `json:"after"`
	Currency money.Currency `json:"currency"`
	At       time.Time      `json:"at"` // rows that are over by then are left out

	New        int `json:"new"`
	Gone       int `json:"gone"`
	Dearer     int `json:"dearer"`
	Cheaper    int `json:"cheaper"`
	Same       int `json:"same"`
	OverThirty int `json:"over_30_percent"`
	OverMedian int `json:"over_5x_median"`
	NoMargin   int `json:"no_margin"`

	Worst  []Difference `json:"differences"` // those with anomalies first, then by percent
	Effect *Effect      `json:"effect"`      // on calls of the last month; nil: not asked for
}

// tooDear is the error of a difference that nobody accepted.
func (d *Diff) tooDear() error {
	if d == nil || d.OverThirty == 0 {
		return nil
	}
	e := &TooDear{Count: d.OverThirty}
	for _, w := range d.Worst {
		if slices.Contains(w.Anomalies, OverThirty) {
			e.Worst = append(e.Worst, w)
		}
	}
	return e
}

// Compare says what to look at beside the two versions.
type Compare struct {
	Against string                 // name of the retail deck that must pay for a carrier's; empty: none
	VAT     Percent                // within its prices
	Calls   Calls                  // to be priced by both versions; nil: none
	Worst   int                    // how many differences to keep, at least one
	Each    func(Difference) error // takes each difference by prefix, as it is found; nil: nobody does

	Progress Progress
}

// differ goes through versions of decks by prefix, side by side, and keeps no more than the prefixes of a prefix.
type differ struct {
	Compare
	at      time.Time
	before  side
	after   side
	retail  side
	home    func(Row) (Row, bool) // a carrier's row with the exchange rate into the commune's currency
	medians map[string]money.Amount
	diff    *Diff
}

func (d *differ) run() error {
	for done := 1; ; done++ {
		d.Progress.tell("compared", done)
		prefix, ok := d.before.prefix()
		if after, more := d.after.prefix(); more && (!ok || after < prefix) {
			prefix, ok = after, true
		}
		if err := errors.Join(d.before.err, d.after.err, d.retail.err); err != nil || !ok {
			return err
		}
		before, after := d.before.take(prefix), d.after.take(prefix)
		d.retail.take(prefix)
		for _, row := range after {
			if err := d.arrives(row, before); err != nil {
				return err
			}
		}
		for _, row := range before {
			if err := d.leaves(row, after); err != nil {
				return err
			}
		}
	}
}

// arrives compares a row of the new version with the one that it takes the place of when it begins to count.
func (d *differ) arrives(row Row, before []Row) error {
	if !row.lastsOver(d.at) {
		return nil
	}
	since := latest(d.at, row.EffectiveFrom)
	found := Difference{Prefix: row.Prefix, Destination: row.Destination, Window: row.Window, From: since, Change: New, Anomalies: Anomalies{}}
	old, ok := pick(before, row.Window, since)
	own := ok
	if !ok {
		old, ok = d.before.cover(row, since)
	}
	if ok {
		found.Percent = change(old, row)
		found.PrefixBefore, found.RateBefore = old.Prefix, &old.RatePerMinute
	}
	switch {
	case own && found.Percent > 0:
		found.Change = Dearer
	case own && found.Percent < 0:
		found.Change = Cheaper
	case own:
		d.diff.Same++
		return nil
	}
	found.PrefixAfter, found.RateAfter = row.Prefix, &row.RatePerMinute
	if median := d.medians[e164.CountryCode(row.Prefix)]; median > 0 && row.RatePerMinute/medianFactor > median {
		found.Anomalies = append(found.Anomalies, OverMedian)
		d.diff.OverMedian++
	}
	if d.loses(row, since) {
		found.Anomalies = append(found.Anomalies, NoMargin)
		d.diff.NoMargin++
	}
	return d.add(found)
}

// leaves looks for a time in which the new version has no row where the one before has.
func (d *differ) leaves(row Row, after []Row) error {
	if !row.lastsOver(d.at) {
		return nil
	}
	since := latest(d.at, row.EffectiveFrom)
	for next, ok := pick(after, row.Window, since); ok; next, ok = pick(after, row.Window, since) {
		if since = next.EffectiveTo; since.IsZero() || !row.lastsOver(since) {
			return nil
		}
	}
	found := Difference{
		Prefix: row.Prefix, Destination: row.Destination, Window: row.Window, From: since, Change: Gone,
		PrefixBefore: row.Prefix, RateBefore: &row.RatePerMinute, Anomalies: Anomalies{},
	}
	if next, ok := d.after.cover(row, since); ok {
		found.Percent = change(row, next)
		found.PrefixAfter, found.RateAfter = next.Prefix, &next.RatePerMinute
	}
	return d.add(found)
}

func (d *differ) add(found Difference) error {
	switch found.Change {
	case New:
		d.diff.New++
	case Gone:
		d.diff.Gone++
	case Dearer:
		d.diff.Dearer++
	case Cheaper:
		d.diff.Cheaper++
	}
	if found.Percent > thirtyPercent {
		found.Anomalies = append(found.Anomalies, OverThirty)
		d.diff.OverThirty++
	}
	slices.Sort(found.Anomalies)
	at, _ := slices.BinarySearchFunc(d.diff.Worst, found, worse)
	if most := max(d.Worst, 1); at < most {
		d.diff.Worst = slices.Insert(d.diff.Worst, at, found)
		d.diff.Worst = d.diff.Worst[:min(len(d.diff.Worst), most)]
	}
	if d.Each == nil {
		return nil
	}
	return d.Each(found)
}

// worse puts differences with anomalies first, then those that change most, then the first by prefix.
func worse(a, b Difference) int {
	return cmp.Or(cmp.Compare(min(len(b.Anomalies), 1), min(len(a.Anomalies), 1)),
		cmp.Compare(max(b.Percent, -b.Percent), max(a.Percent, -a.Percent)),
		cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Window, b.Window), a.From.Compare(b.From))
}

// loses tells whether an expected call by a carrier's row costs more than callers pay without VAT, by the cheapest row of
// the prefix in the retail deck, or of the next shorter one.
func (d *differ) loses(row Row, since time.Time) bool {
	paid, ok := d.retail.price(row.Prefix, since)
	row, known := d.home(row)
	if !ok || !known {
		return false
	}
	cost, err := row.Price(ExpectedSeconds)
	if err != nil {
		return true
	}
	tax, err := VAT(paid, d.VAT)
	return err != nil || cost > paid-tax
}

// change gives by how many percent the call whose price changes most costs more; when none costs more, under zero.
func change(before, after Row) (most Percent) {
	if before.asks() == after.asks() {
		return 0
	}
	for _, seconds := range comparedCalls {
		switch percent := percentUp(before.exact(seconds, after), after.exact(seconds, before)); {
		case percent > 0:
			most = max(most, percent)
		case most <= 0:
			most = min(most, percent)
		}
	}
	return most
}

// asks is all of a row that makes prices, but for their rounding.
func (r *Row) asks() [7]int64 {
	return [...]int64{
		int64(r.RatePerMinute), int64(r.ConnectFee), int64(r.IntervalFirst), int64(r.IntervalNext), int64(r.GraceSeconds),
		int64(r.MinimumCharge), int64(r.ExchangeRate),
	}
}

// exact gives the price of a call before it is rounded, so that small prices can be compared too. Of two rows each takes
// the other one's exchange rate as a factor, which is as good as dividing by its own.
func (r *Row) exact(seconds int, other Row) *big.Int {
	if seconds <= r.GraceSeconds {
		return new(big.Int)
	}
	sum := new(big.Int).Mul(big.NewInt(int64(r.RatePerMinute)), big.NewInt(int64(r.Billed(seconds))))
	sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(r.ConnectFee)), big.NewInt(60)))
	if least := new(big.Int).Mul(big.NewInt(int64(r.MinimumCharge)), big.NewInt(60)); sum.Cmp(least) < 0 {
		sum = least
	}
	return sum.Mul(sum, big.NewInt(int64(cmp.Or(other.ExchangeRate, ExchangeRate(money.Unit)))))
}

// percentUp gives by how many percent a price grows, up to mostChange; a fraction counts as a whole millionth.
func percentUp(before, after *big.Int) Percent {
	switch {
	case before.Cmp(after) == 0:
		return 0
	case before.Sign() == 0:
		return mostChange
	}
	grown := new(big.Int).Mul(new(big.Int).Sub(after, before), big.NewInt(int64(hundredPercent)))
	percent, rest := grown.QuoRem(grown, before, new(big.Int))
	percent.Add(percent, big.NewInt(int64(rest.Sign()))) // away from zero
	if !percent.IsInt64() {
		return mostChange
	}
	return min(Percent(percent.Int64()), mostChange)
}

// side is one deck on the way through all prefixes, and its rows for those that the last one begins with.
type side struct {
	next func() (Row, error, bool)
	row  Row // the next one, when there is one
	more bool
	err  error
	path []group
}

// group is the rows of a prefix.
type group struct {
	prefix string
	rows   []Row
}

// newSide begins with rows by prefix.
func newSide(rows Rows) (s side, stop func()) {
	s.next, stop = iter.Pull2(rows)
	s.step()
	return s, stop
}

func (s *side) step() {
	var err error
	if s.row, err, s.more = s.next(); err != nil {
		s.err, s.more = err, false
	}
}

// prefix gives that of the next row.
func (s *side) prefix() (string, bool) { return s.row.Prefix, s.more }

// take moves on past a prefix and gives its rows.
func (s *side) take(prefix string) []Row {
	for s.more && s.row.Prefix <= prefix {
		s.leave(s.row.Prefix)
		if n := len(s.path); n == 0 || s.path[n-1].prefix != s.row.Prefix {
			s.path = append(s.path, group{prefix: s.row.Prefix})
		}
		last := &s.path[len(s.path)-1]
		last.rows = append(last.rows, s.row)
		s.step()
	}
	s.leave(prefix)
	if n := len(s.path); n > 0 && s.path[n-1].prefix == prefix {
		return s.path[n-1].rows
	}
	return nil
}

// leave forgets the prefixes that another does not begin with.
func (s *side) leave(prefix string) {
	for n := len(s.path); n > 0 && !strings.HasPrefix(prefix, s.path[n-1].prefix); n-- {
		s.path = s.path[:n-1]
	}
}

// cover finds the row that carries the calls of one which is missing: that of its prefix for all other times, or one of
// the longest shorter prefix.
func (s *side) cover(row Row, at time.Time) (Row, bool) {
	for i := len(s.path) - 1; i >= 0; i-- {
		if found, ok := pick(s.path[i].rows, row.Window, at); ok {
			return found, true
		}
		if found, ok := pick(s.path[i].rows, "", at); ok {
			return found, true
		}
	}
	return Row{}, false
}

// price gives the least that an expected call to the prefix that was taken last costs at some time of the week.
func (s *side) price(prefix string, at time.Time) (least money.Amount, ok bool) {
	for i := len(s.path) - 1; i >= 0 && !ok; i-- {
		for _, row := range s.path[i].rows {
			price, err := row.Price(ExpectedSeconds)
			if err == nil && row.effective(at) && (!ok || price < least) {
				least, ok = price, true
			}
		}
	}
	return least, ok
}

// pick finds the row with a window that is in force at an instant.
func pick(rows []Row, window Window, at time.Time) (Row, bool) {
	for _, row := range rows {
		if row.Window == window && row.effective(at) {
			return row, true
		}
	}
	return Row{}, false
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
