package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/lib/pq"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

const (
	// patience is how long a caller waits for the database before the call is refused (design.md 4).
	patience = 2 * time.Second
	// maxDoubted bounds the calls in doubt; those beyond are released after the next start.
	maxDoubted = 1 << 16
)

// Authorise opens the call and sets money aside: the price of CallLimit seconds, or less when the free credit is less or
// the account's limits leave less. Repeating it with the same call gives the same hold, with another request ErrConflict.
// ErrInsufficientCredit when the free credit does not buy the first second that costs, ErrSpendLimit when the limits
// don't, ErrTooManyCalls, ErrTooDear, ErrCountryBarred, ErrBlocked, ErrNotFound, ErrFenced; a call that is refused leaves
// nothing. It answers within two seconds. When the database fails to answer, the hold may stand all the same: then Run releases it,
// as soon as the database has answered after all.
func (s *Service) Authorise(ctx context.Context, r Request) (Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	late := func(_ Hold, err error) {
		if err == nil {
			s.doubt(r.Call)
		}
	}
	hold, err := postgres.Await(ctx, &s.guard, func(ctx context.Context) (Hold, error) { return s.authorise(ctx, r) }, late)
	if err != nil {
		return Hold{}, fmt.Errorf("authorise call %s of %s: %w", r.Call, r.Account, err)
	}
	return hold, nil
}

func (s *Service) authorise(ctx context.Context, r Request) (Hold, error) {
	if r.CallLimit < 1 {
		return Hold{}, ErrCallLimit
	}
	quote := r.quote()
	most, err := quote.Price(r.CallLimit)
	if err != nil {
		return Hold{}, err
	}
	least, err := quote.Price(min(quote.FirstPaidSecond(), r.CallLimit))
	if err != nil {
		return Hold{}, err
	}
	hold, err := s.hold(ctx, r, most, least)
	if full(err) && s.settlements.Flush(ctx) { // a call that is over may still hold what this one needs
		hold, err = s.hold(ctx, r, most, least)
	}
	if doubtful(err) && ctx.Err() == nil {
		hold, err = s.hold(ctx, r, most, least) // the same call id: finds what was stored
	}
	if doubtful(err) {
		s.doubt(r.Call)
	}
	return hold, translate(err)
}

// full tells whether a hold was refused for what other calls of the account have.
func full(err error) bool {
	return errors.Is(err, ErrInsufficientCredit) || errors.Is(err, ErrTooManyCalls) || errors.Is(err, ErrSpendLimit)
}

// spendable is what a call may spend by the limits of its account, of which l is a row with its balance locked; NULL when
// there are none. All that running calls hold counts as spent: they may yet be charged it.
const spendable = `LEAST(
    CASE WHEN l.max_per_hour IS NOT NULL THEN GREATEST(0, l.max_per_hour - l.held - charged(l.code, '1 hour')) END,
    CASE WHEN l.max_per_day IS NOT NULL THEN GREATEST(0, l.max_per_day - l.held - charged(l.code, '1 day')) END)`

// refusals are what hold says when it books nothing.
var refusals = map[string]error{
	"used": ErrConflict, "blocked": ErrBlocked, "country": ErrCountryBarred, "rate": ErrTooDear, "calls": ErrTooManyCalls,
	"credit": ErrInsufficientCredit, "spent": ErrSpendLimit,
}

var holdCreditSQL = postgres.Prepared(`
	WITH locked AS MATERIALIZED (
	    SELECT a.code, a.blocked OR e.state <> 'active' AS blocked, a.max_calls, a.max_rate, a.max_per_hour, a.max_per_day,
	        a.countries, b.book, b.account, b.held, b.balance - b.held + b.credit_limit AS free
	    FROM account a JOIN enterprise e ON e.code = a.enterprise
	        JOIN balance b ON b.book = a.enterprise AND b.account = '2100:' || a.code
	    WHERE (SELECT newest_run($6, $15)) AND a.code = $1
	    FOR UPDATE OF b
	), limited AS MATERIALIZED (
	    SELECT l.code, l.book, l.account, l.free, ` + spendable + ` AS spendable,
	        CASE WHEN EXISTS (SELECT FROM call WHERE id = $4) THEN 'used'
	            WHEN l.blocked THEN 'blocked'
	            WHEN $17 <> ALL (l.countries) THEN 'country'
	            WHEN $18 > l.max_rate THEN 'rate'
	            WHEN l.max_calls IS NOT NULL AND l.max_calls <= calls_at_once(l.code) THEN 'calls'
	            WHEN l.free < $3 THEN 'credit'
	            ELSE '' END AS refused
	    FROM locked l
	), decided AS MATERIALIZED (
	    SELECT code, book, account, LEAST(free, spendable, $2::bigint) AS amount,
	        COALESCE(spendable < LEAST(free, $2), false) AS spend_limited,
	        CASE WHEN refused = '' AND spendable < $3 THEN 'spent' ELSE refused END AS refused
	    FROM limited
	), held AS (
	    UPDATE balance SET held = balance.held + d.amount
	    FROM decided d WHERE d.refused = '' AND balance.book = d.book AND balance.account = d.account
	), opened AS (
	    INSERT INTO call (id, access_call, node, provider, access_number, caller, account, number, retail_rate,
	        vat_percent, started_at, later_rates, access_leg)
	    SELECT $4, $5, $6, $7, $8, $9, code, $10, $11::jsonb, $12, $13, $16::jsonb, $19::jsonb FROM decided WHERE refused = ''
	), booked AS (
	    INSERT INTO hold (call_id, account, amount, call_limit, node, boot, spend_limited)
	    SELECT $4, code, amount, $14, $6, $15, spend_limited FROM decided WHERE refused = ''
	)
	SELECT amount, spend_limited, refused FROM decided`)

