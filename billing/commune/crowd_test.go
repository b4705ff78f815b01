package commune_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// TestCrowd sells bonds to a crowd: so many sealed bids at once, deposited, allotted, refunded, in balance.
func TestCrowd(t *testing.T) {
	bidders := 2_000
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		bidders = 100_000
	}
	s := newSaga(t)
	each := money.Amount(bidders) / 2 * 3 * money.Unit // half of them get what they bid for
	s.on("2027-06-03", nil, func(ctx context.Context, c com, a act) error {
		return c.RequestAsset(ctx, a, commune.Request{
			Member: "anna", Price: each, Thing: commune.Thing{Asset: "hall", Kind: "hall", Life: 600, Meter: commune.None},
			Agreement: commune.Offered{Code: "RH", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: each}},
		})
	})
	offer := commune.Offer{Series: "HALL", Asset: "hall", Offer: each, CapBPS: 1000, Unit: money.Unit, Term: 120}
	for i := range bidders {
		offer.Bids = append(offer.Bids, commune.Bid{Bidder: fmt.Sprint("B", i), RateBPS: 1 + i*7919%1000, Amount: 3 * money.Unit})
	}
	begun := time.Now()
	s.on("2027-06-03", nil, func(ctx context.Context, c com, a act) error {
		out, err := c.AuctionBonds(ctx, a, offer)
		if err != nil {
			return err
		}
		var allotted money.Amount
		for _, amount := range out.Allotted {
			allotted += amount
		}
		if out.Status != "cleared" || allotted != each || out.RateBPS != 500 {
			return fmt.Errorf("%s at %d bps, %s allotted of %s", out.Status, out.RateBPS, allotted, each)
		}
		return nil
	})
	t.Logf("%d bids took %v, and to be told of them again", bidders, time.Since(begun).Round(time.Millisecond))
	lines, err := ledger.Trial(t.Context(), s.db, ledger.TrialFilter{Book: "COM"})
	if err != nil {
		t.Fatal(err)
	}
	var sum, held money.Amount
	for _, l := range lines {
		sum += l.Balance
		if l.Account[:4] == "2200" {
			held += l.Balance
		}
	}
	if sum != 0 || held != 0 {
		t.Errorf("the book is off by %s, %s of subscriptions are left", sum, held)
	}
	s.balance("COM", "1050", each.String())
}
