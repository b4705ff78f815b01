package sipua

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// ladder notes the messages of one test call, as they come and as they are handed to the transaction layer: what that
// sends by itself, again or to acknowledge a refusal, is not seen.
type ladder struct {
	began time.Time

	mu       sync.Mutex
	id       string // Call-ID of the first INVITE
	messages []pbx.SIPMessage
	done     chan struct{} // closed with the answer to BYE, or the refusal of the INVITE
	finished bool
}

// maxLadder bounds the messages of a call that are noted.
const maxLadder = 200

type ladderKey struct{}

func newLadder() *ladder { return &ladder{began: time.Now(), done: make(chan struct{})} }

// within gives a context whose calls are noted.
func (l *ladder) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, ladderKey{}, l)
}

// follow has the messages of a call noted from its INVITE on, if it is a test call.
func (e *Engine) follow(ctx context.Context, invite *sip.Request) {
	if l, ok := ctx.Value(ladderKey{}).(*ladder); ok {
		l.mu.Lock()
		l.id = cmp.Or(l.id, invite.CallID().Value())
		l.mu.Unlock()
		if _, known := e.ladders.LoadOrStore(invite.CallID().Value(), l); !known {
			e.traced.Add(1)
		}
	}
}

// unfollow forgets all calls that a ladder was kept of.
func (e *Engine) unfollow(l *ladder) {
	e.ladders.Range(func(id, kept any) bool {
		if kept == l {
			e.ladders.Delete(id)
			e.traced.Add(-1)
		}
		return true
	})
}

// note takes a message down, if it is of a test call. There mostly is none, and then it costs one load.
func (e *Engine) note(direction string, msg sip.Message) {
	if e.traced.Load() == 0 || msg.CallID() == nil {
		return
	}
	if kept, ok := e.ladders.Load(msg.CallID().Value()); ok {
		kept.(*ladder).add(direction, msg)
	}
}

func (l *ladder) add(direction string, msg sip.Message) {
	text, over := "", false
	switch m := msg.(type) {
	case *sip.Request:
		text = m.Method.String()
	case *sip.Response:
		method := sip.RequestMethod("")
		if c := m.CSeq(); c != nil {
			method = c.MethodName
		}
		text = fmt.Sprintf("%d %s (%s)", m.StatusCode, pbx.Printable(m.Reason), pbx.Printable(string(method)))
		refused := m.StatusCode >= 300 && m.StatusCode != 401 && m.StatusCode != 407 && m.StatusCode != 422
		over = method == sip.BYE && !m.IsProvisional() || method == sip.INVITE && refused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.messages) < maxLadder {
		l.messages = append(l.messages, pbx.SIPMessage{
			Milliseconds: time.Since(l.began).Milliseconds(), Direction: direction, Message: text,
		})
	}
	if over && !l.finished {
		l.finished = true
		close(l.done)
	}
}

// tell writes down what was noted.
func (l *ladder) tell(t *pbx.TestCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.CallID, t.Ladder = l.id, append([]pbx.SIPMessage{}, l.messages...)
}
