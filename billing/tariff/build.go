package tariff

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// edition is a version on its way into an index. Without a listing it comes out of the index before.
type edition struct {
	*sheet
	active  time.Time
	listing listing
}

// newIndex makes the index of editions. What it has in common with the one before, which may be nil, is shared.
func newIndex(before *index, editions []edition) *index {
	slices.SortFunc(editions, func(a, b edition) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.number, b.number))
	})
	x := &index{}
	x.setVersions(editions)
	if before != nil && slices.EqualFunc(x.versions, before.versions, func(a, b version) bool { return a.sheet == b.sheet }) {
		x.headUnit, x.head, x.nodes, x.items = before.headUnit, before.head, before.nodes, before.items
		return x
	}
	listings := before.listings()
	all := make([]listing, len(editions))
	for i, e := range editions {
		if all[i] = e.listing; e.listing == nil {
			all[i] = listings[e.sheet]
		}
	}
	x.setNodes(merge(all))
	x.setItems(all)
	x.setHead()
	return x
}

// setVersions lays the versions out, and tells from when to when each is in force.
func (x *index) setVersions(editions []edition) {
	for i, e := range editions {
		if last := len(x.decks) - 1; last < 0 || x.decks[last].name != e.name {
			x.decks = append(x.decks, deckVersions{e.name, i, i})
		}
		deck := len(x.decks) - 1
		x.decks[deck].last = i + 1
		x.versions = append(x.versions, version{sheet: e.sheet, deck: deck, active: e.active, from: nanosOf(e.active), until: lastNanos})
	}
	for i := range x.versions {
		v := &x.versions[i]
		for j := x.decks[v.deck].first; j < x.decks[v.deck].last; j++ {
			if after := &x.versions[j]; cmp.Or(after.active.Compare(v.active), cmp.Compare(j, i)) > 0 {
				v.until = min(v.until, after.from)
			}
		}
	}
}

// listings takes the index apart again.
func (x *index) listings() map[*sheet]listing {
	all := map[*sheet]listing{}
	if x == nil {
		return all
	}
	size := make([]int, len(x.versions))
	for _, it := range x.items {
		size[it.version]++
	}
	lists := make([]listing, len(x.versions))
	for i := range lists {
		lists[i] = make(listing, 0, size[i])
	}
	for node := 1; node < len(x.nodes)-1; node++ {
		for _, it := range x.itemsOf(uint32(node)) {
			lists[it.version] = append(lists[it.version], listed{x.nodes[node].key, it.terms})
		}
	}
	for i := range lists {
		all[x.versions[i].sheet] = lists[i]
	}
	return all
}

// merge gives all prefixes of listings in order, each once.
func merge(all []listing) []key {
	switch len(all) {
	case 0:
		return nil
	case 1:
		keys := make([]key, len(all[0]))
		for i, l := range all[0] {
			keys[i] = l.key
		}
		return keys
	}
	a, b := merge(all[:len(all)/2]), merge(all[len(all)/2:])
	keys := make([]key, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		next := min(a[0], b[0])
		keys = append(keys, next)
		if a[0] == next {
			a = a[1:]
		}
		if b[0] == next {
			b = b[1:]
		}
	}
	return append(append(keys, a...), b...)
}

// setNodes makes the nodes of prefixes in order. A prefix stands before those that begin with it, so the ones that the last
// one begins with are its parents.
func (x *index) setNodes(keys []key) {
	x.nodes = make([]node, 1, len(keys)+2)
	for _, k := range keys {
		parent := uint32(len(x.nodes) - 1)
		for parent > 0 && !x.nodes[parent].key.begins(k) {
			parent = x.nodes[parent].parent
		}
		x.nodes = append(x.nodes, node{key: k, parent: parent})
	}
	x.nodes = append(x.nodes, node{})
}

// setItems counts what each node gets, makes room, and fills it in.
func (x *index) setItems(all []listing) {
	total := 0
	for _, list := range all {
		total += len(list)
		x.meet(list, func(node int, _ listed) { x.nodes[node+1].first++ })
	}
	for i := 1; i < len(x.nodes); i++ {
		x.nodes[i].first += x.nodes[i-1].first
	}
	x.items = make([]item, total)
	next := make([]uint32, len(x.nodes))
	for i := range next {
		next[i] = x.nodes[i].first
	}
	for i, list := range all {
		v := &x.versions[i]
		x.meet(list, func(node int, l listed) {
			x.items[next[node]] = item{uint32(i), l.terms, v.costs[l.terms]}
			next[node]++
		})
	}
	for node := 1; node < len(x.nodes)-1; node++ {
		slices.SortFunc(x.itemsOf(uint32(node)), func(a, b item) int { return cmp.Compare(a.order(), b.order()) })
	}
}

// order is by cost, then by version, and so by name.
func (i item) order() uint64 { return uint64(i.cost)<<32 | uint64(i.version) }

// meet finds the node of each prefix of a listing. Both are in order; what lies between two is passed over in doubling steps.
func (x *index) meet(list listing, do func(node int, l listed)) {
	at := 1
	for _, l := range list {
		step := 1
		for at+step < len(x.nodes)-1 && x.nodes[at+step].key <= l.key {
			at += step
			step *= 2
		}
		for x.nodes[at].key != l.key {
			if step > 1 {
				step /= 2
			}
			if at+step < len(x.nodes)-1 && x.nodes[at+step].key <= l.key {
				at += step
			}
		}
		do(at, l)
	}
}

// setHead makes a table of about as many first digits as there are nodes.
func (x *index) setHead() {
	size := uint64(10)
	for size < 1_000_000 && 10*size <= uint64(len(x.nodes)) {
		size *= 10
	}
	x.headUnit = tens[len(tens)-1] / size
	x.head = make([]uint32, size+1)
	at := uint32(0)
	for i := range x.head {
		for int(at)+1 < len(x.nodes)-1 && x.nodes[at+1].key.value() < uint64(i)*x.headUnit {
			at++
		}
		x.head[i] = at
	}
}
