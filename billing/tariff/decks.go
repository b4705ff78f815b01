package tariff

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Decks is an immutable picture of rate decks and their versions, made once and asked by every call. The version in
// force at an instant is the one with the greatest ActiveFrom not after it (the higher version when equal). In it the
// longest prefix counts that has a row for the instant, and of its rows the one whose window contains the instant before
// the one without window.
type Decks struct {
	retail, trunk map[string][]version // newest first
	exchange      exchange
}

// NewDecks makes the picture. Rows are stamped with their deck's name@version and currency.
func NewDecks(decks []Deck) *Decks {
	d := &Decks{retail: map[string][]version{}, trunk: map[string][]version{}}
	for _, deck := range decks {
		byName := d.of(deck.Kind)
		byName[deck.Name] = append(byName[deck.Name], newVersion(deck))
	}
	for _, byName := range []map[string][]version{d.retail, d.trunk} {
		for _, versions := range byName {
			slices.SortFunc(versions, func(a, b version) int {
				return cmp.Or(b.from.Compare(a.from), cmp.Compare(b.number, a.number))
			})
		}
	}
	return d
}

// In gives the same decks for a commune with a currency, whose exchange rates bring carriers' prices of other currencies
// into it.
func (d *Decks) In(home money.Currency, rates []DatedRate) *Decks {
	return &Decks{d.retail, d.trunk, newExchange(home, rates)}
}

// Retail finds the row that prices a call to n answered at an instant on the retail deck of that name.
func (d *Decks) Retail(name string, n e164.Number, at time.Time) (Row, bool) {
	return find(d.retail[name], n, at)
}

// Trunk finds the row that costs a call to n answered at an instant over the trunk with that code, stamped with the
// exchange rate of the instant. While there is none for the deck's currency, the deck has no row.
func (d *Decks) Trunk(code string, n e164.Number, at time.Time) (Row, bool) {
	row, ok := find(d.trunk[code], n, at)
	if !ok {
		return Row{}, false
	}
	if row.ExchangeRate, ok = d.exchange.at(row.Currency, at); !ok {
		return Row{}, false
	}
	return row, true
}

// Unpriced lists the trunks whose deck at an instant is in a currency without exchange rate, by code.
func (d *Decks) Unpriced(at time.Time) []string {
	var codes []string
	for code, versions := range d.trunk {
		if v := inForce(versions, at); v != nil {
			if _, ok := d.exchange.at(v.currency, at); !ok {
				codes = append(codes, code)
			}
		}
	}
	slices.Sort(codes)
	return codes
}

// Quote finds the retail row of a call to n at an instant, and the rows that take its place up to another. Where none
// takes it, it goes on: the price was told.
func (d *Decks) Quote(name string, n e164.Number, at, until time.Time) (Quote, bool) {
	row, ok := d.Retail(name, n, at)
	if !ok {
		return Quote{}, false
	}
	q := Quote{Row: row}
	last := row
	for at = d.nextChange(name, n, at); !at.After(until); at = d.nextChange(name, n, at) {
		if row, ok := d.Retail(name, n, at); ok && row != last {
			q.Later = append(q.Later, Later{at, row})
			last = row
		}
	}
	return q, true
}

// nextChange gives the first instant after another at which a number may come under another row.
func (d *Decks) nextChange(name string, n e164.Number, after time.Time) time.Time {
	next := never
	sooner := func(t time.Time) {
		if t.After(after) && t.Before(next) {
			next = t
		}
	}
	versions := d.retail[name]
	for i := range versions {
		sooner(versions[i].from)
	}
	v := inForce(versions, after)
	if v == nil {
		return next
	}
	nodes, length := v.path(n.Digits())
	for _, node := range nodes[:length] {
		for i := v.nodes[node].first; i < v.nodes[node].last; i++ {
			sooner(v.rows[i].EffectiveFrom)
			sooner(v.rows[i].EffectiveTo)
			if v.rows[i].Window != "" { // windows begin and end with minutes
				sooner(after.Truncate(time.Minute).Add(time.Minute))
			}
		}
	}
	return next
}

// never is after all instants that are told.
var never = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

