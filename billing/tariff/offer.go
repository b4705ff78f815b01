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
	row      *Row         // without its prefix
	prefix   int          // its length
	exchange ExchangeRate
}

// Row gives the row that the offer to a number is made by, as Decks.Trunk finds it.
func (o Offer) Row(n e164.Number) Row {
	row := *o.row
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

// Offers finds what trunks ask for a call to n answered at an instant, each by its row as Decks.Trunk finds it. It gives
// the cheapest ones, equals by code, as many as into has room for, and returns how many.
//
// One walk up from the longest prefix of any deck meets the items of all. Where every version has an item for it whose cost
// does not depend on the time, they stand in the order that is wanted, and the walk ends when into is full.
func (d *Decks) Offers(n e164.Number, at time.Time, into []Offer) int {
	x, when := d.trunk, nanosOf(at)
	var few [4]uint64 // bits of the decks whose row is found; more decks than that are rare
	found := few[:]
	if words := len(x.decks)/64 + 1; words > len(found) {
		found = make([]uint64, words)
	}
	count, missing := 0, len(x.decks)
	first := x.longest(n)
	for node := first; node > 0 && missing > 0; node = x.nodes[node].parent {
		items := x.itemsOf(node)
		inOrder := node == first && len(items) == len(x.versions) && items[0].cost != atThatTime && !d.foreign
		for _, it := range items {
			v := &x.versions[it.version]
			word, bit := &found[v.deck/64], uint64(1)<<(v.deck%64)
			if *word&bit != 0 || !v.inForce(when) {
				continue
			}
			o := Offer{Deck: v.deck, Cost: money.Amount(it.cost) - 1, row: &v.terms[it.terms].Row, prefix: x.nodes[node].key.length()}
			known, ok := true, true
			if it.cost == atThatTime || d.foreign {
				known, ok = d.price(&o, v, it.terms, at)
			}
			if !known {
				continue // a shorter prefix may have a row
			}
			*word |= bit
			missing--
			if ok {
				count = o.insert(into, count)
			}
			if inOrder && count == len(into) {
				return count
			}
		}
	}
	return count
}

// price completes an offer whose cost depends on the time. It tells whether there is a row, and whether it can be priced.
func (d *Decks) price(o *Offer, v *version, terms uint32, at time.Time) (found, ok bool) {
	if o.row = v.at(terms, at); o.row == nil {
		return false, false
	}
	if o.exchange, ok = d.exchange.at(v.currency, at); !ok {
		return true, false
	}
	row := *o.row
	row.ExchangeRate = o.exchange
	cost, err := row.Price(ExpectedSeconds)
	o.Cost = cost
	return true, err == nil
}

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
