package tariff_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"os"
	"testing"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// TestPricingScenario prices 53 calls whose billed seconds, price, VAT and carrier cost were worked out by hand: rows
// of every shape that economics.md 5.2 and D-01 to D-04 speak of.
func TestPricingScenario(t *testing.T) {
	var s struct {
		VATPercent      string                     `json:"vat_percent"`
		Retail, Carrier map[string]json.RawMessage // rows; what they leave out has its default
		Calls           []struct {
			ID, Row          string
			Answered, Billed int
			Price, VAT, Cost money.Amount
		}
	}
	data, err := os.ReadFile("testdata/pricing.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	vat, err := tariff.ParsePercent(s.VATPercent)
	if err != nil {
		t.Fatal(err)
	}
	row := func(k tariff.Kind, raw json.RawMessage) tariff.Row {
		r := k.Defaults()
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if len(s.Calls) != 53 {
		t.Fatalf("%d calls, want 53", len(s.Calls))
	}
	for _, c := range s.Calls {
		retail, carrier := row(tariff.Retail, s.Retail[c.Row]), row(tariff.Trunk, s.Carrier[c.Row])
		price, err := retail.Price(c.Answered)
		if err != nil {
			t.Fatalf("%s: price: %v", c.ID, err)
		}
		tax, err := tariff.VAT(price, vat)
		if err != nil {
			t.Fatalf("%s: VAT: %v", c.ID, err)
		}
		cost, err := carrier.Price(c.Answered)
		if err != nil {
			t.Fatalf("%s: cost: %v", c.ID, err)
		}
		if billed := retail.Billed(c.Answered); billed != c.Billed || price != c.Price || tax != c.VAT || cost != c.Cost {
			t.Errorf("%s, %d s on %s: billed %d, price %v, VAT %v, cost %v; want %d, %v, %v, %v",
				c.ID, c.Answered, c.Row, billed, price, tax, cost, c.Billed, c.Price, c.VAT, c.Cost)
		}
	}
}

func TestPriceLimits(t *testing.T) {
	change := func(f func(r *tariff.Row)) tariff.Row {
		r := tariff.Retail.Defaults()
		r.RatePerMinute = money.Cent
		f(&r)
		return r
	}
	for _, c := range []struct {
		proves   string
		row      tariff.Row
		answered int
		want     money.Amount
		err      error
	}{
		{"a negative time costs nothing", change(func(*tariff.Row) {}), -1, 0, nil},
		{"the zero row is no row", tariff.Row{}, 60, 0, tariff.ErrRow},
		{"an interval of 0 does not divide by 0", change(func(r *tariff.Row) { r.IntervalNext = 0 }), 60, 0, tariff.ErrRow},
		{"an unknown mode is not taken for one", change(func(r *tariff.Row) { r.RoundingMode = "down" }), 60, 0, tariff.ErrRow},
		{"a product over 63 bits, a price within", change(func(r *tariff.Row) { r.RatePerMinute = math.MaxInt64 / 100 * 100 }), 60, math.MaxInt64 / 100 * 100, nil},
		{"a price over 63 bits", change(func(r *tariff.Row) { r.RatePerMinute = math.MaxInt64 }), 61, 0, money.ErrRange},
		{"rounding up out of 63 bits", change(func(r *tariff.Row) { r.RatePerMinute = math.MaxInt64 }), 60, 0, money.ErrRange},
		{"a sum over 63 bits", change(func(r *tariff.Row) { r.ConnectFee = math.MaxInt64 }), 60, 0, money.ErrRange},
		{"a minimum that can't be rounded up", change(func(r *tariff.Row) { r.MinimumCharge = math.MaxInt64 }), 60, 0, money.ErrRange},
		{"a negative rate", change(func(r *tariff.Row) { r.RatePerMinute = -1 }), 60, 0, money.ErrRange},
		{"a negative minimum", change(func(r *tariff.Row) { r.MinimumCharge = -1 }), 60, 0, money.ErrRange},
		{"a unit over 57 bits", change(func(r *tariff.Row) { r.RoundingUnit = math.MaxInt64 }), 60, 0, money.ErrRange},
		{"billed seconds out of range", change(func(r *tariff.Row) { r.IntervalNext = 1000 }), math.MaxInt, 0, money.ErrRange},
	} {
		if got, err := c.row.Price(c.answered); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: Price(%d) = %v, %v; want %v, %v", c.proves, c.answered, got, err, c.want, c.err)
		}
	}
	if got := change(func(r *tariff.Row) { r.IntervalNext = 1000 }).Billed(math.MaxInt - 5); got != math.MaxInt {
		t.Errorf("Billed near the greatest int = %d, want it not to wrap", got)
	}
}

// anyRow draws rows as a deck may have them.
func anyRow(t *rapid.T) tariff.Row {
	amount := func(name string, most money.Amount) money.Amount {
		return money.Amount(rapid.Int64Range(0, int64(most)).Draw(t, name))
	}
	return tariff.Row{
		RatePerMinute: amount("rate", 5*money.Unit),
		ConnectFee:    amount("fee", money.Unit),
		IntervalFirst: rapid.IntRange(1, 90).Draw(t, "first"),
		IntervalNext:  rapid.IntRange(1, 90).Draw(t, "next"),
		GraceSeconds:  rapid.IntRange(0, 20).Draw(t, "grace"),
		MinimumCharge: amount("minimum", money.Unit),
		RoundingUnit:  1 + amount("unit", money.Unit/2),
		RoundingMode:  rapid.SampledFrom([]money.Mode{money.Up, money.HalfUp}).Draw(t, "mode"),
	}
}

func price(t interface{ Fatal(...any) }, r tariff.Row, answered int) money.Amount {
	p, err := r.Price(answered)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPriceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRow(t)
		answered := rapid.IntRange(0, 10_000).Draw(t, "answered")
		billed := r.Billed(answered)
		if billed < answered {
			t.Fatalf("billed %d of %d answered seconds", billed, answered)
		}
		if r.Billed(billed) != billed {
			t.Fatalf("billed seconds %d are billed as %d", billed, r.Billed(billed))
		}
		p := price(t, r, answered)
		if next := price(t, r, answered+1); next < p {
			t.Fatalf("price falls from %v at %d s to %v a second later", p, answered, next)
		}
		if p%r.RoundingUnit != 0 {
			t.Fatalf("price %v is no multiple of %v", p, r.RoundingUnit)
		}
		if want := exact(r, answered); p != want {
			t.Fatalf("price %v, want %v by big.Rat", p, want)
		}
		if answered < r.FirstPaidSecond() && p != 0 {
			t.Fatalf("price %v before the first paid second", p)
		}
	})
}

