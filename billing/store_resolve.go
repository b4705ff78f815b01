package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
)

const (
	// lease is how long after its last sign of life a call of another node is still taken to run.
	lease = 30 * time.Second
	// runInterval is how often Run looks for something to do.
	runInterval = 3 * time.Second
)

// Run does what Resolve does, at once, when Options.Recovering is over, and then every few seconds, until ctx ends. It is
// ErrFenced as soon as it finds that a newer run of the node has begun: then this one has nothing more to do.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(runInterval)
	defer tick.Stop()
	recovering := s.recovering
	for {
		n, err := s.Resolve(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrFenced):
			s.Release() // had it been free for a moment, it would be ours again
			return fmt.Errorf("node %s: %w", s.node, ErrFenced)
		case err != nil:
			s.log.Warn("some calls are not settled yet", "err", err)
		case n > 0:
			s.log.Info("calls of dead programs settled up to their last sign of life", "calls", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-recovering:
			recovering = nil
		case <-tick.C:
		}
	}
}

// Resolve stores the ends of calls that the database did not take at the time, releases holds in doubt, and settles the
// calls of dead programs up to their last sign of life. A program is dead when it is an earlier run of this node, whose
// name is claimed, or when another node's lease has run out by the database's clock; that a question failed says nothing.
// Calls of earlier runs are left alone while Options.Recovering is open, and one whose end lies in the spool as long as it
// does: who knows more settles it. Each call is settled by itself; settled says how many were, also beside an error.
// ErrFenced.
func (s *Service) Resolve(ctx context.Context) (settled int, err error) {
	errs := []error{s.storeKept(ctx), s.spool.drain(ctx, s.store)}
	s.releaseDoubted(ctx)
	ours, err := s.keepName(ctx)
	ours, errs = ours && s.recovered(), append(errs, err)
	spooled, err := s.spool.calls()
	if err != nil { // any call of this node may be in there
		ours, errs = false, append(errs, err)
	}
	calls, err := inTime(ctx, s, func(ctx context.Context) (calls []CallID, err error) {
		err = s.db.SelectContext(ctx, &calls,
			`SELECT h.call_id FROM hold h WHERE (SELECT newest_run($1, $2)) AND (`+dead+`) ORDER BY h.call_id`,
			s.node, s.boot, lease.Seconds(), ours)
		return calls, translate(err)
	})
	if err != nil {
		return 0, errors.Join(append(errs, fmt.Errorf("resolve: %w", err))...)
	}
	for _, call := range calls {
		if spooled[call] {
			continue
		}
		done, err := inTime(ctx, s, func(ctx context.Context) (bool, error) { return s.resolve(ctx, call, ours) })
		if err != nil {
			errs = append(errs, fmt.Errorf("resolve call %s: %w", call, err))
		}
		if done {
			settled++
		}
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, postgres.ErrHangs) {
			break // the database hangs; the others wait for the next time
		}
	}
	return settled, errors.Join(errs...)
}

// recovered tells whether Options.Recovering is over.
func (s *Service) recovered() bool {
	select {
	case <-s.recovering:
		return true
	default:
		return s.recovering == nil
	}
}

// dead is the evidence that the program of a hold h is over: $1 this node, $2 this run of it, $3 the lease in seconds, $4
// whether calls of earlier runs may be looked at. Those can't be written by their own program any more, since this one is
// the newest.
const dead = `h.node = $1 AND h.boot <> $2 AND $4 OR h.node <> $1 AND h.alive_at < now() - make_interval(secs => $3)`

var deadSQL = heldSQL(`(` + dead + `) AND h.call_id = $5`)

// resolve settles one call, unless it came to life or was settled meanwhile.
func (s *Service) resolve(ctx context.Context, call CallID, ours bool) (done bool, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		done = false
		running, err := s.lockHeld(ctx, tx, deadSQL, lease.Seconds(), ours, call)
		if err != nil || len(running) == 0 {
			return err
		}
		st := lastSeen(running[0])
		hash, err := contentHash(st)
		if err != nil {
			return err
		}
		done = true
		return s.finish(ctx, tx, end{st, running[0], hash})
	})
	return done && err == nil, err
}

// lastSeen is the settlement of a call that nobody saw end.
func lastSeen(h held) Settlement {
	st := Settlement{Call: h.Call, Trunk: h.Trunk, Carrier: h.Carrier, Ended: h.AliveAt, Outcome: Unavailable}
	if h.AnsweredAt.Valid {
		st.Cost, st.AnsweredAt, st.Outcome = tariff.Row(h.Cost), h.AnsweredAt.Time, Lost
		st.Answered = time.Duration(h.AnsweredMS.Int64) * time.Millisecond
		st.Ended = st.AnsweredAt.Add(st.Answered)
	}
	if at := h.Access.AnsweredAt; !at.IsZero() {
		st.AccessTime = h.AliveAt.Sub(at)
	}
	return st
}

// releaseDoubted gives back the holds of calls whose Authorise never got its answer. A call that was not stored, or that
// was closed meanwhile, is done with; the others wait for the next time.
func (s *Service) releaseDoubted(ctx context.Context) {
	s.mu.Lock()
	doubted := s.doubted
	s.doubted = nil
	s.mu.Unlock()
	away := false
	for _, call := range doubted {
		if !away {
			away = passing(s.store(ctx, ending{Settlement: &Settlement{Call: call, Ended: s.now(), Outcome: Unavailable}}))
		}
		if away {
			s.doubt(call)
		}
	}
}
