package billing

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// endPauses are the waits between attempts to store the end of a call, before the spool takes over.
var endPauses = []time.Duration{50 * time.Millisecond, 500 * time.Millisecond}

// maxKept bounds what waits in memory while neither database nor spool take it.
const maxKept = 1 << 14

// Settle closes a call that has a hold: the delivered time is charged, the hold released, the entry posted, in one
// transaction. Repeating it changes nothing; another content is ErrConflict, an unknown call ErrNotFound. It does not
// end with ctx and does not fail for want of a database: after a few seconds the settlement goes to the spool, or with a
// full disk stays in memory, and Run stores it.
func (s *Service) Settle(ctx context.Context, st Settlement) error {
	return s.end(ctx, ending{Settlement: &st})
}

// Close records a call that has no hold. Repeating it changes nothing; another content is ErrConflict. Should the call
// have a hold after all, because the answer to Authorise got lost, it is released. Like Settle it can only be late.
func (s *Service) Close(ctx context.Context, c Closing) error {
	return s.end(ctx, ending{Closing: &c})
}

// ending is what closes a call: one of the two.
type ending struct {
	Settlement *Settlement `json:",omitempty"`
	Closing    *Closing    `json:",omitempty"`
}

func (e ending) call() CallID {
	if e.Settlement != nil {
		return e.Settlement.Call
	}
	return e.Closing.Call
}

// end stores the end of a call, in the database or where it is not lost until that is back.
func (s *Service) end(ctx context.Context, e ending) error {
	ctx = context.WithoutCancel(ctx)
	err := s.store(ctx, e)
	for _, pause := range endPauses {
		if !passing(err) {
			break
		}
		time.Sleep(pause)
		err = s.store(ctx, e)
	}
	if !passing(err) {
		return err
	}
	full := s.spool.put(e)
	if full == nil {
		s.log.Warn("end of a call spooled, the database is away", "call", e.call(), "err", err)
		return nil
	}
	line, _ := json.Marshal(e) //nolint:errcheck // it is for the log; what can't be written as JSON is not passing
	err = errors.Join(err, fmt.Errorf("spool call %s: %w", e.call(), full))
	if !s.keep(e) {
		s.log.Error("end of a call lost: database, spool and memory are full or away", "ending", string(line), "err", err)
		return err
	}
	s.log.Error("end of a call is in memory only: neither database nor spool took it", "ending", string(line), "err", err)
	return nil
}

// keep remembers the end of a call until Run has stored it, or is false when there is no room. Calls that money hangs on
// have half of the room to themselves.
func (s *Service) keep(e ending) bool {
	room := maxKept
	if e.Settlement == nil {
		room /= 2
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) >= room {
		return false
	}
	s.kept = append(s.kept, e)
	return true
}

// storeKept stores what is kept in memory: in the database, or in the spool when that has room again.
func (s *Service) storeKept(ctx context.Context) error {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	var away error
	for _, e := range kept {
		if away == nil {
			err := s.store(ctx, e)
			if !passing(err) {
				if err != nil {
					s.log.Error("end of a call refused", "call", e.call(), "err", err)
				}
				continue
			}
			away = err
		}
		if full := s.spool.put(e); full != nil {
			s.mu.Lock()
			s.kept = append(s.kept, e)
			s.mu.Unlock()
		}
	}
	return away
}

// store makes one attempt to write the end of a call into the database, bounded in time.
func (s *Service) store(ctx context.Context, e ending) error {
	_, err := inTime(ctx, s, func(ctx context.Context) (struct{}, error) {
		if e.Settlement != nil {
			return struct{}{}, s.settle(ctx, *e.Settlement)
		}
		return struct{}{}, s.close(ctx, *e.Closing)
	})
	return err
}

