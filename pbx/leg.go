// Package pbx is a call from access number to hang-up: the script that a caller walks through, above the interface
// that both call engines implement, the prompts and the register of live calls.
package pbx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/e164"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// Switch is a call engine: the built-in one (pbx/sipua) or Asterisk (pbx/asterisk). Both pass pbx/conformance.
type Switch interface {
	// Run takes calls until ctx ends; it then takes no new ones, hangs up what is left and returns. Each inbound call
	// to a known access number from a known provider is handed to handle in a goroutine of its own; ctx of a call ends
	// when its leg does. A panic in handle ends that call alone. What handle leaves up is hung up when it returns.
	Run(ctx context.Context, handle func(ctx context.Context, in Leg)) error

	// Dial makes one attempt to reach to over its trunk, as a fresh dialog, and returns the answered leg. While the far
	// side rings, caller, which is answered, hears its early media or else a ring tone. The attempt is cancelled when
	// ctx or caller ends or to.RingTimeout passes. A failure is a *DialError. The leg of a far side that answered and
	// hung up at once may have ended already, and so may the caller's.
	Dial(ctx context.Context, caller Leg, to Target) (Leg, error)

	// Bridge joins two answered legs, media and digits both ways, until Close or the end of either. Codecs that don't
	// match are ErrCodec, and nothing is joined.
	Bridge(caller, far Leg) (Bridge, error)
}

// Leg is one call leg. Its methods block and end with ErrEnded when the leg does, or with ctx's error when ctx does.
// All are safe to call from several goroutines.
type Leg interface {
	// ID is the engine's name of the leg (the SIP Call-ID, the channel), for traces.
	ID() string
	// Inbound tells where the call came from; zero for a dialled leg.
	Inbound() Inbound
	// Ring tells the caller's network that it rings, before Answer.
	Ring(ctx context.Context) error
	// Answer takes the inbound call. Answering twice does nothing.
	Answer(ctx context.Context) error
	// Play plays audio to its end. On a bridged leg it takes the place of the other side's voice meanwhile.
	Play(ctx context.Context, audio prompt.Audio) error
	// Collect plays c.Prompt, which the first digit stops, and returns the digits dialled, without the terminator. Digits
	// typed ahead count, unless c.Fresh; those typed before a Dial that failed don't. A time-out returns what there is, with ErrNoDigits when there is nothing; the terminator alone
	// returns nothing without an error.
	Collect(ctx context.Context, c Collect) (string, error)
	// Echo plays back what the leg's party says, for tests of a phone.
	Echo(ctx context.Context) error
	// Limit sets how long the leg may last, counted from its answer (zero: no limit). The engine itself ends the leg
	// then, with ByPaidTime. It may be set again later, to extend.
	Limit(d time.Duration)
	// Hangup ends the leg: before the answer with cause.SIP, after it with BYE, both with a Reason of cause.Q850. It
	// returns at once, or as soon as an engine that hears nothing of the leg knows until when it was there; a second call
	// does nothing.
	Hangup(cause Cause)
	// AnsweredAt is the moment of the answer, with monotonic reading; zero before.
	AnsweredAt() time.Time
	// Done is closed when the leg has ended.
	Done() <-chan struct{}
	// End tells how the leg ended; zero before Done.
	End() End
}

// Bridge is two legs joined.
type Bridge interface {
	// Digits gives what the caller dials while bridged. They are relayed to the far side as well. It is never closed;
	// digits that nobody takes are dropped.
	Digits() <-chan byte
	// Close takes the legs apart and leaves both up.
	Close()
}

// Inbound is where a call came from. All strings are foreign: bounded in length (64 bytes), printable, never trusted.
type Inbound struct {
	Called   e164.Number // the access number
	Provider string      // code of the provider that sent it
	Caller   e164.Number // the calling number (ANI), none when withheld or not a number
	Name     string      // the caller's display name
	Withheld bool        // the caller asked for privacy (RFC 3323); Caller may still be known
	Trusted  bool        // the provider vouches for Caller: it may open an account without PIN
}

