package routing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
)

// Store keeps trunks and the attempts made over them.
type Store struct {
	db    *sqlx.DB
	calls *postgres.Group[routed, struct{}]
}

// NewStore makes a store over a pool.
func NewStore(db *sqlx.DB) *Store {
	return &Store{db, postgres.NewGroup(db, new(postgres.Guard), gather, patience, recordAll)}
}

const selectTrunks = `
	SELECT code, carrier, address, transport, username, password, register, channels, cps, prefix, strip, enabled, priority, weight,
	    deck, COALESCE(asset, '') AS asset, tls_ca, tls_name, probe_seconds, rewrite, codecs, caller_id, caller_number, trusted,
	    hours, zone, minutes_day, minutes_month, spend_day, spend_month, prepaid, prepaid_floor, prepaid_at, failover, ring_seconds
	FROM trunk`

// Load reads what calls need now and in the time to come: all trunks, policies, the numbers that are ours, and the decks
// that can still matter.
func (s *Store) Load(ctx context.Context) (*Snapshot, error) { return s.Reload(ctx, nil) }

// Reload is Load that does not read again the decks that the snapshot before, which may be nil, has.
func (s *Store) Reload(ctx context.Context, before *Snapshot) (*Snapshot, error) {
	var known *tariff.Decks
	if before != nil {
		known = before.decks
	}
	decks, err := tariff.NewStore(s.db).Reload(ctx, known)
	if err != nil {
		return nil, err
	}
	return s.load(ctx, decks)
}

// LoadAt reads trunks and policies as they are and the decks as they are in force at an instant, to explain a route of then.
func (s *Store) LoadAt(ctx context.Context, at time.Time) (*Snapshot, error) {
	decks, err := tariff.NewStore(s.db).LoadAt(ctx, at)
	if err != nil {
		return nil, err
	}
	return s.load(ctx, decks)
}

// qualitySpan is how far back the attempts lie that tell how trunks do.
const qualitySpan = 24 * time.Hour

func (s *Store) load(ctx context.Context, decks *tariff.Decks) (*Snapshot, error) {
	trunks, err := s.Trunks(ctx)
	if err != nil {
		return nil, err
	}
	var rules Rules
	if rules.Policies, err = s.Policies(ctx); err != nil {
		return nil, err
	}
	// The table is pbx's, which routing must not import; this asks for no more than the numbers.
	if err := s.db.SelectContext(ctx, &rules.Ours, `SELECT number FROM access_number`); err != nil {
		return nil, fmt.Errorf("read access numbers: %w", err)
	}
	barring, err := s.barring(ctx)
	if err != nil {
		return nil, err
	}
	rules.Barring = &barring
	tried, err := s.TriedSince(ctx, time.Now().Add(-qualitySpan))
	if err != nil {
		return nil, err
	}
	rules.Quality = NewQuality(figuresOf(tried))
	return NewSnapshot(trunks, decks).With(rules), nil
}

// Revision gives a number that grows with each change of what a snapshot holds. Ask before Load: a change in between
// then leads to one Load too many and not to one too few.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	var n int64
	if err := s.db.GetContext(ctx, &n, `SELECT n FROM revision`); err != nil {
		return 0, fmt.Errorf("read the revision: %w", err)
	}
	return n, nil
}

