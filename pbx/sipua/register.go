package sipua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

const (
	dateFormat    = "Mon, 02 Jan 2006 15:04:05 GMT"
	maxExpires    = time.Hour
	registerTime  = 10 * time.Minute // asked for
	registerRetry = 5 * time.Second  // after a first failure; twice as long after each that follows
	longestRetry  = 10 * time.Minute
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

// register keeps the trunks registered that ask for it, until ctx ends.
func (e *Engine) register(ctx context.Context) {
	e.tend(ctx, func(t routing.Trunk) (binding, bool) {
		b := bindingOf(t)
		b.user, b.password = t.User, t.Password
		return b, t.Register && t.Enabled
	}, e.keepRegistered)
}

// keepRegistered registers at one trunk, refreshes before the time is over, and takes the registration back at the end.
// One that fails is tried again, later each time. The trunk counts as not registered when nothing of it stands any more.
func (e *Engine) keepRegistered(ctx context.Context, t routing.Trunk) {
	defer e.conf.Health.Registered(t.Code, "") // nothing is wanted of it any more
	r := registration{e: e, trunk: t, id: uuid.NewString(), tag: sip.GenerateTagN(20)}
	var stands time.Time // until when
	for failures := 0; ; {
		granted, err := r.send(ctx, registerTime)
		wait := granted * 4 / 5
		switch {
		case err == nil:
			failures, stands = 0, time.Now().Add(granted)
			e.conf.Health.Registered(t.Code, "")
			e.log.Debug("trunk registered", "trunk", t.Code, "expires", granted)
		case ctx.Err() == nil:
			wait = max(backOff(e.registerRetry, longestRetry, failures), r.later)
			failures++
			if time.Now().After(stands) {
				e.conf.Health.Registered(t.Code, "not registered: "+plain(err).Error())
			}
			e.log.Warn("trunk not registered", "trunk", t.Code, "err", err, "again_in", wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		if ctx.Err() == nil {
			continue
		}
		if err == nil || errors.Is(err, context.Canceled) { // broken off: the registrar may have it
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.stopTime)
			defer cancel()
			_, _ = r.send(last, 0)
		}
		return
	}
}

// backOff is how long to wait after so many failures before: twice as long each time up to a bound, and a part of it at
// random, so that all trunks of a carrier that comes back don't do so at one moment.
func backOff(first, most time.Duration, failures int) time.Duration {
	wait := min(first<<min(failures, 20), most)
	return wait/2 + rand.N(wait/2)
}

// registration is our binding at one trunk: one Call-ID, a rising CSeq (RFC 3261 section 10.2).
type registration struct {
	e     *Engine
	trunk routing.Trunk
	id    string
	tag   string
	seq   uint32
	least time.Duration // that the registrar takes
	later time.Duration // that it asked us to wait, when it refused
	at    int           // which of the trunk's servers is asked
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
	if r.later = 0; err != nil {
		r.at++ // another one may be there
		return 0, err
	}
	if !res.IsSuccess() {
		r.later = retryAfter(res)
		return 0, fmt.Errorf("%w: %d %s", errRegister, res.StatusCode, pbx.Printable(res.Reason))
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
	servers, err := r.e.locate(ctx, r.trunk)
	if err != nil {
		return nil, err
	}
	at := servers[r.at%len(servers)]
	req, err := r.e.request(ctx, sip.REGISTER, at, cmp.Or(r.trunk.User, "telecommune"), dialogName{r.id, r.tag, r.seq})
	if err != nil {
		return nil, err
	}
	req.AppendHeader(sip.NewHeader("Expires", seconds(expires)))
	return req, nil
}

// retryAfter is how long a registrar asks us to wait (RFC 3261 section 20.33), up to maxExpires.
func retryAfter(res *sip.Response) time.Duration {
	h := res.GetHeader("Retry-After")
	if h == nil {
		return 0
	}
	number := strings.FieldsFunc(h.Value(), func(c rune) bool { return c < '0' || c > '9' })
	if len(number) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(number[0], 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxExpires)
}
