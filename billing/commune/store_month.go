package commune

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// MemberMonth tells a member what a month came to, or would if it were closed now. ErrUnknown; ErrState for a month that
// has not begun, or is from before there was a commune.
func (s *Store) MemberMonth(ctx context.Context, member string, p ledger.Period, now time.Time) (MemberMonth, error) {
	m := MemberMonth{Member: member, Period: p}
	if err := s.look(ctx, func(tx *sqlx.Tx) error { return m.read(ctx, tx, now) }); err != nil {
		return MemberMonth{}, fmt.Errorf("month %s of %.40q: %w", p, member, err)
	}
	return m, nil
}

// MonthsOf gives the month of each member who has named a caller's account as his; none for a month that has not begun, or
// is from before there was a commune.
func (s *Store) MonthsOf(ctx context.Context, account string, p ledger.Period, now time.Time) ([]MemberMonth, error) {
	var members []string
	if err := s.db.SelectContext(ctx, &members, `SELECT code FROM member WHERE account = $1 ORDER BY code COLLATE "C"`, account); err != nil {
		return nil, fmt.Errorf("members with the account %.40q: %w", account, err)
	}
	var months []MemberMonth
	for _, code := range members {
		m, err := s.MemberMonth(ctx, code, p, now)
		switch {
		case err == nil:
			months = append(months, m)
		case !errors.Is(err, ErrState):
			return nil, err
		}
	}
	return months, nil
}

func (m *MemberMonth) read(ctx context.Context, tx *sqlx.Tx, now time.Time) error {
	c := In(tx, Book)
	who, err := one[struct {
		Name     string         `db:"name"`
		Currency money.Currency `db:"currency"`
		Zone     string         `db:"zone"`
		Payable  money.Amount   `db:"payable"`
	}](ctx, c, "member", m.Member, `
		SELECT m.name, c.currency, c.zone,
		    COALESCE((SELECT -sum(amount)::bigint FROM line WHERE book = 'COM' AND account = '2000:' || m.code), 0) AS payable
		FROM member m CROSS JOIN commune c WHERE m.code = $1`)
	if err != nil {
		return err
	}
	m.Name, m.Currency, m.Payable = who.Name, who.Currency, who.Payable
	zone, err := time.LoadLocation(who.Zone)
	if err != nil {
		return err
	}
	open, err := ledger.OpenPeriod(ctx, tx, now)
	if err != nil {
		return err
	}
	m.State = ledger.Closed
	if m.Period >= open {
		if m.Period > max(open, ledger.PeriodOf(ledger.DateOf(now, zone))) {
			return fmt.Errorf("it has not begun: %w", ErrState)
		}
		asOf := now.In(zone).Truncate(time.Second)
		m.State, m.AsOf = ledger.Open, &asOf
	}
	known, err := m.known(ctx, c, open)
	if err != nil {
		return err
	}
	return m.trace(ctx, tx, known)
}

// known reads what is known of the month: what its close came to, or would.
func (m *MemberMonth) known(ctx context.Context, c *Commune, open ledger.Period) (series map[string]string, err error) {
	var f Figures
	if m.State == ledger.Closed {
		if f, err = c.distributed(ctx, m.Period); err != nil {
			return nil, err
		}
		if f.Dividends == nil {
			return nil, fmt.Errorf("there was no commune yet: %w", ErrState)
		}
		if err := m.readShare(ctx, c.tx); err != nil {
			return nil, err
		}
	}
	if err := m.readAssets(ctx, c.tx); err != nil {
		return nil, err
	}
	if m.State == ledger.Open {
		if f, err = m.foresee(ctx, c, open); err != nil {
			return nil, err
		}
	}
	before, err := c.distributed(ctx, m.Period.Previous())
	if err != nil {
		return nil, err
	}
	m.Brought = before.Carry
	m.sum(f)
	if series, err = m.serve(ctx, c.tx, f); err != nil {
		return nil, err
	}
	return series, m.readPayouts(ctx, c.tx)
}

