package simcarrier

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// dialog is one answered call of an endpoint, either way round, with its media. ctx ends with it.
type dialog struct {
	e         *endpoint
	callID    string
	transport string
	local     sip.FromHeader
	remote    sip.ToHeader
	target    sip.Uri
	media     *media
	ours      session // as last described to the other side

	ctx context.Context
	end context.CancelCauseFunc

	invite *exchange // that began it, on a carrier's side

	mu        sync.Mutex
	cseq      uint32
	version   int // of our description
	byPeer    bool
	gone      bool // no more SIP from here
	refreshed int
	reason    string // Reason header of the other side's BYE
}

var (
	errHungUp = errors.New("hung up")
	errPeer   = errors.New("the other side hung up")
)

func newDialog(e *endpoint, callID, transport string, m *media) *dialog {
	d := &dialog{e: e, callID: callID, transport: strings.ToLower(transport), media: m, cseq: 1}
	d.ctx, d.end = context.WithCancelCause(context.Background())
	return d
}

// close ends the dialog and its media, without a word to the other side.
func (d *dialog) close(why error) {
	d.end(why)
	d.e.remove(d)
	d.media.close()
}

// newRequest makes a request within the dialog (RFC 3261 section 12.2.1.1).
func (d *dialog) newRequest(method sip.RequestMethod, body []byte, headers ...sip.Header) *sip.Request {
	req := sip.NewRequest(method, d.target)
	from, to, id, forwards := d.local, d.remote, sip.CallIDHeader(d.callID), sip.MaxForwardsHeader(70)
	d.mu.Lock()
	d.cseq++
	cseq := sip.CSeqHeader{SeqNo: d.cseq, MethodName: method}
	d.mu.Unlock()
	for _, h := range append([]sip.Header{&from, &to, &id, &cseq, &forwards, d.e.contact(d.transport)}, headers...) {
		req.AppendHeader(h)
	}
	req.SetBody(body)
	return req
}

// do sends a request within the dialog and waits for the final answer; an INVITE is acknowledged.
func (d *dialog) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if d.isGone() {
		return nil, errors.New("disappeared")
	}
	res, err := d.e.transact(ctx, req, d.transport, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Method, err)
	}
	if req.Method == sip.INVITE && res.IsSuccess() {
		err = d.ack(req.CSeq().SeqNo)
	}
	return res, err
}

// ack acknowledges the 200 to the INVITE with that CSeq (RFC 3261 section 13.2.2.4).
func (d *dialog) ack(cseq uint32) error {
	req := d.newRequest(sip.ACK, nil)
	req.CSeq().SeqNo = cseq
	return d.e.send(req, d.transport)
}

// hangup sends BYE, waits at most for the answer, and ends the dialog. A second call does nothing.
func (d *dialog) hangup(atMost time.Duration, reason string) {
	if d.ctx.Err() != nil {
		return
	}
	d.end(errHungUp)
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	var headers []sip.Header
	if reason != "" {
		headers = append(headers, sip.NewHeader("Reason", reason))
	}
	_, _ = d.do(ctx, d.newRequest(sip.BYE, nil, headers...)) // whatever is answered, the call is over
	d.close(errHungUp)
}

// reoffer describes our media anew in a re-INVITE and gives the answer.
func (d *dialog) reoffer(ctx context.Context, direction string) (session, error) {
	res, err := d.do(ctx, d.newRequest(sip.INVITE, d.describe(direction), sip.NewHeader("Content-Type", "application/sdp")))
	if err != nil {
		return session{}, err
	}
	if !res.IsSuccess() {
		return session{}, fmt.Errorf("re-INVITE: %d %s", res.StatusCode, res.Reason)
	}
	return parseSDP(res.Body())
}

// vanish makes our end dead: no SIP, no RTP. The dialog stays known, so that requests to it go unanswered.
func (d *dialog) vanish() {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	d.end(errHungUp)
	d.media.close()
}

func (d *dialog) describe(direction string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	d.ours.direction = direction
	return d.ours.format(d.version)
}

func (d *dialog) isGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

var infoSignal = regexp.MustCompile(`(?i)signal\s*=\s*([0-9*#A-D])`)

// request serves a request within the dialog.
func (d *dialog) request(x *exchange) {
	switch req := x.req; req.Method {
	case sip.BYE:
		d.mu.Lock()
		d.byPeer = d.ctx.Err() == nil
		if h := req.GetHeader("Reason"); h != nil {
			d.reason = h.Value()
		}
		d.mu.Unlock()
		d.end(errPeer)
		x.reply(200, nil)
	case sip.INFO:
		if m := infoSignal.FindSubmatch(req.Body()); m != nil {
			d.media.addDigit(m[1][0])
		}
		x.reply(200, nil)
	case sip.UPDATE, sip.INVITE:
		d.redescribe(x)
	case sip.OPTIONS:
		x.reply(200, nil)
	default:
		x.reply(405, nil)
	}
}

// redescribe answers a re-INVITE or UPDATE: a new description of the other side, or a refresh of the session.
func (d *dialog) redescribe(x *exchange) {
	req := x.req
	headers := []sip.Header{d.e.contact(d.transport)}
	if h := req.GetHeader("Session-Expires"); h != nil {
		d.mu.Lock()
		d.refreshed++
		d.mu.Unlock()
		headers = append(headers, sip.NewHeader("Session-Expires", h.Value()), sip.NewHeader("Require", "timer"))
	}
	var body []byte
	if len(req.Body()) > 0 {
		theirs, err := parseSDP(req.Body())
		codec, ok := firstCommon(theirs.codecs, d.ours.codecs)
		if err != nil || !ok {
			x.reply(488, nil)
			return
		}
		d.media.talk(theirs, codec, d.ours.event)
		body = d.describe(mirrored(theirs.direction))
	} else if req.Method == sip.INVITE { // an offer is asked for
		body = d.describe("sendrecv")
	}
	x.reply(200, body, headers...)
}

func (d *dialog) hungUpByPeer() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byPeer
}

func (d *dialog) refreshes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refreshed
}
