package commune

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Request is what a member wants the commune to acquire (R11), and the rental agreement that is offered for it (R12).
type Request struct {
	Member string       `json:"member"`
	Price  money.Amount `json:"price"` // by the quote

	Thing
	Agreement Offered `json:"agreement"`
}

// Thing is what an asset is, before anybody owns it.
type Thing struct {
	Asset string `json:"asset" db:"asset"`
	Kind  string `json:"kind" db:"kind"`
	Life  int    `json:"life_months" db:"life_months"`
	Meter Meter  `json:"meter" db:"meter"`
}

// Offered is an agreement that is not executed yet.
type Offered struct {
	Code string `json:"id"`

	Lessee
	Terms
}

// assetState is the State of asset a on the day $1.
const assetState = `CASE
    WHEN a.liquidated_on IS NOT NULL THEN 'liquidated'
    WHEN EXISTS (SELECT FROM agreement g WHERE g.asset = a.code AND g.start_on <= $1::date AND (g.end_on IS NULL OR g.end_on > $1::date))
        THEN 'let'
    WHEN EXISTS (SELECT FROM series s WHERE s.asset = a.code AND s.cleared AND s.defaulted_on IS NOT NULL) THEN 'defaulted'
    WHEN (SELECT t.agreement IS NULL FROM rental_auction t JOIN act m ON m.key = t.key WHERE t.asset = a.code ORDER BY m.n DESC LIMIT 1)
        THEN 'no_demand'
    ELSE 'vacant' END`

// stateOn finds where an asset is on a day.
func (c *Commune) stateOn(ctx context.Context, asset string, day ledger.Date) (State, error) {
	var state State
	err := c.tx.GetContext(ctx, &state, `
		SELECT COALESCE(
		    (SELECT `+assetState+` FROM asset a WHERE a.code = $2),
		    (SELECT r.state FROM asset_request r WHERE r.asset = $2 ORDER BY r.state = 'failed' LIMIT 1),
		    'unknown')`, string(day), asset)
	return state, err
}

// move checks that a step is possible for an asset on the operation's day.
func (o *op) move(ctx context.Context, asset string, step Step) error {
	state, err := o.stateOn(ctx, asset, o.day)
	if err != nil {
		return err
	}
	if state == Unknown && step != StepRequest && step != StepGift {
		return fmt.Errorf("asset %.40q: %w", asset, ErrUnknown)
	}
	if _, err := assetMoves.after(state, step); err != nil {
		return fmt.Errorf("asset %s: %w", asset, err)
	}
	return nil
}