// passing tells whether a failed write may well succeed later: everything but a refusal for reasons in the data.
func passing(err error) bool {
	if err == nil || postgres.Constraint(err) != "" {
		return false
	}
	for _, final := range []error{
		ErrConflict, ErrNotFound, ErrInsufficientCredit, ErrBlocked, ErrCode, money.ErrRange, tariff.ErrRow,
		ledger.ErrAccount, ledger.ErrEntry, ledger.ErrUnbalanced, ledger.ErrHeld, errContent,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

var errContent = errors.New("a settlement that can't be written down")

func (s *Service) settle(ctx context.Context, st Settlement) error {
	hash, err := contentHash(st)
	if err == nil {
		err = s.tx(ctx, func(tx *sqlx.Tx) error { return s.settleTx(ctx, tx, st, hash) })
	}
	if err != nil {
		return fmt.Errorf("settle call %s: %w", st.Call, err)
	}
	return nil
}

func (s *Service) settleTx(ctx context.Context, tx *sqlx.Tx, st Settlement, hash []byte) error {
	h, err := lockHeld(ctx, tx, `h.call_id = $1`, st.Call)
	if errors.Is(err, sql.ErrNoRows) {
		return closedAs(ctx, tx, st.Call, hash)
	}
	if err != nil {
		return err
	}
	return s.finish(ctx, tx, h, st, hash)
}

// held is a call that runs, with its hold.
type held struct {
	Call       CallID         `db:"call_id"`
	Account    string         `db:"account"`
	Book       string         `db:"book"`
	Amount     money.Amount   `db:"amount"`
	CallLimit  int            `db:"call_limit"`
	AliveAt    time.Time      `db:"alive_at"`
	AnsweredMS sql.NullInt64  `db:"answered_ms"`
	Number     string         `db:"number"`
	VAT        tariff.Percent `db:"vat_percent"`
	Trunk      string         `db:"trunk"`
	Carrier    string         `db:"carrier"`
	Cost       stamp          `db:"carrier_rate"`
	quoted
}

// quoted is what a call was authorised at, and when it was answered as far as that is known.
type quoted struct {
	Rate       stamp        `db:"retail_rate"`
	Later      laterStamp   `db:"later_rates"`
	AnsweredAt sql.NullTime `db:"answered_at"`
}

func (q quoted) quote() tariff.Quote { return tariff.Quote{Row: tariff.Row(q.Rate), Later: q.Later} }

// lockHeld reads a call that runs and locks its hold, so that it is settled once. sql.ErrNoRows when there is none.
func lockHeld(ctx context.Context, tx *sqlx.Tx, where string, args ...any) (held, error) {
	var h held
	err := tx.GetContext(ctx, &h, `
		SELECT h.call_id, h.account, a.enterprise AS book, h.amount, h.call_limit, h.alive_at, h.answered_ms,
		    c.number, c.retail_rate, c.later_rates, c.vat_percent, c.trunk, c.carrier, c.carrier_rate, c.answered_at
		FROM hold h JOIN call c ON c.id = h.call_id JOIN account a ON a.code = h.account
		WHERE `+where+` FOR UPDATE OF h`, args...)
	return h, err
}

// finish charges a call whose hold is locked and closes it. The time delivered beyond what was held is the house's, so
// that the price is never more than the hold. The row in force at the answer prices it, and stays with it.
func (s *Service) finish(ctx context.Context, tx *sqlx.Tx, h held, st Settlement, hash []byte) error {
	if st.Ended.IsZero() {
		st.Ended = time.Now() // a call without an end must not keep its hold
	}
	rate := h.quote().At(st.AnsweredAt)
	seconds := AnsweredSeconds(st.Answered, rate.Affordable(h.Amount, h.CallLimit))
	charge, err := s.charge(rate, st, h.VAT, seconds)
	if err != nil {
		return err
	}
	// The hold goes first: balance - held may not fall below the limit even for a moment.
	if _, err := tx.ExecContext(ctx, `DELETE FROM hold WHERE call_id = $1`, h.Call); err != nil {
		return err
	}
	if _, err := ledger.Hold(ctx, tx, h.Book, CreditAccount(h.Account), -h.Amount); err != nil {
		return err
	}
	var entry *uuid.UUID
	if lines := CallLines(h.Book, h.Account, st.Trunk, st.Carrier, charge); len(lines) > 0 {
		id, err := ledger.Post(ctx, tx, ledger.Entry{
			Key: "call:" + h.Call.String(), Kind: "call", Actor: s.node, At: st.Ended, Late: true, Lines: lines,
			Text: fmt.Sprintf("Call %s to %s, trunk %s, %d s", h.Account, h.Number, st.Trunk, seconds),
		})
		if err != nil {
			return err
		}
		entry = &id
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE call SET trunk = $2, carrier = $3, carrier_rate = $4::jsonb, answered_at = $5, ended_at = $6,
		    answered_seconds = $7, billed_seconds = $8, price = $9, vat = $10, carrier_cost = $11, outcome = $12,
		    sip = $13, q850 = $14, entry_id = $15, content_hash = $16, retail_rate = $17::jsonb
		WHERE id = $1`, h.Call, st.Trunk, st.Carrier, stamp(st.Cost), instant(st.AnsweredAt), st.Ended, seconds,
		charge.Billed, charge.Price, charge.VAT, charge.Cost, st.Outcome, st.SIP, st.Q850, entry, hash, stamp(rate))
	return err
}

// charge prices a call that took place. One that nobody could cost is settled all the same, at no cost, and logged.
func (s *Service) charge(rate tariff.Row, st Settlement, vat tariff.Percent, seconds int) (Charge, error) {
	charge, err := PriceCall(rate, st.Cost, vat, seconds)
	if err == nil {
		return charge, nil
	}
	free := tariff.Row{IntervalFirst: 1, IntervalNext: 1, RoundingUnit: money.Micro, RoundingMode: money.HalfUp}
	charge, retailErr := PriceCall(rate, free, vat, seconds)
	if retailErr == nil && seconds > 0 {
		s.log.Error("carrier cost of a call is unknown", "call", st.Call, "carrier", st.Carrier, "err", err)
	}
	return charge, retailErr
}

// closedAs tells whether a call without hold was closed by the same content.
func closedAs(ctx context.Context, tx *sqlx.Tx, call CallID, hash []byte) error {
	var same bool
	err := tx.GetContext(ctx, &same, `SELECT COALESCE(content_hash = $2, false) FROM call WHERE id = $1`, call, hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case !same:
		return ErrConflict
	}
	return nil
}

func (s *Service) close(ctx context.Context, c Closing) error {
	hash, err := contentHash(c)
	if err == nil {
		err = s.tx(ctx, func(tx *sqlx.Tx) error { return s.closeTx(ctx, tx, c, hash) })
	}
	if err != nil {
		return fmt.Errorf("close call %s: %w", c.Call, err)
	}
	return nil
}

func (s *Service) closeTx(ctx context.Context, tx *sqlx.Tx, c Closing, hash []byte) error {
	var account *string
	if c.Account != "" {
		account = &c.Account
	}
	done, err := tx.ExecContext(ctx, `
		INSERT INTO call (id, access_call, node, provider, access_number, caller, account, number, started_at, ended_at,
		    outcome, sip, q850, content_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (id) DO NOTHING`, c.Call, c.AccessCall, s.node, c.Provider, c.AccessNumber, c.Caller, account,
		c.Number, c.Started, c.Ended, c.Outcome, c.SIP, c.Q850, hash)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	h, err := lockHeld(ctx, tx, `h.call_id = $1`, c.Call)
	if errors.Is(err, sql.ErrNoRows) {
		return closedAs(ctx, tx, c.Call, hash)
	}
	if err != nil {
		return err
	}
	return s.finish(ctx, tx, h, Settlement{Call: c.Call, Ended: c.Ended, Outcome: c.Outcome, SIP: c.SIP, Q850: c.Q850}, hash)
}

// contentHash tells two requests under one call id apart. JSON writes each field of them the same way every time, also
// after a stay in the spool.
func contentHash(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errContent, err)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}