// exact is the price rule again, in big rationals and in the words of economics.md 5.2.
func exact(r tariff.Row, answered int) money.Amount {
	if answered <= r.GraceSeconds {
		return 0
	}
	whole := func(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }
	due := new(big.Rat).SetFrac64(int64(r.RatePerMinute)*int64(r.Billed(answered)), 60)
	due.Add(due, whole(int64(r.ConnectFee)))
	if least := whole(int64(r.MinimumCharge)); due.Cmp(least) < 0 {
		due = least
	}
	due.Quo(due, whole(int64(r.RoundingUnit)))
	if r.RoundingMode == money.HalfUp {
		due.Add(due, big.NewRat(1, 2))
	}
	units, rest := new(big.Int).QuoRem(due.Num(), due.Denom(), new(big.Int))
	if r.RoundingMode == money.Up && rest.Sign() > 0 {
		units.Add(units, big.NewInt(1))
	}
	return money.Amount(units.Int64()) * r.RoundingUnit
}

func TestAffordable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRow(t)
		credit := money.Amount(rapid.Int64Range(0, int64(20*money.Unit)).Draw(t, "credit"))
		limit := rapid.IntRange(0, 7200).Draw(t, "limit")
		seconds := r.Affordable(credit, limit)
		if seconds < 0 || seconds > limit {
			t.Fatalf("%d s, outside 0 to %d", seconds, limit)
		}
		if p := price(t, r, seconds); p > credit {
			t.Fatalf("%d s cost %v, more than %v", seconds, p, credit)
		}
		if seconds < limit {
			if p := price(t, r, seconds+1); p <= credit {
				t.Fatalf("%d s are not the most: one more costs %v of %v", seconds, p, credit)
			}
		}
	})
	minute := tariff.Row{RatePerMinute: 10 * money.Cent, IntervalFirst: 60, IntervalNext: 60, GraceSeconds: 5, RoundingUnit: money.Cent, RoundingMode: money.Up}
	for _, c := range []struct {
		proves string
		row    tariff.Row
		credit money.Amount
		limit  int
		want   int
	}{
		{"exactly the credit is enough", minute, 20 * money.Cent, 7200, 120},
		{"a millionth less is not", minute, 20*money.Cent - 1, 7200, 60},
		{"no credit buys the grace time only", minute, 0, 7200, 5},
		{"debt buys nothing", minute, -1, 7200, 0},
		{"the limit holds", minute, money.Unit * 1000, 90, 90},
		{"a limit below 0 is none at all", minute, money.Unit, -1, 0},
		{"what is free has no other end than the limit", tariff.Retail.Defaults(), 0, 7200, 7200},
		{"no row, no seconds", tariff.Row{}, money.Unit, 7200, 0},
	} {
		if got := c.row.Affordable(c.credit, c.limit); got != c.want {
			t.Errorf("%s: Affordable(%v, %d) = %d, want %d", c.proves, c.credit, c.limit, got, c.want)
		}
	}
}

