package tariff

import (
	"iter"
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
	retail, trunk *index
	exchange      exchange
	foreign       bool // a trunk's deck is in another currency than the commune's
}

// NewDecks makes the picture. Rows are stamped with their deck's name@version and currency.
func NewDecks(decks []Deck) *Decks { return CollectDecks(slices.Values(decks)) }

// CollectDecks is NewDecks of decks that come one by one: those of many carriers need not be in memory at once.
func CollectDecks(decks iter.Seq[Deck]) *Decks {
	var editions []edition
	for deck := range decks {
		sheet, listing := newSheet(deck)
		editions = append(editions, edition{sheet, deck.ActiveFrom, listing})
	}
	return newDecks(&Decks{}, editions)
}

// newDecks makes the picture of editions. What it has in common with the picture before is shared.
func newDecks(before *Decks, editions []edition) *Decks {
	var retail, trunk []edition
	for _, e := range editions {
		if e.kind == Trunk {
			trunk = append(trunk, e)
		} else {
			retail = append(retail, e)
		}
	}
	return &Decks{retail: newIndex(before.retail, retail), trunk: newIndex(before.trunk, trunk)}
}

// In gives the same decks for a commune with a currency, whose exchange rates bring carriers' prices of other currencies
// into it.
func (d *Decks) In(home money.Currency, rates []DatedRate) *Decks {
	in := &Decks{retail: d.retail, trunk: d.trunk, exchange: newExchange(home, rates)}
	in.foreign = slices.ContainsFunc(d.trunk.versions, func(v version) bool { return in.exchange.foreign(v.currency) })
	return in
}

func (d *Decks) of(k Kind) *index {
	if k == Trunk {
		return d.trunk
	}
	return d.retail
}

// Retail finds the row that prices a call to n answered at an instant on the retail deck of that name.
func (d *Decks) Retail(name string, n e164.Number, at time.Time) (Row, bool) {
	return d.retail.find(name, n, at)
}

// Trunk finds the row that costs a call to n answered at an instant over the trunk with that code, stamped with the
// exchange rate of the instant. While there is none for the deck's currency, the deck has no row.
func (d *Decks) Trunk(code string, n e164.Number, at time.Time) (Row, bool) {
	row, ok := d.trunk.find(code, n, at)
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
	for _, deck := range d.trunk.decks {
		if v, ok := d.trunk.inForce(deck.name, at); ok {
			if _, ok := d.exchange.at(d.trunk.versions[v].currency, at); !ok {
				codes = append(codes, deck.name)
			}
		}
	}
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
	for at = d.retail.nextChange(name, n, at); !at.After(until); at = d.retail.nextChange(name, n, at) {
		if row, ok := d.Retail(name, n, at); ok && row != last {
			q.Later = append(q.Later, Later{at, row})
			last = row
		}
	}
	return q, true
}

// nextChange gives the first instant after another at which a number may come under another row.
func (x *index) nextChange(name string, n e164.Number, after time.Time) time.Time {
	next := never
	sooner := func(t time.Time) {
		if t.After(after) && t.Before(next) {
			next = t
		}
	}
	for _, v := range x.of(name) {
		sooner(v.active)
	}
	version, ok := x.inForce(name, after)
	if !ok {
		return next
	}
	for node := x.longest(n); node > 0; node = x.nodes[node].parent {
		number, ok := x.termsOf(node, version)
		if !ok {
			continue
		}
		for _, t := range x.versions[version].of(number) {
			sooner(t.EffectiveFrom)
			sooner(t.EffectiveTo)
			if t.Window != "" { // windows begin and end with minutes
				sooner(after.Truncate(time.Minute).Add(time.Minute))
			}
		}
	}
	return next
}

// never is after all instants that are told.
var never = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
