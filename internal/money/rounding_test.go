package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestMulDivDoesNotWrapWhenItRoundsUp(t *testing.T) {
	// 145295143558111 * 253921 is 2^65 - 1: the half of it is the greatest 64-bit number and a half.
	if got, err := MulDiv(145295143558111, 253921, 2, Up); !errors.Is(err, ErrRange) {
		t.Errorf("MulDiv = %d, %v; want ErrRange", got, err)
	}
}

func TestAddMulDiv(t *testing.T) {
	for _, c := range []struct {
		proves   string
		base, a  Amount
		mul, div int64
		r        Rounding
		want     Amount
		err      error
	}{
		{"rounded once, to the unit", 0, 7_000, 30, 60, Rounding{100, Up}, 3_500, nil},
		{"a half goes up", 0, 300_000, 1, 60, Rounding{Cent, HalfUp}, Cent, nil},
		{"less than a half does not", 0, 299_999, 1, 60, Rounding{Cent, HalfUp}, 0, nil},
		{"the base counts before rounding", 1, 1, 59, 60, Rounding{2, Up}, 2, nil},
		{"down to the unit", 0, 299, 1, 1, Rounding{100, Down}, 200, nil},
		{"out of range by the unit", math.MaxInt64, 0, 0, 60, Rounding{100, Up}, 0, ErrRange},
		{"the greatest amount", math.MaxInt64, 0, 0, 60, Rounding{1, Up}, math.MaxInt64, nil},
		{"everything at its greatest", math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64, Rounding{1, Up}, 0, ErrRange},
		{"a unit that does not fit", 0, 1, 1, 60, Rounding{math.MaxInt64/60 + 1, Up}, 0, ErrRange},
		{"no unit", 0, 1, 1, 60, Rounding{0, Up}, 0, ErrRange},
		{"negative base", -1, 1, 1, 60, Rounding{1, Up}, 0, ErrRange},
		{"negative factor", 0, 1, -1, 60, Rounding{1, Up}, 0, ErrRange},
		{"nothing to divide by", 0, 1, 1, 0, Rounding{1, Up}, 0, ErrRange},
	} {
		if got, err := AddMulDiv(c.base, c.a, c.mul, c.div, c.r); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.proves, got, err, c.want, c.err)
		}
	}
}

// exactly is what AddMulDiv and AddMulDivAt must give, in numbers without limit; false when it is out of range.
func exactly(millionths, base, a, mul, div, unit int64, mode Mode) (Amount, bool) {
	b := big.NewInt
	step := new(big.Int).Mul(b(div), b(millionths))
	fits := step.IsInt64()
	step.Mul(step, b(unit))
	n := new(big.Int).Mul(b(base), b(div))
	n.Add(n, new(big.Int).Mul(b(a), b(mul)))
	n.Mul(n, b(int64(Unit)))
	if millionths == int64(Unit) { // the two cancel out
		n.Div(n, b(int64(Unit)))
		step.Div(step, b(int64(Unit)))
		fits = true
	}
	units, rest := new(big.Int).QuoRem(n, step, new(big.Int))
	if mode == Up && rest.Sign() > 0 || mode == HalfUp && rest.Lsh(rest, 1).Cmp(step) >= 0 {
		units.Add(units, b(1))
	}
	want := units.Mul(units, b(unit))
	return Amount(want.Int64()), fits && step.IsInt64() && want.IsInt64() && n.BitLen() <= 128
}

func TestAddMulDivIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		natural := func(name string, least int64) int64 { return rapid.Int64Min(least).Draw(t, name) }
		base, a, mul, div, unit := natural("base", 0), natural("a", 0), natural("mul", 0), natural("div", 1), natural("unit", 1)
		mode := rapid.SampledFrom([]Mode{Up, HalfUp, Down}).Draw(t, "mode")
		got, err := AddMulDiv(Amount(base), Amount(a), mul, div, Rounding{Amount(unit), mode})
		if want, ok := exactly(int64(Unit), base, a, mul, div, unit, mode); ok != (err == nil) || ok && want != got {
			t.Fatalf("got %d, %v; want %v", got, err, want)
		}
	})
}

func TestAddMulDivAtIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		upTo := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
		base, a, mul := upTo("base", math.MaxInt64), upTo("a", math.MaxInt64), upTo("mul", math.MaxInt64)
		div, unit, rate := 1+upTo("div", 1<<40), 1+upTo("unit", 1<<30), 1+upTo("rate", 1<<40)
		mode := rapid.SampledFrom([]Mode{Up, HalfUp, Down}).Draw(t, "mode")
		if rate == int64(Unit) {
			rate++
		}
		got, err := AddMulDivAt(rate, Amount(base), Amount(a), mul, div, Rounding{Amount(unit), mode})
		if want, ok := exactly(rate, base, a, mul, div, unit, mode); ok != (err == nil) || ok && want != got {
			t.Fatalf("got %d, %v; want %v, %v", got, err, want, ok)
		}
	})
	for _, rate := range []int64{0, -1} {
		if _, err := AddMulDivAt(rate, 1, 1, 1, 1, Rounding{1, Up}); !errors.Is(err, ErrRange) {
			t.Errorf("at %d: %v, want ErrRange", rate, err)
		}
	}
}
