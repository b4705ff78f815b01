package commune

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Notice ends an agreement: from a day on its asset is vacant (R16). The last rent comes with the close (D-22). ErrState,
// ErrUnknown.
func (c *Commune) Notice(ctx context.Context, a Act, agreement string, end ledger.Date) error {
	o, err := c.begin(ctx, a, "notice", []string{agreement, string(end)}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	g, err := c.agreement(ctx, agreement)
	if err != nil {
		return err
	}
	if err := o.moveAgreement(ctx, g, StepNotice); err != nil {
		return err
	}
	if g.End != "" || end < max(o.day, g.Start) {
		return fmt.Errorf("%s can't end on %s: it ends already, or that day is over: %w", g.Code, end, ErrState)
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE agreement SET end_on = $2::date WHERE code = $1`, g.Code, string(end))
	return err
}

// Letting is an auction of a vacant asset's rent.
type Letting struct {
	Asset     string        `json:"asset"`
	Agreement string        `json:"agreement"`         // code of the new one
	Start     ledger.Date   `json:"start"`             // none: the day of the auction
	Reserve   *money.Amount `json:"reserve,omitempty"` // none: what the bonds need (D-23)
	Minimum   bool          `json:"minimum"`           // the bid becomes the minimum, else the fixed part
	Rate      money.Amount  `json:"rate"`
	Included  int64         `json:"included"`
	Bids      []RentalBid   `json:"bids"`
}

// LetOutcome is what such an auction came to, in the words of scenarios/format.md 10.
type LetOutcome struct {
	Status    string       `json:"status"` // let or no_demand
	Reserve   money.Amount `json:"reserve"`
	Winner    string       `json:"winner,omitempty"`
	Agreement string       `json:"agreement,omitempty"`
	Amount    money.Amount `json:"amount,omitempty"`
}

// LetByAuction lets a vacant asset to the best bidder (R17, R27, P-04). No bid at the reserve is no demand, which is no
// error. ErrLet, ErrNotMember, ErrSecondBid, ErrAmount, ErrState, ErrUnknown.
func (c *Commune) LetByAuction(ctx context.Context, a Act, l Letting) (LetOutcome, error) {
	o, err := c.begin(ctx, a, "rental-auction", l, inOpenMonth)
	if err != nil {
		return LetOutcome{}, err
	}
	if !o.again {
		if err := o.let(ctx, l); err != nil {
			return LetOutcome{}, err
		}
	}
	return o.letAs(ctx, l.Bids)
}

func (o *op) let(ctx context.Context, l Letting) error {
	if l.Start == "" {
		l.Start = o.day
	}
	if err := o.lettable(ctx, l); err != nil {
		return err
	}
	if err := o.bidders(ctx, l.Bids); err != nil {
		return err
	}
	reserve, err := o.reserve(ctx, l)
	if err != nil {
		return err
	}
	best := Best(l.Bids, reserve)
	if best >= 0 {
		if err := o.execute(ctx, l.Asset, l.offer(l.Bids[best]), l.Start); err != nil {
			return err
		}
	}
	var agreement *string
	if best >= 0 {
		agreement = &l.Agreement
	}
	_, err = o.tx.ExecContext(ctx, `
		INSERT INTO rental_auction (key, asset, day, start_on, reserve, agreement) VALUES ($1, $2, $3::date, $4::date, $5, $6)`,
		o.Key, l.Asset, string(o.day), string(l.Start), reserve, agreement)
	if err != nil {
		return err
	}
	for i, b := range l.Bids {
		_, err := o.tx.ExecContext(ctx, `INSERT INTO rental_bid (auction, n, bidder, enterprise, amount) VALUES ($1, $2, $3, $4, $5)`,
			o.Key, i+1, b.Bidder, b.Enterprise, b.Amount)
		if err != nil {
			return err
		}
	}
	return nil
}

// offer is the agreement that a bid makes.
func (l Letting) offer(b RentalBid) Offered {
	g := Offered{Code: l.Agreement, Lessee: Lessee{Enterprise: b.Enterprise}, Terms: Terms{Rate: l.Rate, Included: l.Included}}
	if l.Minimum {
		g.Minimum = b.Amount
	} else {
		g.Fixed = b.Amount
	}
	return g
}

// lettable checks that the asset is free from the first day on.
func (o *op) lettable(ctx context.Context, l Letting) error {
	state, err := o.stateOn(ctx, l.Asset, l.Start)
	switch {
	case err != nil:
		return err
	case state == Unknown:
		return fmt.Errorf("asset %.40q: %w", l.Asset, ErrUnknown)
	case l.Start < o.day:
		return fmt.Errorf("%s is over: %w", l.Start, ErrState)
	}
	var taken, used bool
	err = o.tx.GetContext(ctx, &taken, `
		SELECT EXISTS (SELECT FROM agreement WHERE asset = $1 AND (end_on IS NULL OR end_on > $2::date) AND end_on IS DISTINCT FROM start_on)`,
		l.Asset, string(l.Start))
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("asset %s is let on %s or later: %w", l.Asset, l.Start, ErrLet)
	}
	if _, err := assetMoves.after(state, StepRentalBid); err != nil {
		return fmt.Errorf("asset %s: %w", l.Asset, err)
	}
	err = o.tx.GetContext(ctx, &used, `
		SELECT EXISTS (SELECT FROM agreement WHERE code = $1) OR EXISTS (SELECT FROM asset_request WHERE agreement = $1 AND state <> 'failed')`,
		l.Agreement)
	if err == nil && used {
		err = fmt.Errorf("there is an agreement %s already: %w", l.Agreement, ErrState)
	}
	return err
}

// bidders checks who bids: active members, each once, for an enterprise.
func (o *op) bidders(ctx context.Context, bids []RentalBid) error {
	seen := map[string]bool{}
	for _, b := range bids {
		if seen[b.Bidder] {
			return fmt.Errorf("%.40q: %w", b.Bidder, ErrSecondBid)
		}
		seen[b.Bidder] = true
		if err := wholeCents(b.Amount); err != nil {
			return err
		}
		if err := o.active(ctx, b.Bidder); err != nil {
			return err
		}
		if err := o.working(ctx, b.Enterprise); err != nil {
			return err
		}
	}
	return nil
}

// reserve is the least that a bid must reach.
func (o *op) reserve(ctx context.Context, l Letting) (money.Amount, error) {
	if l.Reserve != nil {
		return *l.Reserve, nil
	}
	bonds, err := o.bonds(ctx, l.Asset)
	if err != nil {
		return 0, err
	}
	var reserve money.Amount
	for _, b := range bonds {
		outstanding, err := o.outstanding(ctx, b)
		if err != nil {
			return 0, err
		}
		need, err := b.Next(o.open, outstanding)
		if err != nil {
			return 0, err
		}
		reserve += need
	}
	return reserve, nil
}

// letAs reads what the auction of this operation came to.
func (o *op) letAs(ctx context.Context, bids []RentalBid) (LetOutcome, error) {
	row, err := one[struct {
		Reserve   money.Amount `db:"reserve"`
		Agreement *string      `db:"agreement"`
	}](ctx, o.Commune, "rental auction", o.Key, `SELECT reserve, agreement FROM rental_auction WHERE key = $1`)
	if err != nil {
		return LetOutcome{}, err
	}
	if row.Agreement == nil {
		return LetOutcome{Status: "no_demand", Reserve: row.Reserve}, nil
	}
	best := bids[Best(bids, row.Reserve)]
	return LetOutcome{Status: "let", Reserve: row.Reserve, Winner: best.Bidder, Agreement: *row.Agreement, Amount: best.Amount}, nil
}

// LetTo refuses an asset that is not let on a day, or to another than that enterprise: ErrNotLet (I-13).
func (c *Commune) LetTo(ctx context.Context, asset, enterprise string, day ledger.Date) error {
	var let bool
	err := c.tx.GetContext(ctx, &let, `
		SELECT EXISTS (SELECT FROM agreement WHERE asset = $1 AND start_on <= $2::date AND (end_on IS NULL OR end_on > $2::date)
		    AND ($3 = '' OR enterprise = $3))`, asset, string(day), enterprise)
	if err == nil && !let {
		err = fmt.Errorf("asset %.40q on %s: %w", asset, day, ErrNotLet)
	}
	return err
}

// WaiveUsage lets the use of an asset go that happened in the open month while it was not let: nobody pays for it (design.md
// 9.5). It gives how many uses that were. ErrState when there are none, ErrUnknown.
func (c *Commune) WaiveUsage(ctx context.Context, a Act, asset, reason string) (int, error) {
	o, err := c.begin(ctx, a, "usage-waiver", []string{asset, reason}, inOpenMonth)
	if err != nil {
		return 0, err
	}
	if !o.again {
		if _, err := c.MeterOf(ctx, asset); err != nil {
			return 0, err
		}
		_, err := c.tx.ExecContext(ctx, `
			INSERT INTO usage_waiver (usage, key) SELECT u.key, $1 FROM asset_usage u
			WHERE u.asset = $2 AND u.day BETWEEN $3::date AND $4::date AND `+unlet,
			o.Key, asset, string(o.open.First()), string(o.open.Last()))
		if err != nil {
			return 0, err
		}
	}
	var n int
	err = c.tx.GetContext(ctx, &n, `SELECT count(*) FROM usage_waiver WHERE key = $1`, o.Key)
	if err == nil && n == 0 {
		err = fmt.Errorf("all use of %s is paid for: %w", asset, ErrState)
	}
	return n, err
}

// MeterOf tells what the use of an asset is measured in, or ErrUnknown. One that is requested is not an asset yet.
func (c *Commune) MeterOf(ctx context.Context, asset string) (Meter, error) {
	return one[Meter](ctx, c, "asset", asset, `SELECT meter FROM asset WHERE code = $1`)
}

// Carried is a call over an asset.
type Carried struct {
	Key        string // of its own among all use
	Asset      string
	Enterprise string // whose call it was
	Seconds    int64

	// The day that it counts on: given, or that of the call's entry, or for a call without one that of its end.
	Day   ledger.Date
	Entry string
	Ended time.Time
}

// MeterCalls writes down calls over assets, each once by its key: the seconds that the rent is reckoned by, or with another
// meter the mere fact. It belongs into the transaction that settles them (T-03), refuses none of them, and knows no lock.
func MeterCalls(ctx context.Context, tx *sqlx.Tx, calls ...Carried) error {
	keys, assets, enterprises := make([]string, len(calls)), make([]string, len(calls)), make([]string, len(calls))
	days, seconds := make([]*string, len(calls)), make([]int64, len(calls))
	entries, ends := make([]*string, len(calls)), make([]string, len(calls))
	for i, c := range calls {
		keys[i], assets[i], enterprises[i], days[i], seconds[i] = c.Key, c.Asset, c.Enterprise, nullable(c.Day), c.Seconds
		entries[i], ends[i] = nullable(c.Entry), c.Ended.UTC().Format(time.RFC3339Nano)
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO asset_usage (key, asset, enterprise, day, units)
		SELECT u.key, u.asset, u.enterprise, COALESCE(u.day, e.business_date, GREATEST(k.open_from, (u.ended AT TIME ZONE k.zone)::date)),
		    CASE WHEN a.meter = 'seconds' THEN u.seconds ELSE 0 END
		FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[], $6::uuid[], $7::timestamptz[])
		    AS u (key, asset, enterprise, day, seconds, entry, ended)
		JOIN asset a ON a.code = u.asset CROSS JOIN commune k LEFT JOIN entry e ON e.id = u.entry
		ON CONFLICT (key) DO NOTHING`,
		pq.Array(keys), pq.Array(assets), pq.Array(enterprises), pq.Array(days), pq.Array(seconds), pq.Array(entries), pq.Array(ends))
	return err
}
