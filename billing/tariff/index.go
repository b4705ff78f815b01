package tariff

import (
	"math"
	"time"

	"telecommune/internal/e164"
)

// index is all decks of a kind, looked into at once: what fifty carriers ask for a number stands in one place. A number is
// found by its first digits in head, then among the few prefixes that begin with them; each of those knows the longest
// other one that it begins with.
type index struct {
	decks    []deckVersions // by name
	versions []version      // by name and number
	headUnit uint64         // how many numbers an element of head stands for
	head     []uint32       // by first digits: the last node before them
	nodes    []node         // by prefix; the first is none, and one more ends the items of the last
	items    []item
}

// deckVersions are the versions of a deck: versions[first:last].
type deckVersions struct {
	name        string
	first, last int
}

// version is a version of a deck, in force from an instant up to another.
type version struct {
	*sheet
	deck        int // a number in decks
	active      time.Time
	from, until nanos
}

// node stands for a prefix that any deck has rows for.
type node struct {
	key    key
	parent uint32 // the longest prefix that this one begins with; 0: none
	first  uint32 // its items go up to those of the next node
}

// item is what one version has for a prefix. Those of a node stand by cost.
type item struct {
	version uint32
	terms   uint32
	cost    uint32 // terms.cost
}

// nanos is an instant in nanoseconds since 1970, for comparing many. Those that don't fit are the first and the last.
type nanos int64

const (
	firstNanos nanos = math.MinInt64
	lastNanos  nanos = math.MaxInt64
)

func nanosOf(t time.Time) nanos {
	const most = math.MaxInt64 / int64(time.Second)
	switch seconds := t.Unix(); {
	case seconds <= -most:
		return firstNanos
	case seconds >= most:
		return lastNanos
	}
	return nanos(t.UnixNano())
}

func (v *version) inForce(at nanos) bool { return v.from <= at && at < v.until }

// deck finds a deck by name.
func (x *index) deck(name string) (number int, ok bool) {
	low, high := 0, len(x.decks)
	for low < high {
		if mid := (low + high) / 2; x.decks[mid].name < name {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(x.decks) && x.decks[low].name == name
}

// of gives all versions of a deck.
func (x *index) of(name string) []version {
	number, ok := x.deck(name)
	if !ok {
		return nil
	}
	return x.versions[x.decks[number].first:x.decks[number].last]
}

// inForce gives the number of a deck's version at an instant: the last one to have come into force, of two at the same time
// the higher one.
func (x *index) inForce(name string, at time.Time) (number int, ok bool) {
	deck, ok := x.deck(name)
	if !ok {
		return 0, false
	}
	when := nanosOf(at)
	for i := x.decks[deck].first; i < x.decks[deck].last; i++ {
		if x.versions[i].inForce(when) {
			return i, true
		}
	}
	return 0, false
}

// longest gives the number of the node with the longest prefix of a number, 0 when there is none.
func (x *index) longest(n e164.Number) uint32 {
	number := keyOf(n.Digits())
	if len(x.nodes) == 0 || number == 0 {
		return 0
	}
	head := number.value() / x.headUnit
	low, high := x.head[head], x.head[head+1] // the last node that is not after the number is one of these
	for low < high {
		if mid := (low + high + 1) / 2; x.nodes[mid].key <= number {
			low = mid
		} else {
			high = mid - 1
		}
	}
	for low > 0 && !x.nodes[low].key.begins(number) {
		low = x.nodes[low].parent
	}
	return low
}

func (x *index) itemsOf(node uint32) []item {
	return x.items[x.nodes[node].first:x.nodes[node+1].first]
}

// termsOf finds what a version has for a node's prefix.
func (x *index) termsOf(node uint32, version int) (terms uint32, ok bool) {
	for _, it := range x.itemsOf(node) {
		if int(it.version) == version {
			return it.terms, true
		}
	}
	return 0, false
}

// find gives the row of the deck with that name for a call to n answered at an instant: that of the longest prefix that has
// one then.
func (x *index) find(name string, n e164.Number, at time.Time) (Row, bool) {
	version, ok := x.inForce(name, at)
	if !ok {
		return Row{}, false
	}
	for node := x.longest(n); node > 0; node = x.nodes[node].parent {
		terms, ok := x.termsOf(node, version)
		if !ok {
			continue
		}
		if row, ok := x.versions[version].at(terms, at); ok {
			found := x.versions[version].terms[row].Row
			found.Prefix = n.Digits()[:x.nodes[node].key.length()]
			return found, true
		}
	}
	return Row{}, false
}

// rows gives all rows of a version by prefix.
func (x *index) rows(version int) []Row {
	var rows []Row
	for node := 1; node < len(x.nodes)-1; node++ {
		terms, ok := x.termsOf(uint32(node), version)
		if !ok {
			continue
		}
		for _, t := range x.versions[version].of(terms) {
			t.Prefix = x.nodes[node].key.String()
			rows = append(rows, t.Row)
		}
	}
	return rows
}
