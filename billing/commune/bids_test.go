package commune_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

func TestReadBids(t *testing.T) {
	got, err := commune.ReadBids(strings.NewReader("bidder,rate_bps,amount\nX,500,48.00\n\"Y\",0,1\n"))
	want := []commune.Bid{{Bidder: "X", RateBPS: 500, Amount: 48 * money.Unit}, {Bidder: "Y", Amount: money.Unit}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	rental, err := commune.ReadRentalBids(strings.NewReader("bidder,enterprise,amount\nanna,HOST,4.50\n"))
	if err != nil || len(rental) != 1 || rental[0] != (commune.RentalBid{Bidder: "anna", Enterprise: "HOST", Amount: 4_500_000}) {
		t.Errorf("%v, %v", rental, err)
	}
	for name, tt := range map[string]struct{ file, says string }{
		"nothing":            {"", "first line"},
		"another header":     {"who,rate_bps,amount\n", "first line"},
		"a field too few":    {"bidder,rate_bps,amount\nX,500\n", "line 2"},
		"a rate in percent":  {"bidder,rate_bps,amount\nX,5.00,48.00\n", "line 2: rate_bps"},
		"a negative rate":    {"bidder,rate_bps,amount\nX,-1,48.00\n", "line 2: rate_bps"},
		"an amount in words": {"bidder,rate_bps,amount\nX,1,1.00\nY,1,much\n", "line 3"},
		"nobody":             {"bidder,rate_bps,amount\n,1,1.00\n", "bidder's code"},
		"an open quote":      {"bidder,rate_bps,amount\n\"X,1,1.00\n", "line 2"},
	} {
		if _, err := commune.ReadBids(strings.NewReader(tt.file)); !errors.Is(err, commune.ErrBids) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

func FuzzReadBids(f *testing.F) {
	f.Add("bidder,rate_bps,amount\nX,500,48.00\n")
	f.Fuzz(func(t *testing.T, file string) {
		bids, err := commune.ReadBids(strings.NewReader(file))
		for _, b := range bids {
			if err == nil && (b.Bidder == "" || b.RateBPS < 0) {
				t.Errorf("%+v", b)
			}
		}
	})
}
