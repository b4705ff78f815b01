package pbx

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/routing"
)

// State is how far a live call has come.
type State string

const (
	Asking   State = "asking"   // who calls, and where to
	Dialling State = "dialling" // from the price to the first ringing
	Ringing  State = "ringing"
	Talking  State = "talking"
)

// LiveCall is a caller on the line.
type LiveCall struct {
	ID           uuid.UUID   `json:"id"` // of the call; of the access call while none is made
	AccessCall   uuid.UUID   `json:"access_call"`
	Account      string      `json:"account"`
	Provider     string      `json:"provider"`
	AccessNumber e164.Number `json:"access_number"`
	Caller       e164.Number `json:"caller"`
	Number       e164.Number `json:"number"`
	Trunk        string      `json:"trunk"`
	State        State       `json:"state"`
	StartedAt    time.Time   `json:"started_at"` // of the access call
	AnsweredAt   *time.Time  `json:"answered_at"`
	HeldSeconds  int         `json:"held_seconds"`
}

// live is an access call in the register.
type live struct {
	LiveCall
	sign   billing.Sign // of the call that holds money; its Call is uuid.Nil when none does
	shown  bool         // a sign of life has told of the answer
	hangup func(reason error)
}

// rings notes that the far phone rings. Engines may tell so late.
func (l *live) rings() {
	if l.State == Dialling {
		l.State = Ringing
	}
}

// answered notes that the far side is there.
func (l *live) answered(at time.Time, way routing.Candidate) {
	l.State, l.AnsweredAt, l.shown = Talking, &at, false
	l.sign.Trunk, l.sign.Carrier, l.sign.Cost, l.sign.AnsweredAt = way.Trunk.Code, way.Trunk.Carrier, way.Row, at
}

// idle notes that no call is made just now.
func (l *live) idle() {
	l.ID, l.Number, l.Trunk, l.State, l.AnsweredAt, l.HeldSeconds = l.AccessCall, "", "", Asking, nil, 0
	l.sign = billing.Sign{}
}

// register is the access calls in progress on this node. It is empty again when all their handlers have returned.
type register struct {
	most int           // calls at once; 0: no limit
	pace *rate.Limiter // at which calls begin; a second's worth may come at once

	mu      sync.Mutex
	calls   map[uuid.UUID]*live // by access call
	refused int                 // calls that leave no row, of late
	closed  error               // why no more calls are taken
	empty   chan struct{}       // closed when closed is set and the last call has left
}

// newRegister makes a register of at most so many calls, and so many that begin in a second; 0: no limit.
func newRegister(most, perSecond int) *register {
	r := &register{most: most, pace: rate.NewLimiter(rate.Inf, 0), calls: map[uuid.UUID]*live{}, empty: make(chan struct{})}
	if perSecond > 0 {
		r.pace = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
	return r
}

// MaxRefused is how many calls over the limit may be on their way into the records at once.
const MaxRefused = 100

// enter adds an access call. It stands in the register also when it is refused, until it leaves: with errFull when
// there are too many at once, with errFlood when so many begin, or are refused, that a row for each would cost too much, or
// with the reason for which the register was closed.
func (r *register) enter(l *live) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.idle()
	r.calls[l.AccessCall] = l
	switch {
	case r.most > 0 && len(r.calls) > r.most+MaxRefused, !r.pace.Allow():
		r.refused++
		return errFlood
	case r.closed == nil && r.most > 0 && len(r.calls) > r.most:
		return errFull
	}
	return r.closed
}

// readmit adds an access call that an earlier run has admitted. Nothing refuses it.
func (r *register) readmit(l *live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.idle()
	r.calls[l.AccessCall] = l
}

// takeRefused tells how many calls were refused without a row since it was asked last.
func (r *register) takeRefused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.refused
	r.refused = 0
	return n
}

func (r *register) leave(access uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, access)
	r.checkEmpty()
}

// close refuses further calls for a reason. The channel is closed when those in progress have left.
func (r *register) close(reason error) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = reason
	r.checkEmpty()
	return r.empty
}

func (r *register) checkEmpty() {
	if r.closed == nil || len(r.calls) > 0 {
		return
	}
	select {
	case <-r.empty: // a call that came after the last had left was refused, and has left too
	default:
		close(r.empty)
	}
}

// update changes what is known of an access call.
func (r *register) update(access uuid.UUID, change func(*live)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.calls[access]; l != nil {
		change(l)
	}
}

// list gives the calls in progress, oldest first.
func (r *register) list() []LiveCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := make([]LiveCall, 0, len(r.calls))
	for _, l := range r.calls {
		calls = append(calls, l.LiveCall)
	}
	slices.SortFunc(calls, func(a, b LiveCall) int { return a.StartedAt.Compare(b.StartedAt) })
	return calls
}

// signs gives the signs of life of all calls that hold money, or of those alone of whose answer none has told yet.
func (r *register) signs(now time.Time, all bool) []billing.Sign {
	r.mu.Lock()
	defer r.mu.Unlock()
	var signs []billing.Sign
	for _, l := range r.calls {
		fresh := !l.sign.AnsweredAt.IsZero() && !l.shown
		if l.sign.Call == uuid.Nil || !all && !fresh {
			continue
		}
		sign := l.sign
		if !sign.AnsweredAt.IsZero() {
			sign.Answered, l.shown = now.Sub(sign.AnsweredAt), true
		}
		signs = append(signs, sign)
	}
	return signs
}

// hangup ends the call, or the access call, with that id, for a reason.
func (r *register) hangup(id uuid.UUID, reason error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.calls {
		if l.ID == id || l.AccessCall == id {
			l.hangup(reason)
			return true
		}
	}
	return false
}

// hangupAll ends all access calls for a reason.
func (r *register) hangupAll(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.calls {
		l.hangup(reason)
	}
}
