package simcarrier

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

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
	Both           bool  // sends each digit by SIP INFO, and then as telephone events
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
	e, err := newEndpoint(c.Listen, nil, c.Log, func(x *exchange) { x.final(480) })
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
	res, err := p.send(ctx, req, nil)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
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
	id, cseq, forwards := sip.CallIDHeader(uuid.NewString()), sip.CSeqHeader{SeqNo: 1, MethodName: method}, sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{&from, &sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: user, Host: host}}, &id, &cseq, &forwards, p.e.contact(p.config.Transport)} {
		req.AppendHeader(h)
	}
	req.SetBody(nil)
	return req, nil
}

// send sends req and waits for the final answer; when credentials are asked for it sends them, once.
func (p *Phone) send(ctx context.Context, req *sip.Request, heed func(*sip.Response)) (*sip.Response, error) {
	res, err := p.e.transact(ctx, req, p.config.Transport, heed)
	if err != nil || p.config.User == "" || res.StatusCode != 401 && res.StatusCode != 407 {
		return res, err
	}
	if err := authorise(req, res, p.config.User, p.config.Password); err != nil {
		return nil, err
	}
	return p.e.transact(ctx, req, p.config.Transport, heed)
}
