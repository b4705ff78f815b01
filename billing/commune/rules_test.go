package commune_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// eur reads an amount, none is 0.
func eur(t *testing.T, s string) money.Amount {
	t.Helper()
	if s == "" {
		return 0
	}
	a, err := money.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func amounts(t *testing.T, all ...string) []money.Amount {
	t.Helper()
	out := make([]money.Amount, len(all))
	for i, s := range all {
		out[i] = eur(t, s)
	}
	return out
}

func TestRent(t *testing.T) {
	full, half := commune.Part{Days: 30, Of: 30}, commune.Part{Days: 15, Of: 30}
	for _, tt := range []struct {
		name                 string
		fixed, minimum, rate string
		included             int64
		meter                commune.Meter
		part                 commune.Part
		units                int64
		want                 string
	}{
		{"the golden trunk A", "11.00", "", "0.003", 0, commune.Seconds, full, 18125, "11.91"},
		{"the golden trunk B: more than its minimum", "", "3.00", "0.012", 0, commune.Seconds, full, 18124, "3.62"},
		{"less than its minimum", "", "3.00", "0.012", 0, commune.Seconds, full, 14000, "3.00"},
		{"half a cent goes up", "", "", "0.003", 0, commune.Seconds, full, 100, "0.01"},
		{"less than half a cent goes down", "", "", "0.003", 0, commune.Seconds, full, 99, "0.00"},
		{"what is included costs nothing", "1.00", "", "0.60", 600, commune.Seconds, full, 600, "1.00"},
		{"what is beyond it does", "1.00", "", "0.60", 600, commune.Seconds, full, 601, "1.01"},
		{"part of a month: fixed half up", "0.25", "", "", 0, commune.None, half, 0, "0.13"},
		{"part of a month: minimum half up", "", "0.25", "", 0, commune.None, half, 0, "0.13"},
		{"part of a month: included floored", "", "", "6.00", 3, commune.Seconds, half, 2, "0.10"},
		{"one day of February", "28.00", "", "", 0, commune.None, commune.Part{Days: 1, Of: 28}, 0, "1.00"},
		{"a quantity in millionths", "", "", "0.25", 2_500_000, commune.Quantity, full, 4_500_001, "0.50"},
		{"a meter that there is not", "2.00", "", "9.00", 0, commune.None, full, 5, "2.00"},
		{"nine billion", "9000000000.00", "", "", 0, commune.None, full, 0, "9000000000.00"},
	} {
		terms := commune.Terms{Fixed: eur(t, tt.fixed), Minimum: eur(t, tt.minimum), Rate: eur(t, tt.rate), Included: tt.included}
		got, err := terms.Rent(tt.meter, tt.part, tt.units)
		if err != nil || got != eur(t, tt.want) {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
	dear := commune.Terms{Fixed: 1<<62 - 1<<62%money.Cent, Rate: 1 << 62}
	if _, err := dear.Rent(commune.Seconds, full, 1<<40); !errors.Is(err, money.ErrRange) {
		t.Errorf("a rent beyond 64 bits: %v", err)
	}
}

func TestLargestRemainder(t *testing.T) {
	for _, tt := range []struct {
		name        string
		total, unit string
		weights     []string
		want        []string
	}{
		{"the golden margin", "29.00", "1.00", []string{"24.00", "15.00"}, []string{"18.00", "11.00"}},
		{"the golden redemption", "10.00", "0.01", []string{"48.00", "43.00", "18.00", "11.00"}, []string{"4.00", "3.58", "1.50", "0.92"}},
		{"a tie goes to the earlier", "0.01", "0.01", []string{"5.00", "5.00", "5.00"}, []string{"0.01", "0.00", "0.00"}},
		{"no fraction, no extra unit", "3.00", "1.00", []string{"1.00", "0.00", "2.00"}, []string{"1.00", "0.00", "2.00"}},
		{"nothing for nobody", "0.00", "0.01", nil, nil},
		{"nothing to share", "0.00", "0.01", []string{"0.00"}, []string{"0.00"}},
		{"close to 64 bits", "9000000000000.00", "0.01", []string{"1.00", "9000000000000.00"}, []string{"1.00", "8999999999999.00"}},
	} {
		got, err := commune.LargestRemainder(eur(t, tt.total), eur(t, tt.unit), amounts(t, tt.weights...))
		if err != nil || !slices.Equal(got, amounts(t, tt.want...)) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		total   money.Amount
		weights []money.Amount
	}{
		"no multiple of the unit": {1, []money.Amount{1}},
		"less than nothing":       {-money.Cent, []money.Amount{1}},
		"nobody":                  {money.Cent, nil},
		"without weight":          {money.Cent, []money.Amount{0, 0}},
		"a negative weight":       {money.Cent, []money.Amount{-1, 2}},
		"weights beyond 64 bits":  {money.Cent, []money.Amount{1 << 62, 1 << 62}},
	} {
		if _, err := commune.LargestRemainder(tt.total, money.Cent, tt.weights); !errors.Is(err, money.ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestShares holds that whatever is divided by largest remainder sums to what there was, is never more than a unit off the
// exact share, and that an earlier of equals never gets less.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Map(rapid.Int64Range(0, 1e12), func(n int64) money.Amount { return money.Amount(n) }), 1, 50).Draw(t, "weights")
		weights = append(weights, 1)
		total := money.Amount(rapid.Int64Range(0, 1e9).Draw(t, "cents")) * money.Cent
		shares, err := commune.LargestRemainder(total, money.Cent, weights)
		if err != nil {
			t.Fatal(err)
		}
		sum, _ := commune.Sum(shares)
		all, _ := commune.Sum(weights)
		if sum != total {
			t.Fatalf("%v sum to %s, not %s", shares, sum, total)
		}
		for i, share := range shares {
			least, err := money.MulDiv(int64(total/money.Cent), int64(weights[i]), int64(all), money.Down)
			if units := int64(share / money.Cent); err != nil || units != least && units != least+1 {
				t.Errorf("share %d of weight %s is %s, %v", i, weights[i], share, err)
			}
			for k := range i {
				if weights[k] == weights[i] && shares[k] < share {
					t.Errorf("of equals the earlier got %s, the later %s", shares[k], share)
				}
			}
		}
	})
}

func TestEvenSplit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pool  string
		days  []int
		want  []string
		carry string
	}{
		{"the golden month", "4.55", []int{30, 30, 30}, []string{"1.51", "1.51", "1.51"}, "0.02"},
		{"by days", "1.00", []int{30, 15, 1}, []string{"0.65", "0.32", "0.02"}, "0.01"},
		{"nobody", "1.00", nil, nil, "1.00"},
		{"nobody for a day", "1.00", []int{0}, []string{"0.00"}, "1.00"},
		{"less than a cent each", "0.02", []int{1, 1, 1}, []string{"0.00", "0.00", "0.00"}, "0.02"},
		{"a loss is carried", "-3.00", []int{30}, []string{"0.00"}, "-3.00"},
		{"nine billion", "9000000000.01", []int{31, 31}, []string{"4500000000.00", "4500000000.00"}, "0.01"},
	} {
		got, carry, err := commune.EvenSplit(eur(t, tt.pool), tt.days)
		if err != nil || !slices.Equal(got, amounts(t, tt.want...)) || carry != eur(t, tt.carry) {
			t.Errorf("%s: %v, carry %s, %v", tt.name, got, carry, err)
		}
	}
}

// TestEvenSplitIsEven is I-07: nothing is lost, the carry is less than a cent each, equal days give equal shares.
func TestEvenSplitIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.SliceOfN(rapid.IntRange(1, 31), 1, 200).Draw(t, "days")
		there := money.Amount(rapid.Int64Range(0, 9e11).Draw(t, "cents")) * money.Cent
		shares, carry, err := commune.EvenSplit(there, days)
		if err != nil {
			t.Fatal(err)
		}
		sum, _ := commune.Sum(shares)
		if sum+carry != there || carry < 0 || carry >= money.Cent*money.Amount(len(days)) {
			t.Fatalf("%s paid and %s carried of %s", sum, carry, there)
		}
		of := map[int]money.Amount{}
		for i, d := range days {
			if before, seen := of[d]; seen && before != shares[i] {
				t.Fatalf("%d days give %s and %s", d, before, shares[i])
			}
			of[d] = shares[i]
		}
	})
}

