package simcarrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"
)

// PhoneConfig is what a simulated phone is like.
type PhoneConfig struct {
	Server         string // host:port that calls and registrations go to
	Transport      string // udp (also for "") or tcp
	Listen         string // "" is 127.0.0.1:0
	User, Password string // for digest, when the server asks
	Number         string // the caller's number as presented, such as +4930123456; "" is User
	Name           string // display name
	Withhold       bool   // asks for privacy (RFC 3323)
	Codecs         []Codec
	Event          uint8 // payload type of telephone events; 0: 101
	INFO           bool  // sends digits by SIP INFO
	Sound          Sound
	Session        time.Duration // session timer that is asked for (RFC 4028); zero: none
	Log            *slog.Logger  // of the SIP stack; nil: none
}

// Phone makes calls.
type Phone struct {
	config PhoneConfig
	e      *endpoint
	detach func() bool
}

// CallError is a call that was not answered.
type CallError struct {
	Status int    // the final answer
	Text   string // its phrase
	Reason string // its Reason header
}

func (e *CallError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the call was refused: %d %s %s", e.Status, e.Text, e.Reason))
}

// NewPhone binds the phone's port. It lives until Close or the end of ctx.
func NewPhone(ctx context.Context, c PhoneConfig) (*Phone, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Number == "" {
		c.Number = c.User
	}
	if c.Codecs == nil {
		c.Codecs = []Codec{PCMA, PCMU}
	}
	if c.Event == 0 {
		c.Event = 101
	}
	if c.Transport == "" {
		c.Transport = "udp"
	}
	refuse := func(req *sip.Request, tx sip.ServerTransaction) { reply(req, tx, 480, nil) }
	e, err := newEndpoint(c.Listen, "simulated phone", c.Log, refuse)
	if err != nil {
		return nil, err
	}
	e.serve()
	return &Phone{config: c, e: e, detach: context.AfterFunc(ctx, e.close)}, nil
}

// Close hangs up what is left and returns when no goroutine and no port is.
func (p *Phone) Close() {
	p.detach()
	p.e.close()
}

// Register makes the phone known to the server for a time; zero takes the registration back.
func (p *Phone) Register(ctx context.Context, expires time.Duration) error {
	if !p.e.enter() {
		return net.ErrClosed
	}
	defer p.e.handlers.Done()
	req, err := p.newRequest(sip.REGISTER, p.config.User)
	if err != nil {
		return err
	}
	req.Recipient.User = ""
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(expires.Seconds()))))
	tx, res, err := p.send(ctx, req, nil)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	tx.Terminate()
	if !res.IsSuccess() {
		return &CallError{Status: res.StatusCode, Text: res.Reason}
	}
	return nil
}

// newRequest makes a request outside a dialog.
func (p *Phone) newRequest(method sip.RequestMethod, user string) (*sip.Request, error) {
	host, port, err := net.SplitHostPort(p.config.Server)
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	to := sip.Uri{Scheme: "sip", User: user, Host: host, Port: n}
	if p.config.Transport == "tcp" {
		to.UriParams.Add("transport", "tcp")
	}
	req := sip.NewRequest(method, to)
	from := sip.FromHeader{DisplayName: p.config.Name, Address: sip.Uri{Scheme: "sip", User: p.config.Number, Host: p.e.addr.Addr().String()}}
	if method == sip.REGISTER {
		from.Address = sip.Uri{Scheme: "sip", User: user, Host: host}
	}
	from.Params.Add("tag", uuid.NewString())
	id, cseq := sip.CallIDHeader(uuid.NewString()), sip.CSeqHeader{SeqNo: 1, MethodName: method}
	for _, h := range []sip.Header{&from, &sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: user, Host: host}}, &id, &cseq, p.e.contact(p.config.Transport)} {
		req.AppendHeader(h)
	}
	req.SetBody(nil)
	p.e.via(req, p.config.Transport)
	return req, nil
}

// send sends req, with credentials when the server asks for them, and waits for the final answer. Provisional answers
// go to heed. When ctx ends first, an INVITE that got one is cancelled (RFC 3261 section 9.1).
func (p *Phone) send(ctx context.Context, req *sip.Request, heed func(*sip.Response)) (sip.ClientTransaction, *sip.Response, error) {
	tx, err := p.e.client.TransactionRequest(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	giveUp, rang, asked := ctx.Done(), false, false
	for {
		select {
		case res := <-tx.Responses():
			switch {
			case res.IsProvisional():
				if rang = true; giveUp == nil {
					p.cancel(req)
				} else if heed != nil {
					heed(res)
				}
			case (res.StatusCode == 401 || res.StatusCode == 407) && p.config.User != "" && !asked && ctx.Err() == nil:
				asked, rang = true, false
				tx.Terminate()
				auth := sipgo.DigestAuth{Username: p.config.User, Password: p.config.Password}
				if tx, err = p.e.client.TransactionDigestAuth(ctx, req, res, auth); err != nil {
					return nil, nil, err
				}
			default:
				return tx, res, nil
			}
		case <-tx.Done():
			if err := tx.Err(); err != nil {
				return nil, nil, err
			}
			return nil, nil, errors.New("no answer came")
		case <-p.e.ctx.Done():
			tx.Terminate()
			return nil, nil, net.ErrClosed
		case <-giveUp:
			giveUp = nil // the final answer, 487 as a rule, is awaited all the same
			if req.Method != sip.INVITE {
				tx.Terminate()
				return nil, nil, ctx.Err()
			}
			if rang {
				p.cancel(req)
			}
		}
	}
}

func (p *Phone) cancel(invite *sip.Request) {
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	cseq := sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL}
	forwards := sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{invite.Via().Clone(), invite.From(), invite.To(), invite.CallID(), &cseq, &forwards} {
		req.AppendHeader(sip.HeaderClone(h))
	}
	req.SetBody(nil)
	p.e.via(req, p.config.Transport)
	p.e.handlers.Go(func() {
		ctx, cancel := context.WithTimeout(p.e.ctx, 5*time.Second)
		defer cancel()
		asItIs := func(*sipgo.Client, *sip.Request) error { return nil }
		_, _ = p.e.client.Do(ctx, req, asItIs) // the INVITE's own final answer tells how it went
	})
}
