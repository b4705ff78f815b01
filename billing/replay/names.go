package replay

import "strconv"

// names stand in the books for the ids of a scenario, which may be any text.
type names struct {
	prefix string
	byID   map[string]string
	ids    map[string]string // by name
}

func newNames(prefix string) names {
	return names{prefix: prefix, byID: map[string]string{}, ids: map[string]string{}}
}

// name gives the name of an id, always the same. No id, no name.
func (n names) name(id string) string {
	if id == "" {
		return ""
	}
	if _, known := n.byID[id]; !known {
		name := n.prefix + strconv.Itoa(len(n.byID))
		n.byID[id], n.ids[name] = name, id
	}
	return n.byID[id]
}

// original gives the id that a name stands for; what is no name stands for itself.
func (n names) original(name string) string {
	if id, is := n.ids[name]; is {
		return id
	}
	return name
}
