package sipua

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// call is one INVITE of ours on its way. It takes the responses in the order in which they arrived; the library hands
// them up from a goroutine each, so that a 180 may come after its 200. It acknowledges what comes after its first 2xx:
// the same again, because our ACK was lost, and the 2xx of other branches that a proxy forked to, which are hung up (RFC
// 3261 section 13.2.2.4).
type call struct {
	e   *Engine
	req *sip.Request
	tx  sip.ClientTransaction

	mu      sync.Mutex
	waiting []*sip.Response // arrived and not taken
	arrived chan struct{}   // holds a token while there are any
	final   bool            // the final response has arrived
	ack     *sip.Request    // of the 2xx taken; nil before
	tag     string          // its To tag
}

// maxWaiting bounds the provisional responses that arrive faster than they are taken.
const maxWaiting = 64

// call sends an INVITE.
func (e *Engine) call(ctx context.Context, req *sip.Request) (*call, error) {
	if e.isStopped() {
		return nil, errDraining
	}
	c := &call{e: e, req: req, arrived: make(chan struct{}, 1)}
	branch := branchOf(req)
	e.mu.Lock()
	e.outgoing[branch] = c
	e.mu.Unlock()
	e.follow(ctx, req)
	e.note("out", req)
	forget := func() {
		e.mu.Lock()
		delete(e.outgoing, branch)
		e.mu.Unlock()
	}
	tx, err := e.client.TransactionRequest(ctx, req)
	if err != nil {
		forget()
		return nil, err
	}
	c.tx = tx
	if !tx.OnTerminate(func(string, error) { forget() }) {
		forget()
	}
	e.spawn(nil, c.drain)
	return c, nil
}

func branchOf(msg interface{ Via() *sip.ViaHeader }) string {
	if v := msg.Via(); v != nil {
		b, _ := v.Params.Get("branch")
		return b
	}
	return ""
}

// drain takes the responses out of the library's hands, where nobody waits for them, up to the final one. A refusal comes
// from here: the library has acknowledged it then, and an INVITE that follows does not overtake the ACK.
func (c *call) drain() {
	for {
		select {
		case res := <-c.tx.Responses():
			if res.IsProvisional() {
				continue
			}
			if !res.IsSuccess() {
				c.mu.Lock()
				c.put(res)
				c.mu.Unlock()
			}
			return
		case <-c.tx.Done():
			return
		}
	}
}

// take is given each response in the order of arrival. It must not wait.
func (c *call) take(res *sip.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.final && res.IsSuccess():
		c.e.spawn(nil, func() { c.again(res) })
	case c.final || res.IsProvisional() && len(c.waiting) >= maxWaiting:
	default:
		if c.final = !res.IsProvisional(); c.final && !res.IsSuccess() {
			return // drain has it soon
		}
		c.put(res)
	}
}

// put adds a response to those waiting; c.mu is held.
func (c *call) put(res *sip.Response) {
	c.waiting = append(c.waiting, res)
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// next gives the oldest response waiting, after arrived told that there is one.
func (c *call) next() *sip.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	res := c.waiting[0]
	if c.waiting = c.waiting[1:]; len(c.waiting) > 0 {
		select {
		case c.arrived <- struct{}{}:
		default:
		}
	}
	return res
}

// overtaken gives a 2xx that waits to be taken, or nil.
func (c *call) overtaken() *sip.Response {
	for res := c.next(); res != nil; res = c.next() {
		if res.IsSuccess() {
			return res
		}
	}
	return nil
}

// again handles a 2xx after the first.
func (c *call) again(res *sip.Response) {
	c.mu.Lock()
	ack, taken := c.ack, c.tag
	c.mu.Unlock()
	switch {
	case ack == nil: // not acknowledged yet: it soon is
	case res.To() != nil && tag(res.To().Params) == taken:
		_ = c.e.sendAck(ack)
	default:
		c.e.refuse(c.req, res, normal)
	}
}

// acknowledge sends the ACK of the 2xx that is taken.
func (c *call) acknowledge(ack *sip.Request) error {
	c.mu.Lock()
	c.ack, c.tag = ack, tag(ack.To().Params)
	c.mu.Unlock()
	return c.e.sendAck(ack)
}

// sendAck sends an ACK, which has no transaction and may be sent again.
func (e *Engine) sendAck(ack *sip.Request) error {
	if e.isStopped() {
		return errDraining
	}
	e.note("out", ack)
	return e.client.WriteRequest(ack.Clone())
}

// result waits for the final response.
func (c *call) result(ctx context.Context) (*sip.Response, error) {
	for {
		select {
		case <-c.arrived:
			if res := c.next(); res != nil && !res.IsProvisional() {
				return res, nil
			}
		case <-c.tx.Done():
			return nil, fmt.Errorf("INVITE: %w", c.tx.Err())
		case <-ctx.Done():
			c.tx.Terminate()
			return nil, ctx.Err()
		}
	}
}

// abandon cancels the INVITE and sees it to its end. CANCEL may be sent only after a provisional response (section 9.1);
// a 2xx that crosses it is acknowledged and hung up at once.
func (c *call) abandon(provisional bool) {
	ctx, cancel := context.WithTimeout(context.Background(), ackWait())
	defer cancel()
	cancelled := false
	for {
		if provisional && !cancelled {
			cancelled = true
			c.e.spawn(nil, func() { _, _ = c.e.roundTrip(ctx, c.cancel()) })
		}
		select {
		case <-c.arrived:
			switch res := c.next(); {
			case res == nil:
			case res.IsProvisional():
				provisional = true
			case res.IsSuccess():
				c.e.refuse(c.req, res, pbx.Cause{SIP: 487, Q850: 16})
				return
			default:
				return
			}
		case <-c.tx.Done():
			return
		case <-ctx.Done():
			c.tx.Terminate()
			return
		case <-c.e.stopped:
			return
		}
	}
}

// cancel builds the CANCEL: the INVITE's own Via, Request-URI, tags and number (9.1).
func (c *call) cancel() *sip.Request {
	req := sip.NewRequest(sip.CANCEL, c.req.Recipient)
	req.Laddr = c.req.Laddr
	req.SetTransport(c.req.Transport())
	req.SetDestination(c.req.Destination())
	for _, name := range []string{"Via", "Route", "Max-Forwards", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, c.req, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: c.req.CSeq().SeqNo, MethodName: sip.CANCEL})
	c.e.sign(req)
	return req
}

// refuse takes a 2xx that nobody wants any more: ACK, then BYE.
func (e *Engine) refuse(invite *sip.Request, res *sip.Response, cause pbx.Cause) {
	d := e.dialogOf(invite)
	d.confirm(res)
	if err := e.sendAck(d.ack(invite)); err != nil {
		e.log.Debug("ACK not sent", "call_id", d.id, "err", err)
	}
	d.bye(cause, nil)
}

// dialogOf is the dialog that an INVITE of ours opens.
func (e *Engine) dialogOf(invite *sip.Request) *dialog {
	d := &dialog{
		e: e, id: string(*invite.CallID()), localTag: tag(invite.From().Params), transport: invite.Transport(),
		local: invite.From().Address, remote: invite.To().Address, target: invite.Recipient, name: invite.Recipient.Host,
		addr: sourceAddr(invite.Destination()), seq: invite.CSeq().SeqNo, remoteSeq: -1,
	}
	if d.transport == "TLS" { // whatever its Contact says: the connection is to a server that proved who it is
		d.source = invite.Destination()
	}
	d.ours, _ = netip.ParseAddr(strings.Trim(invite.Via().Host, "[]")) // written by route
	return d
}
