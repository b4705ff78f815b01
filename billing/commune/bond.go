package commune

import (
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Interest is that of one holder for a full month: a twelfth of the yearly rate, half up to the cent (economics.md 5.7,
// P-05).
func Interest(outstanding money.Amount, bps int) (money.Amount, error) {
	return money.AddMulDiv(0, outstanding, int64(bps), 120_000, cents)
}

// StubInterest is that of one holder for some days of a month, by the days of a year of 365 (D-26).
func StubInterest(outstanding money.Amount, bps, days int) (money.Amount, error) {
	return money.AddMulDiv(0, outstanding, int64(bps)*int64(days), 3_650_000, cents)
}

// Instalment is the principal that falls due each full month but the last, floored to the cent (P-06, D-27).
func Instalment(principal money.Amount, term int) money.Amount {
	return principal / money.Amount(term) / money.Cent * money.Cent
}

// InterestUntil gives each holder's interest in a month up to and including a day of it. A month that the series was not
// outstanding for all of is a stub.
func (s Series) InterestUntil(day ledger.Date, outstanding []money.Amount) ([]money.Amount, error) {
	p := ledger.PeriodOf(day)
	from := max(p.First(), s.Issued)
	interest := make([]money.Amount, len(outstanding))
	for i, amount := range outstanding {
		var err error
		if from == p.First() && day == p.Last() {
			interest[i], err = Interest(amount, s.RateBPS)
		} else {
			interest[i], err = StubInterest(amount, s.RateBPS, ledger.DaysBetween(from, day)+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return interest, nil
}

// Due is the principal that should have been redeemed by the end of a month and was not: arrears and what is scheduled
// (economics.md 5.8). The last of term full months takes all.
func (s Series) Due(p ledger.Period, outstanding money.Amount) money.Amount {
	scheduled := s.Principal
	if n := s.fullMonths(p); n < s.Term {
		scheduled = Instalment(s.Principal, s.Term) * money.Amount(n)
	}
	redeemed := s.Principal - outstanding
	return max(0, scheduled-redeemed)
}

// Next is what the next full month after p asks for: its own instalment, without arrears, and a month's interest. It is
// the default reserve of a rental auction (D-23).
func (s Series) Next(p ledger.Period, outstanding []money.Amount) (money.Amount, error) {
	total, err := Sum(outstanding)
	if err != nil {
		return 0, err
	}
	arrears := s.Due(p.Previous(), total)
	next := p
	if s.fullMonths(p) == 0 {
		next = p.Next() // the stub month redeems nothing
	}
	need := s.Due(next, total) - arrears
	for _, amount := range outstanding {
		interest, err := Interest(amount, s.RateBPS)
		if err != nil {
			return 0, err
		}
		if need, err = need.Add(interest); err != nil {
			return 0, err
		}
	}
	return need, nil
}

// fullMonths counts the whole months from the issue to the end of p.
func (s Series) fullMonths(p ledger.Period) int {
	first := ledger.PeriodOf(s.Issued)
	n := ledger.MonthsBetween(first, p)
	if s.Issued == first.First() {
		n++
	}
	return max(0, n)
}

// Claims are what the holders of a series have to get from its asset's rent, each list in the order of their bids.
type Claims struct {
	Arrears     []money.Amount // interest of earlier months
	Interest    []money.Amount // of this one
	Outstanding []money.Amount // principal
	Due         money.Amount   // of the principal
}

// Paid is what of the claims a sum pays.
type Paid struct {
	Arrears, Interest, Principal []money.Amount
	Rest                         money.Amount // of the sum
}

// Pay is the waterfall (P-08, P-11): interest arrears, interest, principal that is due, each shared by largest remainder
// when the sum runs out; what remains is the members' (D-29).
func (c Claims) Pay(sum money.Amount) (p Paid, err error) {
	if p.Arrears, sum, err = share(sum, c.Arrears); err != nil {
		return Paid{}, err
	}
	if p.Interest, sum, err = share(sum, c.Interest); err != nil {
		return Paid{}, err
	}
	redeemed := min(sum, c.Due)
	if p.Principal, err = LargestRemainder(redeemed, money.Cent, c.Outstanding); err != nil {
		return Paid{}, err
	}
	p.Rest = sum - redeemed
	return p, nil
}

// share pays claims from a sum as far as it goes, and gives what is left of it.
func share(sum money.Amount, claims []money.Amount) (paid []money.Amount, left money.Amount, err error) {
	all, err := Sum(claims)
	if err != nil {
		return nil, 0, err
	}
	pay := min(sum, all)
	paid, err = LargestRemainder(pay, money.Cent, claims)
	return paid, sum - pay, err
}