// hold is Authorise in one statement. The balance row is locked before it is read: under READ COMMITTED a statement that
// waited for the lock sees the newest row, so two calls at once never hold the same credit. What the limits need to know
// of other calls is asked of functions that look when the row is locked, for the same reason. It writes to the ledger's
// balance table from here because hold, call and balance must change together in one round trip.
func (s *Service) hold(ctx context.Context, r Request, most, least money.Amount) (Hold, error) {
	var booked struct {
		Amount       money.Amount
		SpendLimited bool `db:"spend_limited"`
		Refused      string
	}
	perMinute, _ := r.quote().Told()
	err := s.db.GetContext(ctx, &booked, holdCreditSQL,
		r.Account, most, least, r.Call, r.AccessCall, s.node, r.Provider, r.AccessNumber, r.Caller, r.Number,
		stamp(r.Rate), r.VAT, r.Started, r.CallLimit, s.boot, laterStamp(r.Later), countryOf(r.Number), perMinute,
		accessStamp(r.Access))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.heldBefore(ctx, r, ErrNotFound)
	case postgres.Constraint(err) == "call_pkey":
		return s.heldBefore(ctx, r, ErrConflict)
	case err != nil:
		return Hold{}, err
	case booked.Refused != "":
		return s.heldBefore(ctx, r, refusals[booked.Refused])
	}
	return r.held(booked.Amount, booked.SpendLimited), nil
}

// held is the hold of a request.
func (r Request) held(amount money.Amount, spendLimited bool) Hold {
	return Hold{r.Call, r.Account, amount, r.quote().Affordable(amount, r.CallLimit), spendLimited}
}

// heldBefore gives back the hold of a request that was made before; a call of that id that is another request, or is over,
// is ErrConflict. Without such a call the request is refused for what the statement said.
func (s *Service) heldBefore(ctx context.Context, r Request, refused error) (Hold, error) {
	var before struct {
		Account      sql.NullString
		Number       string
		Amount       sql.Null[money.Amount]
		CallLimit    sql.NullInt64 `db:"call_limit"`
		SpendLimited sql.NullBool  `db:"spend_limited"`
	}
	err := s.db.GetContext(ctx, &before, `
		SELECT c.account, c.number, h.amount, h.call_limit, h.spend_limited
		FROM call c LEFT JOIN hold h ON h.call_id = c.id WHERE c.id = $1`, r.Call)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Hold{}, refused
	case err != nil:
		return Hold{}, err
	case before.Amount.Valid && before.Account.String == r.Account && before.Number == r.Number.String() &&
		before.CallLimit.Int64 == int64(r.CallLimit):
		return r.held(before.Amount.V, before.SpendLimited.Bool), nil
	}
	return Hold{}, ErrConflict
}

// Extend adds to a running call's hold what new credit and the account's limits an hour and a day allow, up to the price
// of its call limit, and returns the hold as it is then. Nothing new, or a blocked account, leaves it as it was; but once
// a sign of life has told when the call was answered, the seconds are those of the one row that prices it. ErrNotFound
// when the call has no hold, ErrFenced.
func (s *Service) Extend(ctx context.Context, call CallID) (Hold, error) {
	hold, err := inTime(ctx, s, func(ctx context.Context) (Hold, error) { return s.extend(ctx, call) })
	if err != nil {
		return Hold{}, fmt.Errorf("extend call %s: %w", call, err)
	}
	return hold, nil
}

