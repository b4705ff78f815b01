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
	// Timeout: the ring time of the trunk was over.
	Timeout bool
	// NotFoundBefore: another trunk of this call said already that there is no such number.
	NotFoundBefore bool
}

// Verdict is what follows a failed attempt. The zero value is none.
type Verdict string

const (
	Next Verdict = "next" // try the next trunk: another carrier may get through, or know more of the number
	Stop Verdict = "stop" // pass the failure on: the party was reached, or there is none, and another trunk would only ask again
)

// Judgement is what follows a failed attempt, and whether it is the trunk's fault: such failures one after the other take
// it out of use (Gate).
type Judgement struct {
	Verdict Verdict
	Counts  bool
}

// Judge applies the trunk's failover table: its own rows, and for all else the usual ones.
func (t Trunk) Judge(f Failure) Judgement {
	usual := Judgement{f.Verdict(), f.counts()}
	own, found := t.Failover.find(f)
	switch {
	case !found:
		return usual
	case own.counts == nil:
		return Judgement{own.verdict, usual.Counts}
	}
	return Judgement{own.verdict, *own.counts}
}

// rule is one row of the failover table.
type rule struct {
	first  Verdict // what follows
	rang   Verdict // instead, when the far phone rang before; zero: the same
	again  Verdict // instead, when another trunk said before that there is no such number; zero: the same
	counts bool    // against the trunk, unless the far phone rang
}

// bySIP is the failover table for final statuses (RFC 3261 section 21). What is not in it goes by its class: byClass.
var bySIP = map[int]rule{
	401: {first: Next, counts: true},             // our credentials are wrong there, for this call and every other
	402: {first: Next, counts: true},             // we have not paid
	404: {first: Next, again: Stop},              // one carrier may lack a number range; two that say so are believed
	407: {first: Next, counts: true},             // as 401
	408: {first: Next, rang: Stop, counts: true}, // the carrier's next hop is silent; after ringing: nobody answered
	410: {first: Stop},                           // the number was given up, and that is known for sure
	480: {first: Next, rang: Stop},               // the carrier found no way to the phone; after ringing: nobody answered
	484: {first: Next, again: Stop},              // one carrier's numbering plan may be old; as 404
	486: {first: Stop},                           // busy: the phone was reached
	487: {first: Next, rang: Stop, counts: true}, // our CANCEL after the ring time-out; without ringing the trunk hung
}

// byClass is the rule for the statuses of a class that bySIP does not name.
var byClass = [...]rule{
	2: {first: Stop},               // answered: what failed came after it
	3: {first: Next},               // a redirection, which we don't follow: it could lead anywhere at our cost
	4: {first: Next},               // the trunk's own refusal: destination (403), codec (488), syntax
	5: {first: Next, counts: true}, // the carrier is broken or full
	6: {first: Stop},               // speaks for every way to the party: busy (600), declined (603), none such (604)
}

// byQ850 is the failover table for attempts that have a cause but no status, as older Asterisk reports them, and for
// our own ring time-out, which may have neither (ITU-T Q.850). Causes not in it are the network's: next trunk.
var byQ850 = map[int]rule{
	0:   {first: Next, rang: Stop, counts: true}, // our ring time-out; without ringing the trunk hung
	1:   {first: Next, again: Stop},              // unallocated number; as 404
	16:  {first: Stop},                           // normal clearing: the far side took the call off the phone
	17:  {first: Stop},                           // user busy
	18:  {first: Next, rang: Stop},               // no user responding; as 480
	19:  {first: Stop},                           // alerted, and nobody answered
	21:  {first: Stop},                           // rejected by the party
	22:  {first: Stop},                           // number changed; as 410
	28:  {first: Next, again: Stop},              // address incomplete; as 484
	102: {first: Next, rang: Stop, counts: true}, // timer expired; as 408
}

// ofParty are the causes that speak of the party and that no gateway makes up out of a general status (RFC 3398
// section 8): in a Reason header (RFC 3326) they say more than the 480 or 5xx that brings them.
var ofParty = []int{1, 17, 22, 28}

// Verdict tells what follows: the next trunk on 5xx, on 408 and 480 without ringing, on 404 by one trunk, on refusals
// of the trunk's own and on a network failure; a stop on what the far party did and on every 6xx.
func (f Failure) Verdict() Verdict {
	if f.Network {
		return Next // no final answer: the trunk is down, whatever came before
	}
	r := f.rule()
	switch {
	case f.Rang && r.rang != "":
		return r.rang
	case f.NotFoundBefore && r.again != "":
		return r.again
	}
	return r.first
}

// counts tells that the trunk is to blame: it is broken, hangs, can't be reached or does not know us.
func (f Failure) counts() bool { return f.Network || f.rule().counts && !f.Rang }

// NotFound tells that the trunk said there is no such number; the call's further failures have NotFoundBefore then.
func (f Failure) NotFound() bool { return f.rule().again != "" }

func (f Failure) rule() rule {
	general := f.SIP == 480 || f.SIP/100 == 5
	if f.SIP == 0 || general && slices.Contains(ofParty, f.Q850) {
		if r, ok := byQ850[f.Q850]; ok {
			return r
		}
		return rule{first: Next, counts: f.SIP == 0}
	}
	if r, ok := bySIP[f.SIP]; ok {
		return r
	}
	if class := f.SIP / 100; class >= 2 && class < len(byClass) {
		return byClass[class]
	}
	return rule{first: Next, counts: true} // no final status at all
}