// RequestAsset files a request. It may be filed again when the bonds were not wanted. ErrNotMember, ErrUnknown, ErrState.
func (c *Commune) RequestAsset(ctx context.Context, a Act, r Request) error {
	o, err := c.begin(ctx, a, "asset-request", r, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(r.Price); err != nil {
		return err
	}
	if err := o.active(ctx, r.Member); err != nil {
		return err
	}
	if err := o.offered(ctx, r.Agreement); err != nil {
		return err
	}
	if err := o.move(ctx, r.Asset, StepRequest); err != nil {
		return err
	}
	g := r.Agreement
	_, err = c.tx.ExecContext(ctx, `
		INSERT INTO asset_request (key, asset, member, day, kind, meter, price, life_months, agreement, lessee, lessee_member,
		    fixed, minimum, rate, included)
		VALUES ($1, $2, $3, $4::date, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		o.Key, r.Asset, r.Member, string(o.day), r.Kind, r.Meter, r.Price, r.Life, g.Code, nullable(g.Enterprise), nullable(g.Member),
		g.Fixed, g.Minimum, g.Rate, g.Included)
	return err
}

// offered checks an agreement that does not exist yet: its code is free, its lessee is known.
func (o *op) offered(ctx context.Context, g Offered) error {
	var used bool
	err := o.tx.GetContext(ctx, &used, `
		SELECT EXISTS (SELECT FROM agreement WHERE code = $1) OR EXISTS (SELECT FROM asset_request WHERE agreement = $1 AND state <> 'failed')`, g.Code)
	switch {
	case err != nil:
		return err
	case used:
		return fmt.Errorf("there is an agreement %s already: %w", g.Code, ErrState)
	case g.Enterprise != "":
		return o.working(ctx, g.Enterprise)
	}
	return o.knownMember(ctx, g.Member)
}

// wanted is an open request as it is stored.
type wanted struct {
	Key       string         `db:"key"`
	Price     money.Amount   `db:"price"`
	Agreement string         `db:"agreement"`
	Lessee    sql.NullString `db:"lessee"`
	Member    sql.NullString `db:"lessee_member"`

	Thing
	Terms
}

// request reads the open request of an asset.
func (c *Commune) request(ctx context.Context, asset string) (wanted, error) {
	return one[wanted](ctx, c, "request of asset", asset, `
		SELECT key, asset, kind, meter, price, life_months, agreement, lessee, lessee_member, fixed, minimum, rate, included
		FROM asset_request WHERE asset = $1 AND state <> 'failed'`)
}

func (w wanted) offer() Offered {
	return Offered{w.Agreement, Lessee{Enterprise: w.Lessee.String, Member: w.Member.String}, w.Terms}
}

// settle gives a request another state.
func (w wanted) settle(ctx context.Context, o *op, state State) error {
	_, err := o.tx.ExecContext(ctx, `UPDATE asset_request SET state = $2 WHERE key = $1`, w.Key, state)
	return err
}

// Acquire buys a requested asset with the money that its bonds brought; what is left over of that redeems bonds at once
// (T-08). The agreement starts (R15). No cost: the price of the quote. ErrFunds, ErrState, ErrUnknown.
func (c *Commune) Acquire(ctx context.Context, a Act, asset string, cost money.Amount) error {
	o, err := c.begin(ctx, a, "acquisition", []any{asset, cost}, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := o.move(ctx, asset, StepAcquire); err != nil {
		return err
	}
	w, err := c.request(ctx, asset)
	if err != nil {
		return err
	}
	if cost == 0 {
		cost = w.Price
	}
	if err := wholeCents(cost); err != nil {
		return err
	}
	b, err := c.bondsOf(ctx, asset)
	if err != nil {
		return err
	}
	if cost > b.Principal {
		return fmt.Errorf("%s costs %s, its bonds brought %s: %w", asset, cost, b.Principal, ErrFunds)
	}
	if err := o.post(ctx, asset+" acquired", ledger.Debit(c.book, sub("1500", asset), cost), ledger.Credit(c.book, escrow, cost)); err != nil {
		return err
	}
	if err := o.redeemLeftOver(ctx, b, b.Principal-cost); err != nil {
		return err
	}
	if err := o.own(ctx, w.Thing, cost); err != nil {
		return err
	}
	if err := w.settle(ctx, o, "acquired"); err != nil {
		return err
	}
	return o.execute(ctx, asset, w.offer(), o.day)
}

// redeemLeftOver gives the holders back what the purchase left in escrow, by largest remainder (D-28).
func (o *op) redeemLeftOver(ctx context.Context, b Bonds, left money.Amount) error {
	if left == 0 {
		return nil
	}
	outstanding, err := o.outstanding(ctx, b)
	if err != nil {
		return err
	}
	back, err := LargestRemainder(left, money.Cent, outstanding)
	if err != nil {
		return err
	}
	lines := []ledger.Line{ledger.Credit(o.book, escrow, left)}
	for i, h := range b.Holders {
		lines = append(lines, ledger.Debit(o.book, ofHolder("2100", b.Code, h), back[i]))
	}
	if _, err := o.tx.ExecContext(ctx, `UPDATE series SET principal = $2 WHERE code = $1`, b.Code, b.Principal-left); err != nil {
		return err
	}
	return o.post(ctx, b.Code+": what the purchase left redeems bonds", lines...)
}

// own makes a thing the commune's.
func (o *op) own(ctx context.Context, t Thing, cost money.Amount) error {
	_, err := o.tx.ExecContext(ctx, `
		INSERT INTO asset (code, kind, meter, cost, life_months, acquired_on) VALUES ($1, $2, $3, $4, $5, $6::date)`,
		t.Asset, t.Kind, t.Meter, cost, t.Life, string(o.day))
	return err
}

// execute starts an agreement (R15). An enterprise must be working then: it may have been suspended since it was offered.
func (o *op) execute(ctx context.Context, asset string, g Offered, start ledger.Date) error {
	if g.Enterprise != "" {
		if err := o.working(ctx, g.Enterprise); err != nil {
			return err
		}
	}
	_, err := o.tx.ExecContext(ctx, `
		INSERT INTO agreement (code, asset, enterprise, member, fixed, minimum, rate, included, start_on)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::date)`, g.Code, asset, nullable(g.Enterprise), nullable(g.Member),
		g.Fixed, g.Minimum, g.Rate, g.Included, string(start))
	return err
}

// Gift is an asset that the commune gets for nothing, let at once if an agreement comes with it.
type Gift struct {
	Value money.Amount `json:"value"`

	Thing
	Agreement *Offered `json:"agreement,omitempty"`
}

// AcceptGift makes it the commune's. ErrState for a code that is used, ErrUnknown.
func (c *Commune) AcceptGift(ctx context.Context, a Act, g Gift) error {
	o, err := c.begin(ctx, a, "gift", g, inOpenMonth)
	if err != nil || o.again {
		return err
	}
	if err := wholeCents(g.Value); err != nil {
		return err
	}
	if err := o.move(ctx, g.Asset, StepGift); err != nil {
		return err
	}
	err = o.post(ctx, g.Asset+" given", ledger.Debit(c.book, sub("1500", g.Asset), g.Value), ledger.Credit(c.book, sub("3100", g.Asset), g.Value))
	if err != nil {
		return err
	}
	if err := o.own(ctx, g.Thing, g.Value); err != nil || g.Agreement == nil {
		return err
	}
	if err := o.offered(ctx, *g.Agreement); err != nil {
		return err
	}
	return o.execute(ctx, g.Asset, *g.Agreement, o.day)
}

// Liquidate sells an asset that nobody wants to rent: bondholders first, the rest is the pool's (R18, R19, R22). It gives
// what the holders did not get. ErrState, ErrUnknown.
func (c *Commune) Liquidate(ctx context.Context, a Act, asset string, price money.Amount) (shortfall money.Amount, err error) {
	o, err := c.begin(ctx, a, "liquidation", []any{asset, price}, inOpenMonth)
	if err != nil || o.again {
		return 0, err
	}
	if err := wholeCents(price); err != nil {
		return 0, err
	}
	if err := o.move(ctx, asset, StepLiquidate); err != nil {
		return 0, err
	}
	if err := o.settledRents(ctx, asset, `SELECT code FROM agreement WHERE asset = $1`); err != nil {
		return 0, err
	}
	owned, err := c.owned(ctx, o.open, asset)
	if err != nil {
		return 0, err
	}
	sale := Sale{Owned: owned[0], Book: c.book, Day: o.day, Price: price}
	if sale.Balances, err = c.balances(ctx, o.open.Last()); err != nil {
		return 0, err
	}
	sold, err := sale.Liquidate()
	if err != nil {
		return 0, err
	}
	for _, d := range sold.Entries {
		if err := o.postDraft(ctx, d); err != nil {
			return 0, err
		}
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE asset SET liquidated_on = $2::date WHERE code = $1`, asset, string(o.day))
	if err == nil {
		_, err = c.tx.ExecContext(ctx, `UPDATE series SET shortfall = $2 WHERE asset = $1 AND cleared`, asset, sold.Shortfall)
	}
	return sold.Shortfall, err
}

// settledRents refuses when one of the agreements that a query gives for a code has rent open, or days in the open month
// whose rent is still to be posted (D-22).
func (o *op) settledRents(ctx context.Context, code, agreements string) error {
	var waiting string
	err := o.tx.GetContext(ctx, &waiting, `
		SELECT code FROM agreement WHERE code IN (`+agreements+`) AND (
		    start_on < $3::date AND (end_on IS NULL OR end_on > GREATEST($2::date, start_on))
		    OR EXISTS (SELECT FROM rent_posting p WHERE p.agreement = code AND p.amount > COALESCE((
		        SELECT sum(s.amount) FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0)))
		LIMIT 1`, code, string(o.open.First()), string(o.open.Next().First()))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("rent of %s is open, or still to be posted: %w", waiting, ErrState)
}