func TestBondArithmetic(t *testing.T) {
	for _, tt := range []struct {
		what, amount string
		bps, days    int
		want         string
	}{
		{"the golden X", "48.00", 575, 0, "0.23"},
		{"the golden Y", "43.00", 575, 0, "0.21"},
		{"half a cent", "12.00", 50, 0, "0.01"},
		{"less than half a cent", "11.99", 50, 0, "0.00"},
		{"ten days", "36500.00", 100, 10, "10.00"},
		{"one day, half up", "18.25", 100, 1, "0.00"},
		{"one day, half a cent", "182.50", 100, 1, "0.01"},
		{"nine billion", "9000000000.00", 10_000, 0, "750000000.00"},
	} {
		got, err := commune.Interest(eur(t, tt.amount), tt.bps)
		if tt.days > 0 {
			got, err = commune.StubInterest(eur(t, tt.amount), tt.bps, tt.days)
		}
		if err != nil || got != eur(t, tt.want) {
			t.Errorf("%s: %s, %v; want %s", tt.what, got, err, tt.want)
		}
	}
	if _, err := commune.Interest(1<<62, 1<<30); !errors.Is(err, money.ErrRange) {
		t.Errorf("interest beyond 64 bits: %v", err)
	}
	stub := commune.Series{Issued: "2028-02-10", Principal: eur(t, "100.00"), Term: 3}
	whole := commune.Series{Issued: "2028-02-01", Principal: eur(t, "100.00"), Term: 3}
	for _, tt := range []struct {
		what        string
		series      commune.Series
		period      ledger.Period
		outstanding string
		due         string
	}{
		{"the stub month redeems nothing", stub, "2028-02", "100.00", "0.00"},
		{"its first full month", stub, "2028-03", "100.00", "33.33"},
		{"with arrears of it", stub, "2028-04", "100.00", "66.66"},
		{"without", stub, "2028-04", "66.67", "33.33"},
		{"the last takes the rest", stub, "2028-05", "33.34", "33.34"},
		{"the last takes arrears too", stub, "2028-05", "90.00", "90.00"},
		{"arrears after the end", stub, "2029-01", "5.00", "5.00"},
		{"issued on the first day", whole, "2028-02", "100.00", "33.33"},
		{"its last month", whole, "2028-04", "33.34", "33.34"},
		{"all redeemed", whole, "2028-05", "0.00", "0.00"},
		{"before it was issued", whole, "2028-01", "100.00", "0.00"},
		{"redeemed beforehand", whole, "2028-02", "50.00", "0.00"},
	} {
		if got := tt.series.Due(tt.period, eur(t, tt.outstanding)); got != eur(t, tt.due) {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.due)
		}
	}
}

