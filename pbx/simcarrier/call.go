package simcarrier

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Call is an answered call of a phone.
type Call struct {
	phone    *Phone
	d        *dialog
	answered time.Time
	early    Heard
	session  string
	ended    time.Time
	done     chan struct{}
}

// Call calls number and returns when it is answered. A refusal is a *CallError. When ctx ends before, the call is
// cancelled and the error is ctx's. The call itself lives until either side hangs up.
func (p *Phone) Call(ctx context.Context, number string) (*Call, error) {
	if !p.e.enter() {
		return nil, net.ErrClosed
	}
	defer p.e.handlers.Done()
	m, err := openMedia(p.e.addr.Addr(), p.config.Sound)
	if err != nil {
		return nil, err
	}
	ours := session{addr: m.addr(), codecs: p.config.Codecs, event: p.config.Event, direction: "sendrecv"}
	c, err := p.invite(ctx, number, m, ours)
	if err != nil {
		m.close()
		return nil, fmt.Errorf("call %s: %w", number, err)
	}
	return c, nil
}

func (p *Phone) invite(ctx context.Context, number string, m *media, ours session) (*Call, error) {
	req, err := p.newRequest(sip.INVITE, number)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/sdp", "Supported": "timer", "Allow": "INVITE, ACK, BYE, CANCEL, INFO, UPDATE, OPTIONS",
	} {
		req.AppendHeader(sip.NewHeader(name, value))
	}
	if p.config.Session > 0 {
		req.AppendHeader(sip.NewHeader("Session-Expires", strconv.Itoa(int(p.config.Session.Seconds()))))
	}
	if p.config.Withhold {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
		req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<sip:"+p.config.Number+"@"+p.e.addr.Addr().String()+">"))
		req.From().DisplayName, req.From().Address.User, req.From().Address.Host = "Anonymous", "anonymous", "anonymous.invalid"
	}
	req.SetBody(ours.format(1))
	early := func(res *sip.Response) { p.listen(res, m, ours) }
	res, err := p.send(ctx, req, early)
	if err != nil {
		return nil, err
	}
	if !res.IsSuccess() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e := &CallError{Status: res.StatusCode, Text: res.Reason}
		if h := res.GetHeader("Reason"); h != nil {
			e.Reason = h.Value()
		}
		return nil, e
	}
	return p.answered(ctx, req, res, m, ours)
}

// listen takes up the media that an answer describes, if it does.
func (p *Phone) listen(res *sip.Response, m *media, ours session) bool {
	theirs, err := parseSDP(res.Body())
	if err != nil {
		return false
	}
	codec, ok := firstCommon(theirs.codecs, ours.codecs)
	if ok {
		m.talk(theirs, codec, ours.event)
	}
	return ok
}

func (p *Phone) answered(ctx context.Context, req *sip.Request, res *sip.Response, m *media, ours session) (*Call, error) {
	d := newDialog(p.e, req.CallID().Value(), p.config.Transport, m)
	d.local, d.remote, d.target, d.ours = *req.From(), *res.To(), req.Recipient, ours
	d.cseq, d.version = req.CSeq().SeqNo, 1
	if contact := res.Contact(); contact != nil {
		d.target = contact.Address
	}
	early := m.stats()
	usable := p.listen(res, m, ours)
	c := &Call{phone: p, d: d, answered: time.Now(), early: early, done: make(chan struct{})}
	if h := res.GetHeader("Session-Expires"); h != nil {
		c.session = h.Value()
	}
	p.e.add(d)
	if err := d.ack(req.CSeq().SeqNo); err != nil {
		d.close(err)
		return nil, err
	}
	p.e.handlers.Go(func() {
		<-d.ctx.Done()
		c.ended = time.Now()
		close(c.done)
		if !d.isGone() {
			d.close(errPeer)
		}
	})
	switch {
	case !usable:
		c.Hangup()
		return nil, &CallError{Status: res.StatusCode, Text: "answered without a codec that we have"}
	case ctx.Err() != nil: // the answer came before the CANCEL
		c.Hangup()
		return nil, ctx.Err()
	}
	return c, nil
}

// AnsweredAt is when the answer came.
func (c *Call) AnsweredAt() time.Time { return c.answered }

// Heard tells what came of sound, packets and digits up to now.
func (c *Call) Heard() Heard { return c.d.media.stats() }

// Early tells what was heard before the answer.
func (c *Call) Early() Heard { return c.early }

// RemoteRTP is where the other side wants its media.
func (c *Call) RemoteRTP() netip.AddrPort {
	c.d.media.mu.Lock()
	defer c.d.media.mu.Unlock()
	return c.d.media.remote
}

