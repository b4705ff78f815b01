package commune

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Outcome is what the close of a month came to.
type Outcome struct {
	ledger.Outcome

	Figures Figures `json:"figures"`
}

// Close closes a month for the commune and its enterprises: rents, bonds, split, results, seal; whole or not at all, and
// once, however often and by however many programs it is asked for (I-18). With DryRun it only tells. What ledger.Close
// returns, ErrFunds, ErrState, ErrUnlet.
func (s *Store) Close(ctx context.Context, o ledger.Order) (Outcome, error) {
	var out Outcome
	o.Steps = []ledger.Step{
		func(ctx context.Context, c *ledger.Closing) (err error) {
			com := In(c.Tx, Book)
			if err := com.checkUsage(ctx, c.Period); err != nil {
				return err
			}
			out.Figures, err = com.Close(ctx, c)
			return err
		},
		ledger.EnterpriseResults,
	}
	var err error
	if out.Outcome, err = ledger.Close(ctx, s.db, o); err != nil {
		return Outcome{}, err
	}
	if out.State == ledger.Closed {
		out.Figures, err = s.Figures(ctx, o.Period)
	}
	return out, err
}

// Figures gives what a closed month came to; nothing for one that was closed before there was a commune.
func (s *Store) Figures(ctx context.Context, p ledger.Period) (f Figures, err error) {
	var text []byte
	err = s.db.GetContext(ctx, &text, `SELECT figures FROM distribution WHERE month = $1`, p)
	if errors.Is(err, sql.ErrNoRows) {
		return Figures{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

// Close is the commune's part of a close.
func (c *Commune) Close(ctx context.Context, closing *ledger.Closing) (Figures, error) {
	closing.Say("reading rents, use and members")
	s, err := c.situation(ctx, closing.Period)
	if err != nil {
		return Figures{}, fmt.Errorf("the commune's part: %w", err)
	}
	result, err := Close(s)
	if err != nil {
		return Figures{}, fmt.Errorf("the commune's part: %w", err)
	}
	closing.Say(fmt.Sprintf("posting %d entries", len(result.Entries)))
	for _, d := range result.Entries {
		if err := closing.Post(ctx, d.Key, d.Kind, d.Text, d.Lines); err != nil {
			return Figures{}, err
		}
	}
	return result.Figures, c.store(ctx, closing, s, result)
}

// situation reads all that a close depends on.
func (c *Commune) situation(ctx context.Context, p ledger.Period) (s Situation, err error) {
	s = Situation{Period: p, Book: c.book}
	if s.Rented, err = c.rented(ctx, p); err != nil {
		return s, err
	}
	if s.Assets, err = c.owned(ctx, p, ""); err != nil {
		return s, err
	}
	err = c.tx.SelectContext(ctx, &s.Expenses, `
		SELECT e.amount, e.text FROM mutual_expense e JOIN act a ON a.key = e.key WHERE e.day BETWEEN $1::date AND $2::date ORDER BY a.n`,
		string(p.First()), string(p.Last()))
	if err != nil {
		return s, err
	}
	err = c.tx.GetContext(ctx, &s.Levy, `SELECT amount, bps FROM levy_vote WHERE month = $1 ORDER BY n DESC LIMIT 1`, p)
	if errors.Is(err, sql.ErrNoRows) {
		s.Levy.BPS, err = c.policy(ctx, StandingLevy, p.Last())
	}
	if err != nil {
		return s, err
	}
	if s.Members, err = c.memberDays(ctx, p); err != nil {
		return s, err
	}
	if s.Balances, err = c.balances(ctx, p.Last()); err != nil {
		return s, err
	}
	s.Banks = map[string]money.Amount{}
	for _, g := range s.Rented {
		if _, read := s.Banks[g.Enterprise]; g.Order != nil && g.Enterprise != "" && !read {
			if s.Banks[g.Enterprise], err = c.balance(ctx, g.Enterprise, bank); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// checkUsage refuses a month in which an asset was used that was not let to who used it: the call was not to blame, but
// somebody must say who pays (design.md 9.5).
func (c *Commune) checkUsage(ctx context.Context, p ledger.Period) error {
	var use struct {
		Asset string      `db:"asset"`
		Day   ledger.Date `db:"day"`
	}
	err := c.tx.GetContext(ctx, &use, `
		SELECT u.asset, u.day FROM asset_usage u
		WHERE u.day BETWEEN $1::date AND $2::date AND `+unlet+` ORDER BY u.day, u.asset LIMIT 1`, string(p.First()), string(p.Last()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("asset %s was used on %s and not let: %w", use.Asset, use.Day, ErrUnlet)
	}
	return err
}

// unlet is true of usage u that no agreement with its user covers, and that nobody waived.
const unlet = `NOT EXISTS (
    SELECT FROM agreement g WHERE g.asset = u.asset AND g.start_on <= u.day AND (g.end_on IS NULL OR g.end_on > u.day)
        AND (u.enterprise IS NULL OR g.enterprise = u.enterprise))
    AND NOT EXISTS (SELECT FROM usage_waiver w WHERE w.usage = u.key)`

// rented reads the agreements that have days in a month, with what was used on them and the orders to pay.
func (c *Commune) rented(ctx context.Context, p ledger.Period) ([]Rented, error) {
	var rows []struct {
		Rented

		Units  int64         `db:"units"`
		Amount sql.NullInt64 `db:"amount"`
		Netted sql.NullInt64 `db:"netted"`
	}
	err := c.tx.SelectContext(ctx, &rows, `
		SELECT g.code, g.asset, COALESCE(g.enterprise, '') AS enterprise, COALESCE(g.member, '') AS member, g.fixed, g.minimum,
		    g.rate, g.included, g.start_on, g.end_on, a.meter, o.amount, o.netted, COALESCE((
		        SELECT sum(u.units)::bigint FROM asset_usage u WHERE u.asset = g.asset AND (u.enterprise IS NULL OR u.enterprise = g.enterprise)
		            AND u.day >= GREATEST(g.start_on, $2::date) AND u.day < LEAST(COALESCE(g.end_on, $3::date), $3::date)), 0) AS units
		FROM agreement g JOIN asset a ON a.code = g.asset LEFT JOIN rent_order o ON o.agreement = g.code AND o.month = $1
		WHERE g.start_on < $3::date AND (g.end_on IS NULL OR g.end_on > GREATEST(g.start_on, $2::date))
		ORDER BY g.code COLLATE "C"`, p, string(p.First()), string(p.Next().First()))
	if err != nil {
		return nil, translate(err)
	}
	rented := make([]Rented, len(rows))
	for i, r := range rows {
		rented[i] = r.Rented
		rented[i].Units = r.Units
		if r.Amount.Valid {
			rented[i].Order = &Order{money.Amount(r.Amount.Int64), money.Amount(r.Netted.Int64)}
		}
	}
	return rented, nil
}

// owned reads the assets that the commune has in a month and those that it has money for, or one of them.
func (c *Commune) owned(ctx context.Context, p ledger.Period, asset string) ([]Owned, error) {
	var rows []struct {
		Asset

		Agreements pq.StringArray `db:"agreements"`
		Collected  money.Amount   `db:"collected"`
	}
	err := c.tx.SelectContext(ctx, &rows, `
		SELECT a.code, a.kind, a.meter, a.cost, a.life_months, a.months_depreciated, a.acquired_on, a.liquidated_on,
		    ARRAY(SELECT g.code::text FROM agreement g WHERE g.asset = a.code ORDER BY g.start_on, g.code) AS agreements,
		    COALESCE((SELECT sum(s.amount)::bigint FROM rent_settlement s JOIN agreement g ON g.code = s.agreement
		        WHERE g.asset = a.code AND s.way <> 'written_off' AND s.day BETWEEN $1::date AND $2::date), 0) AS collected
		FROM asset a WHERE a.liquidated_on IS NULL AND a.acquired_on <= $2::date AND ($3 = '' OR a.code = $3)
		UNION ALL
		SELECT r.asset, r.kind, r.meter, r.price, r.life_months, 0, NULL, NULL, '{}', 0
		FROM asset_request r WHERE r.state = 'funded' AND ($3 = '' OR r.asset = $3)
		ORDER BY 1`, string(p.First()), string(p.Last()), asset)
	if err != nil {
		return nil, translate(err)
	}
	codes := make([]string, len(rows))
	owned := make([]Owned, len(rows))
	at := map[string]int{}
	for i, r := range rows {
		codes[i], at[r.Code] = r.Code, i
		owned[i] = Owned{Asset: r.Asset, Agreements: r.Agreements, Collected: r.Collected}
	}
	bonds, err := c.bonds(ctx, codes...)
	for _, b := range bonds {
		owned[at[b.Asset]].Bonds = append(owned[at[b.Asset]].Bonds, b)
	}
	return owned, err
}

// store writes down what a close came to.
func (c *Commune) store(ctx context.Context, closing *ledger.Closing, s Situation, r Result) error {
	p := closing.Period
	figures, err := json.Marshal(r.Figures)
	if err != nil {
		return err
	}
	if _, err := c.tx.ExecContext(ctx, `INSERT INTO distribution (month, figures) VALUES ($1, $2)`, p, string(figures)); err != nil {
		return err
	}
	for _, g := range r.Rents {
		_, err := c.tx.ExecContext(ctx, `INSERT INTO rent_posting (agreement, month, days, units, amount) VALUES ($1, $2, $3, $4, $5)`,
			g.Agreement, p, g.Days, g.Units, g.Amount)
		if err != nil {
			return err
		}
	}
	for _, g := range r.Paid {
		_, err := c.tx.ExecContext(ctx, `
			INSERT INTO rent_settlement (key, agreement, month, day, amount, way) VALUES ($1, $2, $3, $4::date, $5, 'paid')`,
			closing.Keys+"rent-paid", g.Agreement, p, string(p.Last()), g.Amount)
		if err != nil {
			return err
		}
	}
	if _, err := c.tx.ExecContext(ctx, `DELETE FROM rent_order WHERE month = $1`, p); err != nil {
		return err
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE asset SET months_depreciated = months_depreciated + 1 WHERE code = ANY ($1)`, pq.Array(r.Worn))
	if err != nil {
		return err
	}
	members, days, amounts := make([]string, len(s.Members)), make([]int64, len(s.Members)), make([]int64, len(s.Members))
	for i, m := range s.Members {
		members[i], days[i], amounts[i] = m.Member, int64(m.Days), int64(r.Figures.Dividends[m.Member])
	}
	_, err = c.tx.ExecContext(ctx, `
		INSERT INTO dividend (month, member, days, amount)
		SELECT $1, d.member, d.days, d.amount FROM unnest($2::text[], $3::integer[], $4::bigint[]) AS d (member, days, amount)`,
		p, pq.Array(members), pq.Array(days), pq.Array(amounts))
	return err
}
