package pbx

import "time"

// TestCall is what an acceptance call over a trunk came to: a call of ours without a caller.
type TestCall struct {
	CallID     string        `json:"call_id"` // SIP Call-ID, for the carrier's log
	Started    time.Time     `json:"started_at"`
	AnsweredAt *time.Time    `json:"answered_at"` // null when it was not answered
	Ended      time.Time     `json:"ended_at"`
	Answered   time.Duration `json:"-"`
	PDD        *int64        `json:"pdd_ms"`   // post-dial delay: to the first ringing, or to the answer when nothing rang
	Setup      *int64        `json:"setup_ms"` // to the answer
	SIP        int           `json:"sip"`      // 200 of an answered call, else the final status; 0: none came
	Q850       int           `json:"q850"`
	EndedBy    Ender         `json:"ended_by"` // of an answered call
	Failure    string        `json:"failure"`  // why it was not answered; empty when it was
	Codec      string        `json:"codec"`
	Media      TestMedia     `json:"media"`
	Ladder     []SIPMessage  `json:"ladder"`
}

// SIPMessage is a step of a ladder.
type SIPMessage struct {
	Milliseconds int64  `json:"ms"`        // since the call began
	Direction    string `json:"direction"` // out or in
	Message      string `json:"message"`   // INVITE, or 180 Ringing (INVITE)
}

// MediaVerdict is what a test call can say of the media.
type MediaVerdict string

const (
	NoMedia    MediaVerdict = "none"    // not a packet came
	SilentLine MediaVerdict = "silent"  // packets of silence came
	HeardThem  MediaVerdict = "heard"   // the far side is heard; whether it hears us nobody can tell from here
	TwoWay     MediaVerdict = "two_way" // our own tone came back: an echo test hears us, and we hear it
)

// TestMedia is the RTP of a test call from its answer on.
type TestMedia struct {
	Verdict  MediaVerdict `json:"verdict"`
	Sent     int64        `json:"sent"` // packets
	Received int64        `json:"received"`
	Lost     int64        `json:"lost"`      // of those that the far side numbered (RFC 3550 appendix A.3)
	JitterUS int64        `json:"jitter_us"` // interarrival jitter (RFC 3550 appendix A.8), in microseconds
	FirstMS  *int64       `json:"first_ms"`  // from the answer to the first packet
}
