package routing

import (
	"encoding/json"
	"time"
)

// Attempt is one try to reach a number over a trunk, kept for `call show` and for the trunk's figures.
type Attempt struct {
	Trunk   string
	Started time.Time
	PDD     time.Duration // post-dial delay: from the INVITE to the first ringing or answer; 0 when none came
	SIP     int
	Q850    int
	Outcome string
	Suspect string // why the answer looks false, such as "silence fast"; empty when it does not
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
