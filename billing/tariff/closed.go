package tariff

import "time"

// Closed collects the prefixes that a carrier's changes take away, as the rows are read.
type Closed struct {
	prefixes []string
	since    []time.Time
}

func (c *Closed) add(prefix string, since time.Time) {
	c.prefixes, c.since = append(c.prefixes, prefix), append(c.since, since)
}

func (c *Closed) reset() { c.prefixes, c.since = c.prefixes[:0], c.since[:0] }

// columns gives the prefixes and the instants, the zero one for those that are gone at once.
func (c *Closed) columns() ([]string, []time.Time) {
	if c == nil {
		return nil, nil
	}
	return c.prefixes, c.since
}
