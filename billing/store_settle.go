package billing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// endPauses are the waits between attempts to store the end of a call, before the spool takes over.
var endPauses = []time.Duration{50 * time.Millisecond, 500 * time.Millisecond}

// gather is how long the end of a call waits for others, to be stored with them: its caller has hung up, or hears so much
// more silence before the next prompt. A call whose program is killed meanwhile still has its hold.
const gather = 200 * time.Millisecond

// maxKept bounds what waits in memory while neither database nor spool take it.
const maxKept = 1 << 14

// Settle closes a call that has a hold: the delivered time is charged, the hold released, the entry posted, in one
// transaction. Repeating it changes nothing; another content is ErrConflict, an unknown call ErrNotFound. It does not
// end with ctx and does not fail for want of a database: after a few seconds the settlement goes to the spool, or with a
// full disk stays in memory, and Run stores it. The call may be of an earlier run of the node; ErrFenced when a newer one
// has begun.
func (s *Service) Settle(ctx context.Context, st Settlement) error {
	return s.end(ctx, ending{Settlement: &st})
}

// Close records a call that has no hold. Repeating it changes nothing; another content is ErrConflict. Should the call
// have a hold after all, because the answer to Authorise got lost, it is released. Like Settle it can only be late, or with
// a hold ErrFenced.
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
	err := s.storeTogether(ctx, e)
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
			if !waits(err) {
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

// storeTogether makes one attempt to store the end of a call, the paid ones of many calls in one transaction. Who has to
// try again does so by himself: it may be because of the others.
func (s *Service) storeTogether(ctx context.Context, e ending) error {
	if e.Settlement == nil {
		return s.store(ctx, e)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.settlements.Do(ctx, *e.Settlement)
	if err != nil {
		return fmt.Errorf("settle call %s: %w", e.call(), translate(err))
	}
	return nil
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
		ErrConflict, ErrNotFound, ErrFenced, ErrInsufficientCredit, ErrBlocked, ErrCode, money.ErrRange, tariff.ErrRow,
		ledger.ErrAccount, ledger.ErrEntry, ledger.ErrUnbalanced, ledger.ErrHeld, errContent,
		ErrNotOwed, ErrFunds, ErrOtherEnterprise, ErrVoucherExpired, ErrInvoiced, ErrVATDue, ErrExists, ErrWrongKey,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// waits tells whether the end of a call that could not be stored is kept: it may succeed later, or be another run's to
// store, the next one on this state folder.
func waits(err error) bool { return passing(err) || errors.Is(err, ErrFenced) }

var errContent = errors.New("a settlement that can't be written down")

func (s *Service) settle(ctx context.Context, st Settlement) error {
	err := s.tx(ctx, func(tx *sqlx.Tx) error {
		answers, err := s.settleAll(ctx, tx, []Settlement{st})
		if err != nil {
			return err
		}
		return answers[0].Err
	})
	if err != nil {
		return fmt.Errorf("settle call %s: %w", st.Call, err)
	}
	return nil
}

// settleAll settles calls, in as many statements for all as for one. A settlement of a call that has no hold is answered
// for itself; one that can't be stored is an error for all.
func (s *Service) settleAll(ctx context.Context, tx *sqlx.Tx, sts []Settlement) ([]postgres.Answer[struct{}], error) {
	calls := make([]string, len(sts))
	for i, st := range sts {
		calls[i] = st.Call.String()
	}
	running, err := s.lockHeld(ctx, tx, callsSQL, pq.Array(calls))
	if err != nil {
		return nil, err
	}
	holds := map[CallID]held{}
	for _, h := range running {
		holds[h.Call] = h
	}
	var ends, closed []end
	var asked []int // of closed: its index in sts
	for i, st := range sts {
		hash, err := contentHash(st)
		if err != nil {
			return nil, err
		}
		h, runs := holds[st.Call]
		if !runs { // or is in here twice
			closed, asked = append(closed, end{Settlement: st, hash: hash}), append(asked, i)
			continue
		}
		delete(holds, st.Call)
		ends = append(ends, end{st, h, hash})
	}
	if err := s.finish(ctx, tx, ends...); err != nil {
		return nil, err
	}
	answers := make([]postgres.Answer[struct{}], len(sts))
	refused, err := closedAs(ctx, tx, closed...)
	for k, why := range refused {
		answers[asked[k]].Err = why
	}
	return answers, err
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
	Provider   string         `db:"provider"`
	AccessTo   e164.Number    `db:"access_number"`
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
	Access     accessStamp  `db:"access_leg"`
	AnsweredAt sql.NullTime `db:"answered_at"`
}

func (q quoted) quote() tariff.Quote {
	return tariff.Quote{Row: tariff.Row(q.Rate), Later: q.Later, Access: q.Access.PassedOn}
}

// heldSQL reads calls that run and locks their holds, so that they are settled once, and by the newest run of this node
// ($1, $2). Whoever locks several does so in the order of the calls, and before any balance: two in different orders
// would wait for each other.
func heldSQL(where string) string {
	return postgres.Prepared(`
		SELECT h.call_id, h.account, a.enterprise AS book, h.amount, h.call_limit, h.alive_at, h.answered_ms,
		    c.number, c.provider, c.access_number, c.retail_rate, c.later_rates, c.access_leg, c.vat_percent, c.trunk,
		    c.carrier, c.carrier_rate, c.answered_at
		FROM hold h JOIN call c ON c.id = h.call_id JOIN account a ON a.code = h.account
		WHERE (SELECT newest_run($1, $2)) AND (` + where + `) ORDER BY h.call_id FOR UPDATE OF h`)
}

// The calls to lock; the subquery keeps the plan from depending on how many they are.
var callsSQL = heldSQL(`h.call_id = ANY ((SELECT $3::uuid[])::uuid[])`)

// lockHeld gives the calls of a heldSQL, whose own args begin at $3.
func (s *Service) lockHeld(ctx context.Context, tx *sqlx.Tx, query string, args ...any) ([]held, error) {
	var h []held
	err := tx.SelectContext(ctx, &h, query, append([]any{s.node, s.boot}, args...)...)
	return h, err
}

// end is a settlement, the hold that it ends, and the hash of what asked for it.
type end struct {
	Settlement

	held held
	hash []byte
}

// finish charges calls whose holds are locked and closes them. The time delivered beyond what was held is the house's, so
// that the price is never more than the hold. The row in force at the answer prices it, and stays with it.
func (s *Service) finish(ctx context.Context, tx *sqlx.Tx, ends ...end) error {
	if len(ends) == 0 {
		return nil
	}
	rows, changes := make([]closedCall, len(ends)), make([]ledger.Change, len(ends))
	var entries []ledger.Entry
	var posting []int // whose they are
	for i, e := range ends {
		if e.Ended.IsZero() {
			e.Ended = s.now() // a call without an end must not keep its hold
		}
		h, quote := e.held, e.held.quote().Answered(e.AnsweredAt)
		seconds := AnsweredSeconds(e.Answered, quote.Affordable(h.Amount, h.CallLimit))
		charge, err := s.charge(quote, e, seconds)
		if err != nil {
			return err
		}
		rows[i] = e.closed(quote.Row, seconds, charge)
		changes[i] = ledger.Change{Book: h.Book, Account: CreditAccount(h.Account), Held: -h.Amount}
		if lines := CallLines(h.Book, h.Account, e.Trunk, e.Carrier, charge); len(lines) > 0 {
			posting = append(posting, i)
			entries = append(entries, ledger.Entry{
				Key: "call:" + h.Call.String(), Kind: "call", Actor: s.node, At: e.Ended, Late: true, Lines: lines,
				Text: fmt.Sprintf("Call %s to %s, trunk %s, %d s", h.Account, h.Number, e.Trunk, seconds),
			})
		}
	}
	// What was held goes first: balance - held may not fall below the limit even for a moment.
	if err := ledger.Hold(ctx, tx, changes...); err != nil {
		return err
	}
	posted, err := ledger.PostAll(ctx, tx, entries)
	if err != nil {
		return err
	}
	for k, i := range posting {
		if posted[k].Err != nil {
			return posted[k].Err
		}
		rows[i].Entry = &posted[k].Value
	}
	if err := storeClosed(ctx, tx, callIDs(ends), rows); err != nil {
		return err
	}
	return meter(ctx, tx, ends, rows)
}

func callIDs(ends []end) []string {
	ids := make([]string, len(ends))
	for i, e := range ends {
		ids[i] = e.Call.String()
	}
	return ids
}

// closedCall is what a call came to, as storeClosed sends it; what is left out is NULL.
type closedCall struct {
	ID         CallID      `json:"id"`
	Trunk      string      `json:"trunk"`
	Carrier    string      `json:"carrier"`
	Cost       *tariff.Row `json:"carrier_rate,omitempty"`
	Rate       *tariff.Row `json:"retail_rate,omitempty"` // that priced it
	AnsweredAt *time.Time  `json:"answered_at,omitempty"`
	EndedAt    time.Time   `json:"ended_at"`
	Answered   int         `json:"answered_seconds"`
	Billed     int         `json:"billed_seconds"`
	Price      int64       `json:"price"`
	VAT        int64       `json:"vat"`
	CostAmount int64       `json:"carrier_cost"`
	AccessCost int64       `json:"access_cost"`
	AccessPaid int64       `json:"access_price"`
	AccessVAT  int64       `json:"access_vat"`
	Outcome    Outcome     `json:"outcome"`
	SIP        int         `json:"sip"`
	Q850       int         `json:"q850"`
	Entry      *uuid.UUID  `json:"entry_id,omitempty"`
	Hash       string      `json:"content_hash"`
}

func (e end) closed(rate tariff.Row, seconds int, charge Charge) closedCall {
	return closedCall{
		ID: e.Call, Trunk: e.Trunk, Carrier: e.Carrier, Cost: stamp(e.Cost).row(), Rate: stamp(rate).row(),
		AnsweredAt: instant(e.AnsweredAt), EndedAt: e.Ended, Answered: seconds, Billed: charge.Billed,
		Price: int64(charge.Price), VAT: int64(charge.VAT), CostAmount: int64(charge.Cost),
		AccessCost: int64(charge.Access.Cost), AccessPaid: int64(charge.Access.Price), AccessVAT: int64(charge.Access.VAT),
		Outcome: e.Outcome, SIP: e.SIP, Q850: e.Q850, Hash: fmt.Sprintf(`\x%x`, e.hash),
	}
}

// storeClosed writes down what calls came to, and ends their holds.
func storeClosed(ctx context.Context, tx *sqlx.Tx, calls []string, rows []closedCall) error {
	all, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("%w: %w", errContent, err)
	}
	_, err = tx.ExecContext(ctx, closedSQL, string(all), pq.Array(calls))
	return err
}

var closedSQL = postgres.Prepared(`
	WITH released AS (DELETE FROM hold WHERE call_id = ANY ((SELECT $2::uuid[])::uuid[]))
	UPDATE call SET trunk = r.trunk, carrier = r.carrier, carrier_rate = r.carrier_rate, retail_rate = r.retail_rate,
	    answered_at = r.answered_at, ended_at = r.ended_at, answered_seconds = r.answered_seconds,
	    billed_seconds = r.billed_seconds, price = r.price, vat = r.vat, carrier_cost = r.carrier_cost,
	    access_cost = r.access_cost, access_price = r.access_price, access_vat = r.access_vat,
	    outcome = r.outcome, sip = r.sip, q850 = r.q850, entry_id = r.entry_id, content_hash = r.content_hash
	FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, trunk text, carrier text, carrier_rate jsonb, retail_rate jsonb,
	    answered_at timestamptz, ended_at timestamptz, answered_seconds integer, billed_seconds integer, price bigint,
	    vat bigint, carrier_cost bigint, access_cost bigint, access_price bigint, access_vat bigint, outcome text, sip integer, q850 integer, entry_id uuid, content_hash bytea)
	WHERE call.id = r.id`)

// charge prices a call that took place. One that nobody could cost is settled all the same, at no cost, and logged.
func (s *Service) charge(quote tariff.Quote, e end, seconds int) (Charge, error) {
	vat := e.held.VAT
	charge, err := PriceCall(quote.Row, e.Cost, vat, seconds)
	if err != nil {
		free := tariff.Row{IntervalFirst: 1, IntervalNext: 1, RoundingUnit: money.Micro, RoundingMode: money.HalfUp}
		var retailErr error
		if charge, retailErr = PriceCall(quote.Row, free, vat, seconds); retailErr != nil {
			return Charge{}, retailErr
		}
		if seconds > 0 {
			s.log.Error("carrier cost of a call is unknown", "call", e.Call, "carrier", e.Carrier, "err", err)
		}
	}
	charge.Access = AccessCharge{Number: e.held.AccessTo, Provider: e.held.Provider}
	charge.Access.Cost = s.accessCost(e.Call, AccessLeg(e.held.Access), e.AccessTime)
	return charge, charge.access(quote, vat, seconds)
}

// accessCost is what a call bears of its access leg; what can't be reckoned is logged, and keeps no call from its end.
func (s *Service) accessCost(call CallID, leg AccessLeg, until time.Duration) money.Amount {
	cost, err := leg.cost(until)
	if err != nil {
		s.log.Error("access cost of a call is unknown", "call", call, "err", err)
	}
	return cost
}

// closedAs tells of each call without hold whether it was closed by the same content.
func closedAs(ctx context.Context, tx *sqlx.Tx, ends ...end) (refused []error, err error) {
	if len(ends) == 0 {
		return nil, nil
	}
	var calls []struct {
		ID   CallID `db:"id"`
		Hash []byte `db:"content_hash"`
	}
	err = tx.SelectContext(ctx, &calls, `SELECT id, content_hash FROM call WHERE id = ANY ($1)`, pq.Array(callIDs(ends)))
	if err != nil {
		return nil, err
	}
	hashes := map[CallID][]byte{}
	for _, c := range calls {
		hashes[c.ID] = c.Hash
	}
	refused = make([]error, len(ends))
	for i, e := range ends {
		switch hash, known := hashes[e.Call]; {
		case !known:
			refused[i] = ErrNotFound
		case !bytes.Equal(hash, e.hash):
			refused[i] = ErrConflict
		}
	}
	return refused, nil
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
