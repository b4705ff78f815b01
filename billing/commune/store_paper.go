package commune

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// HolderStatement makes the statement of a holder of bonds, or ErrUnknown.
func (s *Store) HolderStatement(ctx context.Context, holder string) (HolderStatement, error) {
	h := HolderStatement{Holder: holder, Moves: []Move{}}
	err := s.look(ctx, func(tx *sqlx.Tx) (err error) {
		if h.Holdings, err = holdings(ctx, tx, "", holder); err != nil {
			return err
		}
		if len(h.Holdings) == 0 {
			return ErrUnknown
		}
		if err := tx.GetContext(ctx, &h.Currency, `SELECT currency FROM commune`); err != nil {
			return err
		}
		accounts := make([]string, 0, 2*len(h.Holdings))
		for _, x := range h.Holdings {
			accounts = append(accounts, ofHolder("2100", x.Series, holder), ofHolder("2110", x.Series, holder))
		}
		return tx.SelectContext(ctx, &h.Moves, `
			SELECT e.business_date AS date, split_part(substr(l.account, 6), '/', 1) AS series, e.text, e.id::text AS entry,
			    COALESCE(-sum(l.amount) FILTER (WHERE l.account LIKE '2100:%'), 0)::bigint AS principal,
			    COALESCE(-sum(l.amount) FILTER (WHERE l.account LIKE '2110:%'), 0)::bigint AS interest
			FROM line l JOIN entry e ON e.id = l.entry_id WHERE l.book = 'COM' AND l.account = ANY ($1)
			GROUP BY e.id, 2 ORDER BY e.business_date, e.id, 2`, pq.Array(accounts))
	})
	if err != nil {
		return HolderStatement{}, fmt.Errorf("statement of the holder %.40q: %w", holder, translate(err))
	}
	return h, nil
}

// look reads at one moment.
func (s *Store) look(ctx context.Context, read func(*sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return read(tx)
}

// AssetLife tells an asset from the wish for it to its end, as it is on a day; or ErrUnknown.
func (s *Store) AssetLife(ctx context.Context, day ledger.Date, asset string) (AssetLife, error) {
	l := AssetLife{Stations: []Station{}, Months: []LifeMonth{}, Entries: []Source{}}
	var err error
	if l.Held, err = s.Asset(ctx, day, asset); err != nil {
		return AssetLife{}, err
	}
	err = s.look(ctx, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &l.Currency, `SELECT currency FROM commune`); err != nil {
			return err
		}
		for _, read := range []func(context.Context, *sqlx.Tx) error{l.readWish, l.readBonds, l.readUse, l.readMonths, l.readEntries} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return AssetLife{}, fmt.Errorf("life of %.40q: %w", asset, translate(err))
	}
	slices.SortStableFunc(l.Stations, func(a, b Station) int { return cmp.Compare(a.Date, b.Date) })
	return l, nil
}

func (l *AssetLife) happened(day ledger.Date, format string, args ...any) {
	l.Stations = append(l.Stations, Station{day, fmt.Sprintf(format, args...)})
}

// readWish reads who asked for the asset, and how it came.
func (l *AssetLife) readWish(ctx context.Context, tx *sqlx.Tx) error {
	var wishes []struct {
		Day    ledger.Date  `db:"day"`
		Member string       `db:"member"`
		Price  money.Amount `db:"price"`
		State  State        `db:"state"`
	}
	err := tx.SelectContext(ctx, &wishes, `SELECT day, member, price, state FROM asset_request WHERE asset = $1 ORDER BY day, key`, l.Code)
	how := "Given to the commune"
	for _, w := range wishes {
		l.happened(w.Day, "Asked for by %s, for %s", w.Member, w.Price)
		if w.State == "acquired" {
			how = "Bought"
		}
	}
	if l.Acquired != "" {
		l.happened(l.Acquired, "%s, for %s", how, l.Cost)
	}
	if l.Liquidated != "" {
		l.happened(l.Liquidated, "Sold")
	}
	return err
}