func (d *Decks) of(k Kind) map[string][]version {
	if k == Trunk {
		return d.trunk
	}
	return d.retail
}

func find(versions []version, n e164.Number, at time.Time) (Row, bool) {
	v := inForce(versions, at)
	if v == nil {
		return Row{}, false
	}
	return v.find(n.Digits(), at)
}

func inForce(versions []version, at time.Time) *version {
	for i := range versions {
		if !at.Before(versions[i].from) {
			return &versions[i]
		}
	}
	return nil
}

// version is a deck made ready for look-ups: a trie of digits, all nodes in one slice.
type version struct {
	from     time.Time
	number   int
	currency money.Currency
	rows     []Row // by prefix, then by EffectiveFrom
	nodes    []node
	holidays []Holiday
	calendar calendar
	spans    []spans // the different windows
	window   []uint8 // of each row, its number in spans; nil when no row has one
}

// node stands for a prefix. Zero is the root and so never a child: it means none.
type node struct {
	next        [10]int32
	first, last int32 // its rows are rows[first:last]
}

func newVersion(deck Deck) version {
	v := version{
		from: deck.ActiveFrom, number: deck.Version, currency: deck.Currency, rows: slices.Clone(deck.Rows),
		nodes: make([]node, 1), holidays: deck.Holidays, calendar: newCalendar(deck.Zone, deck.Holidays),
	}
	slices.SortFunc(v.rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), a.EffectiveFrom.Compare(b.EffectiveFrom))
	})
	stamp := fmt.Sprintf("%s@%d", deck.Name, deck.Version)
	for i := range v.rows {
		v.rows[i].Deck, v.rows[i].Currency = stamp, deck.Currency
		n := &v.nodes[v.add(v.rows[i].Prefix)]
		if n.last == 0 {
			n.first = int32(i)
		}
		n.last = int32(i + 1)
	}
	v.addWindows()
	return v
}

// addWindows takes the windows apart. A row whose window can't be read, which no import lets through, never counts.
func (v *version) addWindows() {
	set := newWindowSet()
	for i := range v.rows {
		if v.rows[i].Window == "" {
			continue
		}
		if v.window == nil {
			v.window = make([]uint8, len(v.rows))
		}
		number, err := set.add(v.rows[i].Window)
		if err != nil {
			number = unreadable
		}
		v.window[i] = number
	}
	v.spans = set.spans
}

// unreadable is the number of a window that is none.
const unreadable = 255

// add makes the nodes of a prefix where they are missing and returns the last.
func (v *version) add(prefix string) int32 {
	at := int32(0)
	for i := range len(prefix) {
		digit := prefix[i] - '0'
		if v.nodes[at].next[digit] == 0 {
			v.nodes = append(v.nodes, node{})
			v.nodes[at].next[digit] = int32(len(v.nodes) - 1)
		}
		at = v.nodes[at].next[digit]
	}
	return at
}

// path walks down the digits as far as there are prefixes, and gives those that have rows.
func (v *version) path(digits string) (nodes [e164.MaxDigits]int32, length int) {
	at := int32(0)
	for i := range min(len(digits), len(nodes)) {
		digit := digits[i] - '0'
		if digit > 9 {
			break
		}
		if at = v.nodes[at].next[digit]; at == 0 {
			break
		}
		if v.nodes[at].last > 0 {
			nodes[length] = at
			length++
		}
	}
	return nodes, length
}

// find goes back from the longest prefix to the first that has a row for the instant.
func (v *version) find(digits string, at time.Time) (Row, bool) {
	nodes, length := v.path(digits)
	asked := false
	var when moment
	for length > 0 {
		length--
		best := int32(-1)
		for j := v.nodes[nodes[length]].first; j < v.nodes[nodes[length]].last; j++ {
			switch {
			case !v.rows[j].effective(at):
			case v.window == nil || v.window[j] == 0:
				best = j
			case v.window[j] != unreadable:
				if !asked {
					when, asked = v.calendar.moment(at), true
				}
				if v.spans[v.window[j]].contain(when) {
					return v.rows[j], true
				}
			}
		}
		if best >= 0 {
			return v.rows[best], true
		}
	}
	return Row{}, false
}
