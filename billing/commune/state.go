package commune

import "fmt"

// State is where something of the commune is on its way (economics.md 4): an asset together with the bonds that buy it and
// the agreement that pays for them, which are one joint machine; an agreement; an enterprise; a member.
//
// What is so by the day or by the books is read there and stands in no column: an agreement ends by itself on the day that
// its notice names, rent is in arrears as long as it is open.
type State string

// The states of an asset.
const (
	Unknown    State = "unknown"    // nobody asked for it
	Requested  State = "requested"  // with a quote and an offered agreement
	Failed     State = "failed"     // the bonds were not wanted; it may be requested again
	Funded     State = "funded"     // the bonds are issued, their price is in escrow
	Let        State = "let"        // owned, and rented
	Vacant     State = "vacant"     // owned, and back in the commune's hands
	NoDemand   State = "no_demand"  // vacant, and nobody wanted to rent it
	Defaulted  State = "defaulted"  // vacant, and its bonds get no coupon: to be sold for their holders
	Liquidated State = "liquidated" // sold
)

// The states of an agreement, once it is executed; before, it is a part of its request.
const (
	Running     State = "running"
	NoticeGiven State = "notice_given" // it ends on a day to come
	InArrears   State = "in_arrears"   // with a rent of which notice was given; an enterprise with such an agreement, too
	Ended       State = "ended"
	Terminated  State = "terminated" // because its rent did not come
)

// The other states of an enterprise.
const (
	Proposed  State = "proposed"  // it may not do anything yet
	Active    State = "active"    // also of a member
	Suspended State = "suspended" // its assets are returned, its callers make no calls
	WoundUp   State = "wound_up"  // its book is closed
)

// The other states of a member.
const (
	Applicant State = "applicant" // of whom work was told that nobody attested yet: he is no row
	Leaving   State = "leaving"   // a share is cancelled from a day to come on
	Former    State = "former"
)

// Step is what moves something from state to state.
type Step string

// The steps of an asset.
const (
	StepRequest     Step = "be requested"
	StepBondsClear  Step = "be bought by bonds"
	StepBondsFail   Step = "fail to be bought by bonds"
	StepAcquire     Step = "be acquired"
	StepGift        Step = "be given"
	StepNotice      Step = "be given notice"
	StepReturn      Step = "be returned on the notice's day"
	StepTakeBack    Step = "be taken back" // because its rent does not come
	StepRentalBid   Step = "be let by auction"
	StepNoRentalBid Step = "find no lessee"
	StepDefault     Step = "default"
	StepLiquidate   Step = "be liquidated"
)

// The other steps of agreements and enterprises.
const (
	StepArrears    Step = "be given notice of arrears"
	StepPaid       Step = "be out of arrears" // the rents of which notice was given are paid, or written off
	StepEnd        Step = "end"
	StepStart      Step = "start"
	StepSuspend    Step = "be suspended"
	StepResume     Step = "resume"
	StepWindUp     Step = "be wound up"
	StepDistribute Step = "distribute its surplus"
)

// The steps of a member.
const (
	StepJoin  Step = "join"
	StepLeave Step = "leave"
	StepGone  Step = "be gone" // the day comes
	StepLapse Step = "lapse"
	StepDie   Step = "die or be excluded"
)

type moves map[State]map[Step]State

// All the moves there are. What is not here is refused.
var (
	assetMoves = moves{
		Unknown:    {StepRequest: Requested, StepGift: Vacant},
		Requested:  {StepBondsClear: Funded, StepBondsFail: Failed},
		Failed:     {StepRequest: Requested},
		Funded:     {StepAcquire: Let},
		Let:        {StepNotice: Let, StepReturn: Vacant, StepTakeBack: Vacant},
		Vacant:     {StepRentalBid: Let, StepNoRentalBid: NoDemand, StepDefault: Defaulted},
		NoDemand:   {StepRentalBid: Let, StepNoRentalBid: NoDemand, StepDefault: Defaulted, StepLiquidate: Liquidated},
		Defaulted:  {StepLiquidate: Liquidated},
		Liquidated: {},
	}
	agreementMoves = moves{
		Running:     {StepNotice: NoticeGiven, StepArrears: InArrears},
		NoticeGiven: {StepArrears: InArrears, StepEnd: Ended},
		InArrears:   {StepArrears: InArrears, StepPaid: Running, StepNotice: InArrears, StepTakeBack: Terminated, StepEnd: Ended},
		Ended:       {StepArrears: Ended},
		Terminated:  {StepArrears: Terminated},
	}
	enterpriseMoves = moves{
		Proposed:  {StepStart: Active},
		Active:    {StepArrears: InArrears, StepDistribute: Active},
		InArrears: {StepPaid: Active, StepArrears: InArrears, StepSuspend: Suspended},
		Suspended: {StepResume: Active, StepWindUp: WoundUp},
		WoundUp:   {},
	}
	memberMoves = moves{
		Applicant: {StepJoin: Active},
		Active:    {StepLeave: Leaving, StepLapse: Former, StepDie: Former},
		Leaving:   {StepGone: Former, StepDie: Former},
		Former:    {StepJoin: Active},
	}
)

// after gives the state that a step leads to, or ErrState.
func (m moves) after(s State, step Step) (State, error) {
	next, may := m[s][step]
	if !may {
		return "", fmt.Errorf("it is %s, so it can't %s: %w", s, step, ErrState)
	}
	return next, nil
}
