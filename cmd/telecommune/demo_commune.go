package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// The commune of the demo: three of the callers work in it. One trunk is bought with bonds, the other was given; CALL rents
// both. What the month must come to is worked out by hand:
//
//	alpha  11.00 and 18 seconds at 0.30 a minute: 11.09; the bonds take 0.55 of interest and a twelfth of 120.00: 0.54 is left
//	beta    4.00 and 3 seconds at 0.30 a minute, half up: 4.02
//	pool    0.54 + 4.02 - 0.41 of bank charges = 4.15, a third of which is 1.38, and a cent is carried
var (
	communeMembers = []string{"anna", "boris", "dora"}
	demoBids       = []commune.Bid{
		{Bidder: "xenia", RateBPS: 500, Amount: 70 * money.Unit},
		{Bidder: "yannis", RateBPS: 550, Amount: 50 * money.Unit},
		{Bidder: "zoe", RateBPS: 625, Amount: 40 * money.Unit},
	}
	wantPool, wantDividend, wantCarry = 415 * money.Cent, 138 * money.Cent, money.Cent
)

// buildCommune founds the commune on the first of the month, so that months are whole.
func (d *demo) buildCommune(ctx context.Context) error {
	store := commune.NewStore(d.app.db.DB)
	house, err := d.app.bank.Commune(ctx)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(house.Zone)
	if err != nil {
		return err
	}
	now, n := now(ctx), 0
	d.world.month = ledger.PeriodOf(ledger.DateOf(now, zone))
	act := func() commune.Act {
		n++
		return commune.Act{Key: fmt.Sprint("demo:", n), Actor: "demo", At: now, Date: d.world.month.First()}
	}
	err = store.Do(ctx, func(c *commune.Commune) error {
		for i, code := range communeMembers {
			j := commune.Joining{Member: code, Name: nameOf(code), Enterprise: "CALL", Text: "set up the exchange"}
			if i > 0 {
				j.AttestedBy = communeMembers[0]
			}
			if err := c.Join(ctx, act(), j); err != nil {
				return err
			}
		}
		return buyTrunks(ctx, c, act, d.world.month)
	})
	for _, code := range communeMembers {
		err = errors.Join(err, store.SetMember(ctx, code, nil, nil, &code))
	}
	return err
}

func nameOf(code string) string {
	for _, p := range people {
		if p.code == code {
			return p.name
		}
	}
	return code
}

// buyTrunks brings the two trunks into the commune's hands, and orders their rent to be paid.
func buyTrunks(ctx context.Context, c *commune.Commune, act func() commune.Act, month ledger.Period) error {
	thing := func(code string) commune.Thing {
		return commune.Thing{Asset: code, Kind: "trunk", Life: 24, Meter: commune.Seconds}
	}
	lease := func(code string, fixed money.Amount) commune.Offered {
		return commune.Offered{Code: code, Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: fixed, Rate: 30 * money.Cent}}
	}
	wish := commune.Request{Member: "boris", Price: 120 * money.Unit, Thing: thing("alpha"), Agreement: lease("RA", 11*money.Unit)}
	if err := c.RequestAsset(ctx, act(), wish); err != nil {
		return err
	}
	offer := commune.Offer{Series: "S1", Asset: "alpha", Offer: wish.Price, CapBPS: 800, Unit: money.Unit, Term: 12, Bids: demoBids}
	if _, err := c.AuctionBonds(ctx, act(), offer); err != nil {
		return err
	}
	if err := c.Acquire(ctx, act(), "alpha", 0); err != nil {
		return err
	}
	rent := lease("RB", 4*money.Unit)
	if err := c.AcceptGift(ctx, act(), commune.Gift{Value: 48 * money.Unit, Thing: thing("beta"), Agreement: &rent}); err != nil {
		return err
	}
	for _, agreement := range []string{"RA", "RB"} {
		if err := c.PayRent(ctx, act(), commune.RentPayment{Agreement: agreement, Period: month}); err != nil {
			return err
		}
	}
	return c.NoteExpense(ctx, act(), 41*money.Cent, "bank charges")
}

// closeMonth closes the month, prints what it comes to for each member, and returns what differs from what it must.
func (d *demo) closeMonth(ctx context.Context) (wrong []string, err error) {
	store, month := commune.NewStore(d.app.db.DB), d.world.month
	d.say(`
The commune: anna, boris and dora own it, since they work in it. They bought the trunk alpha with
bonds, for which xenia, yannis and zoe bid; beta was given to them. The enterprise CALL rents both,
by the seconds of the calls above. The month is closed now, though it is not over, by what is
otherwise `+"`telecommune period close %s --early`"+`: calls from now on count in the month after.
`, month)
	closed, err := store.Close(ctx, ledger.Order{Period: month, Actor: "demo", Now: now(ctx), Early: true})
	if err != nil {
		return nil, err
	}
	if err := list(d.cmd, figureRows(closed.Figures)); err != nil {
		return nil, err
	}
	if f := closed.Figures; f.Pool != wantPool || f.Carry != wantCarry || len(f.Dividends) != len(communeMembers) {
		wrong = append(wrong, fmt.Sprintf("the month came to %+v", f))
	}
	for i, code := range communeMembers {
		m, err := store.MemberMonth(ctx, code, month, now(ctx))
		if err != nil {
			return nil, err
		}
		if m.Dividend != wantDividend {
			wrong = append(wrong, fmt.Sprintf("%s gets %s instead of %s", code, m.Dividend, wantDividend))
		}
		d.say("")
		if i > 0 {
			m.Entries = nil // they are those of the first
		}
		if err := m.WriteText(d.out); err != nil {
			return nil, err
		}
	}
	for _, book := range []string{"COM", "CALL"} {
		if _, err := ledger.BalanceSheetOf(ctx, d.app.db.DB, book, month.Last()); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong, nil
}