// AddTrunk makes a trunk: *FieldError, ErrExists. Without a carrier it has one of its own code, without a transport
// UDP. The trunk is returned as stored.
func (s *Store) AddTrunk(ctx context.Context, t Trunk) (Trunk, error) {
	t = t.withDefaults()
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		if err := complete(ctx, tx, &t); err != nil {
			return err
		}
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO trunk (code, carrier, address, transport, username, password, register, channels, cps, prefix, strip, enabled,
			    priority, weight, deck, asset, tls_ca, tls_name, probe_seconds, rewrite, codecs, caller_id, caller_number, trusted,
			    hours, zone, minutes_day, minutes_month, spend_day, spend_month, prepaid, prepaid_floor, prepaid_at, failover, ring_seconds)
			VALUES (:code, :carrier, :address, :transport, :username, :password, :register, :channels, :cps, :prefix, :strip, :enabled,
			    :priority, :weight, :deck, NULLIF(:asset, ''), :tls_ca, :tls_name, :probe_seconds, :rewrite, :codecs, :caller_id, :caller_number, :trusted,
			    :hours, :zone, :minutes_day, :minutes_month, :spend_day, :spend_month, :prepaid, :prepaid_floor, :prepaid_at, :failover, :ring_seconds)`, t)
		return err
	})
	var field *FieldError
	if errors.As(err, &field) {
		return Trunk{}, field
	}
	if postgres.Constraint(err) == "trunk_pkey" {
		err = ErrExists
	}
	if err != nil {
		return Trunk{}, fmt.Errorf("add trunk %s: %w", t.Code, err)
	}
	return t, nil
}

// Trunks gives all trunks by code.
func (s *Store) Trunks(ctx context.Context) ([]Trunk, error) {
	trunks := []Trunk{}
	if err := s.db.SelectContext(ctx, &trunks, selectTrunks+` ORDER BY code COLLATE "C"`); err != nil {
		return nil, fmt.Errorf("list trunks: %w", err)
	}
	return trunks, nil
}

// Trunk gives one trunk, or ErrNotFound.
func (s *Store) Trunk(ctx context.Context, code string) (Trunk, error) {
	var t Trunk
	if err := get(ctx, s.db, &t, selectTrunks+` WHERE code = $1`, code); err != nil {
		return Trunk{}, fmt.Errorf("trunk %q: %w", code, err)
	}
	return t, nil
}

// SetTrunk changes a trunk by a function, under its row's lock so that two changes at once both count: *FieldError,
// ErrNotFound. The code stays what it is. Calls that run keep the trunk they were dialled with.
func (s *Store) SetTrunk(ctx context.Context, code string, change func(*Trunk)) (Trunk, error) {
	var t Trunk
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		t = Trunk{}
		if err := get(ctx, tx, &t, selectTrunks+` WHERE code = $1 FOR UPDATE`, code); err != nil {
			return err
		}
		change(&t)
		t.Code = code
		t = t.withDefaults()
		if err := complete(ctx, tx, &t); err != nil {
			return err
		}
		_, err := tx.NamedExecContext(ctx, `
			UPDATE trunk SET carrier = :carrier, address = :address, transport = :transport, username = :username,
				password = :password, register = :register, channels = :channels, cps = :cps, prefix = :prefix,
				strip = :strip, enabled = :enabled, priority = :priority, weight = :weight, deck = :deck, asset = NULLIF(:asset, ''), tls_ca = :tls_ca,
				tls_name = :tls_name, probe_seconds = :probe_seconds, rewrite = :rewrite, codecs = :codecs, caller_id = :caller_id,
				caller_number = :caller_number, trusted = :trusted, hours = :hours, zone = :zone, minutes_day = :minutes_day,
				minutes_month = :minutes_month, spend_day = :spend_day, spend_month = :spend_month, prepaid = :prepaid,
				prepaid_floor = :prepaid_floor, prepaid_at = :prepaid_at, failover = :failover, ring_seconds = :ring_seconds
			WHERE code = :code`, t)
		return err
	})
	if err != nil {
		return Trunk{}, fmt.Errorf("set trunk %q: %w", code, err)
	}
	return t, nil
}

// complete gives the hours of a trunk a zone, the commune's, if they have none, and checks the trunk.
func complete(ctx context.Context, tx *sqlx.Tx, t *Trunk) error {
	if t.Hours != "" && t.Zone == "" {
		if err := tx.GetContext(ctx, &t.Zone, `SELECT zone FROM commune`); err != nil {
			return err
		}
	}
	return t.check()
}

// RemoveTrunk takes a trunk away, or returns ErrNotFound. Calls keep its code as text and their rates with them; its
// decks stay for the record, and would count again for a new trunk of the same code.
func (s *Store) RemoveTrunk(ctx context.Context, code string) error {
	result, err := postgres.Exec(ctx, s.db, `DELETE FROM trunk WHERE code = $1`, code)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && n == 0 {
			err = ErrNotFound
		}
	}
	if err != nil {
		return fmt.Errorf("remove trunk %q: %w", code, err)
	}
	return nil
}

func get(ctx context.Context, q sqlx.QueryerContext, into *Trunk, query, code string) error {
	err := sqlx.GetContext(ctx, q, into, query, code)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
