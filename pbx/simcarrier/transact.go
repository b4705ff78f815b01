package simcarrier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"
	"github.com/icholy/digest"
)

var errNoAnswer = errors.New("no answer came")

// response hands an answer to whoever waits for it. A 200 to INVITE that comes again wants its ACK again.
func (e *endpoint) response(res *sip.Response) {
	e.mu.Lock()
	waiter := e.waiting[branch(res)+string(res.CSeq().MethodName)]
	e.mu.Unlock()
	if waiter != nil {
		select {
		case waiter <- res:
		default: // a flood of provisional answers
		}
		return
	}
	if d := e.dialog(res); d != nil && res.CSeq().MethodName == sip.INVITE && res.IsSuccess() {
		_ = d.ack(res.CSeq().SeqNo)
	}
}

// transact sends a request and waits for its final answer, as a client transaction does (RFC 3261 section 17.1).
// Provisional answers go to heed, if there is one. When ctx ends first an INVITE is cancelled, once anything was heard
// of it (section 9.1), and its final answer awaited all the same.
func (e *endpoint) transact(ctx context.Context, req *sip.Request, transport string, heed func(*sip.Response)) (*sip.Response, error) {
	l, err := e.linkTo(ctx, transport, net.JoinHostPort(req.Recipient.Host, strconv.Itoa(req.Recipient.Port)))
	if err != nil {
		return nil, err
	}
	e.addVia(req, transport)
	answers, key := make(chan *sip.Response, 64), branch(req)+string(req.Method)
	e.mu.Lock()
	e.waiting[key] = answers
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.waiting, key)
		e.mu.Unlock()
	}()
	if err := e.write(req, l); err != nil {
		return nil, err
	}
	giveUp, expired, pause, heard := ctx.Done(), time.After(timeout), t1, false
	gaveUp := false
	again := time.After(pause)
	if transport != "udp" {
		again = nil
	}
	for {
		select {
		case res := <-answers:
			if !res.IsProvisional() {
				if req.Method == sip.INVITE && !res.IsSuccess() {
					_ = e.write(ackRefusal(req, res), l)
				}
				return res, nil
			}
			if heed != nil {
				heed(res)
			}
			if !heard && gaveUp {
				_ = e.write(cancelOf(req), l)
			}
			if heard = true; req.Method == sip.INVITE {
				again, expired = nil, nil
			}
		case <-again:
			if err := e.write(req, l); err != nil {
				return nil, err
			}
			pause = min(2*pause, t2)
			again = time.After(pause)
		case <-giveUp:
			if giveUp, gaveUp = nil, true; req.Method != sip.INVITE {
				return nil, ctx.Err()
			}
			if expired = time.After(timeout); heard {
				_ = e.write(cancelOf(req), l)
			}
		case <-expired:
			return nil, errNoAnswer
		case <-e.ctx.Done():
			if req.Method != sip.BYE {
				return nil, net.ErrClosed
			}
			select { // closing says BYE and waits a little for the answer
			case res := <-answers:
				return res, nil
			case <-giveUp:
				return nil, ctx.Err()
			}
		}
	}
}

// addVia names a new transaction.
func (e *endpoint) addVia(req *sip.Request, transport string) {
	req.RemoveHeader("Via")
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(transport),
		Host: e.addr.Addr().String(), Port: int(e.addr.Port()), Params: sip.NewParams(),
	}
	via.Params.Add("branch", sip.RFC3261BranchMagicCookie+uuid.NewString())
	req.PrependHeader(via)
}

// send writes a request that has no transaction: the ACK of a 200.
func (e *endpoint) send(req *sip.Request, transport string) error {
	l, err := e.linkTo(e.ctx, transport, net.JoinHostPort(req.Recipient.Host, strconv.Itoa(req.Recipient.Port)))
	if err != nil {
		return err
	}
	e.addVia(req, transport)
	return e.write(req, l)
}

// ackRefusal acknowledges a final answer other than 200, within its transaction (RFC 3261 section 17.1.1.3).
func ackRefusal(invite *sip.Request, res *sip.Response) *sip.Request {
	return ofInvite(sip.ACK, invite, res.To())
}

func cancelOf(invite *sip.Request) *sip.Request { return ofInvite(sip.CANCEL, invite, invite.To()) }

func ofInvite(method sip.RequestMethod, invite *sip.Request, to *sip.ToHeader) *sip.Request {
	req := sip.NewRequest(method, invite.Recipient)
	cseq := sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: method}
	for _, h := range []sip.Header{invite.Via(), invite.From(), to, invite.CallID(), &cseq, invite.MaxForwards()} {
		req.AppendHeader(sip.HeaderClone(h))
	}
	req.SetBody(nil)
	return req
}

// authorise adds the credentials that an answer asks for (RFC 3261 section 22).
func authorise(req *sip.Request, res *sip.Response, user, password string) error {
	ask, give := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, give = "Proxy-Authenticate", "Proxy-Authorization"
	}
	h := res.GetHeader(ask)
	if h == nil {
		return fmt.Errorf("%d without %s", res.StatusCode, ask)
	}
	challenge, err := digest.ParseChallenge(h.Value())
	if err != nil {
		return err
	}
	credentials, err := digest.Digest(challenge, digest.Options{
		Method: string(req.Method), URI: req.Recipient.String(), Username: user, Password: password,
	})
	if err != nil {
		return err
	}
	req.AppendHeader(sip.NewHeader(give, credentials.String()))
	req.CSeq().SeqNo++
	return nil
}
