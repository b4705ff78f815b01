package asterisk

import (
	"context"
	"time"

	"telecommune/pbx"
)

const sweepEvery = 5 * time.Second

// sweep takes away what nobody leads, until ctx ends: channels that came while nothing was heard of Asterisk, or whose
// hang-up was not done, and bridges that nobody is in any more. A channel is one of those when it is there, and still
// unknown when all that was told up to then has been read.
func (e *Engine) sweep(ctx context.Context) {
	if e.inherits {
		select {
		case <-e.recovered: // until then it is not known whose they are
		case <-ctx.Done():
			return
		}
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	since, empty := map[string]time.Time{}, map[string]bool{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		since = e.sweepChannels(ctx, since)
		empty = e.sweepBridges(ctx, empty)
	}
}

// sweepChannels gives since when it knows which channels that nobody leads.
func (e *Engine) sweepChannels(ctx context.Context, before map[string]time.Time) map[string]time.Time {
	now := time.Now()
	there, err := e.ari.channels(ctx)
	if err != nil {
		e.log.Debug("channels not listed", "err", err)
		return before
	}
	heard, since := e.heard(), map[string]time.Time{}
	for _, id := range there {
		if l := e.find(id); l != nil && l.ctx.Err() == nil {
			continue
		}
		since[id] = now
		if first, known := before[id]; !known {
			continue
		} else if since[id] = first; !first.Before(heard) {
			continue
		}
		e.log.Warn("a channel that nobody leads is hung up", "channel", id)
		if err := e.ari.hangup(ctx, id, pbx.TemporaryFail.Q850); err != nil {
			e.log.Debug("channel not hung up", "channel", id, "err", err)
		}
	}
	return since
}

// sweepBridges gives those that are empty; the ones that were so before are taken apart.
func (e *Engine) sweepBridges(ctx context.Context, before map[string]bool) map[string]bool {
	there, err := e.ari.emptyBridges(ctx)
	if err != nil {
		e.log.Debug("bridges not listed", "err", err)
		return before
	}
	empty := map[string]bool{}
	for _, id := range there {
		if empty[id] = true; before[id] {
			if err := e.ari.unmix(ctx, id); err != nil {
				e.log.Debug("bridge not taken apart", "bridge", id, "err", err)
			}
		}
	}
	return empty
}
