package commune

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/clock"
	"telecommune/internal/money"
)

// Member is somebody who has a share, or had one.
type Member struct {
	Code    string       `json:"code" db:"code"`
	Name    string       `json:"name" db:"name"`
	State   State        `json:"state" db:"state"` // active, leaving or former
	Joined  ledger.Date  `json:"joined" db:"joined"`
	Left    ledger.Date  `json:"left" db:"left_on"`
	Worked  ledger.Date  `json:"worked" db:"worked"` // last
	Lapses  ledger.Date  `json:"lapses" db:"-"`      // from that day on the membership may lapse (P-14); none unless active
	IBAN    string       `json:"iban" db:"iban"`
	Account string       `json:"account" db:"account"` // of a caller, that takes dividends as credit
	Payable money.Amount `json:"payable" db:"payable"` // dividends
}

// Members lists the members as they are on a day.
func (s *Store) Members(ctx context.Context, day ledger.Date) ([]Member, error) {
	return s.members(ctx, day, "")
}

// Member gives one, or ErrUnknown.
func (s *Store) Member(ctx context.Context, day ledger.Date, code string) (Member, error) {
	rows, err := s.members(ctx, day, code)
	return first(rows, err, "member", code)
}

func (s *Store) members(ctx context.Context, day ledger.Date, code string) (all []Member, err error) {
	err = s.db.SelectContext(ctx, &all, `
		SELECT m.code, m.name, m.iban, COALESCE(m.account, '') AS account, h.issued_on AS joined, h.cancelled_on AS left_on,
		    CASE WHEN h.issued_on <= $1::date AND h.cancelled_on > $1::date THEN 'leaving'
		        WHEN h.issued_on <= $1::date AND h.cancelled_on IS NULL THEN 'active' ELSE 'former' END AS state,
		    (SELECT max(day) FROM contribution WHERE member = m.code) AS worked,
		    COALESCE((SELECT -sum(l.amount)::bigint FROM line l WHERE l.book = 'COM' AND l.account = '2000:' || m.code), 0) AS payable
		FROM member m LEFT JOIN LATERAL (
		    SELECT issued_on, cancelled_on FROM share WHERE member = m.code ORDER BY issued_on DESC LIMIT 1) AS h ON true
		WHERE $2 = '' OR m.code = $2 ORDER BY m.code COLLATE "C"`, string(day), code)
	if err != nil {
		return nil, translate(err)
	}
	p, err := policyNamed(IdleMonths)
	if err != nil {
		return nil, err
	}
	idle, err := voted(ctx, s.db, p, day)
	for i := range all {
		if all[i].State == Active {
			all[i].Lapses = lapses(all[i].Worked, idle.Value)
		}
	}
	return all, err
}

// first gives the one row of a list that was asked for by its code, or ErrUnknown.
func first[T any](rows []T, err error, what, code string) (row T, _ error) {
	switch {
	case err != nil:
		return row, err
	case len(rows) == 0:
		return row, fmt.Errorf("%s %.40q: %w", what, code, ErrUnknown)
	}
	return rows[0], nil
}

// Held is an asset as it stands: where it is on its way, and what it is worth to whom.
type Held struct {
	Code       string       `json:"code" db:"code"`
	Kind       string       `json:"kind" db:"kind"`
	Meter      Meter        `json:"meter" db:"meter"`
	State      State        `json:"state" db:"state"`
	Cost       money.Amount `json:"cost" db:"cost"` // as long as it is only requested: its price
	Life       int          `json:"life_months" db:"life_months"`
	Worn       int          `json:"months_depreciated" db:"months_depreciated"`
	BookValue  money.Amount `json:"book_value" db:"book_value"`
	Bonds      money.Amount `json:"bonds" db:"bonds"` // outstanding; without any it is the commune's for good (R20)
	Fund       money.Amount `json:"commons_fund" db:"commons_fund"`
	Acquired   ledger.Date  `json:"acquired" db:"acquired_on"`
	Liquidated ledger.Date  `json:"liquidated" db:"liquidated_on"`
	Agreement  string       `json:"agreement" db:"agreement"` // that lets it now
}

