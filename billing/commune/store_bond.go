package commune

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Auction is what an auction of bonds came to, in the words of scenarios/format.md 10.
type Auction struct {
	Series    string                  `json:"series"`
	Status    string                  `json:"status"` // cleared or failed
	RateBPS   int                     `json:"rate_bps"`
	Allotted  map[string]money.Amount `json:"allotments"`          // by bidder
	Refunds   map[string]money.Amount `json:"refunds"`             // by bidder
	Shortfall *money.Amount           `json:"shortfall,omitempty"` // after a liquidation
}

// AuctionBonds sells bonds for a requested asset: the coverage test, then all sealed bids at once, with their deposits,
// allotments and refunds (T-05 to T-07). Bids that don't reach the offer make it a failed one, which is no error.
// ErrCoverage, ErrAboveCap, ErrSecondBid, ErrAmount, ErrState, ErrUnknown.
func (c *Commune) AuctionBonds(ctx context.Context, a Act, offer Offer) (Auction, error) {
	o, err := c.begin(ctx, a, "bond-auction", offer, inOpenMonth)
	if err != nil {
		return Auction{}, err
	}
	if !o.again {
		if err := o.auction(ctx, offer); err != nil {
			return Auction{}, err
		}
	}
	return c.Auctioned(ctx, offer.Series)
}

func (o *op) auction(ctx context.Context, offer Offer) error {
	if err := offer.check(); err != nil {
		return err
	}
	if err := o.move(ctx, offer.Asset, StepBondsClear); err != nil {
		return err
	}
	w, err := o.request(ctx, offer.Asset)
	if err != nil {
		return err
	}
	if err := offer.Covered(w.Guaranteed(), w.Life); err != nil {
		return err
	}
	allotment, err := offer.Allot()
	if err != nil {
		return err
	}
	if err := o.issue(ctx, w, offer, allotment); err != nil {
		return err
	}
	deposits, bonds, refunds := offer.lines(o.book, allotment)
	outcome := offer.Series + " clears at " + fmt.Sprint(allotment.RateBPS) + " bps"
	for _, e := range []struct {
		text  string
		lines []ledger.Line
	}{{offer.Series + ": deposits", deposits}, {outcome, bonds}, {offer.Series + ": refunds", refunds}} {
		if err := o.post(ctx, e.text, e.lines...); err != nil {
			return err
		}
	}
	state := State("failed")
	if allotment.Cleared {
		state = Funded
	}
	return w.settle(ctx, o, state)
}

// lines are the entries of an auction.
func (o Offer) lines(book string, a Allotment) (deposits, bonds, refunds []ledger.Line) {
	var deposited, refunded money.Amount // they are parts of a sum that Allot has found to fit
	for i, b := range o.Bids {
		held, back := ofHolder("2200", o.Series, b.Bidder), b.Amount-a.Allotted[i]
		deposits = append(deposits, ledger.Credit(book, held, b.Amount))
		bonds = append(bonds, ledger.Debit(book, held, a.Allotted[i]), ledger.Credit(book, ofHolder("2100", o.Series, b.Bidder), a.Allotted[i]))
		refunds = append(refunds, ledger.Debit(book, held, back))
		deposited, refunded = deposited+b.Amount, refunded+back
	}
	return append(deposits, ledger.Debit(book, escrow, deposited)), bonds, append(refunds, ledger.Credit(book, escrow, refunded))
}

// issue writes the series and its bids down. ErrState for a code that is used.
func (o *op) issue(ctx context.Context, w wanted, offer Offer, a Allotment) error {
	principal := money.Amount(0)
	if a.Cleared {
		principal = offer.Offer
	}
	done, err := o.tx.ExecContext(ctx, `
		INSERT INTO series (code, request, asset, issued_on, offer, unit, cap_bps, term_months, cleared, rate_bps, principal)
		VALUES ($1, $2, $3, $4::date, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (code) DO NOTHING`,
		offer.Series, w.Key, offer.Asset, string(o.day), offer.Offer, offer.Unit, offer.CapBPS, offer.Term, a.Cleared, a.RateBPS, principal)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		if err == nil {
			err = fmt.Errorf("there is a series %s already: %w", offer.Series, ErrState)
		}
		return err
	}
	bidders, rates := make([]string, len(offer.Bids)), make([]int64, len(offer.Bids))
	amounts, allotted := make([]int64, len(offer.Bids)), make([]int64, len(offer.Bids))
	for i, b := range offer.Bids {
		bidders[i], rates[i], amounts[i], allotted[i] = b.Bidder, int64(b.RateBPS), int64(b.Amount), int64(a.Allotted[i])
	}
	_, err = o.tx.ExecContext(ctx, `
		INSERT INTO bid (series, n, bidder, rate_bps, amount, allotted)
		SELECT $1, b.n, b.bidder, b.rate_bps, b.amount, b.allotted
		FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS b (bidder, rate_bps, amount, allotted, n)`,
		offer.Series, pq.Array(bidders), pq.Array(rates), pq.Array(amounts), pq.Array(allotted))
	return err
}

