package sipua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

// attempt is one Dial.
type attempt struct {
	e      *Engine
	caller *leg
	far    *leg
	to     pbx.Target
	call   *call

	invite      *sip.Request
	provisional bool // a response came: the INVITE may be cancelled
	rang        bool
	met         bool          // a challenge was met
	stretched   bool          // a session interval that was too small was raised
	tone        chan struct{} // ends the ring tone; nil while there is none
	toneEnded   chan struct{}
}

// Dial implements pbx.Switch. Where the trunk has several servers, the next is tried when one is not there or is
// overloaded (RFC 3263 section 4.3).
func (e *Engine) Dial(ctx context.Context, caller pbx.Leg, to pbx.Target) (pbx.Leg, error) {
	c, ok := caller.(*leg)
	if !ok {
		return nil, &pbx.DialError{Err: errForeign}
	}
	_, codec, err := c.voice()
	if err != nil {
		return nil, &pbx.DialError{Err: err}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if to.RingTimeout > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, to.RingTimeout, pbx.ErrRingTimeout)
		defer end()
	}
	defer context.AfterFunc(c.ctx, func() { stop(pbx.ErrEnded) })()
	a := &attempt{e: e, caller: c, to: to}
	servers, err := e.locate(ctx, to.Trunk)
	if err != nil {
		return nil, a.broken(ctx, fmt.Errorf("trunk %s: %w", to.Trunk.Code, err))
	}
	for i, at := range servers {
		a = &attempt{e: e, caller: c, to: to}
		if err = a.dial(ctx, at, codec); err == nil {
			return a.far, nil
		}
		if i == len(servers)-1 || ctx.Err() != nil || !a.elsewhere(err) {
			break
		}
	}
	return nil, err
}

// elsewhere tells whether another server of the trunk may do better.
func (a *attempt) elsewhere(err error) bool {
	var failed *pbx.DialError
	return !a.rang && errors.As(err, &failed) && (failed.SIP == 503 || failed.SIP == 0)
}

// dial makes the attempt at one server.
func (a *attempt) dial(ctx context.Context, at server, codec codec) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := a.prepare(ctx, at, codec); err != nil {
		return a.broken(ctx, fmt.Errorf("trunk %s: %w", a.to.Trunk.Code, err))
	}
	defer context.AfterFunc(a.far.ctx, func() { stop(pbx.ErrEnded) })()

	err := a.run(ctx)
	a.stopTone()
	a.caller.media.peer.CompareAndSwap(a.far.media, nil)
	a.far.media.peer.CompareAndSwap(a.caller.media, nil)
	if err != nil {
		a.caller.forgetDigits() // they would cut short what the caller is told next
		a.far.finish(pbx.End{By: pbx.ByUs, SIP: 487, Q850: 16})
		a.e.drop(a.far)
	}
	return err
}

// prepare makes the far leg with its socket, and the INVITE.
func (a *attempt) prepare(ctx context.Context, at server, callers codec) error {
	user, err := a.to.Trunk.Dial(a.to.Number)
	if err != nil {
		return err
	}
	ours, err := a.e.towards(at.addr.Addr())
	if err != nil {
		return err
	}
	if err := a.e.secure(ctx, at); err != nil {
		return err
	}
	target := at.uri(user)
	a.invite = a.identify(target, at, ours)
	d := a.e.dialogOf(a.invite)
	d.user, d.password = a.to.Trunk.User, a.to.Trunk.Password
	a.far = newLeg(a.e, d)
	a.far.invite = a.invite
	if !a.e.add(a.far) {
		return errDraining
	}
	if err := a.far.openMedia(); err != nil {
		a.far.finish(pbx.End{By: pbx.ByFailure, SIP: 503, Q850: 34})
		a.e.drop(a.far)
		return err
	}
	a.far.Limit(a.to.Limit)
	a.caller.mu.Lock()
	a.caller.dialled = append(a.caller.dialled, a.far)
	a.caller.mu.Unlock()
	a.invite.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	a.invite.SetBody(a.far.offerOf(formatsFor(a.to.Trunk, callers), eventType, sendrecv))
	return nil
}

// formatsFor are what a trunk is offered: its codecs in their order, or the caller's alone, which spares the work of
// turning one into the other.
func formatsFor(t routing.Trunk, callers codec) []format {
	if t.Codecs == "" {
		return []format{{callers, callers.static()}}
	}
	var formats []format
	for name := range strings.SplitSeq(t.Codecs, ",") {
		formats = append(formats, format{codec(name), codec(name).static()})
	}
	return formats
}