// Assets lists what is owned, was owned and is wanted, as it is on a day.
func (s *Store) Assets(ctx context.Context, day ledger.Date) ([]Held, error) {
	return s.assets(ctx, day, "")
}

// Asset gives one, or ErrUnknown.
func (s *Store) Asset(ctx context.Context, day ledger.Date, code string) (Held, error) {
	rows, err := s.assets(ctx, day, code)
	return first(rows, err, "asset", code)
}

func (s *Store) assets(ctx context.Context, day ledger.Date, code string) (all []Held, err error) {
	err = s.db.SelectContext(ctx, &all, `
		WITH com AS (SELECT account, sum(amount)::bigint AS balance FROM line WHERE book = 'COM' GROUP BY account),
		bonds AS (SELECT split_part(substr(account, 6), '/', 1) AS series, sum(balance) AS balance FROM com WHERE account LIKE '2100:%' GROUP BY 1)
		SELECT a.code, a.kind, a.meter, `+assetState+` AS state, a.cost, a.life_months, a.months_depreciated, a.acquired_on, a.liquidated_on,
		    COALESCE((SELECT sum(balance)::bigint FROM com WHERE account IN ('1500:' || a.code, '1590:' || a.code)), 0) AS book_value,
		    COALESCE((SELECT -sum(c.balance)::bigint FROM series s JOIN bonds c ON c.series = s.code WHERE s.asset = a.code), 0) AS bonds,
		    COALESCE((SELECT -balance FROM com WHERE account = '3100:' || a.code), 0) AS commons_fund,
		    COALESCE((SELECT g.code::text FROM agreement g WHERE g.asset = a.code AND g.start_on <= $1::date
		        AND (g.end_on IS NULL OR g.end_on > $1::date) LIMIT 1), '') AS agreement
		FROM asset a WHERE $2 = '' OR a.code = $2
		UNION ALL
		SELECT r.asset, r.kind, r.meter, r.state, r.price, r.life_months, 0, NULL, NULL, 0, 0, 0, r.agreement::text
		FROM (SELECT DISTINCT ON (asset) * FROM asset_request ORDER BY asset, state = 'failed') AS r
		WHERE r.state <> 'acquired' AND ($2 = '' OR r.asset = $2)
		ORDER BY 1`, string(day), code)
	return all, translate(err)
}

// Contract is an agreement as it stands on a day.
type Contract struct {
	Agreement

	State   State        `json:"state" db:"state"`
	Deposit money.Amount `json:"deposit" db:"deposit"`
	Open    money.Amount `json:"open" db:"open"` // rent
}

// Contracts lists the agreements that were executed.
func (s *Store) Contracts(ctx context.Context, day ledger.Date) ([]Contract, error) {
	return s.contracts(ctx, day, "")
}

// Contract gives one, or ErrUnknown.
func (s *Store) Contract(ctx context.Context, day ledger.Date, code string) (Contract, error) {
	rows, err := s.contracts(ctx, day, code)
	return first(rows, err, "agreement", code)
}

func (s *Store) contracts(ctx context.Context, day ledger.Date, code string) (all []Contract, err error) {
	err = s.db.SelectContext(ctx, &all, `
		SELECT g.code, g.asset, COALESCE(g.enterprise, '') AS enterprise, COALESCE(g.member, '') AS member, g.fixed, g.minimum,
		    g.rate, g.included, g.start_on, g.end_on,
		    `+agreementState+` AS state,
		    COALESCE((SELECT -sum(amount)::bigint FROM line WHERE book = 'COM' AND account = '2300:' || g.code), 0) AS deposit,
		    COALESCE((SELECT sum(amount)::bigint FROM line WHERE book = 'COM' AND account = '1100:' || g.code), 0) AS open
		FROM agreement g WHERE $2 = '' OR g.code = $2 ORDER BY g.code COLLATE "C"`, string(day), code)
	return all, translate(err)
}

