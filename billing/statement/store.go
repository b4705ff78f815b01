package statement

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// Make makes the statement of an account for a month. A charged call belongs to the month in which its entry counts, any
// other to the month in which it ended; a call that still runs is on no statement. The account must exist, else
// billing.ErrNotFound; ErrBooks when tables and books differ.
func Make(ctx context.Context, db *sqlx.DB, account string, period Period, now time.Time) (Statement, error) {
	// All queries see one moment, or a call that ends between them would be in the balance and not on the list.
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Statement{}, fmt.Errorf("statement of %s: %w", account, err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	s, err := load(ctx, tx, account, period, now)
	if err != nil {
		return Statement{}, fmt.Errorf("statement of %.40q for %s: %w", account, period, err)
	}
	return s, nil
}

// Periods lists the months that an account has statements for, the newest first: the current one, or that in which calls
// count by now because the current one was closed before its end; back to the one in which it was opened, its first entry
// counts, or the member whose account it is joined the commune. billing.ErrNotFound.
func Periods(ctx context.Context, db *sqlx.DB, account string, now time.Time) ([]Period, error) {
	var first, open time.Time
	var name string
	err := db.QueryRowContext(ctx, `
		SELECT c.zone, c.open_from, LEAST((a.created_at AT TIME ZONE c.zone)::date, (
		    SELECT min(e.business_date) FROM line l JOIN entry e ON e.id = l.entry_id
		    WHERE l.book = a.enterprise AND l.account = $2), (
		    SELECT min(h.issued_on) FROM member m JOIN share h ON h.member = m.code WHERE m.account = a.code))
		FROM account a CROSS JOIN commune c
		WHERE a.code = $1`, account, billing.CreditAccount(account)).Scan(&name, &open, &first)
	if errors.Is(err, sql.ErrNoRows) {
		err = billing.ErrNotFound
	}
	var zone *time.Location
	if err == nil {
		zone, err = time.LoadLocation(name)
	}
	if err != nil {
		return nil, fmt.Errorf("statements of %.40q: %w", account, err)
	}
	newest := PeriodOf(now.In(zone))
	if next := PeriodOf(open); newest.Before(next) {
		newest = next
	}
	periods := []Period{newest}
	for p, oldest := periods[0], PeriodOf(first); oldest.Before(p); periods = append(periods, p) {
		p = p.Add(-1)
	}
	return periods, nil
}

func load(ctx context.Context, tx *sqlx.Tx, account string, period Period, now time.Time) (Statement, error) {
	s := Statement{Account: account, Period: period, Bookings: []Booking{}, Calls: []Call{}, Attempts: []Attempt{}}
	var book string
	var open time.Time
	err := tx.QueryRowContext(ctx, `
		SELECT a.name, a.enterprise, e.name, b.currency, c.zone, c.open_from
		FROM account a
		JOIN enterprise e ON e.code = a.enterprise
		JOIN book b ON b.code = a.enterprise
		CROSS JOIN commune c
		WHERE a.code = $1`, account).Scan(&s.Holder, &book, &s.Enterprise, &s.Currency, &s.Zone, &open)
	if errors.Is(err, sql.ErrNoRows) {
		return s, billing.ErrNotFound
	}
	if err != nil {
		return s, err
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return s, err
	}
	if now.Before(period.End(zone)) && open.Before(period.End(time.UTC)) { // a month that is closed early takes nothing more
		asOf := now.In(zone).Truncate(time.Second)
		s.AsOf = &asOf
	}
	days := span{zone, period.Begin(zone), period.End(zone)}
	if err := s.loadBalances(ctx, tx, book, days); err != nil {
		return s, err
	}
	if err := s.loadCalls(ctx, tx, days); err != nil {
		return s, err
	}
	if err := s.loadBookings(ctx, tx, book, days); err != nil {
		return s, err
	}
	return s, s.total()
}

// span is a period with its zone: instants for instants, days for business dates.
type span struct {
	zone     *time.Location
	from, to time.Time
}

func (d span) days() (from, to string) {
	return d.from.Format(time.DateOnly), d.to.Format(time.DateOnly)
}

func (s *Statement) loadBalances(ctx context.Context, tx *sqlx.Tx, book string, d span) error {
	from, to := d.days()
	return tx.QueryRowContext(ctx, `
		SELECT COALESCE(-sum(l.amount) FILTER (WHERE e.business_date < $3::date), 0)::bigint,
		    COALESCE(-sum(l.amount), 0)::bigint
		FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = $1 AND l.account = $2 AND e.business_date < $4::date`,
		book, billing.CreditAccount(s.Account), from, to).Scan(&s.Opening, &s.Closing)
}

// loadBookings reads what moved the balance in the month and is not one of its calls, which are there by now.
func (s *Statement) loadBookings(ctx context.Context, tx *sqlx.Tx, book string, d span) error {
	from, to := d.days()
	err := tx.SelectContext(ctx, &s.Bookings, `
		SELECT e.id, e.at, e.kind, e.text, -sum(l.amount)::bigint AS amount
		FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = $1 AND l.account = $2 AND e.business_date >= $3::date AND e.business_date < $4::date
		GROUP BY e.id
		ORDER BY e.at, e.id`, book, billing.CreditAccount(s.Account), from, to)
	if err != nil {
		return err
	}
	calls := make(map[uuid.UUID]bool, len(s.Calls))
	for _, c := range s.Calls {
		if c.Entry != nil {
			calls[*c.Entry] = true
		}
	}
	s.Bookings = slices.DeleteFunc(s.Bookings, func(b Booking) bool { return calls[b.Entry] })
	for i := range s.Bookings {
		s.Bookings[i].At = s.Bookings[i].At.In(d.zone)
	}
	return nil
}

// callRow is a call as it is stored.
type callRow struct {
	ID              billing.CallID  `db:"id"`
	StartedAt       time.Time       `db:"started_at"`
	AnsweredAt      *time.Time      `db:"answered_at"`
	Number          string          `db:"number"`
	Trunk           string          `db:"trunk"`
	RetailRate      []byte          `db:"retail_rate"`
	AnsweredSeconds int             `db:"answered_seconds"`
	BilledSeconds   int             `db:"billed_seconds"`
	Price           money.Amount    `db:"price"`
	VAT             money.Amount    `db:"vat"`
	CarrierCost     money.Amount    `db:"carrier_cost"`
	AccessLeg       []byte          `db:"access_leg"`
	AccessPrice     money.Amount    `db:"access_price"`
	AccessVAT       money.Amount    `db:"access_vat"`
	AccessCost      money.Amount    `db:"access_cost"`
	Provider        string          `db:"provider"`
	Outcome         billing.Outcome `db:"outcome"`
	Entry           *uuid.UUID      `db:"entry_id"`
}

func (s *Statement) loadCalls(ctx context.Context, tx *sqlx.Tx, d span) error {
	rates, err := loadRates(ctx, tx, d.zone)
	if err != nil {
		return err
	}
	firstDay, endDay := d.days()
	rows, err := tx.QueryxContext(ctx, `
		SELECT c.id, c.started_at, c.answered_at, c.number, c.trunk, c.retail_rate, c.answered_seconds, c.billed_seconds,
		    c.price, c.vat, c.carrier_cost, c.access_leg, c.access_price, c.access_vat, c.access_cost, c.provider, c.outcome,
		    c.entry_id
		FROM call c LEFT JOIN entry e ON e.id = c.entry_id
		WHERE c.account = $1 AND c.outcome <> 'served' AND CASE WHEN e.id IS NULL
		    THEN c.ended_at >= $2 AND c.ended_at < $3
		    ELSE e.business_date >= $4::date AND e.business_date < $5::date END
		ORDER BY c.started_at, c.id`, s.Account, d.from, d.to, firstDay, endDay)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row callRow
		if err := rows.StructScan(&row); err != nil {
			return err
		}
		rate, err := rates.read(row.RetailRate)
		if err != nil {
			return fmt.Errorf("call %s: retail rate: %w", row.ID, err)
		}
		access, err := row.passedOn()
		if err != nil {
			return fmt.Errorf("call %s: access leg: %w", row.ID, err)
		}
		s.add(row, rate, access, d.zone)
	}
	return rows.Err()
}

