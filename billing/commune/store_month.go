package commune

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// MemberMonth tells a member what a closed month came to. ErrUnknown; ErrState for a month that is not closed, or was
// closed before there was a commune.
func (s *Store) MemberMonth(ctx context.Context, member string, p ledger.Period) (MemberMonth, error) {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return MemberMonth{}, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	m := MemberMonth{Member: member, Period: p}
	if err := m.read(ctx, tx); err != nil {
		return MemberMonth{}, fmt.Errorf("month %s of %.40q: %w", p, member, err)
	}
	return m, nil
}

func (m *MemberMonth) read(ctx context.Context, tx *sqlx.Tx) error {
	who, err := one[struct {
		Name     string         `db:"name"`
		Currency money.Currency `db:"currency"`
		Payable  money.Amount   `db:"payable"`
	}](ctx, In(tx, Book), "member", m.Member, `
		SELECT m.name, c.currency,
		    COALESCE((SELECT -sum(amount)::bigint FROM line WHERE book = 'COM' AND account = '2000:' || m.code), 0) AS payable
		FROM member m CROSS JOIN commune c WHERE m.code = $1`)
	if err != nil {
		return err
	}
	m.Name, m.Currency, m.Payable = who.Name, who.Currency, who.Payable
	var figures []struct {
		Month ledger.Period `db:"month"`
		Text  []byte        `db:"figures"`
	}
	err = tx.SelectContext(ctx, &figures, `SELECT month, figures FROM distribution WHERE month IN ($1, $2) ORDER BY month DESC`, m.Period, m.Period.Previous())
	if err != nil {
		return err
	}
	if len(figures) == 0 || figures[0].Month != m.Period {
		return fmt.Errorf("it is not closed: %w", ErrState)
	}
	var f, before Figures
	if err := json.Unmarshal(figures[0].Text, &f); err != nil {
		return err
	}
	if len(figures) > 1 {
		if err := json.Unmarshal(figures[1].Text, &before); err != nil {
			return err
		}
	}
	m.pool(f, before)
	if err := m.readShare(ctx, tx); err != nil {
		return err
	}
	return m.readAssets(ctx, tx, f)
}

// pool tells how the pool came about.
func (m *MemberMonth) pool(f, before Figures) {
	m.Brought, m.Expenses, m.Levy, m.Pool, m.Carry = before.Carry, f.MutualExpenses, f.Levy, f.Pool, f.Carry
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
	err := tx.QueryRowxContext(ctx, `
		SELECT COALESCE(sum(days) FILTER (WHERE member = $2), 0), COALESCE(sum(days), 0), count(*) FROM dividend WHERE month = $1`,
		m.Period, m.Member).Scan(&m.Days, &m.AllDays, &m.Members)
	if err != nil {
		return err
	}
	m.Payouts, m.Entries = []Payout{}, []Source{}
	err = tx.SelectContext(ctx, &m.Payouts, `
		SELECT day, way, COALESCE(account, '') AS account, amount FROM payout
		WHERE member = $1 AND day BETWEEN $2::date AND $3::date ORDER BY day`, m.Member, string(m.Period.First()), string(m.Period.Last()))
	if err != nil {
		return err
	}
	return tx.SelectContext(ctx, &m.Entries, `
		SELECT e.id::text AS entry, e.text FROM entry e
		WHERE e.key LIKE 'close:' || $1 || ':%' AND EXISTS (SELECT FROM line l WHERE l.entry_id = e.id AND l.book = 'COM')
		ORDER BY e.id`, m.Period)
}

// readAssets reads what each asset earned.
func (m *MemberMonth) readAssets(ctx context.Context, tx *sqlx.Tx, f Figures) error {
	var rows []struct {
		Asset     string       `db:"asset"`
		Kind      string       `db:"kind"`
		Units     int64        `db:"units"`
		Rent      money.Amount `db:"rent"`
		Collected money.Amount `db:"collected"`
	}
	err := tx.SelectContext(ctx, &rows, `
		SELECT a.code AS asset, a.kind, COALESCE(sum(p.units), 0)::bigint AS units, COALESCE(sum(p.amount), 0)::bigint AS rent,
		    COALESCE((SELECT sum(s.amount) FROM rent_settlement s JOIN agreement x ON x.code = s.agreement
		        WHERE x.asset = a.code AND s.way <> 'written_off' AND s.day BETWEEN $2::date AND $3::date), 0)::bigint AS collected
		FROM asset a LEFT JOIN agreement g ON g.asset = a.code LEFT JOIN rent_posting p ON p.agreement = g.code AND p.month = $1
		WHERE a.acquired_on <= $3::date AND (a.liquidated_on IS NULL OR a.liquidated_on >= $2::date)
		GROUP BY a.code ORDER BY a.code COLLATE "C"`, m.Period, string(m.Period.First()), string(m.Period.Last()))
	if err != nil {
		return translate(err)
	}
	series := map[string]string{}
	var bought []struct {
		Code  string `db:"code"`
		Asset string `db:"asset"`
	}
	if err := tx.SelectContext(ctx, &bought, `SELECT code, asset FROM series WHERE cleared`); err != nil {
		return err
	}
	for _, s := range bought {
		series[s.Asset] = s.Code
	}
	m.Assets = make([]AssetMonth, len(rows))
	for i, r := range rows {
		m.Assets[i] = AssetMonth{
			Asset: r.Asset, Kind: r.Kind, Units: r.Units, Rent: r.Rent, Collected: r.Collected,
			InterestPaid: f.InterestPaid[series[r.Asset]], Redeemed: f.Redeemed[series[r.Asset]], ToPool: f.Remainder[r.Asset],
		}
	}
	return nil
}