// RentDue is the rent of an agreement for a month, and what became of it.
type RentDue struct {
	Agreement  string        `json:"agreement" db:"agreement"`
	Month      ledger.Period `json:"month" db:"month"`
	Days       int           `json:"days" db:"days"`
	Units      int64         `json:"units" db:"units"` // seconds, or millionths of a quantity
	Amount     money.Amount  `json:"amount" db:"amount"`
	Collected  money.Amount  `json:"collected" db:"collected"`
	WrittenOff money.Amount  `json:"written_off" db:"written_off"`
	Open       money.Amount  `json:"open" db:"open"`
	Noticed    ledger.Date   `json:"noticed" db:"noticed"` // that it is overdue
	State      string        `json:"state" db:"state"`     // open, in_arrears, part_paid, paid or written_off
}

// Rents lists the rents that were posted, of one agreement or all of them, the newest month first.
func (s *Store) Rents(ctx context.Context, agreement string) (all []RentDue, err error) {
	err = s.db.SelectContext(ctx, &all, `
		SELECT p.agreement, p.month, p.days, p.units, p.amount, COALESCE(s.collected, 0) AS collected, COALESCE(s.written_off, 0) AS written_off,
		    p.amount - COALESCE(s.collected, 0) - COALESCE(s.written_off, 0) AS open, v.day AS noticed,
		    CASE WHEN p.amount = COALESCE(s.collected, 0) THEN 'paid' WHEN p.amount = COALESCE(s.collected, 0) + COALESCE(s.written_off, 0) THEN 'written_off'
		        WHEN v.day IS NOT NULL THEN 'in_arrears' WHEN s.collected > 0 THEN 'part_paid' ELSE 'open' END AS state
		FROM rent_posting p LEFT JOIN arrears_notice v ON v.agreement = p.agreement AND v.month = p.month LEFT JOIN (
		    SELECT agreement, month, COALESCE(sum(amount) FILTER (WHERE way <> 'written_off'), 0)::bigint AS collected,
		        COALESCE(sum(amount) FILTER (WHERE way = 'written_off'), 0)::bigint AS written_off
		    FROM rent_settlement GROUP BY agreement, month) AS s ON s.agreement = p.agreement AND s.month = p.month
		WHERE $1 = '' OR p.agreement = $1 ORDER BY p.month DESC, p.agreement COLLATE "C"`, agreement)
	return all, translate(err)
}

// Issue is a series of bonds as it stands.
type Issue struct {
	Series
	Offer       money.Amount  `json:"offer" db:"offer"`
	CapBPS      int           `json:"cap_bps" db:"cap_bps"`
	State       string        `json:"state" db:"state"` // failed, funded, servicing, in_arrears, defaulted, redeemed or closed
	Outstanding money.Amount  `json:"outstanding" db:"outstanding"`
	InterestDue money.Amount  `json:"interest_due" db:"interest_due"`
	Shortfall   *money.Amount `json:"shortfall,omitempty" db:"shortfall"` // after its asset was sold
}

// Issues lists the series of bonds.
func (s *Store) Issues(ctx context.Context) ([]Issue, error) { return s.issues(ctx, "") }

// Issue gives one, or ErrUnknown.
func (s *Store) Issue(ctx context.Context, code string) (Issue, error) {
	rows, err := s.issues(ctx, code)
	return first(rows, err, "series", code)
}

