package pbx

// Health is told by an engine how trunks are. It is routing.Gate.
type Health interface {
	// Registered is told the outcome of a registration; why is empty when it stands, or is wanted no more.
	Registered(trunk, why string)
	// Probing is told that probes of a trunk begin or end.
	Probing(trunk string)
	// Probed is told the outcome of a probe; why is empty when the carrier is there.
	Probed(trunk, why string)
}
