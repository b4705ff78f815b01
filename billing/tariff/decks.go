package tariff

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"telecommune/internal/e164"
)

// Decks is an immutable picture of rate decks and their versions, made once and asked by every call. The version in
// force at an instant is the one with the greatest ActiveFrom not after it (the higher version when equal). In it the
// longest prefix counts that has a row effective at the instant.
type Decks struct {
	retail, trunk map[string][]version // newest first
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

// Retail finds the row that prices a call to n at an instant on the retail deck of that name.
func (d *Decks) Retail(name string, n e164.Number, at time.Time) (Row, bool) {
	return find(d.retail[name], n, at)
}

// Trunk finds the row that costs a call to n at an instant over the trunk with that code.
func (d *Decks) Trunk(code string, n e164.Number, at time.Time) (Row, bool) {
	return find(d.trunk[code], n, at)
}

func (d *Decks) of(k Kind) map[string][]version {
	if k == Trunk {
		return d.trunk
	}
	return d.retail
}

func find(versions []version, n e164.Number, at time.Time) (Row, bool) {
	for i := range versions {
		if !at.Before(versions[i].from) {
			return versions[i].find(n.Digits(), at)
		}
	}
	return Row{}, false
}

// version is a deck made ready for look-ups: a trie of digits, all nodes in one slice.
type version struct {
	from   time.Time
	number int
	rows   []Row // by prefix, then by EffectiveFrom
	nodes  []node
}

// node stands for a prefix. Zero is the root and so never a child: it means none.
type node struct {
	next        [10]int32
	first, last int32 // its rows are rows[first:last]
}

func newVersion(deck Deck) version {
	v := version{from: deck.ActiveFrom, number: deck.Version, rows: slices.Clone(deck.Rows), nodes: make([]node, 1)}
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
	return v
}

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

// find walks down the digits and keeps the last row that is effective: the longest prefix in force.
func (v *version) find(digits string, at time.Time) (Row, bool) {
	var best *Row
	n := int32(0)
	for i := range len(digits) {
		digit := digits[i] - '0'
		if digit > 9 {
			break
		}
		if n = v.nodes[n].next[digit]; n == 0 {
			break
		}
		for j := v.nodes[n].first; j < v.nodes[n].last; j++ {
			if v.rows[j].effective(at) {
				best = &v.rows[j]
			}
		}
	}
	if best == nil {
		return Row{}, false
	}
	return *best, true
}
