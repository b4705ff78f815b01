package pbx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"telecommune/billing"
	"telecommune/internal/e164"
	"telecommune/routing"
)

// bank fakes billing: it knows who calls, and writes down what it is asked.
type bank struct {
	mu       sync.Mutex
	phones   map[e164.Number]billing.Caller
	pins     map[string]billing.Caller
	contacts map[string]e164.Number // by account
	seconds  int                    // that the credit buys
	pinError error
	refuses  error           // Authorise
	limited  bool            // it is the spend limit that keeps seconds from being more
	away     map[string]bool // operations that get no answer from the database
	panics   map[string]bool // operations with a fault
	takes    map[string]time.Duration
	log      []string // what was asked, in order
	extends  int      // calls of Extend, which are not in log
	held     map[billing.CallID]int
	attempts []routing.Attempt
	signs    []string
	batches  []int // of signs, how many in each
	closings []billing.Closing
	settled  []billing.Settlement
	asked    []billing.Request
}

// does is what any operation goes through first.
func (b *bank) does(ctx context.Context, operation string) error {
	b.mu.Lock()
	away, panics, takes := b.away[operation], b.panics[operation], b.takes[operation]
	b.mu.Unlock()
	if panics {
		panic("in " + operation)
	}
	if away {
		if _, ok := ctx.Deadline(); !ok {
			b.write("%s without a deadline", operation)
			return context.DeadlineExceeded
		}
		<-ctx.Done()
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (b *bank) write(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf(format, args...))
}

func (b *bank) ByPhone(ctx context.Context, phone e164.Number) (billing.Caller, error) {
	if err := b.does(ctx, "ByPhone"); err != nil {
		return billing.Caller{}, err
	}
	if c, ok := b.phones[phone]; ok {
		return c, nil
	}
	return billing.Caller{}, fmt.Errorf("phone %s: %w", phone, billing.ErrUnknownCaller)
}

func (b *bank) ByPIN(ctx context.Context, pin string, from billing.PINSource) (billing.Caller, error) {
	b.write("pin %s from %s %s", pin, from.Provider, from.Caller)
	if err := b.does(ctx, "ByPIN"); err != nil {
		return billing.Caller{}, err
	}
	if b.pinError != nil {
		return billing.Caller{}, fmt.Errorf("pin: %w", b.pinError)
	}
	if c, ok := b.pins[pin]; ok {
		return c, nil
	}
	return billing.Caller{}, fmt.Errorf("pin: %w", billing.ErrUnknownCaller)
}

func (b *bank) Contact(ctx context.Context, account string, _ e164.Number) (e164.Number, error) {
	if err := b.does(ctx, "Contact"); err != nil {
		return "", err
	}
	if n, ok := b.contacts[account]; ok {
		return n, nil
	}
	return "", billing.ErrNoContact
}

func (b *bank) Authorise(ctx context.Context, r billing.Request) (billing.Hold, error) {
	b.write("authorise %s for %s", r.Number, r.Account)
	if err := b.does(ctx, "Authorise"); err != nil {
		return billing.Hold{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r)
	if b.refuses != nil {
		return billing.Hold{}, fmt.Errorf("authorise: %w", b.refuses)
	}
	b.held[r.Call] = min(b.seconds, r.CallLimit)
	return billing.Hold{Call: r.Call, Account: r.Account, Seconds: b.held[r.Call], SpendLimited: b.limited}, nil
}

func (b *bank) Extend(ctx context.Context, call billing.CallID) (billing.Hold, error) {
	b.set(func() { b.extends++ })
	if err := b.does(ctx, "Extend"); err != nil {
		return billing.Hold{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[call] == 0 {
		return billing.Hold{}, billing.ErrNotFound
	}
	b.held[call] = b.seconds
	return billing.Hold{Call: call, Seconds: b.seconds, SpendLimited: b.limited}, nil
}

func (b *bank) Settle(ctx context.Context, s billing.Settlement) error {
	b.write("settle %s %v on %s, %d/%d", s.Outcome, s.Answered, s.Trunk, s.SIP, s.Q850)
	if err := b.does(ctx, "Settle"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[s.Call] == 0 {
		return billing.ErrNotFound
	}
	delete(b.held, s.Call)
	b.settled = append(b.settled, s)
	return nil
}

func (b *bank) Close(ctx context.Context, c billing.Closing) error {
	b.write("close %s %s, %d/%d", c.Outcome, c.Number, c.SIP, c.Q850)
	if err := b.does(ctx, "Close"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closings = append(b.closings, c)
	return nil
}

func (b *bank) recordAttempts(_ context.Context, _ billing.CallID, plan routing.Plan, attempts []routing.Attempt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts = append(b.attempts, attempts...)
	return nil
}

func (b *bank) storeSigns(_ context.Context, signs []billing.Sign) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches = append(b.batches, len(signs))
	if b.away["Signs"] {
		return errors.New("no answer")
	}
	for _, s := range signs {
		b.signs = append(b.signs, fmt.Sprintf("%s %v", s.Trunk, s.Answered))
	}
	return nil
}

// set changes what the bank does while a call runs.
func (b *bank) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}