func (s *Service) extend(ctx context.Context, call CallID) (Hold, error) {
	var h struct {
		Account      string
		Amount       money.Amount
		CallLimit    int  `db:"call_limit"`
		SpendLimited bool `db:"spend_limited"`
		quoted
	}
	err := s.db.GetContext(ctx, &h, `
		SELECT h.account, h.amount, h.call_limit, h.spend_limited, c.retail_rate, c.later_rates, c.access_leg, c.answered_at
		FROM hold h JOIN call c ON c.id = h.call_id WHERE h.call_id = $1`, call)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Hold{}, err
	}
	quote := h.quote()
	if h.AnsweredAt.Valid {
		quote = quote.Answered(h.AnsweredAt.Time)
	}
	most, err := quote.Price(h.CallLimit)
	if err != nil {
		return Hold{}, err
	}
	// Locks are taken as Settle takes them: the hold, then the balance.
	err = s.db.GetContext(ctx, &h, `
		WITH h AS MATERIALIZED (
		    SELECT call_id, account, amount FROM hold WHERE (SELECT newest_run($3, $4)) AND call_id = $1 FOR UPDATE
		), locked AS MATERIALIZED (
		    SELECT h.call_id, h.amount, a.code, a.max_per_hour, a.max_per_day, b.book, b.account, b.held,
		        b.balance - b.held + b.credit_limit AS free
		    FROM h JOIN account a ON a.code = h.account AND NOT a.blocked
		        JOIN balance b ON b.book = a.enterprise AND b.account = '2100:' || a.code
		    FOR UPDATE OF b
		), limited AS MATERIALIZED (
		    SELECT l.call_id, l.book, l.account, LEAST(l.free, $2 - l.amount) AS wanted, `+spendable+` AS spendable
		    FROM locked l
		), granted AS (
		    SELECT call_id, book, account, GREATEST(0, LEAST(wanted, spendable)) AS more,
		        COALESCE(spendable < wanted, false) AS spend_limited
		    FROM limited
		), held AS (
		    UPDATE balance SET held = balance.held + g.more
		    FROM granted g WHERE balance.book = g.book AND balance.account = g.account
		)
		UPDATE hold SET amount = hold.amount + g.more, spend_limited = g.spend_limited
		FROM granted g WHERE hold.call_id = g.call_id RETURNING hold.amount, hold.spend_limited`,
		call, most, s.node, s.boot)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Hold{}, translate(err)
	}
	return Hold{call, h.Account, h.Amount, quote.Affordable(h.Amount, h.CallLimit), h.SpendLimited}, nil
}

// Alive stores signs of life of running calls, all in one statement. The first sign after the answer also stamps the
// trunk and its rate on the call, so that it can be settled without its program. ErrFenced.
func (s *Service) Alive(ctx context.Context, signs []Sign) error {
	if len(signs) == 0 {
		return nil
	}
	n := len(signs)
	calls, trunks, carriers, rates := make([]string, n), make([]string, n), make([]string, n), make([]*string, n)
	answered, millis := make([]*string, n), make([]int64, n)
	for i, sign := range signs {
		calls[i], trunks[i], carriers[i], millis[i] = sign.Call.String(), sign.Trunk, sign.Carrier, -1
		if sign.AnsweredAt.IsZero() {
			continue
		}
		at := instant(sign.AnsweredAt).Format(time.RFC3339Nano)
		answered[i], millis[i] = &at, sign.Answered.Milliseconds()
		if row, err := stamp(sign.Cost).Value(); err != nil {
			return fmt.Errorf("sign of life of call %s: %w", sign.Call, err)
		} else if text, ok := row.(string); ok {
			rates[i] = &text
		}
	}
	// A call row is touched only after its hold, as Settle does it, and the holds are locked in its order.
	const store = `
		WITH sign AS MATERIALIZED (
		    SELECT call_id, trunk, carrier, rate, answered_at, answered_ms
		    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
		        AS s (call_id, trunk, carrier, rate, answered_at, answered_ms)
		), locked AS MATERIALIZED (
		    SELECT h.call_id, s.answered_ms FROM hold h JOIN sign s ON s.call_id = h.call_id
		    WHERE (SELECT newest_run($7, $8))
		    ORDER BY h.call_id FOR UPDATE OF h
		), alive AS (
		    UPDATE hold SET alive_at = now(), answered_ms = GREATEST(hold.answered_ms, NULLIF(l.answered_ms, -1))
		    FROM locked l WHERE hold.call_id = l.call_id
		    RETURNING hold.call_id
		)
		UPDATE call SET trunk = s.trunk, carrier = s.carrier, carrier_rate = s.rate::jsonb,
		    answered_at = s.answered_at::timestamptz
		FROM alive JOIN sign s ON s.call_id = alive.call_id
		WHERE call.id = alive.call_id AND call.answered_at IS NULL AND s.answered_at IS NOT NULL`
	_, err := postgres.Await(ctx, &s.guard, func(ctx context.Context) (sql.Result, error) {
		return s.db.ExecContext(ctx, store,
			pq.Array(calls), pq.Array(trunks), pq.Array(carriers), pq.Array(rates), pq.Array(answered), pq.Array(millis),
			s.node, s.boot)
	}, nil)
	if err != nil {
		return fmt.Errorf("signs of life of %d calls: %w", n, translate(err))
	}
	return nil
}

// doubtful tells whether a failed write may have been stored all the same: neither we nor the server refused it, and the
// server was not out of reach.
func doubtful(err error) bool {
	if !passing(err) || errors.Is(err, postgres.ErrHangs) {
		return false
	}
	if refused := pq.As(err); refused != nil {
		return refused.Severity != "ERROR"
	}
	var network *net.OpError
	return !errors.As(err, &network) || network.Op != "dial"
}

// doubt remembers a call whose hold may stand although nobody was told.
func (s *Service) doubt(call CallID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.doubted) < maxDoubted {
		s.doubted = append(s.doubted, call)
	}
}