// Auctioned gives what an auction of bonds came to, or ErrUnknown.
func (c *Commune) Auctioned(ctx context.Context, series string) (Auction, error) {
	row, err := one[struct {
		Cleared   bool          `db:"cleared"`
		RateBPS   int           `db:"rate_bps"`
		Shortfall *money.Amount `db:"shortfall"`
	}](ctx, c, "series", series, `SELECT cleared, rate_bps, shortfall FROM series WHERE code = $1`)
	if err != nil {
		return Auction{}, err
	}
	var bids []struct {
		Bidder   string       `db:"bidder"`
		Amount   money.Amount `db:"amount"`
		Allotted money.Amount `db:"allotted"`
	}
	if err := c.tx.SelectContext(ctx, &bids, `SELECT bidder, amount, allotted FROM bid WHERE series = $1`, series); err != nil {
		return Auction{}, err
	}
	a := Auction{
		Series: series, Status: "failed", RateBPS: row.RateBPS, Shortfall: row.Shortfall,
		Allotted: map[string]money.Amount{}, Refunds: map[string]money.Amount{},
	}
	if row.Cleared {
		a.Status = "cleared"
	}
	for _, b := range bids {
		if b.Allotted > 0 {
			a.Allotted[b.Bidder] = b.Allotted
		}
		if b.Amount > b.Allotted {
			a.Refunds[b.Bidder] = b.Amount - b.Allotted
		}
	}
	return a, nil
}

// bondsOf reads the series that bought an asset, with its holders in the order of their bids.
func (c *Commune) bondsOf(ctx context.Context, asset string) (Bonds, error) {
	all, err := c.bonds(ctx, asset)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("bonds of asset %.40q: %w", asset, ErrUnknown)
	}
	if err != nil {
		return Bonds{}, err
	}
	return all[0], nil
}

// bonds reads the issued series of the assets named.
func (c *Commune) bonds(ctx context.Context, assets ...string) ([]Bonds, error) {
	var series []Series
	err := c.tx.SelectContext(ctx, &series, `
		SELECT code, asset, issued_on, rate_bps, term_months, principal FROM series
		WHERE cleared AND asset = ANY ($1) ORDER BY code COLLATE "C"`, pq.Array(assets))
	if err != nil {
		return nil, err
	}
	bonds := make([]Bonds, len(series))
	for i, s := range series {
		bonds[i].Series = s
		if bonds[i].Holders, err = holders(ctx, c.tx, s.Code); err != nil {
			return nil, err
		}
	}
	return bonds, nil
}

func holders(ctx context.Context, tx *sqlx.Tx, series string) (holders []string, err error) {
	err = tx.SelectContext(ctx, &holders, `SELECT bidder FROM bid WHERE series = $1 AND allotted > 0 ORDER BY n`, series)
	return holders, err
}

// outstanding gives the principal that each holder of a series has, in their order.
func (c *Commune) outstanding(ctx context.Context, b Bonds) ([]money.Amount, error) {
	var rows []struct {
		Account string       `db:"account"`
		Owed    money.Amount `db:"owed"`
	}
	err := c.tx.SelectContext(ctx, &rows, `
		SELECT account, -sum(amount)::bigint AS owed FROM line WHERE book = $1 AND starts_with(account, $2) GROUP BY account`,
		c.book, ofHolder("2100", b.Code, ""))
	if err != nil {
		return nil, translate(err)
	}
	owed := make(map[string]money.Amount, len(rows))
	for _, r := range rows {
		owed[r.Account] = r.Owed
	}
	amounts := make([]money.Amount, len(b.Holders))
	for i, h := range b.Holders {
		amounts[i] = owed[ofHolder("2100", b.Code, h)]
	}
	return amounts, nil
}