// firstResponse is the default of Engine.firstResponse. A server that is there says 100 within 200 ms (17.2.1); a dead one
// is not waited for as long as the transaction would (Timer B), since the caller hears nothing meanwhile.
const firstResponse = 5 * time.Second

var errSilent = errors.New("no response to INVITE")

var errDraining = errors.New("the engine is stopping")

// identify builds the INVITE with our identity: From bears the number to present, or nobody's, with the wish for privacy
// (RFC 3323); P-Asserted-Identity (RFC 3325) the one that the carrier is told.
func (a *attempt) identify(target sip.Uri, at server, ours netip.Addr) *sip.Request {
	e, us := a.e, uriHost(a.e.told(ours))
	req := sip.NewRequest(sip.INVITE, target)
	e.route(req, at.transport, at.addr.String(), ours)
	from := &sip.FromHeader{Params: sip.HeaderParams{{K: "tag", V: sip.GenerateTagN(20)}}}
	if a.to.CallerID == "" {
		from.DisplayName = "Anonymous"
		from.Address = sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}
	} else {
		from.Address = sip.Uri{Scheme: "sip", User: string(a.to.CallerID), Host: us}
	}
	req.AppendHeader(from)
	to := target
	to.Port, to.UriParams = 0, nil
	req.AppendHeader(&sip.ToHeader{Address: to})
	id := sip.CallIDHeader(uuid.NewString())
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.INVITE})
	req.AppendHeader(e.contact(at.transport, ours))
	if a.to.CallerID == "" {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	if a.to.Asserted != "" {
		req.AppendHeader(sip.NewHeader("P-Asserted-Identity", fmt.Sprintf("<sip:%s@%s>", a.to.Asserted, us)))
	}
	req.AppendHeader(sip.NewHeader("Allow", allowed))
	req.AppendHeader(sip.NewHeader("Supported", "timer"))
	req.AppendHeader(sip.NewHeader("Session-Expires", seconds(sessionExpires)))
	req.AppendHeader(e.minSE())
	e.sign(req)
	return req
}

// run sends the INVITE and follows it to its end. There is no limit to provisional responses.
func (a *attempt) run(ctx context.Context) error {
	if err := a.send(ctx); err != nil {
		return a.broken(ctx, err)
	}
	silent := time.NewTimer(a.e.firstResponse)
	defer silent.Stop()
	for {
		select {
		case <-a.call.arrived:
			res := a.call.next()
			a.provisional = true
			silent.Stop()
			switch {
			case res == nil || res.StatusCode == 100:
			case res.IsProvisional():
				a.ringing(res)
			case res.IsSuccess():
				return a.answered(res)
			default:
				if !a.retry(res) {
					return a.failed(res)
				}
				if err := a.send(ctx); err != nil {
					return a.broken(ctx, err)
				}
				silent.Reset(a.e.firstResponse)
			}
		case <-a.call.tx.Done():
			return a.broken(ctx, a.call.tx.Err())
		case <-silent.C:
			call := a.call
			a.e.spawn(nil, func() { call.abandon(false) })
			return a.broken(ctx, errSilent)
		case <-ctx.Done():
			if res := a.call.overtaken(); res != nil && a.caller.ctx.Err() == nil && a.far.ctx.Err() != nil {
				return a.answered(res) // the far side answered, and hung up before we looked
			}
			call, provisional := a.call, a.provisional
			a.e.spawn(nil, func() { call.abandon(provisional) })
			return a.broken(ctx, nil)
		}
	}
}

func (a *attempt) send(ctx context.Context) (err error) {
	a.provisional = false
	a.call, err = a.e.call(ctx, a.invite)
	return err
}

// broken is the failure of an attempt without a final response.
func (a *attempt) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if a.caller.ctx.Err() != nil {
		err = pbx.ErrEnded
	}
	return &pbx.DialError{Rang: a.rang, Err: plain(err)}
}

// failed is the failure that a final response tells.
func (a *attempt) failed(res *sip.Response) error {
	return &pbx.DialError{
		SIP: res.StatusCode, Q850: reasonOf(res, q850(res.StatusCode)), Rang: a.rang,
		Err: fmt.Errorf("trunk %s: %d %s", a.to.Trunk.Code, res.StatusCode, pbx.Printable(res.Reason)),
	}
}

