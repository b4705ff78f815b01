package routing

import (
	"encoding/json"
	"slices"
	"time"
)

// Attempt is one try to reach a number over a trunk, kept for `call show` and for the trunk's figures.
type Attempt struct {
	Trunk   string
	Prefix  string        // of the carrier's row, which stands for the destination
	Started time.Time     // that of the call, when PDD is not known of an answer
	PDD     time.Duration // post-dial delay: from the INVITE to the first ringing or answer; 0 when none came, or it is not known
	SIP     int
	Q850    int
	Outcome string // a Reason when the trunk was passed over
	Suspect string // why the answer looks false, such as "silence fast"; empty when it does not
}

// seizure tells whether the trunk was tried at all.
func (a Attempt) seizure() bool { return !slices.Contains(Reasons, Reason(a.Outcome)) }

// effective tells whether the carrier got through to the far party, whatever that did then: what the network
// effectiveness ratio counts (ITU-T E.425: answer, user busy, ring no answer, terminal rejection or unavailability). A
// caller who gave up while it rang counts as ring no answer. A cause of 18, 21 or 27 is not believed by itself: it is what
// gateways make up out of a 480, a 403 or a 502 (RFC 3398 section 8.2.6.1).
func (a Attempt) effective() bool {
	rang := a.PDD > 0
	switch {
	case !a.seizure():
		return false
	case a.SIP/100 == 2:
		return true
	case slices.Contains([]int{486, 600, 603}, a.SIP), slices.Contains([]int{17, 19, 20}, a.Q850):
		return true
	}
	return rang && slices.Contains([]int{0, 408, 480, 487}, a.SIP)
}

// MarshalJSON writes an attempt as `call show` prints it.
func (a Attempt) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Trunk   string    `json:"trunk"`
		Started time.Time `json:"started_at"`
		PDD     int64     `json:"pdd_ms"`
		SIP     int       `json:"sip"`
		Q850    int       `json:"q850"`
		Outcome string    `json:"outcome"`
		Suspect string    `json:"suspect"`
	}{a.Trunk, a.Started, a.PDD.Milliseconds(), a.SIP, a.Q850, a.Outcome, a.Suspect})
}
