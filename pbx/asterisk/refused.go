package asterisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"telecommune/pbx"
)

// Calls over the limits are refused in Asterisk's dialplan (conf/extensions.conf), by the same numbers as in the exchange,
// and before anything is done for them here.

const (
	refusedVariable = "TELECOMMUNE_REFUSED" // a global variable of the dialplan that counts them
	refusedEvery    = 10 * time.Second      // it is looked at
)

// overMost is from how many calls at once on Asterisk refuses them: those that the exchange still records are let through.
func overMost(most int) int {
	if most == 0 {
		return 0
	}
	return most + pbx.MaxRefused
}

// watchRefused tells the log how many calls Asterisk has refused, until ctx ends.
func (e *Engine) watchRefused(ctx context.Context) {
	tick := time.NewTicker(refusedEvery)
	defer tick.Stop()
	for known := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		n, err := e.ari.refused(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			e.log.Debug("refused calls not counted", "err", err)
		case n > known:
			e.log.Warn("access calls refused by Asterisk, and not recorded", "calls", n-known, "max_calls", e.conf.MaxCalls, "max_cps", e.conf.MaxCPS)
		}
		if err == nil {
			known = n // less when Asterisk was started anew
		}
	}
}

// refused is how many calls Asterisk has refused since its start.
func (a *ari) refused(ctx context.Context) (int, error) {
	value, err := a.global(ctx, refusedVariable)
	if err != nil || value == "" {
		return 0, err
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", refusedVariable, errors.Join(errNonsense, err))
	}
	return n, nil
}

// global is the value of a global variable of the dialplan, or of a function; "" when there is none.
func (a *ari) global(ctx context.Context, name string) (string, error) {
	var got struct{ Value string }
	_, err := a.send(ctx, http.MethodGet, "/asterisk/variable?variable="+url.QueryEscape(name), nil, &got)
	return got.Value, err
}
