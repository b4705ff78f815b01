package commune

import "fmt"

// State is where an asset is on the way from a wish to scrap, together with the bonds that buy it and the agreement that
// pays for them: one joint machine (economics.md 4).
type State string

// The states of an asset. Let and Vacant depend on the day: an agreement ends by itself on the day that its notice names.
const (
	Unknown    State = "unknown"    // nobody asked for it
	Requested  State = "requested"  // with a quote and an offered agreement
	Failed     State = "failed"     // the bonds were not wanted; it may be requested again
	Funded     State = "funded"     // the bonds are issued, their price is in escrow
	Let        State = "let"        // owned, and rented
	Vacant     State = "vacant"     // owned, and back in the commune's hands
	NoDemand   State = "no_demand"  // vacant, and nobody wanted to rent it
	Liquidated State = "liquidated" // sold
)

// Step is what moves an asset from state to state.
type Step string

// The steps of an asset.
const (
	StepRequest     Step = "request"
	StepBondsClear  Step = "bonds clear"
	StepBondsFail   Step = "bonds fail"
	StepAcquire     Step = "acquire"
	StepGift        Step = "gift"
	StepNotice      Step = "notice"
	StepReturn      Step = "return" // the notice's day comes
	StepRentalBid   Step = "rental auction finds a lessee"
	StepNoRentalBid Step = "rental auction finds nobody"
	StepLiquidate   Step = "liquidate"
)

// moves are all the moves there are. What is not here is refused.
var moves = map[State]map[Step]State{
	Unknown:    {StepRequest: Requested, StepGift: Vacant},
	Requested:  {StepBondsClear: Funded, StepBondsFail: Failed},
	Failed:     {StepRequest: Requested},
	Funded:     {StepAcquire: Let},
	Let:        {StepNotice: Let, StepReturn: Vacant},
	Vacant:     {StepRentalBid: Let, StepNoRentalBid: NoDemand},
	NoDemand:   {StepRentalBid: Let, StepNoRentalBid: NoDemand, StepLiquidate: Liquidated},
	Liquidated: {},
}

// After gives the state that a step leads to, or ErrState.
func (s State) After(step Step) (State, error) {
	next, may := moves[s][step]
	if !may {
		return "", fmt.Errorf("it is %s, so it can't %s: %w", s, step, ErrState)
	}
	return next, nil
}