func (s *Store) issues(ctx context.Context, code string) (all []Issue, err error) {
	err = s.db.SelectContext(ctx, &all, `
		WITH owed AS MATERIALIZED (
		    SELECT split_part(substr(account, 6), '/', 1) AS series,
		        COALESCE(-sum(amount) FILTER (WHERE account LIKE '2100:%'), 0)::bigint AS outstanding,
		        COALESCE(-sum(amount) FILTER (WHERE account LIKE '2110:%'), 0)::bigint AS interest_due
		    FROM line WHERE book = 'COM' AND (account LIKE '2100:%' OR account LIKE '2110:%') GROUP BY 1)
		SELECT t.code, t.asset, t.issued_on, t.rate_bps, t.term_months, t.principal, t.offer, t.cap_bps, t.shortfall, t.outstanding, t.interest_due,
		    CASE WHEN NOT t.cleared THEN 'failed' WHEN t.shortfall IS NOT NULL THEN 'closed' WHEN t.outstanding = 0 THEN 'redeemed'
		    WHEN t.wanted = 'funded' THEN 'funded' WHEN t.defaulted_on IS NOT NULL THEN 'defaulted'
		    WHEN t.interest_due > 0 THEN 'in_arrears' ELSE 'servicing' END AS state
		FROM (
		    SELECT s.code, s.asset, s.issued_on, s.rate_bps, s.term_months, s.principal, s.offer, s.cap_bps, s.shortfall, s.cleared, s.defaulted_on, r.state AS wanted,
		        COALESCE(o.outstanding, 0) AS outstanding, COALESCE(o.interest_due, 0) AS interest_due
		    FROM series s JOIN asset_request r ON r.key = s.request LEFT JOIN owed o ON o.series = s.code
		    WHERE $1 = '' OR s.code = $1) AS t
		ORDER BY t.code COLLATE "C"`, code)
	return all, translate(err)
}

// SealedBid is a bid as everybody may see it: without a name.
type SealedBid struct {
	N        int          `json:"n" db:"n"`
	RateBPS  int          `json:"rate_bps" db:"rate_bps"`
	Amount   money.Amount `json:"amount" db:"amount"`
	Allotted money.Amount `json:"allotted" db:"allotted"`
}

