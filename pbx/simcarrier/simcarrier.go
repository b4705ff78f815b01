// Package simcarrier simulates the far ends of telephone calls: carriers that take calls (Carrier) and phones that make
// them (Phone), with real SIP (RFC 3261) and RTP (RFC 3550) over UDP and TCP. The demo, the tests and acceptance calls
// use it. It shares no code with the call engines, so that a mistake in one of them can't hide here.
//
// There are no proxies between the simulated ends and the engine: Record-Route is not looked at.
package simcarrier

import "time"

// Sound is what an end lets be heard.
type Sound string

const (
	Silence  Sound = ""         // packets of silence
	Tone     Sound = "tone"     // 1000 Hz without pause, the sound that Heard counts as tone
	RingTone Sound = "ringtone" // 425 Hz, 1 s in every 5 (ITU-T E.180)
	Echo     Sound = "echo"     // each packet back to where it came from
	NoMedia  Sound = "none"     // not a packet
)

// Codec is a static RTP payload type of RFC 3551.
type Codec uint8

const (
	PCMU Codec = 0
	PCMA Codec = 8
	G729 Codec = 18 // named in SDP only, no sound is made of it
)

// Heard is what an end heard of the other, and what it sent.
type Heard struct {
	Sent, Got int       // RTP packets
	First     time.Time // when the first packet came; zero when none did
	Sound     int       // packets that were not silence
	Tone      int       // packets that were nothing but the sound of Tone
	Digits    string    // telephone events (RFC 4733) and SIP INFO
}

// Behaviour is how a carrier treats a call. The zero value answers at once and lets silence be heard until the caller
// hangs up.
type Behaviour struct {
	Deaf    bool          // does not react to the INVITE at all
	Ring    time.Duration // from INVITE to the final answer; it rings (180) if that is not zero
	Rings   int           // how many 180s come, evenly over Ring; 0: one
	Early   bool          // 183 with a ring tone in place of 180
	Forever bool          // rings until the call is cancelled
	Status  int           // the final answer; 0: 200
	Reason  string        // Reason header of the final answer and of BYE, such as `Q.850;cause=17`

	// What follows is for answered calls; times are counted from the answer.
	Sound      Sound
	Codec      *Codec        // answers with this codec, offered or not
	MediaFor   time.Duration // sends no more media after that
	HangUp     time.Duration // hangs up after that; zero: never
	Cue        chan struct{} // hangs up when something comes from it
	Hold       time.Duration // puts the caller on hold by a re-INVITE after that; zero: never
	HoldFor    time.Duration // and takes the call back after that
	Update     time.Duration // sends an UPDATE (RFC 3311) after that; zero: never
	Session    time.Duration // session timer of RFC 4028; zero: none
	Refreshes  bool          // the carrier refreshes the session itself, by UPDATE at half its time; else the caller has to
	Lazy       bool          // it says so and does not
	Disappears time.Duration // after that neither SIP nor RTP comes from here; zero: never
}

// How a call came to its end at a carrier.
const (
	Refused   = "refused"   // the carrier gave a final answer other than 200
	Cancelled = "cancelled" // CANCEL came before the answer
	ByCaller  = "caller"    // BYE from the caller
	ByCarrier = "carrier"   // BYE from the carrier
	Expired   = "expired"   // the session timer was not refreshed: BYE from the carrier
	Vanished  = "vanished"  // the carrier disappeared, or never reacted
)

// Record is one call as a carrier saw it.
type Record struct {
	CallID      string
	Number      string // user part of the request URI
	Caller      string // user part of From
	Transport   string // udp, tcp or tls
	Offer       string // the SDP offered
	Supported   string // Supported header of the INVITE
	Received    time.Time
	Answered    time.Time // zero when it was not
	Ended       time.Time // zero while it lasts
	How         string    // it ended: one of the constants above
	Status      int       // the final answer that was given
	HoldAnswer  string    // direction in the answer to the hold, such as recvonly
	UpdateReply int       // status of the answer to UPDATE
	Refreshed   int       // session refreshes, either way
	Heard       Heard
}

// Done tells that the call is over.
func (r Record) Done() bool { return !r.Ended.IsZero() }