// Done is closed when the call has ended, by either side.
func (c *Call) Done() <-chan struct{} { return c.done }

// Lasted is the time from the answer to the end; valid after Done.
func (c *Call) Lasted() time.Duration { return c.ended.Sub(c.answered) }

// EndedByPeer tells, after Done, whether the other side hung up, and with what Reason header.
func (c *Call) EndedByPeer() (bool, string) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return c.d.byPeer, c.d.reason
}

// SessionExpires is what the answer says of the session timer (RFC 4028), such as 90;refresher=uac.
func (c *Call) SessionExpires() string { return c.session }

// Refreshes is how often the other side refreshed the session.
func (c *Call) Refreshes() int { return c.d.refreshes() }

// Hangup ends the call. A second call does nothing.
func (c *Call) Hangup() {
	c.d.hangup(5*time.Second, "")
	<-c.done
}

// Vanish lets the phone's end of the call go dead: neither SIP nor RTP comes from it any more.
func (c *Call) Vanish() { c.d.vanish() }

// Mute stops the phone's RTP; its SIP goes on.
func (c *Call) Mute() { c.d.media.mute() }

// Play changes what the phone lets be heard.
func (c *Call) Play(s Sound) { c.d.media.setSound(s) }

// Hold puts the other side on hold by a re-INVITE, or takes the call back. It gives the direction in the answer.
func (c *Call) Hold(ctx context.Context, on bool) (string, error) {
	direction := "sendrecv"
	if on {
		direction = "sendonly"
	}
	ctx, cancel := c.during(ctx)
	defer cancel()
	answer, err := c.d.reoffer(ctx, direction)
	return answer.direction, err
}

// Update sends an UPDATE (RFC 3311) and gives the status of its answer.
func (c *Call) Update(ctx context.Context) (int, error) {
	ctx, cancel := c.during(ctx)
	defer cancel()
	res, err := c.d.do(ctx, c.d.newRequest(sip.UPDATE, nil))
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// during ends with ctx or with the call.
func (c *Call) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(c.d.ctx, cancel)
	return ctx, func() { detach(); cancel() }
}

// Dial sends digits, 200 ms each, as telephone events or, with PhoneConfig.INFO, as SIP INFO, or, with PhoneConfig.Both, as
// both, and returns when the last is sent.
func (c *Call) Dial(ctx context.Context, digits string) error {
	if i := strings.IndexFunc(digits, func(r rune) bool { return !strings.ContainsRune(eventKeys, r) }); i >= 0 {
		return fmt.Errorf("dial %q: no such key as %q", digits, digits[i:i+1])
	}
	ctx, cancel := c.during(ctx)
	defer cancel()
	both := c.phone.config.Both
	if !c.phone.config.INFO && !both {
		return c.d.media.dial(ctx, digits)
	}
	for _, digit := range digits {
		if err := c.inform(ctx, digit); err != nil {
			return err
		}
		if !both {
			continue
		}
		if err := c.d.media.dial(ctx, string(digit)); err != nil {
			return err
		}
	}
	c.d.media.mark()
	return nil
}

// inform sends a digit as SIP INFO.
func (c *Call) inform(ctx context.Context, digit rune) error {
	body := fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", digit)
	res, err := c.d.do(ctx, c.d.newRequest(sip.INFO, []byte(body), sip.NewHeader("Content-Type", "application/dtmf-relay")))
	if err != nil {
		return err
	}
	if !res.IsSuccess() {
		return fmt.Errorf("digit %c: %d %s", digit, res.StatusCode, res.Reason)
	}
	return nil
}

// WaitQuiet returns when something was heard since the answer, or since the last digit, and then 300 ms of silence or
// of no packets: a prompt is over.
func (c *Call) WaitQuiet(ctx context.Context) error { return c.wait(ctx, c.d.media.quiet) }

// WaitHeard returns when what was heard is as is tells, such as enough of the tone.
func (c *Call) WaitHeard(ctx context.Context, is func(Heard) bool) error {
	return c.wait(ctx, func() bool { return is(c.Heard()) })
}

// wait looks once a packet's time.
func (c *Call) wait(ctx context.Context, is func() bool) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for !is() {
		select {
		case <-t.C:
		case <-c.done:
			return fmt.Errorf("the call ended; heard %+v", c.Heard())
		case <-ctx.Done():
			return fmt.Errorf("%w; heard %+v", ctx.Err(), c.Heard())
		}
	}
	return nil
}
