package asterisk

import (
	"context"
	"fmt"
	"sync"
	"time"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/routing"
)

// bank fakes billing: whoever calls has an account, and so many seconds as the number that he calls is worth.
type bank struct {
	paid func(e164.Number) int

	mu     sync.Mutex
	held   map[billing.CallID]e164.Number
	bills  map[e164.Number][]bill
	wrong  []string // what must not be
	closed int      // access calls without a call, and calls without a hold
}

// bill is a call that was settled.
type bill struct {
	billing.Settlement
	held int
	at   time.Time
}

const (
	anna    = e164.Number("+49301234567")
	goodPIN = "123456789012"
)

func newBank(paid func(e164.Number) int) *bank {
	return &bank{paid: paid, held: map[billing.CallID]e164.Number{}, bills: map[e164.Number][]bill{}}
}

var member = billing.Caller{Account: "anna", Tariff: "retail", CallLimit: 7200, Currency: "EUR"}

func (b *bank) ByPhone(_ context.Context, phone e164.Number) (billing.Caller, error) {
	if phone == anna {
		return member, nil
	}
	return billing.Caller{}, billing.ErrUnknownCaller
}

func (b *bank) ByPIN(_ context.Context, pin string, _ billing.PINSource) (billing.Caller, error) {
	if pin == goodPIN {
		return member, nil
	}
	return billing.Caller{}, billing.ErrUnknownCaller
}

func (b *bank) Contact(context.Context, string, e164.Number) (e164.Number, error) {
	return "", billing.ErrNoContact
}

func (b *bank) Authorise(_ context.Context, r billing.Request) (billing.Hold, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paid(r.Number) == 0 { // of a number that was not heard well
		return billing.Hold{}, billing.ErrInsufficientCredit
	}
	b.held[r.Call] = r.Number
	return billing.Hold{Call: r.Call, Account: r.Account, Seconds: b.paid(r.Number)}, nil
}

func (b *bank) Extend(_ context.Context, call billing.CallID) (billing.Hold, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return billing.Hold{Call: call, Account: member.Account, Seconds: b.paid(b.held[call])}, nil
}

func (b *bank) Settle(_ context.Context, s billing.Settlement) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	number, ok := b.held[s.Call]
	if !ok {
		b.wrong = append(b.wrong, fmt.Sprintf("%s is settled and has no hold", s.Call))
	}
	delete(b.held, s.Call)
	b.bills[number] = append(b.bills[number], bill{s, b.paid(number), time.Now()})
	return nil
}

func (b *bank) Close(_ context.Context, c billing.Closing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *bank) attempts(context.Context, billing.CallID, routing.Plan, []routing.Attempt) error {
	return nil
}

func (b *bank) signs(context.Context, []billing.Sign) error { return nil }