func TestInterestOfAMonth(t *testing.T) {
	s := commune.Series{Issued: "2028-02-10", RateBPS: 365}
	for _, tt := range []struct {
		what, day, want string
	}{
		{"the stub of a leap month, both days counted", "2028-02-29", "20.00"},
		{"a full month", "2028-03-31", "30.42"},
		{"until the middle of a month", "2028-03-15", "15.00"},
		{"the day of issue alone", "2028-02-10", "1.00"},
	} {
		got, err := s.InterestUntil(ledger.Date(tt.day), amounts(t, "10000.00"))
		if err != nil || !slices.Equal(got, amounts(t, tt.want)) {
			t.Errorf("%s: %v, %v; want %s", tt.what, got, err, tt.want)
		}
	}
}

func TestWaterfall(t *testing.T) {
	claims := commune.Claims{
		Arrears: amounts(t, "1.00", "2.00"), Interest: amounts(t, "3.00", "3.00"), Outstanding: amounts(t, "60.00", "40.00"), Due: eur(t, "10.00"),
	}
	for _, tt := range []struct {
		sum                          string
		arrears, interest, principal []string
		rest                         string
	}{
		{"0.00", []string{"0.00", "0.00"}, []string{"0.00", "0.00"}, []string{"0.00", "0.00"}, "0.00"},
		{"0.50", []string{"0.17", "0.33"}, []string{"0.00", "0.00"}, []string{"0.00", "0.00"}, "0.00"},
		{"4.01", []string{"1.00", "2.00"}, []string{"0.51", "0.50"}, []string{"0.00", "0.00"}, "0.00"},
		{"9.01", []string{"1.00", "2.00"}, []string{"3.00", "3.00"}, []string{"0.01", "0.00"}, "0.00"},
		{"20.00", []string{"1.00", "2.00"}, []string{"3.00", "3.00"}, []string{"6.00", "4.00"}, "1.00"},
	} {
		p, err := claims.Pay(eur(t, tt.sum))
		if err != nil || !slices.Equal(p.Arrears, amounts(t, tt.arrears...)) || !slices.Equal(p.Interest, amounts(t, tt.interest...)) ||
			!slices.Equal(p.Principal, amounts(t, tt.principal...)) || p.Rest != eur(t, tt.rest) {
			t.Errorf("%s: %+v, %v", tt.sum, p, err)
		}
	}
}

