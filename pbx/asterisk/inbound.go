package asterisk

import (
	"strings"

	"telecommune/internal/e164"
	"telecommune/pbx"
)

// arrive takes a call that Asterisk hands over, and gives it to the script.
func (e *Engine) arrive(ev event) {
	l := newLeg(e, ev.Channel.ID)
	l.told = true // the dialplan has set a limit
	known := false
	for _, p := range e.conf.Admission().Providers {
		if p.Code == ev.Args[1] {
			l.inbound, known = identity(ev, p), true
		}
	}
	if !e.add(l) {
		e.spawn(nil, func() { l.clear(causeFor(pbx.NoCircuit)) })
		return
	}
	e.spawn(l, func() {
		if !known { // removed meanwhile, or a test of the dialplan
			l.Hangup(pbx.Rejected)
			return
		}
		number, known := e.called(l, ev.Channel.Dialplan.Exten)
		if !known {
			l.Hangup(pbx.NotFound)
			return
		}
		l.inbound.Called = number
		e.serve(l)
	})
}

// called finds the access number in the Request-URI, or else, for networks that put the address of a registration there,
// in To.
func (e *Engine) called(l *leg, extension string) (e164.Number, bool) {
	admission := e.conf.Admission()
	if number, ok := admission.Find(extension); ok {
		return number, true
	}
	to, err := e.ari.get(l.ctx, l.id, "PJSIP_HEADER(read,To)")
	if err != nil {
		e.log.Debug("no To", "leg", l.id, "err", err)
	}
	_, to, _ = strings.Cut(to, "sip:")
	user, _, _ := strings.Cut(to, "@")
	user, _, _ = strings.Cut(user, ";")
	return admission.Find(user)
}

// serve hands a call to the script and tidies up behind it.
func (e *Engine) serve(l *leg) {
	e.log.Debug("call", "leg", l.id, "provider", l.inbound.Provider, "number", l.inbound.Called)
	func() {
		defer e.rescue(l)
		e.handle(l.ctx, l)
	}()
	for _, far := range l.partners() {
		far.Hangup(pbx.NormalClearing)
	}
	l.Hangup(pbx.NormalClearing)
}

// identity reads who calls. Asterisk has taken the P-Asserted-Identity of a provider that vouches for its callers, else
// the From.
func identity(ev event, p pbx.Provider) pbx.Inbound {
	caller := ev.Channel.Caller
	in := pbx.Inbound{
		Provider: p.Code,
		Name:     pbx.Printable(strings.ReplaceAll(caller.Name, `\`, "")),
		Caller:   pbx.CallerNumber(caller.Number, p.TrustCallerID),
		Withheld: strings.HasPrefix(ev.Args[2], "prohib") || strings.EqualFold(caller.Number, "anonymous"),
	}
	in.Trusted = p.TrustCallerID && in.Caller != ""
	return in
}