func TestVATAndPercent(t *testing.T) {
	for _, c := range []struct {
		in   string
		want tariff.Percent
		err  error
	}{
		{"19", 19_000_000, nil},
		{"0", 0, nil},
		{"100", 100_000_000, nil},
		{"7.700001", 7_700_001, nil},
		{"100.000001", 0, tariff.ErrPercent},
		{"-1", 0, tariff.ErrPercent},
		{"1.0000001", 0, tariff.ErrPercent},
		{"1e1", 0, tariff.ErrPercent},
		{"19%", 0, tariff.ErrPercent},
		{"", 0, tariff.ErrPercent},
		{"99999999999999999999", 0, tariff.ErrPercent},
	} {
		if got, err := tariff.ParsePercent(c.in); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParsePercent(%q) = %d, %v; want %d, %v", c.in, got, err, c.want, c.err)
		}
	}
	if got, err := tariff.VAT(math.MaxInt64, 100_000_000); err != nil || got != math.MaxInt64/2+1 {
		t.Errorf("VAT of the greatest amount at 100 %% = %v, %v; want half of it, halves up", got, err)
	}
	for _, vat := range []tariff.Percent{-1, 100_000_001} {
		if _, err := tariff.VAT(money.Unit, vat); !errors.Is(err, money.ErrRange) {
			t.Errorf("VAT at %d: %v, want ErrRange", vat, err)
		}
	}
	if _, err := tariff.VAT(-1, 0); !errors.Is(err, money.ErrRange) {
		t.Errorf("VAT of a negative price: %v, want ErrRange", err)
	}
}

func TestPricingAllocatesNothing(t *testing.T) {
	r := tariff.Retail.Defaults()
	r.RatePerMinute, r.MinimumCharge = 19_000, 1
	if n := testing.AllocsPerRun(100, func() {
		_, _ = r.Price(1801)
		_ = r.Affordable(money.Unit, 7200)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPrice(b *testing.B) {
	r := tariff.Retail.Defaults()
	r.RatePerMinute, r.MinimumCharge = 19_000, 1
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = r.Price(i % 7200)
	}
}

func BenchmarkAffordable(b *testing.B) {
	r := tariff.Retail.Defaults()
	r.RatePerMinute = 19_000
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Affordable(money.Unit, 7200)
	}
}
