package sipua

import (
	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// wellFormed tells whether a request has what RFC 3261 section 8.1.1 demands, and an INVITE its Contact.
func (e *Engine) wellFormed(req *sip.Request) bool {
	return req.From() != nil && req.To() != nil && req.CallID() != nil && req.CSeq() != nil && req.MaxForwards() != nil &&
		tag(req.From().Params) != "" && req.CSeq().MethodName == req.Method &&
		(req.Method != sip.INVITE || req.Contact() != nil && !req.Contact().Address.Wildcard)
}

// onInvite takes a call. The checks that need no memory of ours come first, and none asks anybody else: a stranger costs
// no query.
func (e *Engine) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	if !e.wellFormed(req) {
		e.reject(req, tx, 400)
		return
	}
	if tag(req.To().Params) != "" {
		e.onReinvite(req, tx)
		return
	}
	provider, ok := e.admit(req, tx)
	if !ok {
		return
	}
	// Our tag goes into the request itself, so that the answers that the library makes (487) bear it, too.
	d, err := acceptDialog(e, req)
	if err != nil {
		e.log.Warn("call not taken", "provider", provider.Code, "err", err)
		e.respond(req, tx, 500)
		return
	}
	req.To().Params.Add("tag", d.localTag)
	e.respond(req, tx, 100)
	if req.MaxForwards().Val() == 0 {
		e.respond(req, tx, 483)
		return
	}
	if unknown := required(req); unknown != "" {
		e.respond(req, tx, 420, sip.NewHeader("Unsupported", unknown))
		return
	}
	number, ok := e.called(req)
	if !ok {
		e.respond(req, tx, 404)
		return
	}
	if status := e.checkOffer(req); status != 0 {
		e.respond(req, tx, status, sip.NewHeader("Accept", "application/sdp"))
		return
	}
	if e.tooSmall(req, tx) {
		return
	}
	l := newLeg(e, d)
	l.invite, l.tx = req, tx
	l.inbound = identity(req, provider)
	l.inbound.Called = number
	e.serve(l)
}

// checkOffer refuses what could not be answered later.
func (e *Engine) checkOffer(req *sip.Request) int {
	if len(req.Body()) == 0 {
		return 0
	}
	if !isSDP(req) {
		return 415
	}
	if _, err := parseSDP(req.Body()); err != nil {
		return refusal(err)
	}
	return 0
}

// serve hands a call to the script and tidies up behind it.
func (e *Engine) serve(l *leg) {
	invite := string(*l.invite.CallID()) + "\x00" + tag(l.invite.From().Params) + "\x00" + l.invite.CSeq().String()
	switch status := e.enter(l, invite); status {
	case 0:
	case 503:
		e.respond(l.invite, l.tx, status, sip.NewHeader("Retry-After", "10"))
		return
	default:
		e.respond(l.invite, l.tx, status)
		return
	}
	defer e.leave(invite)
	// The library answers CANCEL, and holds a lock while it tells us; so the leg ends in a goroutine of its own.
	cancelled := func(req *sip.Request) {
		end := pbx.End{By: pbx.ByPeer, SIP: 487, Q850: reasonOf(req, 16)}
		e.spawn(l, func() {
			if l.finish(end) {
				e.drop(l)
			}
		})
	}
	if !l.tx.OnCancel(cancelled) {
		cancelled(l.invite)
	}
	if !l.tx.OnTerminate(func(string, error) { e.spawn(l, l.unanswerable) }) {
		l.unanswerable()
	}

	e.log.Debug("call", "call_id", l.dialog.id, "provider", l.inbound.Provider, "number", l.inbound.Called)
	func() {
		defer func() {
			if cause := recover(); cause != nil {
				e.panicked(l, cause)
			}
		}()
		e.handle(l.ctx, l)
	}()
	l.mu.Lock()
	dialled := l.dialled
	l.mu.Unlock()
	for _, far := range dialled {
		far.Hangup(normal)
	}
	l.Hangup(pbx.NormalClearing)
}

// unanswerable ends a leg whose INVITE can't be answered any more: its connection broke before the answer.
func (l *leg) unanswerable() {
	l.mu.Lock()
	waiting := l.answered.IsZero()
	l.mu.Unlock()
	if waiting && l.finish(pbx.End{By: pbx.ByFailure, SIP: 500, Q850: 38}) {
		l.e.drop(l)
	}
}

// enter takes a call in, or gives the status that refuses it.
func (e *Engine) enter(l *leg, invite string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, merged := e.invites[invite]; merged {
		return 482
	}
	if e.draining {
		return 503
	}
	e.invites[invite] = struct{}{}
	e.dialogs[key(l.dialog.id, l.dialog.localTag)] = l
	return 0
}

func (e *Engine) leave(invite string) {
	e.mu.Lock()
	delete(e.invites, invite)
	e.mu.Unlock()
}

// onOptions tells a peer that asks whether we are there (section 11).
func (e *Engine) onOptions(req *sip.Request, tx sip.ServerTransaction) {
	if req.To() != nil && tag(req.To().Params) != "" {
		if e.within(req, tx) != nil {
			e.capabilities(req, tx)
		}
		return
	}
	if !e.known(req) {
		if _, ok := e.admit(req, tx); !ok {
			return
		}
	}
	if !e.wellFormed(req) {
		e.respond(req, tx, 400)
		return
	}
	e.capabilities(req, tx)
}

func (e *Engine) capabilities(req *sip.Request, tx sip.ServerTransaction) {
	e.respond(req, tx, 200, sip.NewHeader("Allow", allowed), sip.NewHeader("Accept", "application/sdp"),
		sip.NewHeader("Supported", "timer"))
}

// onOther refuses methods that the engine does not take.
func (e *Engine) onOther(req *sip.Request, tx sip.ServerTransaction) {
	if e.known(req) || e.find(req) != nil {
		e.respond(req, tx, 405, sip.NewHeader("Allow", allowed))
	}
}

var _ pbx.Switch = (*Engine)(nil)
