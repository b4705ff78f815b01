package routing

import "slices"

// Failure is how an attempt over a trunk came to nothing.
type Failure struct {
	SIP  int // the final status; 0 when none came
	Q850 int // cause of the Reason header, or mapped from SIP; 0 when none
	// Rang: the far phone was said to ring.
	Rang bool
	// Network: no final answer because the trunk could not be reached or the transport broke, as opposed to a ring
	// time-out of ours, which has Network false and SIP 0 or 487.
	Network bool
	// NotFoundBefore: another trunk of this call said already that there is no such number.
	NotFoundBefore bool
}

// Blame says on whose account an attempt failed; a trunk's figures count only its own failures.
type Blame string

const (
	BlameNobody Blame = ""      // our own doing, or not known yet
	BlameTrunk  Blame = "trunk" // the trunk or its carrier
	BlameParty  Blame = "party" // the far party, or the number dialled
)

// Action is what follows a failed attempt.
type Action string

const (
	Next Action = "next" // try the next trunk
	Stop Action = "stop" // pass the failure on to the caller
)

// Verdict is what a failure means for the call.
type Verdict struct {
	Action Action
	Blame  Blame
}

var (
	next  = Verdict{Next, BlameTrunk}  // another carrier may get through
	doubt = Verdict{Next, BlameNobody} // another carrier may know more of the number
	stop  = Verdict{Stop, BlameParty}  // the party was reached, or there is none: another trunk would only ask again
)

// rule is one row of the failover table.
type rule struct {
	first Verdict // what follows
	rang  Verdict // instead, when the far phone rang before; zero: the same
	again Verdict // instead, when another trunk said before that there is no such number; zero: the same
}

// bySIP is the failover table for final statuses (RFC 3261 section 21). What is not in it goes by its class: byClass.
var bySIP = map[int]rule{
	404: {first: doubt, again: stop}, // one carrier may lack a number range; two that say so are believed
	408: {first: next, rang: stop},   // the carrier's next hop is silent; after ringing: nobody answered
	410: {first: stop},               // the number was given up, and that is known for sure
	480: {first: next, rang: stop},   // the carrier found no way to the phone; after ringing: nobody answered
	484: {first: doubt, again: stop}, // one carrier's numbering plan may be old; as 404
	486: {first: stop},               // busy: the phone was reached
	487: {first: next, rang: stop},   // our CANCEL after the ring time-out; without ringing the trunk hung
}

// byClass is the rule for the statuses of a class that bySIP does not name.
var byClass = [...]rule{
	2: {first: Verdict{Stop, BlameNobody}}, // answered: what failed came after it
	3: {first: next},                       // a redirection, which we don't follow: it could lead anywhere at our cost
	4: {first: next},                       // the trunk's own refusal: credentials (401, 403, 407), account (402), codec (488), syntax
	5: {first: next},                       // the carrier is broken or full
	6: {first: stop},                       // speaks for every way to the party: busy (600), declined (603), none such (604)
}

// byQ850 is the failover table for attempts that have a cause but no status, as older Asterisk reports them, and for
// our own ring time-out, which may have neither (ITU-T Q.850). Causes not in it are the network's: next trunk.
var byQ850 = map[int]rule{
	0:   {first: next, rang: stop},   // our ring time-out; without ringing the trunk hung
	1:   {first: doubt, again: stop}, // unallocated number; as 404
	16:  {first: stop},               // normal clearing: the far side took the call off the phone
	17:  {first: stop},               // user busy
	18:  {first: next, rang: stop},   // no user responding; as 480
	19:  {first: stop},               // alerted, and nobody answered
	21:  {first: stop},               // rejected by the party
	22:  {first: stop},               // number changed; as 410
	28:  {first: doubt, again: stop}, // address incomplete; as 484
	102: {first: next, rang: stop},   // timer expired; as 408
}

// ofParty are the causes that speak of the party and that no gateway makes up out of a general status (RFC 3398
// section 8): in a Reason header (RFC 3326) they say more than the 480 or 5xx that brings them.
var ofParty = []int{1, 17, 22, 28}

// Verdict tells what follows: the next trunk on 5xx, on 408 and 480 without ringing, on 404 by one trunk, on refusals
// of the trunk's own and on a network failure; a stop on what the far party did and on every 6xx.
func (f Failure) Verdict() Verdict {
	if f.Network {
		return next // no final answer: the trunk is down, whatever came before
	}
	r := f.rule()
	switch {
	case f.Rang && r.rang != Verdict{}:
		return r.rang
	case f.NotFoundBefore && r.again != Verdict{}:
		return r.again
	}
	return r.first
}

// NotFound tells that the trunk said there is no such number; the call's further failures have NotFoundBefore then.
func (f Failure) NotFound() bool { return f.rule().again != Verdict{} }

func (f Failure) rule() rule {
	general := f.SIP == 480 || f.SIP/100 == 5
	if f.SIP == 0 || general && slices.Contains(ofParty, f.Q850) {
		if r, ok := byQ850[f.Q850]; ok {
			return r
		}
		return rule{first: next}
	}
	if r, ok := bySIP[f.SIP]; ok {
		return r
	}
	if class := f.SIP / 100; class >= 2 && class < len(byClass) {
		return byClass[class]
	}
	return rule{first: next} // no final status at all
}
