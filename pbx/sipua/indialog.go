package sipua

import (
	"context"
	"errors"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// within finds the leg of a request inside a dialog and checks its order (12.2.2); nil means that it is answered.
func (e *Engine) within(req *sip.Request, tx sip.ServerTransaction) *leg {
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || req.CSeq().MethodName != req.Method {
		e.reject(req, tx, 400) // no stricter: a BYE must not fail for want of Max-Forwards
		return nil
	}
	l := e.find(req)
	if l == nil {
		e.reject(req, tx, 481)
		return nil
	}
	e.tcp.admitted(req.Source())
	if !l.dialog.newer(req.CSeq().SeqNo) {
		e.respond(req, tx, 500)
		return nil
	}
	return l
}

// arrived is shown each message before the library hands it to a goroutine, so in the order of arrival. It takes those
// whose order matters: ACK, which must be there before the request that follows it, and the responses to our INVITEs.
func (e *Engine) arrived(msg sip.Message) {
	defer func() {
		if cause := recover(); cause != nil {
			e.panicked(nil, cause)
		}
	}()
	e.note("in", msg)
	switch msg := msg.(type) {
	case *sip.Request:
		if msg.IsAck() && msg.CSeq() != nil {
			e.takeAck(msg)
		}
	case *sip.Response:
		if cseq := msg.CSeq(); cseq == nil || cseq.MethodName != sip.INVITE {
			return
		}
		e.mu.Lock()
		c := e.outgoing[branchOf(msg)]
		e.mu.Unlock()
		if c != nil {
			c.take(msg)
		}
	}
}

func (e *Engine) takeAck(req *sip.Request) {
	l := e.find(req)
	if l == nil {
		return
	}
	seq := req.CSeq().SeqNo
	l.ackMu.Lock()
	defer l.ackMu.Unlock()
	if ack := l.acks[seq]; ack != nil {
		delete(l.acks, seq)
		ack <- req // has room for the one
	}
}

func (e *Engine) onBye(req *sip.Request, tx sip.ServerTransaction) {
	l := e.within(req, tx)
	if l == nil {
		return
	}
	e.respond(req, tx, 200)
	if l.finish(pbx.End{By: pbx.ByPeer, SIP: 200, Q850: reasonOf(req, 16)}) {
		e.drop(l)
	}
}

// onCancel is reached by a CANCEL that matches no INVITE in progress; the library answers the others.
func (e *Engine) onCancel(req *sip.Request, tx sip.ServerTransaction) { e.reject(req, tx, 481) }

func (e *Engine) onInfo(req *sip.Request, tx sip.ServerTransaction) {
	l := e.within(req, tx)
	if l == nil {
		return
	}
	contentType := ""
	if h := req.ContentType(); h != nil {
		contentType = h.Value()
	}
	digit, known, ok := parseInfo(contentType, req.Body())
	switch {
	case !known:
		e.respond(req, tx, 415, sip.NewHeader("Accept", "application/dtmf-relay, application/dtmf"))
	case !ok:
		e.respond(req, tx, 400)
	default:
		l.digit(digit, byInfo, false) // before the answer: whoever has it may send the next, and requests overtake each other
		e.respond(req, tx, 200)
	}
}

// onUpdate refreshes the session, and may change it (RFC 3311).
func (e *Engine) onUpdate(req *sip.Request, tx sip.ServerTransaction) {
	l := e.within(req, tx)
	if l == nil || e.tooSmall(req, tx) {
		return
	}
	var body []byte
	l.dialog.follow(req)
	if len(req.Body()) > 0 {
		if status := l.busy(); status != 0 {
			e.respond(req, tx, status, sip.NewHeader("Retry-After", "2"))
			return
		}
		var err error
		if body, err = l.answerTo(req.Body()); err != nil {
			e.respond(req, tx, refusal(err))
			return
		}
	}
	l.dialog.retarget(req.Contact())
	res := l.success(req, body)
	l.takeSession(req, res)
	e.note("out", res)
	if err := tx.Respond(res); err != nil {
		e.log.Debug("answer to UPDATE not sent", "call_id", l.dialog.id, "err", err)
	}
}

// busy is the status for an offer that comes while another one is open (14.2), or 0.
func (l *leg) busy() int {
	l.ackMu.Lock()
	unacked := len(l.acks) > 0
	l.ackMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.answered.IsZero() && l.tx != nil:
		return 500 // its own first offer is not answered yet
	case l.answered.IsZero() || l.offering || unacked:
		return 491
	}
	return 0
}

// refusal is the status for a description that is not taken.
func refusal(err error) int {
	if errors.Is(err, errSDPSyntax) {
		return 400
	}
	return 488
}

// onReinvite changes or refreshes the session: hold, a moved media address, a refresh (section 14.2).
func (e *Engine) onReinvite(req *sip.Request, tx sip.ServerTransaction) {
	l := e.within(req, tx)
	if l == nil || e.tooSmall(req, tx) {
		return
	}
	if status := l.busy(); status != 0 {
		e.respond(req, tx, status, sip.NewHeader("Retry-After", "2"))
		return
	}
	var body []byte
	l.dialog.follow(req)
	offered := len(req.Body()) == 0
	if offered {
		body = l.offer()
	} else {
		var err error
		if body, err = l.answerTo(req.Body()); err != nil {
			e.respond(req, tx, refusal(err))
			return
		}
	}
	l.dialog.retarget(req.Contact())
	res := l.success(req, body)
	l.takeSession(req, res)
	ack := l.expectAck(req)
	e.note("out", res)
	if err := tx.Respond(res); err != nil {
		e.log.Debug("answer to re-INVITE not sent", "call_id", l.dialog.id, "err", err)
	}
	// Here, not in a goroutine: the library keeps the transaction for as long as its handler runs.
	l.confirm(ack, tx, res, offered)
}

// reinvite offers the session anew, unchanged, and gives the final response.
func (l *leg) reinvite() (*sip.Response, error) {
	if l.busy() != 0 {
		return nil, errGlare
	}
	body := l.offerAgain()
	defer func() {
		l.mu.Lock()
		l.offering = false
		l.mu.Unlock()
	}()
	req := l.refreshing(l.dialog.request(sip.INVITE))
	req.AppendHeader(sip.NewHeader("Allow", allowed))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(body)
	ctx, cancel := context.WithTimeout(l.ctx, ackWait())
	defer cancel()
	for attempt := 0; ; attempt++ {
		c, err := l.e.call(ctx, req)
		if err != nil {
			return nil, err
		}
		res, err := c.result(ctx)
		if err != nil {
			return nil, err
		}
		if res.IsSuccess() {
			return res, errors.Join(c.acknowledge(l.dialog.ack(c.req)), l.takeAnswer(res.Body()))
		}
		if attempt > 0 || l.dialog.user == "" || (res.StatusCode != 401 && res.StatusCode != 407) {
			return res, nil
		}
		if req, err = authorise(req, res, l.dialog.nextSeq(), l.dialog.user, l.dialog.password); err != nil {
			return res, nil
		}
	}
}

var errGlare = errors.New("an offer is open already")
