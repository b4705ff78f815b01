package commune

import (
	"fmt"

	"telecommune/internal/money"
)

// cents rounds as banks and rents do (economics.md 5.1).
var cents = money.Rounding{Unit: money.Cent, Mode: money.HalfUp}

// Part is a part of a month: Days of its Of days.
type Part struct{ Days, Of int }

// Guaranteed is the rent of a full month without any use: what bonds can count on (D-15).
func (t Terms) Guaranteed() money.Amount { return max(t.Fixed, t.Minimum) }

// Rent (P-02) is what a part of a month costs with so many units used in it: the larger of the minimum and of fixed part plus
// metered part, each rounded half up to the cent (economics.md 5.4, D-14). money.ErrRange.
func (t Terms) Rent(meter Meter, part Part, units int64) (money.Amount, error) {
	rent, err := t.rent(meter, part, units)
	if err != nil {
		return 0, fmt.Errorf("rent: %w", err)
	}
	return rent, nil
}

func (t Terms) rent(meter Meter, part Part, units int64) (money.Amount, error) {
	days, of := int64(part.Days), int64(part.Of)
	minimum, err := money.AddMulDiv(0, t.Minimum, days, of, cents)
	if err != nil {
		return 0, err
	}
	fixed, err := money.AddMulDiv(0, t.Fixed, days, of, cents)
	if err != nil {
		return 0, err
	}
	included, err := money.MulDiv(t.Included, days, of, money.Down)
	if err != nil {
		return 0, err
	}
	metered, err := t.metered(meter, max(0, units-included))
	if err != nil {
		return 0, err
	}
	rent, err := fixed.Add(metered)
	return max(minimum, rent), err
}

// metered is the price of units beyond what is included.
func (t Terms) metered(meter Meter, units int64) (money.Amount, error) {
	switch meter {
	case Seconds:
		return money.AddMulDiv(0, t.Rate, units, 60, cents)
	case Quantity:
		return money.AddMulDiv(0, t.Rate, units, int64(money.Unit), cents)
	}
	return 0, nil
}
