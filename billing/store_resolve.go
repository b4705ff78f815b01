package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
)

const (
	// lease is how long after its last sign of life a call of another node is still taken to run.
	lease = 30 * time.Second
	// runInterval is how often Run looks for something to do.
	runInterval = 5 * time.Second
)

// Run empties the spool and resolves the calls of dead programs, at once and then every few seconds, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(runInterval)
	defer tick.Stop()
	for {
		n, err := s.Resolve(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Warn("calls of dead programs not resolved yet", "err", err)
		case n > 0:
			s.log.Info("calls of dead programs settled up to their last sign of life", "calls", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Resolve settles the calls of dead programs up to their last sign of life. A program is dead when this node has been
// started anew since, or when another node's lease has run out by the database's clock; that a question failed says
// nothing. What is in the spool goes first, it knows more. Each call is settled by itself; settled says how many were,
// also beside an error.
func (s *Service) Resolve(ctx context.Context) (settled int, err error) {
	if err := s.spool.drain(ctx, s.settle, passing); err != nil {
		return 0, err
	}
	s.releaseDoubted(ctx)
	var calls []CallID
	err = s.db.SelectContext(ctx, &calls, `SELECT h.call_id FROM hold h WHERE `+dead+` ORDER BY h.call_id`,
		s.node, s.boot, lease.Seconds())
	if err != nil {
		return 0, fmt.Errorf("resolve: %w", err)
	}
	var errs []error
	for _, call := range calls {
		done, err := s.resolve(ctx, call)
		if err != nil {
			errs = append(errs, fmt.Errorf("resolve call %s: %w", call, err))
		}
		if done {
			settled++
		}
		if ctx.Err() != nil {
			break
		}
	}
	return settled, errors.Join(errs...)
}

// dead is the evidence that the program of a hold h is over: $1 this node, $2 this run of it, $3 the lease in seconds.
const dead = `(h.node = $1 AND h.boot <> $2 OR h.node <> $1 AND h.alive_at < now() - make_interval(secs => $3))`

// resolve settles one call, unless it came to life or was settled meanwhile.
func (s *Service) resolve(ctx context.Context, call CallID) (done bool, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		done = false
		h, err := lockHeld(ctx, tx, dead+` AND h.call_id = $4`, s.node, s.boot, lease.Seconds(), call)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		st := lastSeen(h)
		hash, err := contentHash(st)
		if err != nil {
			return err
		}
		done = true
		return s.finish(ctx, tx, h, st, hash)
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
	return st
}

// releaseDoubted gives back the holds of calls whose Authorise never got its answer. A call that was not stored, or that
// was closed meanwhile, is done with; the others wait for the next time.
func (s *Service) releaseDoubted(ctx context.Context) {
	s.mu.Lock()
	doubted := s.doubted
	s.doubted = nil
	s.mu.Unlock()
	for _, call := range doubted {
		err := s.settle(ctx, Settlement{Call: call, Ended: time.Now(), Outcome: Unavailable})
		if passing(err) {
			s.doubt(call)
		}
	}
}
