package billing

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
)

// Options say who uses the service and where it may keep things.
type Options struct {
	Key   []byte           // secret for PINs and vouchers, at least 16 bytes; kept in the state folder, never in the database
	Node  string           // name of this controller, the same after a restart; no two that run at once share it
	Boot  uuid.UUID        // this run of it: an earlier run of the node writes nothing any more once this one has claimed it
	Spool string           // folder for settlements while the database is away
	Now   func() time.Time // the clock of what is booked; nil: time.Now
	Log   *slog.Logger

	// Recovering is closed when it is known which calls of earlier runs go on: those were taken over with Adopt. Until
	// then Resolve leaves them alone. nil: none go on.
	Recovering <-chan struct{}
}

// Service is everything that callers own or owe. It implements pbx.Callers and pbx.Credit. All methods may be called
// from several goroutines.
type Service struct {
	db    *sqlx.DB
	node  string
	boot  uuid.UUID
	key   secret
	claim *postgres.Claim
	guard postgres.Guard
	spool spool
	now   func() time.Time
	log   *slog.Logger

	recovering <-chan struct{} // of Options

	settlements *postgres.Group[Settlement, struct{}]

	mu      sync.Mutex
	claimed bool     // Claim was successful once
	doubted []CallID // authorised perhaps, but the answer never came; Run releases their holds
	kept    []ending // refused by database and spool; Run tries again
}

// New makes a service; Run does its background work.
func New(db *sqlx.DB, o Options) *Service {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{
		db: db, node: o.Node, boot: o.Boot, key: o.Key, claim: postgres.NewClaim(db, "node "+o.Node),
		spool: spool{folder: o.Spool, log: o.Log}, now: o.Now, log: o.Log, recovering: o.Recovering,
	}
	s.settlements = postgres.NewGroup(db, &s.guard, gather, patience, s.settleAll)
	return s
}

// Claim makes this the only program that runs as its node, until Release or its end, and the newest run of it: what an
// earlier one still writes about calls is refused from now on (ErrFenced), should it live on and have lost the name with
// a connection. serve needs it before it takes calls, and calls it once. It waits for what an earlier run is writing, and
// returns ErrNodeTaken when that has the name.
func (s *Service) Claim(ctx context.Context) error {
	err := s.holdName(ctx)
	for range 10 { // the server may be about to notice that the last run was killed
		if !errors.Is(err, ErrNodeTaken) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		err = s.holdName(ctx)
	}
	if err == nil {
		_, err = postgres.Exec(ctx, s.db, `SELECT take_node($1, $2)`, s.node, s.boot)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = true
	return nil
}

func (s *Service) holdName(ctx context.Context) error {
	err := s.claim.Hold(ctx)
	if errors.Is(err, postgres.ErrClaimed) {
		err = fmt.Errorf("another serve is node %s; give this one --node: %w", s.node, ErrNodeTaken)
	}
	return err
}

// Release lets go of the node's name. The pool must still be open.
func (s *Service) Release() { s.claim.Release() }

// keepName takes the node's name again if it got lost, and tells whether this run has it. Whether a newer run has begun
// meanwhile is told by what is written.
func (s *Service) keepName(ctx context.Context) (ours bool, err error) {
	s.mu.Lock()
	claimed := s.claimed
	s.mu.Unlock()
	if !claimed {
		return false, nil
	}
	return inTime(ctx, s, func(ctx context.Context) (bool, error) {
		err := s.holdName(ctx)
		return err == nil, err
	})
}

// inTime does work with the database and gives up on its result after patience, or when ctx ends.
func inTime[T any](ctx context.Context, s *Service, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return postgres.Await(ctx, &s.guard, do, nil)
}

// tx runs fn in a transaction and turns its errors into those of this package.
func (s *Service) tx(ctx context.Context, fn func(tx *sqlx.Tx) error) error {
	return translate(postgres.InTx(ctx, s.db, fn))
}

// actor is who posts an entry, when the caller does not say.
func (s *Service) actor(given string) string {
	if given != "" {
		return given
	}
	return s.node
}

// constraints says what it means for the user that one was violated.
var constraints = map[string]error{
	"code_syntax":                ErrCode,
	"account_code_unique":        ErrExists,
	"account_call_limit":         ErrCallLimit,
	"account_max_calls":          ErrLimit,
	"account_max_rate":           ErrLimit,
	"account_max_per_hour":       ErrLimit,
	"account_max_per_day":        ErrLimit,
	"country_iso":                ErrCountry,
	"account_enterprise_fkey":    fmt.Errorf("enterprise: %w", ErrNotFound),
	"balance_limit_positive":     ErrAmount,
	"phone_pkey":                 ErrExists,
	"phone_account_fkey":         fmt.Errorf("account: %w", ErrNotFound),
	"pin_account_fkey":           fmt.Errorf("account: %w", ErrNotFound),
	"contact_account_fkey":       fmt.Errorf("account: %w", ErrNotFound),
	"contact_access_number_fkey": fmt.Errorf("access number: %w", ErrNotFound),
	"call_account_fkey":          fmt.Errorf("account: %w", ErrNotFound),
	"newest_run":                 ErrFenced,
}

// translate gives errors of the database and the ledger the names that this package promises.
func translate(err error) error {
	if known := constraints[postgres.Constraint(err)]; known != nil {
		return known
	}
	switch {
	case errors.Is(err, ledger.ErrConflict):
		return ErrConflict
	case errors.Is(err, ledger.ErrOverdrawn):
		return ErrInsufficientCredit
	}
	return err
}

// stamp is a rate row as it stands in a call. The zero row is NULL.
type stamp tariff.Row

// Value writes the row as JSON.
func (r stamp) Value() (driver.Value, error) { return writeJSON(tariff.Row(r), r == stamp{}) }

// row is nil where Value is NULL.
func (r stamp) row() *tariff.Row {
	if r == (stamp{}) {
		return nil
	}
	return (*tariff.Row)(&r)
}

// Scan reads what Value wrote.
func (r *stamp) Scan(src any) error { return readJSON(src, (*tariff.Row)(r)) }

// laterStamp keeps the rows that may yet come to price a call beside its stamp. None is NULL.
type laterStamp []tariff.Later

// Value writes the rows as JSON.
func (l laterStamp) Value() (driver.Value, error) { return writeJSON([]tariff.Later(l), len(l) == 0) }

// Scan reads what Value wrote.
func (l *laterStamp) Scan(src any) error { return readJSON(src, (*[]tariff.Later)(l)) }

// accessStamp keeps what a call bears of its access leg. A leg that costs nothing is NULL.
type accessStamp AccessLeg

// Value writes the leg as JSON.
func (a accessStamp) Value() (driver.Value, error) {
	return writeJSON(AccessLeg(a), a.Cost == tariff.Row{})
}

// Scan reads what Value wrote.
func (a *accessStamp) Scan(src any) error { return readJSON(src, (*AccessLeg)(a)) }

// writeJSON is v for a column of JSON that is NULL when there is nothing.
func writeJSON(v any, nothing bool) (driver.Value, error) {
	if nothing {
		return nil, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// readJSON reads what writeJSON wrote: NULL is the zero value.
func readJSON[T any](src any, into *T) error {
	*into = *new(T)
	switch b := src.(type) {
	case nil:
		return nil
	case []byte:
		return json.Unmarshal(b, into)
	}
	return fmt.Errorf("%T is not JSON", src)
}

// instant is t for a column that may be NULL: the zero time is. PostgreSQL would round to microseconds, which could
// bring an answer into the time of another rate.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.Truncate(time.Microsecond)
	return &t
}
