package money

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Amount
		err  error
	}{
		{"0", 0, nil},
		{"12.43", 12_430_000, nil},
		{"0.008", 8_000, nil},
		{"-0.000001", -1, nil},
		{"007.10", 7_100_000, nil},
		{"9223372036854.775807", math.MaxInt64, nil},
		{"9223372036854.775808", 0, ErrRange},
		{"99999999999999999999999999", 0, ErrRange},
		{"0.0000001", 0, ErrSyntax}, // seven decimals, though the last is no money
		{"1.0000000", 0, ErrSyntax},
		{"1e3", 0, ErrSyntax},
		{"+1", 0, ErrSyntax},
		{"1.", 0, ErrSyntax},
		{".5", 0, ErrSyntax},
		{"--1", 0, ErrSyntax},
		{"1,50", 0, ErrSyntax},
		{" 1", 0, ErrSyntax},
		{"١", 0, ErrSyntax}, // a digit to Unicode, not to us
		{"1\x00", 0, ErrSyntax},
		{"", 0, ErrSyntax},
		{"-", 0, ErrSyntax},
	} {
		got, err := Parse(c.in)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Parse(%q) = %d, %v; want %d, %v", c.in, got, err, c.want, c.err)
		}
	}
}

func TestStringShowsTwoToSixDecimals(t *testing.T) {
	for in, want := range map[Amount]string{
		0: "0.00", Unit: "1.00", 8_000: "0.008", -12_500_000: "-12.50", 1: "0.000001",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	} {
		if got := in.String(); got != want {
			t.Errorf("Amount(%d) = %s, want %s", int64(in), got, want)
		}
	}
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Amount(rapid.Int64Min(math.MinInt64+1).Draw(t, "amount"))
		if b, err := Parse(a.String()); err != nil || b != a {
			t.Fatalf("%s came back as %s, %v", a, b, err)
		}
	})
}

func TestJSONIsADecimalString(t *testing.T) {
	b, err := json.Marshal(Amount(190_000))
	if err != nil || string(b) != `"0.19"` {
		t.Fatalf("marshalled as %s, %v", b, err)
	}
	var a Amount
	if err := json.Unmarshal([]byte(`0.19`), &a); !errors.Is(err, ErrSyntax) {
		t.Errorf("a JSON number was read as %s, %v", a, err)
	}
}

func TestAddNeverWraps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		got, err := Amount(a).Add(Amount(b))
		if exact.IsInt64() != (err == nil) || err == nil && int64(got) != exact.Int64() {
			t.Fatalf("%d + %d = %d, %v", a, b, got, err)
		}
	})
}

func TestMulDivIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, mul := rapid.Int64Min(0).Draw(t, "a"), rapid.Int64Min(0).Draw(t, "mul")
		div := rapid.Int64Min(1).Draw(t, "div")
		mode := rapid.SampledFrom([]Mode{Up, HalfUp, Down}).Draw(t, "mode")

		quo, rem := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(a), big.NewInt(mul)), big.NewInt(div), new(big.Int))
		twice := new(big.Int).Lsh(rem, 1)
		if mode == Up && rem.Sign() > 0 || mode == HalfUp && twice.Cmp(big.NewInt(div)) >= 0 {
			quo.Add(quo, big.NewInt(1))
		}
		got, err := MulDiv(a, mul, div, mode)
		if quo.IsInt64() != (err == nil) || err == nil && got != quo.Int64() {
			t.Fatalf("%d * %d / %d %s = %d, %v; want %s", a, mul, div, mode, got, err, quo)
		}
	})
	for _, bad := range [][3]int64{{-1, 1, 1}, {1, -1, 1}, {1, 1, 0}, {1, 1, -1}} {
		if _, err := MulDiv(bad[0], bad[1], bad[2], Up); !errors.Is(err, ErrRange) {
			t.Errorf("MulDiv(%v) = %v", bad, err)
		}
	}
}