// retry prepares the INVITE to be sent once more, with credentials, or with a longer session interval.
func (a *attempt) retry(res *sip.Response) bool {
	d := a.far.dialog
	switch status := res.StatusCode; {
	case (status == 401 || status == 407) && d.user != "" && !a.met:
		a.met = true
		again, err := authorise(a.invite, res, d.nextSeq(), d.user, d.password)
		if err != nil {
			return false
		}
		a.invite = again
	case status == 422 && !a.stretched:
		a.stretched = true
		least := headers(res, "Min-SE", "")
		if len(least) == 0 {
			return false
		}
		interval, err := strconv.ParseUint(strings.TrimSpace(least[0]), 10, 31)
		if err != nil {
			return false
		}
		again := a.invite.Clone()
		for _, name := range []string{"Session-Expires", "Min-SE"} {
			again.RemoveHeader(name)
			again.AppendHeader(sip.NewHeader(name, strconv.FormatUint(interval, 10)))
		}
		again.CSeq().SeqNo = d.nextSeq()
		again.Via().Params.Add("branch", sip.GenerateBranch())
		a.invite = again
	default:
		return false
	}
	a.far.invite = a.invite
	return true
}

// earlyMedia is how long a 183 with a description may bring no media before the caller hears a ring tone.
const earlyMedia = time.Second

// ringing takes a provisional response: early media is passed on both ways, else the caller hears a ring tone.
func (a *attempt) ringing(res *sip.Response) {
	if (res.StatusCode == 180 || res.StatusCode == 183) && !a.rang {
		a.rang = true
		if a.to.Ringing != nil {
			a.to.Ringing()
		}
	}
	tone := time.Duration(0)
	if len(res.Body()) > 0 {
		tone = earlyMedia
		a.far.dialog.hear(res)
		if err := a.far.takeAnswer(res.Body()); err != nil {
			a.e.log.Debug("early media not taken", "call_id", a.far.dialog.id, "err", err)
		} else {
			a.far.media.peer.Store(a.caller.media)
			a.caller.media.peer.Store(a.far.media)
		}
	}
	if res.StatusCode == 180 {
		tone = 0
	}
	if (res.StatusCode == 180 || res.StatusCode == 183) && a.tone == nil {
		stop, ended := make(chan struct{}), make(chan struct{})
		ring := func() {
			defer close(ended)
			a.caller.ring(a.far.media, tone, stop)
		}
		if a.e.spawn(a.caller, ring) {
			a.tone, a.toneEnded = stop, ended
		}
	}
}

func (a *attempt) stopTone() {
	if a.tone != nil {
		close(a.tone)
		<-a.toneEnded
		a.tone = nil
	}
}

// answered takes the 2xx. A description that is not for us is told to the far side by BYE, and to the caller of Dial as
// a failure after a 200. A far side that has hung up already did answer: its leg is handed over as it is.
func (a *attempt) answered(res *sip.Response) error {
	at := a.e.conf.Now()
	far := a.far
	far.dialog.confirm(res)
	if err := a.call.acknowledge(far.dialog.ack(a.invite)); err != nil {
		a.e.log.Debug("ACK not sent", "call_id", far.dialog.id, "err", err)
	}
	var err error
	if len(res.Body()) > 0 || far.media.agreed.Load() == nil { // else what came in a 183 holds
		err = far.takeAnswer(res.Body())
	}
	far.mu.Lock()
	if ended := far.end.At; !ended.IsZero() && ended.Before(at) {
		at = ended
	}
	far.answered, far.offering = at, false
	far.mu.Unlock()
	if err != nil {
		far.hangup(pbx.End{By: pbx.ByUs, SIP: 488, Q850: 88}, pbx.Incompatible)
		if errors.Is(err, errNoAudio) {
			err = errors.Join(pbx.ErrCodec, err)
		}
		return &pbx.DialError{SIP: res.StatusCode, Q850: 88, Rang: a.rang, Err: err}
	}
	far.up(at)
	far.gotSession(res)
	if a.caller.ctx.Err() != nil {
		far.Hangup(normal)
		return &pbx.DialError{Rang: a.rang, Err: pbx.ErrEnded}
	}
	return nil
}