// readBonds reads the auctions of its bonds.
func (l *AssetLife) readBonds(ctx context.Context, tx *sqlx.Tx) error {
	var all []struct {
		Series

		Offer     money.Amount  `db:"offer"`
		Cleared   bool          `db:"cleared"`
		Bids      int           `db:"bids"`
		Defaulted ledger.Date   `db:"defaulted_on"`
		Shortfall *money.Amount `db:"shortfall"`
	}
	err := tx.SelectContext(ctx, &all, `
		SELECT code, asset, issued_on, offer, cleared, rate_bps, term_months, principal, defaulted_on, shortfall,
		    (SELECT count(*) FROM bid WHERE series = s.code) AS bids
		FROM series s WHERE asset = $1 ORDER BY issued_on, code`, l.Code)
	for _, s := range all {
		if !s.Cleared {
			l.happened(s.Issued, "Bonds %s of %s were not wanted by %d bidders", s.Code, s.Offer, s.Bids)
			continue
		}
		l.happened(s.Issued, "Bonds %s sold for %s at %s a year, over %d months; %d bids", s.Code, s.Offer, percent(s.RateBPS), s.Term, s.Bids)
		if s.Defaulted != "" {
			l.happened(s.Defaulted, "Bonds %s in default: it is sold for their holders", s.Code)
		}
		if s.Shortfall != nil && *s.Shortfall > 0 {
			l.happened(l.Liquidated, "The holders of %s did not get %s", s.Code, *s.Shortfall)
		}
	}
	return err
}

// readUse reads to whom it was let, and when nobody wanted it.
func (l *AssetLife) readUse(ctx context.Context, tx *sqlx.Tx) error {
	var let []struct {
		Agreement

		Broken bool `db:"broken"`
	}
	err := tx.SelectContext(ctx, &let, `
		SELECT code, COALESCE(enterprise, '') AS enterprise, COALESCE(member, '') AS member, fixed, minimum, rate, start_on, end_on, broken
		FROM agreement WHERE asset = $1 ORDER BY start_on, code`, l.Code)
	if err != nil {
		return err
	}
	for _, g := range let {
		l.happened(g.Start, "Let to %s by %s: %s a month, at least %s, and %s by use", cmp.Or(g.Enterprise, g.Member), g.Code, g.Fixed, g.Minimum, g.Rate)
		switch {
		case g.Broken:
			l.happened(g.End, "Taken back from %s: the rent did not come", cmp.Or(g.Enterprise, g.Member))
		case g.End != "":
			l.happened(g.End, "Returned by %s", cmp.Or(g.Enterprise, g.Member))
		}
	}
	var overdue []struct {
		Day       ledger.Date   `db:"day"`
		Agreement string        `db:"agreement"`
		Month     ledger.Period `db:"month"`
	}
	err = tx.SelectContext(ctx, &overdue, `
		SELECT v.day, v.agreement, v.month FROM arrears_notice v JOIN agreement g ON g.code = v.agreement WHERE g.asset = $1 ORDER BY v.day, v.month`, l.Code)
	if err != nil {
		return err
	}
	for _, o := range overdue {
		l.happened(o.Day, "Notice of arrears: the rent of %s by %s", o.Month.Words(), o.Agreement)
	}
	var unwanted []struct {
		Day     ledger.Date  `db:"day"`
		Reserve money.Amount `db:"reserve"`
	}
	err = tx.SelectContext(ctx, &unwanted, `SELECT day, reserve FROM rental_auction WHERE asset = $1 AND agreement IS NULL ORDER BY day, key`, l.Code)
	for _, u := range unwanted {
		l.happened(u.Day, "Nobody wanted to rent it for %s", u.Reserve)
	}
	return err
}

