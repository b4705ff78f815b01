package routing

import "time"

// Lease lets an asset to an enterprise from an instant on until another, which is no part of it; zero: without end.
// A trunk that is an asset carries the calls of whoever rents it, and no others (economics.md D-08).
type Lease struct {
	Asset, Enterprise string
	From, Until       time.Time
}

func (l Lease) covers(at time.Time) bool {
	return !at.Before(l.From) && (l.Until.IsZero() || at.Before(l.Until))
}

// Leases are those of all assets, running ones and ones to come.
type Leases []Lease

// Unlet tells that a trunk carries nobody's calls at an instant, since it is an asset that no enterprise rents; empty when
// somebody may call over it.
func (l Leases) Unlet(t Trunk, at time.Time) Reason {
	for _, lease := range l {
		if lease.Asset == t.Asset && lease.covers(at) {
			return ""
		}
	}
	if t.Asset == "" {
		return ""
	}
	return Unlet
}

// Let gives the same snapshot with the leases of its trunks. Without it none of the trunks that are assets is let.
func (s *Snapshot) Let(leases Leases) *Snapshot {
	let := *s
	let.leases = make([][]Lease, len(s.trunks))
	for i, t := range s.trunks {
		for _, l := range leases {
			if t.Asset != "" && l.Asset == t.Asset {
				let.leases[i] = append(let.leases[i], l)
			}
		}
	}
	return &let
}

// For gives the snapshot as calls of an enterprise see it: of the trunks that are assets they have those that it rents.
func (s *Snapshot) For(enterprise string) *Snapshot {
	seen := *s
	seen.enterprise = enterprise
	return &seen
}

// unlet is Unlet for a trunk that is an asset and not let to who calls.
func (s *Snapshot) unlet(trunk int, at time.Time) Reason {
	if s.trunks[trunk].Asset == "" {
		return ""
	}
	if s.leases != nil {
		for _, l := range s.leases[trunk] {
			if l.Enterprise == s.enterprise && l.covers(at) {
				return ""
			}
		}
	}
	return Unlet
}
