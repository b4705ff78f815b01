package tariff

import (
	"time"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Offer is what a trunk's carrier asks for a call.
type Offer struct {
	Deck     int          // whose it is: a number in Decks.Trunks
	Cost     money.Amount // of a call of ExpectedSeconds, in the commune's currency
	exchange ExchangeRate
	version  uint32 // a number in the index's versions
	row      uint32 // a number in its terms
	prefix   int32  // its length
}

// Row gives the row that an offer for a call to n is made by, as Trunk finds it.
func (d *Decks) Row(o Offer, n e164.Number) Row {
	row := d.trunk.versions[o.version].terms[o.row].Row
	row.Prefix, row.ExchangeRate = n.Digits()[:o.prefix], o.exchange
	return row
}

// Trunks gives the codes of the trunks that have a deck, in order.
func (d *Decks) Trunks() []string {
	codes := make([]string, len(d.trunk.decks))
	for i, deck := range d.trunk.decks {
		codes[i] = deck.name
	}
	return codes
}

// Offers finds what trunks ask for a call to n answered at an instant, each by its row as Trunk finds it. It gives the
// cheapest ones, equals by code, as many as into has room for, and returns how many.
func (d *Decks) Offers(n e164.Number, at time.Time, into []Offer) int {
	x, when := d.trunk, nanosOf(at)
	first := x.longest(n)
	if items := x.itemsOf(first); !d.foreign && x.settled(items) {
		return x.cheapest(items, when, x.nodes[first].key.length(), into)
	}
	var few [4]uint64 // bits of the decks whose row is found; more decks than that are rare
	found := few[:]
	if words := len(x.decks)/64 + 1; words > len(found) {
		found = make([]uint64, words)
	}
	count, missing := 0, len(x.decks)
	for node := first; node > 0 && missing > 0; node = x.nodes[node].parent {
		for _, it := range x.itemsOf(node) {
			v := &x.versions[it.version]
			word, bit := &found[v.deck/64], uint64(1)<<(v.deck%64)
			if *word&bit != 0 || !v.inForce(when) {
				continue
			}
			row, ok := it.terms, true
			if it.cost == atThatTime {
				row, ok = v.at(it.terms, at)
			}
			if !ok {
				continue // a shorter prefix may have one
			}
			*word |= bit
			missing--
			o := Offer{Deck: v.deck, version: it.version, row: row, prefix: int32(x.nodes[node].key.length())}
			if d.price(&o, &it, at) {
				count = o.insert(into, count)
			}
		}
	}
	return count
}

// settled tells whether every version has an item for a prefix, and their costs don't depend on the time. Then the order they
// stand in is that of their costs, and no shorter prefix matters.
func (x *index) settled(items []item) bool {
	return len(items) > 0 && len(items) == len(x.versions) && items[0].cost != atThatTime
}

// cheapest makes the first offers of settled items.
func (x *index) cheapest(items []item, when nanos, prefix int, into []Offer) int {
	count := 0
	for i := range items {
		if count == len(into) {
			break
		}
		if it, v := &items[i], &x.versions[items[i].version]; v.inForce(when) {
			into[count] = Offer{Deck: v.deck, Cost: it.known(), version: it.version, row: it.terms, prefix: int32(prefix)}
			count++
		}
	}
	return count
}

// price completes an offer, unless it can't be priced.
func (d *Decks) price(o *Offer, it *item, at time.Time) bool {
	v := &d.trunk.versions[o.version]
	if it.cost != atThatTime && !d.exchange.foreign(v.currency) {
		o.Cost = it.known()
		return true
	}
	row, ok := v.terms[o.row].Row, false
	if row.ExchangeRate, ok = d.exchange.at(v.currency, at); !ok {
		return false
	}
	var err error
	o.exchange = row.ExchangeRate
	o.Cost, err = row.Price(ExpectedSeconds)
	return err == nil
}

// known is the cost of an expected call by an item, when it does not depend on the time.
func (i *item) known() money.Amount { return money.Amount(i.cost) - 1 }

// insert puts an offer where it belongs among the first count of into, the dearest of which goes when there is no room.
func (o Offer) insert(into []Offer, count int) int {
	at := count
	if count < len(into) {
		count++
	} else if at--; at < 0 || !o.before(into[at]) {
		return count
	}
	for at > 0 && o.before(into[at-1]) {
		into[at] = into[at-1]
		at--
	}
	into[at] = o
	return count
}

func (o Offer) before(other Offer) bool {
	return o.Cost < other.Cost || o.Cost == other.Cost && o.Deck < other.Deck
}
