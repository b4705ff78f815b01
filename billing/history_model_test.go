package billing_test

import (
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// model is an account as it must be, reckoned in Go from what happened to it.
type model struct {
	balance money.Amount
	credit  money.Amount // how far below zero it may go
	limits  billing.Limits
	running map[billing.CallID]*modelCall
	charges []modelCharge
}

type modelCall struct {
	hold     billing.Hold
	quote    tariff.Quote
	limit    int       // seconds
	answered time.Time // as a sign of life told it; zero before
}

type modelCharge struct {
	at    time.Time
	price money.Amount
}

// modelCountries are the numbers that histories call.
var modelCountries = map[e164.Number]billing.Countries{"+380441234567": "UA", "+18765230123": "JM", "+12125550123": "US"}

func modelQuote(r billing.Request) tariff.Quote {
	return tariff.Quote{Row: r.Rate, Later: r.Later, Access: r.Access.PassedOn}
}

func (m *model) held() (sum money.Amount) {
	for _, c := range m.running {
		sum += c.hold.Amount
	}
	return sum
}

func (m *model) free() money.Amount { return m.balance - m.held() + m.credit }

// spendable is what the limits an hour and a day leave for a further call.
func (m *model) spendable() money.Amount {
	left := money.Amount(1 << 62)
	for span, limit := range map[time.Duration]money.Amount{time.Hour: m.limits.MaxPerHour, 24 * time.Hour: m.limits.MaxPerDay} {
		if limit == 0 {
			continue
		}
		for _, c := range m.charges {
			if time.Since(c.at) < span {
				limit -= c.price
			}
		}
		left = min(left, max(0, limit-m.held()))
	}
	return left
}

// authorise is what a request must get. It opens no call.
func (m *model) authorise(r billing.Request) (billing.Hold, error) {
	quote := modelQuote(r)
	perMinute, _ := quote.Told()
	most, err := quote.Price(r.CallLimit)
	if err != nil {
		return billing.Hold{}, err
	}
	least, err := quote.Price(min(quote.FirstPaidSecond(), r.CallLimit))
	switch {
	case err != nil:
		return billing.Hold{}, err
	case m.limits.Countries != "" && m.limits.Countries != modelCountries[r.Number]:
		return billing.Hold{}, billing.ErrCountryBarred
	case m.limits.MaxRate > 0 && perMinute > m.limits.MaxRate:
		return billing.Hold{}, billing.ErrTooDear
	case m.limits.MaxCalls > 0 && len(m.running) >= m.limits.MaxCalls:
		return billing.Hold{}, billing.ErrTooManyCalls
	case m.free() < least:
		return billing.Hold{}, billing.ErrInsufficientCredit
	case m.spendable() < least:
		return billing.Hold{}, billing.ErrSpendLimit
	}
	amount := min(m.free(), m.spendable(), most)
	return billing.Hold{
		Call: r.Call, Account: r.Account, Amount: amount, Seconds: quote.Affordable(amount, r.CallLimit),
		SpendLimited: m.spendable() < min(m.free(), most),
	}, nil
}

// extend is what a running call must come to hold.
func (m *model) extend(c *modelCall) (billing.Hold, error) {
	quote := c.quote
	if !c.answered.IsZero() {
		quote = quote.Answered(c.answered)
	}
	most, err := quote.Price(c.limit)
	if err != nil {
		return billing.Hold{}, err
	}
	hold := c.hold
	wanted := min(m.free(), most-hold.Amount)
	hold.SpendLimited = m.spendable() < wanted
	hold.Amount += max(0, min(wanted, m.spendable()))
	hold.Seconds = quote.Affordable(hold.Amount, c.limit)
	return hold, nil
}