// distributed gives what a closed month came to; the zero value when there was nothing to divide.
func (c *Commune) distributed(ctx context.Context, p ledger.Period) (f Figures, err error) {
	var text []byte
	err = c.tx.GetContext(ctx, &text, `SELECT figures FROM distribution WHERE month = $1`, p)
	if errors.Is(err, sql.ErrNoRows) {
		return Figures{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

// foresee works out what a close would come to now. It decides as a close does, and posts nothing.
func (m *MemberMonth) foresee(ctx context.Context, c *Commune, open ledger.Period) (Figures, error) {
	s, err := c.situation(ctx, m.Period)
	if err != nil {
		return Figures{}, err
	}
	for _, d := range s.Members {
		m.Members, m.AllDays = m.Members+1, m.AllDays+d.Days
		if d.Member == m.Member {
			m.Days = d.Days
		}
	}
	rented, asset := s.Rented, map[string]*AssetMonth{}
	for i := range m.Assets {
		asset[m.Assets[i].Asset] = &m.Assets[i]
	}
	of := map[string]*AssetMonth{}
	for _, g := range rented {
		if a := asset[g.Asset]; a != nil {
			rent, err := g.Rent(g.Meter, Part{g.Days(m.Period), daysIn(m.Period, "", "")}, g.Units)
			if err != nil {
				return Figures{}, err
			}
			of[g.Code], a.Units, a.Rent = a, a.Units+g.Units, a.Rent+rent
		}
	}
	if m.Period > open {
		m.WaitsFor = open
		return Figures{}, nil
	}
	var r Result
	if err = c.checkUsage(ctx, m.Period); err == nil {
		r, err = Close(s)
	}
	if errors.Is(err, ErrUnlet) || errors.Is(err, ErrFunds) || errors.Is(err, ErrState) {
		m.Refused = err.Error()
		return Figures{}, nil
	}
	for _, p := range r.Paid {
		if a := of[p.Agreement]; a != nil {
			a.Collected += p.Amount
		}
	}
	return r.Figures, err
}

// sum tells how the pool came about.
func (m *MemberMonth) sum(f Figures) {
	if m.unknown() {
		return
	}
	m.Expenses, m.Levy, m.Pool, m.Carry = f.MutualExpenses, f.Levy, f.Pool, f.Carry
	for _, amount := range f.Remainder {
		m.Rents += amount
	}
	for _, amount := range f.Dividends {
		m.Shared += amount
	}
	m.Dividend = f.Dividends[m.Member]
	m.Other = m.Pool - (m.Brought + m.Rents - m.Expenses - m.Levy)
}

func (m *MemberMonth) readShare(ctx context.Context, tx *sqlx.Tx) error {
	return tx.QueryRowxContext(ctx, `
		SELECT COALESCE(sum(days) FILTER (WHERE member = $2), 0), COALESCE(sum(days), 0), count(*) FROM dividend WHERE month = $1`,
		m.Period, m.Member).Scan(&m.Days, &m.AllDays, &m.Members)
}

func (m *MemberMonth) readPayouts(ctx context.Context, tx *sqlx.Tx) error {
	m.Payouts = []Payout{}
	return tx.SelectContext(ctx, &m.Payouts, `
		SELECT key, day, way, COALESCE(account, '') AS account, amount FROM payout
		WHERE member = $1 AND day BETWEEN $2::date AND $3::date ORDER BY day, key`, m.Member, string(m.Period.First()), string(m.Period.Last()))
}

// readAssets reads what each asset earned.
func (m *MemberMonth) readAssets(ctx context.Context, tx *sqlx.Tx) error {
	m.Assets = []AssetMonth{}
	err := tx.SelectContext(ctx, &m.Assets, `
		SELECT a.code AS asset, a.kind, a.meter, COALESCE(sum(p.units), 0)::bigint AS units, COALESCE(sum(p.amount), 0)::bigint AS rent,
		    COALESCE((SELECT sum(s.amount) FROM rent_settlement s JOIN agreement x ON x.code = s.agreement
		        WHERE x.asset = a.code AND s.way <> 'written_off' AND s.day BETWEEN $2::date AND $3::date), 0)::bigint AS collected
		FROM asset a LEFT JOIN agreement g ON g.asset = a.code LEFT JOIN rent_posting p ON p.agreement = g.code AND p.month = $1
		WHERE a.acquired_on <= $3::date AND (a.liquidated_on IS NULL OR a.liquidated_on >= $2::date)
		GROUP BY a.code ORDER BY a.code COLLATE "C"`, m.Period, string(m.Period.First()), string(m.Period.Last()))
	return translate(err)
}

// serve tells what of each asset's rent served its bonds and what went to the pool, and gives the series by asset.
func (m *MemberMonth) serve(ctx context.Context, tx *sqlx.Tx, f Figures) (map[string]string, error) {
	var bought []struct {
		Code  string `db:"code"`
		Asset string `db:"asset"`
	}
	if err := tx.SelectContext(ctx, &bought, `SELECT code, asset FROM series WHERE cleared`); err != nil {
		return nil, err
	}
	series := map[string]string{}
	for _, s := range bought {
		series[s.Asset] = s.Code
	}
	for i := range m.Assets {
		a := &m.Assets[i]
		a.InterestPaid, a.Redeemed, a.ToPool = f.InterestPaid[series[a.Asset]], f.Redeemed[series[a.Asset]], f.Remainder[a.Asset]
	}
	return series, nil
}