// readMonths reads what each closed month brought.
func (l *AssetLife) readMonths(ctx context.Context, tx *sqlx.Tx) error {
	return tx.SelectContext(ctx, &l.Months, `
		SELECT d.month,
		    COALESCE((SELECT sum(p.amount)::bigint FROM rent_posting p JOIN agreement g ON g.code = p.agreement
		        WHERE g.asset = $1 AND p.month = d.month), 0) AS rent,
		    COALESCE((SELECT sum(s.amount)::bigint FROM rent_settlement s JOIN agreement g ON g.code = s.agreement
		        WHERE g.asset = $1 AND s.way <> 'written_off' AND to_char(s.day, 'YYYY-MM') = d.month), 0) AS collected,
		    (COALESCE(d.figures #>> ARRAY['interest_paid', s.code], '0')::numeric * 1000000)::bigint AS interest_paid,
		    (COALESCE(d.figures #>> ARRAY['redeemed', s.code], '0')::numeric * 1000000)::bigint AS redeemed,
		    (COALESCE(d.figures #>> ARRAY['remainder', $1], '0')::numeric * 1000000)::bigint AS to_pool
		FROM distribution d LEFT JOIN series s ON s.asset = $1 AND s.cleared
		WHERE d.month >= to_char(NULLIF($2, '')::date, 'YYYY-MM') AND ($3 = '' OR d.month <= to_char(NULLIF($3, '')::date, 'YYYY-MM'))
		ORDER BY d.month`, l.Code, string(l.Acquired), string(l.Liquidated))
}

// readEntries reads each entry that touched the asset, its rents or its bonds, in the commune's book. All holders of a
// series are one line.
func (l *AssetLife) readEntries(ctx context.Context, tx *sqlx.Tx) error {
	var rows []moved
	err := tx.SelectContext(ctx, &rows, `
		WITH accounts AS (
		    SELECT t || ':' || $1 AS account FROM unnest(ARRAY['1500', '1590', '3100', '3200', '4100', '5100', '5200']) AS t
		    UNION SELECT t || ':' || g.code FROM agreement g, unnest(ARRAY['1100', '2300', '4000', '5300']) AS t WHERE g.asset = $1
		    UNION SELECT t || ':' || s.code FROM series s, unnest(ARRAY['4200', '5000']) AS t WHERE s.asset = $1
		    UNION SELECT t || ':' || b.series || '/' || b.bidder FROM bid b, unnest(ARRAY['2100', '2110']) AS t
		        WHERE b.allotted > 0 AND b.series IN (SELECT code FROM series WHERE asset = $1))
		SELECT e.id::text AS entry, e.key, e.business_date AS date, e.text, l.account, sum(l.amount)::bigint AS amount
		FROM (SELECT entry_id, n, amount, split_part(account, '/', 1) AS account FROM line
		    WHERE book = 'COM' AND account = ANY (ARRAY(SELECT account FROM accounts))) AS l
		JOIN entry e ON e.id = l.entry_id
		GROUP BY e.id, l.account ORDER BY e.business_date, e.id, min(l.n)`, l.Code)
	for _, r := range rows {
		l.Entries = r.onto(l.Entries)
	}
	return err
}

// moved is what an entry moved on an account.
type moved struct {
	Entry   string       `db:"entry"`
	Key     string       `db:"key"`
	Date    ledger.Date  `db:"date"`
	Text    string       `db:"text"`
	Account string       `db:"account"`
	Amount  money.Amount `db:"amount"`
}

// onto adds the line to its entry, which is the last one or a new one.
func (r moved) onto(all []Source) []Source {
	if n := len(all); n == 0 || all[n-1].Entry != r.Entry {
		all = append(all, Source{N: n + 1, Entry: r.Entry, Date: r.Date, Text: r.Text})
	}
	e := &all[len(all)-1]
	e.Lines = append(e.Lines, SourceLine{r.Account, ledger.NameOf(Book, r.Account), r.Amount})
	return all
}
