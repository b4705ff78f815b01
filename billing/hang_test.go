package billing_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// The database takes what it is sent and does not answer. Nobody waits for it, and when it goes on, nothing is left of
// what nobody waited for.
func TestDatabaseHangs(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	running := request("ana", 60)
	if _, err := h.Authorise(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	asked, closed := request("ana", 60), request("ana", 60)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	steps := map[string]func() error{
		"authorise":    func() error { return second(h.Authorise(ctx, asked)) },
		"extend":       func() error { return second(h.Extend(ctx, running.Call)) },
		"sign of life": func() error { return h.Alive(ctx, []billing.Sign{{Call: running.Call}}) },
		"phone":        func() error { return second(h.ByPhone(ctx, "+4915112345678")) },
		"PIN":          func() error { return second(h.ByPIN(ctx, "123456789012", billing.PINSource{})) },
		"contact":      func() error { return second(h.Contact(ctx, "ana", "+4930123456")) },
		"settle":       func() error { return h.Settle(ctx, settlement(running.Call, 10*time.Second)) },
		"close": func() error {
			return h.Close(ctx, billing.Closing{Origin: closed.Origin, Ended: time.Now(), Outcome: billing.Refused})
		},
	}
	h.db.SetMaxOpenConns(len(steps)) // one for each to hang on
	warm(t, h.db, len(steps))
	thaw := pgtest.Freeze(t, h.db)

	var waiting sync.WaitGroup
	for name, step := range steps {
		waiting.Go(func() {
			err := step()
			if spooled := name == "settle" || name == "close"; spooled && err != nil || !spooled && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		waiting.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("somebody waits for a database that hangs")
	}
	// Fresh connections work. What is asked over them now knows nothing of the hold that is about to come.
	h.db.SetMaxOpenConns(2 * len(steps))
	for deadline := time.Now().Add(time.Minute); ; { // a machine that is busy may take more than one patience
		n, err := h.Resolve(t.Context())
		if n != 0 || err != nil && time.Now().After(deadline) {
			t.Fatalf("%d resolved, %v", n, err)
		}
		if err == nil {
			break
		}
	}
	h.wantAccount(t, "ana", money.Unit-10_000, 0)
	thaw()
	<-ended
	for deadline := time.Now().Add(time.Minute); h.db.Stats().InUse > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was left behind does not end")
		}
	}
	for deadline := time.Now().Add(time.Minute); ; { // a machine that is busy may take more than one patience
		n, err := h.Resolve(t.Context())
		if n != 0 || err != nil && time.Now().After(deadline) {
			t.Fatalf("%d resolved, %v", n, err)
		}
		if err == nil {
			break
		}
	}
	h.wantAccount(t, "ana", money.Unit-10_000, 0)
	if c, err := h.Call(t.Context(), closed.Call); err != nil || c.Outcome != billing.Refused {
		t.Errorf("%+v, %v", c, err)
	}
	h.wantBooks(t)
}