// Bids lists the bids of an auction of bonds in their order.
func (s *Store) Bids(ctx context.Context, series string) (all []SealedBid, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT n, rate_bps, amount, allotted FROM bid WHERE series = $1 ORDER BY n`, series)
	return all, err
}

// Holding is what one holder has of a series.
type Holding struct {
	Series      string       `json:"series" db:"series"`
	Holder      string       `json:"holder" db:"holder"`
	Allotted    money.Amount `json:"allotted" db:"allotted"`
	RateBPS     int          `json:"rate_bps" db:"rate_bps"`
	Outstanding money.Amount `json:"outstanding" db:"outstanding"`
	InterestDue money.Amount `json:"interest_due" db:"interest_due"`
	Redeemed    money.Amount `json:"redeemed" db:"redeemed"`
	Interest    money.Amount `json:"interest_paid" db:"interest_paid"`
}

// Holdings is the register of holders, of a series or of one holder, or whole.
func (s *Store) Holdings(ctx context.Context, series, holder string) (all []Holding, err error) {
	err = s.look(ctx, func(tx *sqlx.Tx) error {
		all, err = holdings(ctx, tx, series, holder)
		return err
	})
	return all, translate(err)
}

// holdings reads the register first and then the accounts that it names. Were they joined, a server without statistics
// might compare each holder with each account.
func holdings(ctx context.Context, tx *sqlx.Tx, series, holder string) ([]Holding, error) {
	all := []Holding{}
	err := tx.SelectContext(ctx, &all, `
		SELECT b.series, b.bidder AS holder, b.allotted, s.rate_bps FROM bid b JOIN series s ON s.code = b.series
		WHERE b.allotted > 0 AND ($1 = '' OR b.series = $1) AND ($2 = '' OR b.bidder = $2) ORDER BY b.series COLLATE "C", b.n`, series, holder)
	if err != nil {
		return nil, err
	}
	of, accounts := make(map[string]*Holding, len(all)), make([]string, 0, 2*len(all))
	for i, h := range all {
		of[h.Series+"/"+h.Holder] = &all[i]
		accounts = append(accounts, ofHolder("2100", h.Series, h.Holder), ofHolder("2110", h.Series, h.Holder))
	}
	var sums []struct {
		Account string       `db:"account"`
		Owed    money.Amount `db:"owed"`
		Paid    money.Amount `db:"paid"`
	}
	err = tx.SelectContext(ctx, &sums, `
		SELECT l.account, -sum(l.amount)::bigint AS owed, COALESCE(sum(l.amount) FILTER (WHERE l.amount > 0 AND e.kind <> 'extinguishment'), 0)::bigint AS paid
		FROM line l JOIN entry e ON e.id = l.entry_id WHERE l.book = 'COM' AND l.account = ANY ($1) GROUP BY l.account`, pq.Array(accounts))
	for _, s := range sums {
		code, who, _ := strings.Cut(s.Account, ":")
		if h := of[who]; code == "2100" {
			h.Outstanding, h.Redeemed = s.Owed, s.Paid
		} else {
			h.InterestDue, h.Interest = s.Owed, s.Paid
		}
	}
	return all, err
}

// Tenancy is an asset in the hands of an enterprise: from the first instant of an agreement's first day on until that of
// the first day that is not the agreement's; zero: without end.
type Tenancy struct {
	Asset, Enterprise string
	From, Until       time.Time
}

// Tenancies lists who rents what at an instant and after it. Members are left out: calls are those of enterprises.
func (s *Store) Tenancies(ctx context.Context, at time.Time) ([]Tenancy, error) {
	var rows []struct {
		Asset      string      `db:"asset"`
		Enterprise string      `db:"enterprise"`
		Start      ledger.Date `db:"start_on"`
		End        ledger.Date `db:"end_on"`
		Zone       string      `db:"zone"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		SELECT g.asset, g.enterprise, g.start_on, g.end_on, k.zone FROM agreement g CROSS JOIN commune k
		WHERE g.enterprise IS NOT NULL AND (g.end_on IS NULL OR g.end_on > GREATEST(g.start_on, ($1::timestamptz AT TIME ZONE k.zone)::date))
		ORDER BY g.asset, g.start_on`, at)
	if err != nil {
		return nil, fmt.Errorf("read who rents what: %w", err)
	}
	all := make([]Tenancy, len(rows))
	for i, r := range rows {
		zone, err := time.LoadLocation(r.Zone)
		if err != nil {
			return nil, fmt.Errorf("the commune's zone: %w", err)
		}
		all[i] = Tenancy{Asset: r.Asset, Enterprise: r.Enterprise}
		if all[i].From, err = clock.ParseDate(string(r.Start), zone); err != nil {
			return nil, err
		}
		if r.End == "" {
			continue
		}
		if all[i].Until, err = clock.ParseDate(string(r.End), zone); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Enterprise is one of the commune's.
type Enterprise struct {
	Code     string       `json:"code" db:"code"`
	Name     string       `json:"name" db:"name"`
	Owned    int          `json:"owned_bp" db:"owned_bp"` // by the commune, in basis points: all of it
	State    State        `json:"state" db:"state"`
	Overdue  money.Amount `json:"overdue" db:"overdue"`   // rent that notice of arrears was given of
	Wages    money.Amount `json:"wages" db:"wages"`       // earned in the open month; who owes rent may still pay them
	Retained money.Amount `json:"retained" db:"retained"` // result of closed months
}

// Enterprises lists them.
func (s *Store) Enterprises(ctx context.Context) ([]Enterprise, error) { return s.enterprises(ctx, "") }

// Enterprise gives one, or ErrUnknown.
func (s *Store) Enterprise(ctx context.Context, code string) (Enterprise, error) {
	rows, err := s.enterprises(ctx, code)
	return first(rows, err, "enterprise", code)
}

func (s *Store) enterprises(ctx context.Context, code string) (all []Enterprise, err error) {
	err = s.db.SelectContext(ctx, &all, `
		SELECT e.code, e.name, e.owned_bp, `+enterpriseState+` AS state,
		    COALESCE((SELECT sum(p.amount - COALESCE((
		        SELECT sum(s.amount) FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0))::bigint
		        FROM agreement g JOIN arrears_notice v ON v.agreement = g.code JOIN rent_posting p ON p.agreement = v.agreement AND p.month = v.month
		        WHERE g.enterprise = e.code), 0) AS overdue,
		    COALESCE((SELECT sum(amount)::bigint FROM line WHERE book = e.code AND account LIKE '5200:%'), 0) AS wages,
		    COALESCE((SELECT -sum(amount)::bigint FROM line WHERE book = e.code AND account = '3900'), 0) AS retained
		FROM enterprise e WHERE $1 = '' OR e.code = $1 ORDER BY e.code COLLATE "C"`, code)
	return all, translate(err)
}

// SetMember changes a member's name, IBAN and account where they are given. ErrUnknown.
func (s *Store) SetMember(ctx context.Context, code string, name, iban, account *string) error {
	done, err := s.db.ExecContext(ctx, `
		UPDATE member SET name = COALESCE($2, name), iban = COALESCE($3, iban), account = COALESCE($4, account) WHERE code = $1`,
		code, name, iban, account)
	if err != nil {
		return translate(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("member %.40q: %w", code, ErrUnknown))
	}
	return nil
}

// Moment is an entry in the life of an asset, with one of the accounts that it moved.
type Moment struct {
	Date    ledger.Date  `json:"date" db:"date"`
	Kind    string       `json:"kind" db:"kind"`
	Text    string       `json:"text" db:"text"`
	Account string       `json:"account" db:"account"`
	Amount  money.Amount `json:"amount" db:"amount"` // debit positive
	Entry   string       `json:"entry" db:"entry"`
}

// Life lists what the commune's book says of an asset, its bonds and its rents, from its purchase on.
func (s *Store) Life(ctx context.Context, asset string) (all []Moment, err error) {
	err = s.db.SelectContext(ctx, &all, `
		SELECT e.business_date AS date, e.kind, e.text, l.account, l.amount, e.id::text AS entry
		FROM line l JOIN entry e ON e.id = l.entry_id
		WHERE l.book = 'COM' AND (
		    l.account IN ('1500:' || $1, '1590:' || $1, '3100:' || $1, '3200:' || $1, '4100:' || $1, '5100:' || $1, '5200:' || $1)
		    OR l.account IN (SELECT t || ':' || g.code FROM agreement g, unnest(ARRAY['1100', '2300', '4000', '5300']) AS t WHERE g.asset = $1)
		    OR l.account IN (SELECT t || ':' || s.code FROM series s, unnest(ARRAY['4200', '5000']) AS t WHERE s.asset = $1)
		    OR l.account IN (SELECT t || ':' || s.code || '/' || b.bidder FROM series s JOIN bid b ON b.series = s.code, unnest(ARRAY['2100', '2110']) AS t
		        WHERE s.asset = $1 AND b.allotted > 0))
		ORDER BY e.business_date, e.id, l.n`, asset)
	return all, err
}

// Transfers lists the dividends that the bank pays, of the days from one on until another, which does not count.
// ErrNoIBAN names who can't be paid; ErrNotSEPA in another currency than the euro.
func (s *Store) Transfers(ctx context.Context, from, until ledger.Date) (all []Transfer, err error) {
	var currency money.Currency
	if err := s.db.GetContext(ctx, &currency, `SELECT currency FROM commune`); err != nil {
		return nil, err
	}
	if currency != "EUR" {
		return nil, fmt.Errorf("dividends in %s: %w", currency, ErrNotSEPA)
	}
	err = s.db.SelectContext(ctx, &all, `
		SELECT p.key, p.member, m.name, m.iban, p.day, p.amount FROM payout p JOIN member m ON m.code = p.member JOIN act a ON a.key = p.key
		WHERE p.way = 'bank' AND p.day >= $1::date AND p.day < $2::date ORDER BY a.n`, string(from), string(until))
	for _, t := range all {
		if t.IBAN == "" {
			return nil, fmt.Errorf("%s: %w", t.Member, ErrNoIBAN)
		}
	}
	return all, err
}
