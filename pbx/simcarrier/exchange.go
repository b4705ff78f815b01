package simcarrier

import (
	"context"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// exchange is a request received and the answers given to it: a server transaction (RFC 3261 section 17.2).
type exchange struct {
	e    *endpoint
	req  *sip.Request
	link link

	cancelled chan struct{} // closed by CANCEL
	acked     chan struct{} // closed by the ACK of an INVITE's final answer

	mu   sync.Mutex
	last *sip.Response
}

// request serves a request that came in. Only what begins a call gets a goroutine.
func (e *endpoint) request(req *sip.Request, l link) {
	e.mu.Lock()
	known, closed := e.exchanges[branch(req)], e.closed
	e.mu.Unlock()
	d := e.dialog(req)
	switch {
	case req.Method == sip.ACK:
		if known != nil {
			known.acknowledged()
		}
		if d != nil && d.invite != nil {
			d.invite.acknowledged() // a 200's ACK has a branch of its own
		}
		return
	case known != nil && req.Method == sip.CANCEL:
		x := &exchange{e: e, req: req, link: l}
		x.reply(200, nil)
		known.cancel()
		return
	case known != nil && known.req.Method == req.Method:
		known.again()
		return
	}
	x := &exchange{e: e, req: req, link: l, cancelled: make(chan struct{}), acked: make(chan struct{})}
	within := req.To().Params.Has("tag")
	switch {
	case within && d != nil:
		if d.isGone() {
			return
		}
		x.remember()
		d.request(x)
	case req.Method == sip.OPTIONS:
		x.reply(200, nil)
	case closed:
	case !within && (req.Method == sip.INVITE || req.Method == sip.REGISTER):
		x.remember()
		if e.enter() {
			go func() {
				defer e.handlers.Done()
				e.take(x)
			}()
		}
	case !within && req.Method == sip.OPTIONS:
		x.reply(200, nil)
	default:
		x.reply(481, nil)
	}
}

// remember keeps the exchange until its request can't come again.
func (x *exchange) remember() {
	key := branch(x.req)
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.e.exchanges[key] = x
	time.AfterFunc(timeout, func() {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		delete(x.e.exchanges, key)
	})
}

var reasons = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 400: "Bad Request", 401: "Unauthorized",
	403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required", 408: "Request Timeout",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
	488: "Not Acceptable Here", 500: "Server Internal Error", 503: "Service Unavailable", 603: "Decline",
}

// reply answers the request. A failure to send is the other side's to notice.
func (x *exchange) reply(status int, body []byte, headers ...sip.Header) {
	reason := reasons[status]
	if reason == "" {
		reason = "Simulated"
	}
	res := sip.NewResponseFromRequest(x.req, status, reason, body)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	x.mu.Lock()
	x.last = res
	x.mu.Unlock()
	_ = x.e.write(res, x.link)
}

// again repeats the last answer.
func (x *exchange) again() {
	x.mu.Lock()
	last := x.last
	x.mu.Unlock()
	if last != nil {
		_ = x.e.write(last, x.link)
	}
}

// final refuses an INVITE.
func (x *exchange) final(status int, headers ...sip.Header) {
	x.reply(status, nil, headers...)
	x.acknowledge(x.e.ctx)
}

// acknowledge repeats the final answer to an INVITE until its ACK comes (RFC 3261 sections 13.3.1.4 and 17.2.1) or ctx
// ends. False: it never came.
func (x *exchange) acknowledge(ctx context.Context) bool {
	giveUp := time.After(timeout)
	for pause := t1; ; pause = min(2*pause, t2) {
		select {
		case <-x.acked:
			return true
		case <-time.After(pause):
			x.again()
		case <-giveUp:
			return false
		case <-ctx.Done():
			return true
		}
	}
}

func (x *exchange) acknowledged() { x.closeOnce(x.acked) }

func (x *exchange) cancel() { x.closeOnce(x.cancelled) }

func (x *exchange) closeOnce(c chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
}
