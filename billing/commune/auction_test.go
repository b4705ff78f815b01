package commune_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

func TestCoverage(t *testing.T) {
	for _, tt := range []struct {
		what       string
		offer      string
		cap, term  int
		guaranteed string
		life       int
		covered    bool
	}{
		{"the golden series", "120.00", 800, 12, "11.00", 24, true},
		{"just enough", "120.00", 800, 12, "10.80", 24, true},
		{"a cent too little", "120.00", 800, 12, "10.79", 24, false},
		{"as long as the asset lives", "120.00", 0, 12, "10.00", 12, true},
		{"longer", "120.00", 0, 13, "10.00", 12, false},
	} {
		o := commune.Offer{Offer: eur(t, tt.offer), CapBPS: tt.cap, Term: tt.term}
		if err := o.Covered(eur(t, tt.guaranteed), tt.life); (err == nil) != tt.covered || err != nil && !errors.Is(err, commune.ErrCoverage) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func bids(t *testing.T, of ...string) (all []commune.Bid) {
	t.Helper()
	for i, s := range of {
		var b commune.Bid
		var amount string
		if _, err := fmt.Sscanf(s, "%d:%s", &b.RateBPS, &amount); err != nil {
			t.Fatal(err)
		}
		b.Bidder, b.Amount = fmt.Sprint("b", i), eur(t, amount)
		all = append(all, b)
	}
	return all
}

func TestAllot(t *testing.T) {
	for _, tt := range []struct {
		what string
		bids []string
		rate int // -1: it fails
		want []string
	}{
		{"the golden auction", []string{"500:48.00", "550:43.00", "575:24.00", "625:30.00", "575:15.00"}, 575, []string{"48.00", "43.00", "18.00", "0.00", "11.00"}},
		{"exactly the offer, one rate for all", []string{"700:60.00", "100:60.00"}, 700, []string{"60.00", "60.00"}},
		{"the last level is taken whole", []string{"100:60.00", "200:30.00", "200:30.00", "300:1.00"}, 200, []string{"60.00", "30.00", "30.00", "0.00"}},
		{"one bid for more than all", []string{"500:200.00"}, 500, []string{"120.00"}},
		{"a euro too little", []string{"100:60.00", "100:59.00"}, -1, []string{"0.00", "0.00"}},
		{"nobody", nil, -1, nil},
		{"equal fractions: the earlier bid", []string{"100:119.00", "200:1.00", "200:1.00"}, 200, []string{"119.00", "1.00", "0.00"}},
	} {
		o := commune.Offer{Offer: eur(t, "120.00"), Unit: eur(t, "1.00"), Bids: bids(t, tt.bids...)}
		a, err := o.Allot()
		if err != nil || a.Cleared != (tt.rate >= 0) || a.Cleared && a.RateBPS != tt.rate || !slices.Equal(a.Allotted, amounts(t, tt.want...)) {
			t.Errorf("%s: %+v, %v", tt.what, a, err)
		}
	}
	if _, err := (commune.Offer{Offer: 1 << 62, Unit: 1, Bids: []commune.Bid{{Amount: 1<<62 - 1}, {Amount: 1<<62 - 1}, {Amount: 1<<62 - 1}}}).Allot(); !errors.Is(err, money.ErrRange) {
		t.Errorf("bids beyond 64 bits: %v", err)
	}
}

// TestAllotIsFair is I-08: allotments sum to the offer, nothing above the rate is accepted, nothing below it refused.
func TestAllotIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := commune.Offer{Unit: money.Unit, Offer: money.Amount(rapid.Int64Range(1, 1000).Draw(t, "offer")) * money.Unit}
		var all money.Amount
		for i := range rapid.IntRange(0, 60).Draw(t, "bids") {
			b := commune.Bid{
				Bidder: fmt.Sprint(i), RateBPS: rapid.IntRange(0, 5).Draw(t, "rate"),
				Amount: money.Amount(rapid.Int64Range(1, 100).Draw(t, "amount")) * money.Unit,
			}
			o.Bids, all = append(o.Bids, b), all+b.Amount
		}
		a, err := o.Allot()
		if err != nil || a.Cleared != (all >= o.Offer) {
			t.Fatalf("%+v, %v", a, err)
		}
		sum, _ := commune.Sum(a.Allotted)
		if a.Cleared && sum != o.Offer || !a.Cleared && sum != 0 {
			t.Fatalf("%s allotted of %s", sum, o.Offer)
		}
		for i, b := range o.Bids {
			got := a.Allotted[i]
			if got%o.Unit != 0 || got > b.Amount || a.Cleared && (b.RateBPS > a.RateBPS && got > 0 || b.RateBPS < a.RateBPS && got != b.Amount) {
				t.Fatalf("bid %+v got %s at %d bps", b, got, a.RateBPS)
			}
		}
	})
}

// TestManyBids: a hundred thousand are no matter.
func TestManyBids(t *testing.T) {
	o := commune.Offer{Unit: money.Cent, Offer: 900_000_000 * money.Unit}
	for i := range 100_000 {
		o.Bids = append(o.Bids, commune.Bid{Bidder: fmt.Sprint(i), RateBPS: i % 1000, Amount: 12_345 * money.Unit})
	}
	a, err := o.Allot()
	if sum, _ := commune.Sum(a.Allotted); err != nil || !a.Cleared || sum != o.Offer {
		t.Errorf("%v at %d bps: %s, %v", a.Cleared, a.RateBPS, sum, err)
	}
}

func TestBestRentalBid(t *testing.T) {
	for _, tt := range []struct {
		what    string
		bids    []string
		reserve string
		want    int
	}{
		{"the highest", []string{"5.00", "7.00", "6.00"}, "0.00", 1},
		{"the earlier of equal ones", []string{"7.00", "7.00"}, "7.00", 0},
		{"none at the reserve", []string{"6.99"}, "7.00", -1},
		{"nobody", nil, "0.00", -1},
	} {
		var all []commune.RentalBid
		for _, s := range tt.bids {
			all = append(all, commune.RentalBid{Amount: eur(t, s)})
		}
		if got := commune.Best(all, eur(t, tt.reserve)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, got, tt.want)
		}
	}
}
