package simcarrier

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// maxRecords bounds what a carrier remembers: the oldest calls are forgotten.
const maxRecords = 20_000

// CarrierConfig is what a simulated carrier is like.
type CarrierConfig struct {
	Listen         string      // host:port, port 0: any; "" is 127.0.0.1:0
	User, Password string      // asked for by digest (RFC 3261 section 22) if User is not empty
	TLS            *tls.Config // spoken in place of TCP, with the carrier's certificate; nil: none
	Default        Behaviour
	Numbers        map[string]Behaviour // by the user part of the request URI
	Told           func(Record)         // told of each call when it is answered and when it ends; must not wait; may be nil
	Log            *slog.Logger         // of the SIP stack; nil: none
}

// Carrier takes calls to any number and treats each as its Behaviour says.
type Carrier struct {
	config CarrierConfig
	e      *endpoint
	detach func() bool

	mu      sync.Mutex
	changed chan struct{} // closed and renewed when a record changes
	records []*Record
	live    map[*Record]*media

	registrations int
}

// Start binds the carrier's port and takes calls until Close or the end of ctx.
func Start(ctx context.Context, c CarrierConfig) (*Carrier, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	carrier := &Carrier{config: c, changed: make(chan struct{}), live: map[*Record]*media{}}
	var err error
	if carrier.e, err = newEndpoint(c.Listen, c.TLS, c.Log, carrier.take); err != nil {
		return nil, err
	}
	carrier.e.serve()
	carrier.detach = context.AfterFunc(ctx, carrier.e.close)
	return carrier, nil
}

// Addr is the host:port of the carrier, for SIP over UDP and TCP, or TLS.
func (c *Carrier) Addr() string { return c.e.addr.String() }

// Close hangs up what is left and returns when no goroutine and no port is.
func (c *Carrier) Close() {
	c.detach()
	c.e.close()
}

// Calls gives the calls received, in the order of their INVITEs.
func (c *Carrier) Calls() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Record, len(c.records))
	for i, r := range c.records {
		all[i] = c.picture(r)
	}
	return all
}

func (c *Carrier) picture(r *Record) Record {
	p := *r
	if m := c.live[r]; m != nil {
		p.Heard = m.stats()
	}
	return p
}

// Await waits for a call of which is tells yes, and gives it. It looks whenever a call comes, is answered or ends, and
// every 20 ms for what is heard.
func (c *Carrier) Await(ctx context.Context, is func(Record) bool) (Record, error) {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		calls := c.Calls()
		if i := slices.IndexFunc(calls, is); i >= 0 {
			return calls[i], nil
		}
		select {
		case <-changed:
		case <-time.After(tick):
		case <-ctx.Done():
			return Record{}, fmt.Errorf("no such call at the carrier: %w; it has had %d", ctx.Err(), len(calls))
		}
	}
}

// update changes a record under the lock and wakes who awaits.
func (c *Carrier) update(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Carrier) record(x *exchange) *Record {
	req := x.req
	r := &Record{
		CallID: req.CallID().Value(), Number: req.Recipient.User, Caller: req.From().Address.User,
		Transport: x.link.transport, Offer: string(req.Body()), Received: time.Now(),
	}
	if h := req.GetHeader("Supported"); h != nil {
		r.Supported = h.Value()
	}
	c.update(func() {
		if len(c.records) == maxRecords {
			c.records = slices.Delete(c.records, 0, maxRecords/10)
		}
		c.records = append(c.records, r)
	})
	return r
}

func (c *Carrier) ended(r *Record, how string, status int) {
	c.update(func() {
		r.How, r.Ended = how, time.Now()
		if status != 0 {
			r.Status = status
		}
		if m := c.live[r]; m != nil {
			r.Heard = m.stats()
			delete(c.live, r)
		}
	})
	c.tell(r)
}

// tell tells of a call that was answered, or has ended.
func (c *Carrier) tell(r *Record) {
	if c.config.Told == nil {
		return
	}
	c.mu.Lock()
	now := c.picture(r)
	c.mu.Unlock()
	c.config.Told(now)
}

// take is given each INVITE that begins a call, and registrations.
func (c *Carrier) take(x *exchange) {
	b, ok := c.config.Numbers[x.req.Recipient.User]
	if !ok {
		b = c.config.Default
	}
	switch {
	case x.req.Method == sip.REGISTER:
		c.register(x)
	case b.Deaf:
		c.ended(c.record(x), Vanished, 0)
	case c.authorised(x):
		in := &incoming{carrier: c, behaviour: b, record: c.record(x), x: x}
		how := in.live()
		c.ended(in.record, how, in.status)
	}
}

func (c *Carrier) register(x *exchange) {
	if !c.authorised(x) {
		return
	}
	var headers []sip.Header
	for _, name := range []string{"Contact", "Expires"} {
		if h := x.req.GetHeader(name); h != nil {
			headers = append(headers, sip.HeaderClone(h))
		}
	}
	c.update(func() { c.registrations++ })
	x.reply(200, nil, headers...)
}

// Registrations counts the REGISTERs accepted.
func (c *Carrier) Registrations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registrations
}

// authorised asks for credentials if the carrier has any, and checks them.
func (c *Carrier) authorised(x *exchange) bool {
	req := x.req
	if c.config.User == "" {
		return true
	}
	challenge := digest.Challenge{Realm: "simulated", Nonce: "n" + req.CallID().Value(), Algorithm: "MD5", QOP: []string{"auth"}}
	if h := req.GetHeader("Proxy-Authorization"); h != nil {
		got, err := digest.ParseCredentials(h.Value())
		if err == nil && got.Nonce == challenge.Nonce {
			want, err := digest.Digest(&challenge, digest.Options{
				Method: string(req.Method), URI: got.URI, Count: got.Nc, Cnonce: got.Cnonce,
				Username: c.config.User, Password: c.config.Password,
			})
			if err == nil && got.Username == c.config.User && got.Response == want.Response {
				return true
			}
		}
		c.refuse(x, 403)
		return false
	}
	c.refuse(x, 407, sip.NewHeader("Proxy-Authenticate", challenge.String()))
	return false
}

func (c *Carrier) refuse(x *exchange, status int, headers ...sip.Header) {
	if x.req.Method == sip.INVITE {
		x.final(status, headers...)
	} else {
		x.reply(status, nil, headers...)
	}
}
