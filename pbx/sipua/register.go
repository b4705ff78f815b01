package sipua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"telecommune/routing"
)

const (
	dateFormat     = "Mon, 02 Jan 2006 15:04:05 GMT"
	maxExpires     = time.Hour
	registerTime   = 10 * time.Minute // asked for
	registerRetry  = 30 * time.Second // after a failure, and up to twice that
	trunksInterval = 2 * time.Second  // how soon a changed trunk is seen
)

// registerExpires is how long a contact is to be bound: its own parameter, the header, or an hour, which is also the
// most.
func registerExpires(req *sip.Request, c *sip.ContactHeader) time.Duration {
	values := []string{}
	if v, ok := c.Params.Get("expires"); ok {
		values = append(values, v)
	} else if h := req.GetHeader("Expires"); h != nil {
		values = append(values, h.Value())
	}
	for _, v := range values {
		if n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 32); err == nil {
			return min(time.Duration(n)*time.Second, maxExpires)
		}
	}
	return maxExpires
}

// binding is what a registration depends on; what else changes in a trunk leaves it alone.
type binding struct{ code, address, transport, user, password string }

func bindingOf(t routing.Trunk) binding {
	return binding{t.Code, t.Address, t.Transport, t.User, t.Password}
}

// registrar is the keeper of one trunk's registration.
type registrar struct {
	binding
	stop  context.CancelFunc
	ended chan struct{}
}

// register keeps the trunks registered that ask for it, until ctx ends. The registration of a trunk that was changed is
// taken back before the new one is made: the other way round the end of the old would take the new away.
func (e *Engine) register(ctx context.Context) {
	running := map[string]*registrar{} // by code of the trunk
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		wanted := map[string]routing.Trunk{}
		for _, t := range e.conf.Trunks() {
			if t.Register && t.Enabled {
				wanted[t.Code] = t
			}
		}
		var ending <-chan struct{} // one is enough: what else is to be done follows
		for code, r := range running {
			if t, ok := wanted[code]; !ok || bindingOf(t) != r.binding {
				r.stop()
				select {
				case <-r.ended:
					delete(running, code)
				default:
					ending = r.ended
				}
			}
		}
		for code, t := range wanted {
			if running[code] != nil {
				continue
			}
			one, stop := context.WithCancel(ctx)
			r := &registrar{bindingOf(t), stop, make(chan struct{})}
			running[code] = r
			wait.Go(func() {
				defer close(r.ended)
				e.keepRegistered(one, t)
			})
		}
		select {
		case <-time.After(trunksInterval):
		case <-ending:
		case <-ctx.Done():
			for _, r := range running {
				r.stop()
			}
			return
		}
	}
}

// keepRegistered registers at one trunk, refreshes before the time is over, and takes the registration back at the end.
func (e *Engine) keepRegistered(ctx context.Context, t routing.Trunk) {
	defer func() {
		if cause := recover(); cause != nil {
			e.panicked(nil, cause)
		}
	}()
	r := registration{e: e, trunk: t, id: uuid.NewString(), tag: sip.GenerateTagN(20)}
	for {
		granted, err := r.send(ctx, registerTime)
		wait := granted * 4 / 5
		if err != nil {
			if ctx.Err() == nil {
				e.log.Warn("trunk not registered", "trunk", t.Code, "err", err)
			}
			wait = registerRetry + rand.N(registerRetry)
		} else {
			e.log.Debug("trunk registered", "trunk", t.Code, "expires", granted)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if err == nil || errors.Is(err, context.Canceled) { // broken off: the registrar may have it
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.stopTime)
				defer cancel()
				_, _ = r.send(last, 0)
			}
			return
		}
	}
}

// registration is our binding at one trunk: one Call-ID, a rising CSeq (RFC 3261 section 10.2).
type registration struct {
	e     *Engine
	trunk routing.Trunk
	id    string
	tag   string
	seq   uint32
	least time.Duration // that the registrar takes
}

var errRegister = errors.New("registration refused")

// send asks for expires and gives what was granted.
func (r *registration) send(ctx context.Context, expires time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, ackWait())
	defer cancel()
	if expires > 0 {
		expires = max(expires, r.least)
	}
	req, res, err := r.ask(ctx, expires)
	if err == nil && res.StatusCode == 423 { // too brief (section 10.2.8)
		if least := r.minExpires(res); least > expires {
			r.least, expires = least, least
			req, res, err = r.ask(ctx, expires)
		}
	}
	if err != nil {
		return 0, err
	}
	if !res.IsSuccess() {
		return 0, fmt.Errorf("%w: %d %s", errRegister, res.StatusCode, printable(res.Reason))
	}
	granted := expires
	if h := res.GetHeader("Expires"); h != nil {
		if n, err := strconv.ParseUint(h.Value(), 10, 31); err == nil {
			granted = time.Duration(n) * time.Second
		}
	}
	ours := req.Contact().Address
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.Host != ours.Host || c.Address.Port != ours.Port {
			continue
		}
		if v, ok := c.Params.Get("expires"); ok {
			if n, err := strconv.ParseUint(v, 10, 31); err == nil {
				granted = time.Duration(n) * time.Second
			}
		}
	}
	return max(granted, 10*time.Second), nil
}

// ask sends one REGISTER; a challenge is met once.
func (r *registration) ask(ctx context.Context, expires time.Duration) (*sip.Request, *sip.Response, error) {
	r.seq++
	req, err := r.request(ctx, expires)
	if err != nil {
		return nil, nil, err
	}
	res, err := r.e.roundTrip(ctx, req)
	if err == nil && (res.StatusCode == 401 || res.StatusCode == 407) && r.trunk.User != "" {
		r.seq++
		if req, err = authorise(req, res, r.seq, r.trunk.User, r.trunk.Password); err == nil {
			res, err = r.e.roundTrip(ctx, req)
		}
	}
	return req, res, err
}

// minExpires is the least that a registrar takes, up to maxExpires.
func (r *registration) minExpires(res *sip.Response) time.Duration {
	h := res.GetHeader("Min-Expires")
	if h == nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxExpires)
}

func (r *registration) request(ctx context.Context, expires time.Duration) (*sip.Request, error) {
	host, port, err := net.SplitHostPort(r.trunk.Address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	addr, err := r.e.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	ours, err := r.e.towards(addr)
	if err != nil {
		return nil, err
	}
	if addr.Is6() && host == addr.String() {
		host = uriHost(addr)
	}
	transport := "UDP"
	if strings.EqualFold(r.trunk.Transport, "tcp") {
		transport = "TCP"
	}
	user := r.trunk.User
	if user == "" {
		user = "telecommune"
	}
	req := sip.NewRequest(sip.REGISTER, sip.Uri{Scheme: "sip", Host: host, Port: number})
	r.e.route(req, transport, net.JoinHostPort(addr.String(), port), ours)
	aor := sip.Uri{Scheme: "sip", User: user, Host: host}
	req.AppendHeader(&sip.FromHeader{Address: aor, Params: sip.HeaderParams{{K: "tag", V: r.tag}}})
	req.AppendHeader(&sip.ToHeader{Address: aor})
	id := sip.CallIDHeader(r.id)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: r.seq, MethodName: sip.REGISTER})
	req.AppendHeader(r.e.contact(transport, ours))
	req.AppendHeader(sip.NewHeader("Expires", seconds(expires)))
	r.e.sign(req)
	return req, nil
}