// passedOn is the row by which the caller paid for the access number; the zero row when the enterprise bore it.
func (r callRow) passedOn() (tariff.Row, error) {
	if r.AccessLeg == nil {
		return tariff.Row{}, nil
	}
	var leg billing.AccessLeg
	err := json.Unmarshal(r.AccessLeg, &leg)
	return leg.PassedOn, err
}

// add puts a call on its list: with the answered ones, or with those that nobody answered.
func (s *Statement) add(row callRow, rate rate, access tariff.Row, zone *time.Location) {
	started := row.StartedAt.In(zone)
	if row.AnsweredAt == nil && row.Price == 0 {
		s.Attempts = append(s.Attempts, Attempt{row.ID, started, row.Number, rate.Destination, row.Trunk, row.Outcome})
		return
	}
	call := Call{
		ID: row.ID, StartedAt: started, Number: row.Number, Destination: rate.Destination, Trunk: row.Trunk,
		Outcome: row.Outcome, Rate: rate.Row, RateFrom: rate.from,
		AnsweredSeconds: row.AnsweredSeconds, BilledSeconds: row.BilledSeconds, Entry: row.Entry,
	}
	if access == (tariff.Row{}) {
		call.Money = parts(row.Price, row.VAT, row.CarrierCost+row.AccessCost)
		s.Calls = append(s.Calls, call)
		return
	}
	call.Money = parts(row.Price-row.AccessPrice, row.VAT-row.AccessVAT, row.CarrierCost)
	s.Calls = append(s.Calls, call)
	call.Access, call.Destination, call.Trunk, call.Rate = true, access.Destination, row.Provider, access
	call.BilledSeconds, call.RateFrom = access.Billed(row.AnsweredSeconds), time.Time{}
	call.Money = parts(row.AccessPrice, row.AccessVAT, row.AccessCost)
	s.Calls = append(s.Calls, call)
}

