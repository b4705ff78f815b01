package replay

import (
	"context"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

// The events of assets: from the request to the sale.

// carry meters a call over a trunk that is an asset, which must be let to the caller's enterprise on the day that the call
// is booked on (economics.md D-08, D-09).
func (r *run) carry(ctx context.Context, e *event, t trunk, enterprise string, seconds int) error {
	if t.asset == "" {
		return nil
	}
	day := max(e.date, r.next.First())
	if err := r.commune.LetTo(ctx, r.name(t.asset), r.book(enterprise), day); err != nil {
		return err
	}
	return commune.MeterCalls(ctx, r.tx, commune.Carried{
		Key: r.key(e.n), Asset: r.name(t.asset), Enterprise: r.book(enterprise), Day: day, Seconds: int64(seconds),
	})
}

// known reads the id of a thing that the commune looks up.
func (r *run) known(e *event, field string) string { return r.name(e.ident(field)) }

func (r *run) usage(ctx context.Context, e *event) error {
	u := commune.Use{Asset: r.known(e, "asset"), Units: int64(e.amount("quantity", money.Micro, money.Micro))}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.Report(ctx, r.act(e), u))
}

func (r *run) assetRequest(ctx context.Context, e *event) error {
	q := commune.Request{Member: r.known(e, "member"), Price: e.amount("price", money.Cent, money.Cent), Thing: r.thing(e)}
	q.Agreement = r.offered(e, q.Meter)
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.RequestAsset(ctx, r.act(e), q))
}

// thing reads what an asset is.
func (r *run) thing(e *event) commune.Thing {
	return commune.Thing{
		Asset: r.known(e, "asset"), Kind: plain(e.text("kind")), Life: e.integer("life_months", 1), Meter: e.meter(),
	}
}

// offered reads the field `agreement`.
func (r *run) offered(e *event, m commune.Meter) commune.Offered {
	o := e.object.object("agreement")
	g := r.world.readAgreement(o, m)
	e.keep(o.done())
	g.Code, g.Lessee = r.name(g.Code), r.lessee(g.Lessee)
	return g
}

func (r *run) bondAuction(ctx context.Context, e *event) error {
	series := e.ident("series")
	unit := e.amount("unit", money.Cent, money.Cent)
	offer := commune.Offer{
		Series: r.name(series), Asset: r.known(e, "asset"), Offer: e.amount("offer", money.Cent, max(unit, 1)),
		CapBPS: e.integer("cap_bps", 0), Unit: unit, Term: e.integer("term_months", 1),
	}
	e.list("bids", func(b *object) {
		offer.Bids = append(offer.Bids, commune.Bid{
			Bidder: r.name(b.ident("bidder")), RateBPS: b.integer("rate_bps", 0), Amount: b.amount("amount", money.Cent, max(unit, 1)),
		})
	})
	if err := e.done(); err != nil {
		return err
	}
	if _, err := r.commune.AuctionBonds(ctx, r.act(e), offer); err != nil {
		return refused(e, err)
	}
	r.series = append(r.series, series)
	return nil
}

func (r *run) acquisition(ctx context.Context, e *event) error {
	asset, cost := r.known(e, "asset"), e.optAmount("cost", money.Cent, money.Cent, 0)
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.Acquire(ctx, r.act(e), asset, cost))
}

func (r *run) giftAsset(ctx context.Context, e *event) error {
	g := commune.Gift{Value: e.amount("value", money.Cent, money.Cent), Thing: r.thing(e)}
	if e.has("agreement") {
		offered := r.offered(e, g.Meter)
		g.Agreement = &offered
	}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.AcceptGift(ctx, r.act(e), g))
}

func (r *run) notice(ctx context.Context, e *event) error {
	agreement, end := r.known(e, "agreement"), e.day("end")
	e.optText("text", "")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.Notice(ctx, r.act(e), agreement, end))
}

func (r *run) rentalAuction(ctx context.Context, e *event) error {
	l, err := r.letting(ctx, e)
	if err != nil {
		return err
	}
	out, err := r.commune.LetByAuction(ctx, r.act(e), l)
	if err != nil {
		return refused(e, err)
	}
	a := Auction{Status: out.Status, Reserve: &out.Reserve}
	if out.Status == "let" {
		a.Winner, a.Agreement, a.Amount = r.subs.original(out.Winner), r.subs.original(out.Agreement), &out.Amount
	}
	r.lettings[e.id] = a
	return nil
}

func (r *run) letting(ctx context.Context, e *event) (commune.Letting, error) {
	l := commune.Letting{Asset: r.known(e, "asset"), Agreement: r.known(e, "agreement")}
	if e.has("start") {
		l.Start = e.day("start")
	}
	if e.has("reserve") {
		reserve := e.amount("reserve", 0, money.Cent)
		l.Reserve = &reserve
	}
	sets := e.optText("bid_sets", "fixed")
	if l.Minimum = sets == "minimum"; !l.Minimum && sets != "fixed" {
		e.fail(badScenario, "bid_sets %q", sets)
	}
	l.Rate = e.optAmount("rate", 0, money.Micro, 0)
	meter, err := r.commune.MeterOf(ctx, l.Asset)
	if err != nil && e.has("included") {
		delete(e.fields, "included") // of an asset that there is not, which the auction says
	}
	l.Included = e.included(meter)
	e.list("bids", func(b *object) {
		l.Bids = append(l.Bids, commune.RentalBid{
			Bidder: r.name(b.ident("bidder")), Enterprise: r.book(b.ident("enterprise")), Amount: b.amount("amount", money.Cent, money.Cent),
		})
	})
	return l, e.done()
}

func (r *run) liquidation(ctx context.Context, e *event) error {
	asset, price := r.known(e, "asset"), e.amount("price", money.Cent, money.Cent)
	if err := e.done(); err != nil {
		return err
	}
	_, err := r.commune.Liquidate(ctx, r.act(e), asset, price)
	return refused(e, err)
}