func TestPolicies(t *testing.T) {
	asset := commune.Asset{Cost: eur(t, "10.00"), Life: 3}
	for worn, want := range map[int]string{0: "3.33", 1: "3.33", 2: "3.34", 3: "0.00", 9: "0.00"} {
		asset.Worn = worn
		if got := asset.Depreciation(eur(t, "3.33") * money.Amount(min(worn, 2))); got != eur(t, want) {
			t.Errorf("month %d: %s, want %s", worn, got, want)
		}
	}
	for _, tt := range []struct{ value, bonds, want string }{
		{"115.00", "110.00", "5.00"}, {"100.00", "110.00", "0.00"}, {"70.00", "0.00", "70.00"},
	} {
		if got := commune.CommonsFund(eur(t, tt.value), eur(t, tt.bonds)); got != eur(t, tt.want) {
			t.Errorf("commons fund of %+v: %s", tt, got)
		}
	}
	for _, tt := range []struct {
		levy       commune.Levy
		pool, want string
	}{
		{commune.Levy{}, "5.00", "0.00"},
		{commune.Levy{Amount: eur(t, "2.00")}, "5.00", "2.00"},
		{commune.Levy{Amount: eur(t, "7.00")}, "5.00", "5.00"},
		{commune.Levy{Amount: eur(t, "7.00")}, "-5.00", "0.00"},
		{commune.Levy{BPS: 2500}, "0.02", "0.01"},
		{commune.Levy{BPS: 2500}, "-0.02", "0.00"},
	} {
		if got, err := tt.levy.Of(eur(t, tt.pool)); err != nil || got != eur(t, tt.want) {
			t.Errorf("levy %+v: %s, %v", tt, got, err)
		}
	}
	for _, tt := range []struct{ pool, bank, dividends, enterprises, deposits, want string }{
		{"5.00", "5.00", "0.00", "0.00", "0.00", "5.00"},
		{"5.00", "9.00", "1.00", "2.00", "3.00", "3.00"},
		{"5.00", "4.00", "9.00", "0.00", "0.00", "0.00"},
		{"-5.00", "4.00", "0.00", "0.00", "0.00", "0.00"},
	} {
		l := commune.Liabilities{Dividends: eur(t, tt.dividends), Enterprises: eur(t, tt.enterprises), Deposits: eur(t, tt.deposits)}
		if got, err := commune.Distributable(eur(t, tt.pool), eur(t, tt.bank), l); err != nil || got != eur(t, tt.want) {
			t.Errorf("solvency %+v: %s, %v", tt, got, err)
		}
	}
}