// parts says where a price went. Cost and VAT are not negative, so that this can't overflow.
func parts(price, vat, cost money.Amount) Money { return Money{price, cost, vat, price - vat - cost} }

// rate is a row of a deck and when it came into force.
type rate struct {
	tariff.Row
	from time.Time
}

// rates reads the rows that are stamped on calls. Many calls bear the same.
type rates struct {
	zone   *time.Location
	active map[string]time.Time // when a version of a retail deck came into force, by name@version
	known  map[string]rate
}

func loadRates(ctx context.Context, tx *sqlx.Tx, zone *time.Location) (*rates, error) {
	var decks []struct {
		Deck string    `db:"deck"`
		From time.Time `db:"active_from"`
	}
	err := tx.SelectContext(ctx, &decks, `SELECT name || '@' || version AS deck, active_from FROM deck WHERE kind = 'retail' AND active_from IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	r := &rates{zone, map[string]time.Time{}, map[string]rate{}}
	for _, d := range decks {
		r.active[d.Deck] = d.From
	}
	return r, nil
}

func (r *rates) read(stamp []byte) (rate, error) {
	known, ok := r.known[string(stamp)]
	if ok || stamp == nil {
		return known, nil
	}
	var read rate
	if err := json.Unmarshal(stamp, &read.Row); err != nil {
		return rate{}, err
	}
	read.from = r.active[read.Deck]
	if read.EffectiveFrom.After(read.from) {
		read.from = read.EffectiveFrom
	}
	if !read.from.IsZero() {
		read.from = read.from.In(r.zone)
	}
	r.known[string(stamp)] = read
	return read, nil
}
