package commune

import (
	"fmt"
	"math/bits"
	"slices"

	"telecommune/internal/money"
)

// LargestRemainder divides total, in whole multiples of unit, in proportion to weights: each share is rounded down, and
// the units left go to the largest fractions, among equal ones to the earlier weight (economics.md 5.5, 5.8, D-24). The
// shares sum to total. money.ErrRange for what can't be divided so: a total that is negative or no multiple of unit, a
// negative weight, weights that sum to nothing or beyond 64 bits.
func LargestRemainder(total, unit money.Amount, weights []money.Amount) ([]money.Amount, error) {
	shares := make([]money.Amount, len(weights))
	if total == 0 {
		return shares, nil
	}
	sum, err := Sum(weights)
	if err != nil {
		return nil, err
	}
	if total < 0 || total%unit != 0 || sum <= 0 || slices.Min(weights) < 0 {
		return nil, fmt.Errorf("%s by weights of %s: %w", total, sum, money.ErrRange)
	}
	units, left := uint64(total/unit), total
	fractions := make([]uint64, len(weights)) // numerators over sum
	order := make([]int, len(weights))
	for i, w := range weights {
		// w <= sum, so the quotient is at most units.
		hi, lo := bits.Mul64(units, uint64(w))
		var whole uint64
		whole, fractions[i] = bits.Div64(hi, lo, uint64(sum))
		shares[i], order[i] = money.Amount(whole)*unit, i
		left -= shares[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case fractions[a] > fractions[b]:
			return -1
		case fractions[a] < fractions[b]:
			return 1
		}
		return 0
	})
	for _, i := range order[:left/unit] {
		shares[i] += unit
	}
	return shares, nil
}

// EvenSplit divides what there is to distribute by days of membership: each share is rounded down to the cent, so that
// equal days give exactly equal shares, and the cents left over are carried to the next month (economics.md 5.9, P-07).
// It knows nothing of members but their days.
func EvenSplit(distributable money.Amount, days []int) (shares []money.Amount, carry money.Amount, err error) {
	shares = make([]money.Amount, len(days))
	var all int64
	for _, d := range days {
		all += int64(d)
	}
	carry = distributable
	if all == 0 || distributable <= 0 {
		return shares, carry, nil
	}
	for i, d := range days {
		n, err := money.MulDiv(int64(distributable/money.Cent), int64(d), all, money.Down)
		if err != nil {
			return nil, 0, fmt.Errorf("even split: %w", err)
		}
		shares[i] = money.Amount(n) * money.Cent
		carry -= shares[i]
	}
	return shares, carry, nil
}

// Sum adds amounts up, or gives money.ErrRange.
func Sum(amounts []money.Amount) (sum money.Amount, err error) {
	for _, a := range amounts {
		if sum, err = sum.Add(a); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
