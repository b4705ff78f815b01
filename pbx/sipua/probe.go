package sipua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

// probeRetry is how soon a probe that was not answered is repeated; twice as long each time up to the trunk's interval.
const probeRetry = 2 * time.Second

// probe asks the trunks that want it by OPTIONS whether they are there (RFC 3261 section 11), until ctx ends.
func (e *Engine) probe(ctx context.Context) {
	e.tend(ctx, func(t routing.Trunk) (binding, bool) {
		b := bindingOf(t)
		b.every = t.Probe
		return b, t.Probe > 0 && t.Enabled
	}, e.keepProbing)
}

// keepProbing probes one trunk at its interval, and sooner while it does not answer. There is one probe at a time.
func (e *Engine) keepProbing(ctx context.Context, t routing.Trunk) {
	e.conf.Health.Probing(t.Code)
	defer e.conf.Health.Probing(t.Code)
	every := time.Duration(t.Probe) * time.Second
	for failures := 0; ; {
		why := e.ask(ctx, t)
		if ctx.Err() != nil {
			return
		}
		e.conf.Health.Probed(t.Code, why)
		wait := every - rand.N(every/8)
		if failures++; why == "" {
			failures = 0
		} else {
			wait = backOff(e.probeRetry, every, failures-1)
			e.log.Debug("trunk does not answer OPTIONS", "trunk", t.Code, "why", why)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// ask probes the servers of a trunk until one is there, and tells why none is. Any answer but 503 says that it is: it need
// not know the method, nor us.
func (e *Engine) ask(ctx context.Context, t routing.Trunk) (why string) {
	servers, err := e.locate(ctx, t)
	if err != nil {
		return err.Error()
	}
	for _, at := range servers {
		res, err := e.options(ctx, at)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			why = "no answer to OPTIONS"
		case err != nil:
			why = plain(err).Error()
		case res.StatusCode == 503:
			why = fmt.Sprintf("OPTIONS: 503 %s", pbx.Printable(res.Reason))
		default:
			return ""
		}
	}
	return why
}

func (e *Engine) options(ctx context.Context, at server) (*sip.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, e.firstResponse)
	defer cancel()
	req, err := e.request(ctx, sip.OPTIONS, at, "telecommune", dialogName{uuid.NewString(), sip.GenerateTagN(20), 1})
	if err != nil {
		return nil, err
	}
	req.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	return e.roundTrip(ctx, req)
}