// Target is a number to be reached over a trunk.
type Target struct {
	Call        uuid.UUID // that it is dialled for, and the number of the attempt: they name the leg where its engine can
	Attempt     int
	Trunk       routing.Trunk
	Number      e164.Number
	CallerID    e164.Number   // presented to the far side; none: anonymous, with the wish for privacy (RFC 3323)
	Asserted    e164.Number   // told to the carrier in P-Asserted-Identity (RFC 3325); none: not sent
	RingTimeout time.Duration // from INVITE to answer
	Limit       time.Duration // paid time, as Leg.Limit
	Ringing     func()        // called once, at the first 180 or 183, if one comes; must not block; may be nil
}

// Collect says what digits are awaited.
type Collect struct {
	Prompt     prompt.Audio
	Max        int           // ends with that many digits
	Terminator byte          // ends at this digit, such as '#'; 0: none
	First      time.Duration // time-out for the first digit, counted from the end of the prompt
	Next       time.Duration // time-out between digits
	Fresh      bool          // digits typed ahead are dropped
}

// Cause is why a leg is ended by us: a SIP status (RFC 3261 section 21; used before the answer) and a Q.850 cause.
type Cause struct{ SIP, Q850 int }

// Causes that the script uses. The numbers follow ITU-T Q.850 and the mapping of RFC 3398 section 8.
var (
	NormalClearing = Cause{480, 16}
	UserBusy       = Cause{486, 17}
	NoAnswer       = Cause{480, 19}
	Rejected       = Cause{403, 21}
	NotFound       = Cause{404, 1}
	NoCircuit      = Cause{503, 34}
	TemporaryFail  = Cause{503, 41}
	Incompatible   = Cause{488, 88}
)

// Ender says who or what ended a leg.
type Ender string

const (
	ByPeer      Ender = "peer"       // the party or network at the other end of the leg
	ByUs        Ender = "us"         // Hangup
	ByPaidTime  Ender = "paid_time"  // Limit
	ByLostMedia Ender = "lost_media" // no RTP for up to 30 s
	ByFailure   Ender = "failure"    // session timer, broken transport, a panic in the handler
	ByAnother   Ender = "another"    // nothing: another controller leads the leg on, and settles its call
)

// End is how a leg ended. At has a monotonic reading.
type End struct {
	At   time.Time
	SIP  int // final SIP status, 200 for a BYE
	Q850 int // cause of the Reason header or mapped from SIP; 16 when none came
	By   Ender
	// Voice is when something else than silence came from the party first after its answer; zero when nothing did. An
	// engine that can't tell gives the moment of the answer.
	Voice time.Time
}

var (
	// ErrEnded is returned by every method of a leg that has ended.
	ErrEnded = errors.New("the leg has ended")
	// ErrNoDigits is returned by Collect when nothing was dialled in time.
	ErrNoDigits = errors.New("no digits")
	// ErrCodec is returned by Bridge, and wrapped in a DialError, when the two sides have no codec in common.
	ErrCodec = errors.New("no codec in common")
	// ErrRingTimeout is wrapped in the DialError of an attempt that rang for too long.
	ErrRingTimeout = errors.New("not answered in time")
)

// DialError is a failed attempt.
type DialError struct {
	SIP  int  // the final status; 0 when none came (network failure, cancelled); 200: what failed came after the answer
	Q850 int  // of the Reason header, else mapped from SIP; 0 when none
	Rang bool // a 180 or 183 came before
	Err  error
}

func (e *DialError) Error() string {
	return fmt.Sprintf("dial failed: SIP %d, Q.850 %d: %v", e.SIP, e.Q850, e.Err)
}

// Unwrap gives the reason below, such as ErrRingTimeout, ErrEnded (the caller gave up) or a network error.
func (e *DialError) Unwrap() error { return e.Err }
