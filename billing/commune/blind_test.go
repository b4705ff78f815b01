package commune_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// swaps say who of the members earns which wage, makes which calls, holds which bonds and rents which asset.
type swaps struct{ wages, calls, bonds, leases []int }

// TestDividendIsBlindThroughTheClose is I-07 with everything real: two months of a commune in which the members have unlike
// wages, calls, bonds and leases, and again with all of that dealt out anew. Only who was a member for how long counts.
func TestDividendIsBlindThroughTheClose(t *testing.T) {
	db := pgtest.New(t)
	const n = 4
	live := func(s swaps) (months [2]commune.Figures) {
		t.Helper()
		tx, err := db.Beginx()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback() //nolint:errcheck // that is its end
		v := &village{T: t, tx: tx, Commune: commune.In(tx, commune.Book), open: "2028-02", day: "2028-02-01"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx, acts := t.Context(), 0
		a := func(day ledger.Date) commune.Act {
			acts++
			return commune.Act{Key: fmt.Sprint("blind", acts), Actor: "test", At: time.Now(), Date: day}
		}
		name := func(i int) string { return fmt.Sprint("M", i) }
		must(commune.Sandbox(ctx, tx, time.UTC, v.open))
		o := commune.Opening{Period: "2028-02", Enterprises: []string{"CALL"}}
		for i := range n {
			o.Members = append(o.Members, commune.Membership{Member: name(i), Joined: "2027-01-01"})
		}
		o.Members[3].Joined = "2028-02-10" // who comes later gets less, whatever else he has
		must(v.Open(ctx, a("2028-02-01"), o))
		must(v.post("opening", ledger.Debit("CALL", "1000", 500*money.Unit), ledger.Credit("CALL", "3900", 500*money.Unit)))
		must(v.RequestAsset(ctx, a("2028-02-01"), commune.Request{
			Member: "M0", Price: 100 * money.Unit, Thing: commune.Thing{Asset: "T", Kind: "trunk", Life: 24, Meter: commune.Seconds},
			Agreement: commune.Offered{Code: "RT", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 30 * money.Unit, Rate: 60_000}},
		}))
		offer := commune.Offer{Series: "S", Asset: "T", Offer: 100 * money.Unit, CapBPS: 900, Unit: money.Unit, Term: 10}
		for i, units := range []money.Amount{10, 20, 30, 40} {
			offer.Bids = append(offer.Bids, commune.Bid{Bidder: name(s.bonds[i]), RateBPS: 700, Amount: units * money.Unit})
		}
		_, err = v.AuctionBonds(ctx, a("2028-02-01"), offer)
		must(err)
		must(v.Acquire(ctx, a("2028-02-01"), "T", 0))
		for i := range n {
			must(v.AcceptGift(ctx, a("2028-02-01"), commune.Gift{
				Value: 24 * money.Unit, Thing: commune.Thing{Asset: fmt.Sprint("H", i), Kind: "handset", Life: 24, Meter: commune.None},
				Agreement: &commune.Offered{Code: fmt.Sprint("RH", i), Lessee: commune.Lessee{Member: name(s.leases[i])}, Terms: commune.Terms{Fixed: money.Unit * money.Amount(i+1)}},
			}))
		}
		for month := range 2 {
			day := v.open.First()
			for i := range n {
				wage := commune.Wage{Enterprise: "CALL", Member: name(s.wages[i]), Amount: money.Unit * money.Amount(10*i+1)}
				must(v.EarnWage(ctx, a(day), wage))
				if i%2 == 0 {
					must(v.PayWage(ctx, a(day), wage))
				}
				account, price := "2100:"+name(s.calls[i]), money.Amount(123_457*(i+1))
				must(v.post("topup", ledger.Debit("CALL", "1000", 10*money.Unit), ledger.Credit("CALL", account, 10*money.Unit)))
				must(v.post("call", ledger.Debit("CALL", account, price), ledger.Credit("CALL", "4000:T", price)))
				must(commune.MeterCalls(ctx, tx, commune.Carried{Key: fmt.Sprint("call", month, i), Asset: "T", Enterprise: "CALL", Day: day, Seconds: int64(1000 * (i + 1))}))
				must(v.PayRent(ctx, a(day), commune.RentPayment{Agreement: fmt.Sprint("RH", i), Period: v.open}))
			}
			must(v.PayRent(ctx, a(day), commune.RentPayment{Agreement: "RT", Period: v.open}))
			c := &ledger.Closing{Tx: tx, Period: v.open, From: v.open.First(), At: time.Now(), Actor: "test", Keys: "close:" + string(v.open) + ":"}
			months[month], err = v.Commune.Close(ctx, c)
			must(err)
			must(ledger.EnterpriseResults(ctx, c))
			v.open = v.open.Next()
			v.day = v.open.First()
			_, err = tx.Exec(`UPDATE replay.commune SET open_from = $1::date`, string(v.day))
			must(err)
		}
		return months
	}
	order := []int{0, 1, 2, 3}
	plain := live(swaps{order, order, order, order})
	for month, f := range plain {
		if d := f.Dividends; d["M0"] <= 0 || d["M0"] != d["M1"] || d["M1"] != d["M2"] || month == 0 && d["M3"] >= d["M2"] || month == 1 && d["M3"] != d["M2"] {
			t.Fatalf("month %d: %v", month, d)
		}
	}
	rapidFew(t, 8, func(rt *rapid.T) {
		deal := rapid.SliceOfN(rapid.IntRange(0, n-1), n, n) // one may have it all
		s := swaps{deal.Draw(rt, "wages"), deal.Draw(rt, "calls"), rapid.Permutation(order).Draw(rt, "bonds"), deal.Draw(rt, "leases")}
		for month, f := range live(s) {
			if !maps.Equal(f.Dividends, plain[month].Dividends) || f.Carry != plain[month].Carry {
				rt.Fatalf("month %d: %v, dealt out as %v %v", month, plain[month].Dividends, s, f.Dividends)
			}
		}
	})
}
