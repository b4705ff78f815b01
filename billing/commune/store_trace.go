package commune

import (
	"context"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// places are the figures that entries belong to, by the keys of the entries.
type places map[string][]*[]int

func (p places) add(key string, figure *[]int) { p[key] = append(p[key], figure) }

// trace finds the entries that the figures of a month come from. They are known by the keys that they were posted under.
func (m *MemberMonth) trace(ctx context.Context, tx *sqlx.Tx, series map[string]string) error {
	keys := places{}
	closed := "close:" + string(m.Period) + ":"
	keys.add("close:"+string(m.Period.Previous())+":dividends", &m.From.Brought)
	keys.add(closed+"levy", &m.From.Levy)
	keys.add(closed+"dividends", &m.From.Dividend)
	for i := range m.Payouts {
		keys.add(m.Payouts[i].Key+":1", &m.Payouts[i].From)
	}
	assets := map[string]*AssetMonth{}
	for i := range m.Assets {
		a := &m.Assets[i]
		assets[a.Asset] = a
		keys.add(closed+"remainder:"+a.Asset, &a.From.ToPool)
		if s := series[a.Asset]; s != "" {
			keys.add(closed+"interest-paid:"+s, &a.From.InterestPaid)
			keys.add(closed+"redemption:"+s, &a.From.Redeemed)
		}
	}
	if err := m.traceRents(ctx, tx, keys, assets); err != nil {
		return err
	}
	if err := m.tracePool(ctx, tx, keys); err != nil {
		return err
	}
	return m.number(ctx, tx, keys)
}

// traceRents adds the rents of each asset and what settled them.
func (m *MemberMonth) traceRents(ctx context.Context, tx *sqlx.Tx, keys places, assets map[string]*AssetMonth) error {
	var rents []struct {
		Asset string `db:"asset"`
		Key   string `db:"key"`
		Paid  bool   `db:"paid"`
	}
	err := tx.SelectContext(ctx, &rents, `
		SELECT g.asset, 'close:' || p.month || ':rent:' || p.agreement AS key, false AS paid
		FROM rent_posting p JOIN agreement g ON g.code = p.agreement WHERE p.month = $1
		UNION ALL
		SELECT g.asset, s.key || ':' || k.n, true
		FROM rent_settlement s JOIN agreement g ON g.code = s.agreement CROSS JOIN LATERAL (VALUES ('1'), (s.agreement)) AS k (n)
		WHERE s.way <> 'written_off' AND s.day BETWEEN $2::date AND $3::date`, m.Period, string(m.Period.First()), string(m.Period.Last()))
	for _, r := range rents {
		a := assets[r.Asset]
		switch {
		case a == nil: // sold in an earlier month
		case r.Paid:
			keys.add(r.Key, &a.From.Collected)
		default:
			keys.add(r.Key, &a.From.Rent)
		}
	}
	return err
}

// tracePool adds what else moved the pool.
func (m *MemberMonth) tracePool(ctx context.Context, tx *sqlx.Tx, keys places) error {
	var moved []string
	err := tx.SelectContext(ctx, &moved, `
		SELECT e.key FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = 'COM' AND l.account = $3 AND e.business_date BETWEEN $1::date AND $2::date`,
		string(m.Period.First()), string(m.Period.Last()), pool)
	for _, key := range moved {
		switch {
		case keys[key] != nil: // the rest of a rent, the levy, the split
		case key == "close:"+string(m.Period)+":expenses":
			keys.add(key, &m.From.Expenses)
		default:
			keys.add(key, &m.From.Other)
		}
	}
	return err
}

// number reads the entries in their order, and gives each figure the numbers of its own.
func (m *MemberMonth) number(ctx context.Context, tx *sqlx.Tx, keys places) error {
	var rows []moved
	err := tx.SelectContext(ctx, &rows, `
		SELECT e.id::text AS entry, e.key, e.business_date AS date, e.text, l.account, sum(l.amount)::bigint AS amount
		FROM entry e JOIN (
		    SELECT entry_id, n, amount, CASE WHEN split_part(account, ':', 1) IN ('2000', '2100', '2110', '2200') AND account <> '2000:' || $2
		        THEN split_part(account, ':', 1) ELSE account END AS account
		    FROM line WHERE book = 'COM') AS l ON l.entry_id = e.id
		WHERE e.key = ANY ($1)
		GROUP BY e.id, l.account ORDER BY e.business_date, e.id, min(l.n)`, pq.Array(slices.Collect(maps.Keys(keys))), m.Member)
	m.Entries = []Source{}
	for _, r := range rows {
		n := len(m.Entries)
		if m.Entries = r.onto(m.Entries); len(m.Entries) == n {
			continue
		}
		for _, figure := range keys[r.Key] {
			*figure = append(*figure, n+1)
		}
	}
	return translate(err)
}
