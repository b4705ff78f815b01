package billing_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"telecommune/billing"
)

var phoneA = billing.PINSource{Caller: "+49151000001", Provider: "P1"}

func TestPIN(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	h.account(t, "bob", 0)
	pin, err := h.IssuePIN(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if n := h.count(t, `SELECT count(*) FROM pin WHERE encode(hmac, 'escape') LIKE '%' || $1 || '%'`, pin); n != 0 {
		t.Error("the PIN stands in the database")
	}
	if c, err := h.ByPIN(t.Context(), pin, phoneA); err != nil || c.Account != "ana" {
		t.Errorf("%+v, %v", c, err)
	}
	ticket, err := h.Login(t.Context(), "ana", pin, phoneA)
	if err != nil || ticket.Account != "ana" {
		t.Errorf("%+v, %v", ticket, err)
	}
	good := func(t *testing.T, ticket billing.Ticket, want bool) {
		t.Helper()
		if good, err := h.Good(t.Context(), ticket); err != nil || good != want {
			t.Errorf("ticket of %s: %v, %v, want %v", ticket.Account, good, err, want)
		}
	}
	good(t, ticket, true)
	good(t, billing.Ticket{Account: "bob", PIN: ticket.PIN}, false)
	good(t, billing.Ticket{Account: "ana"}, false)
	for _, account := range []string{"bob", "eve", ""} {
		if _, err := h.Login(t.Context(), account, pin, phoneA); !errors.Is(err, billing.ErrUnknownCaller) {
			t.Errorf("as %q: %v", account, err)
		}
	}
	// A blocked account sees its bill and makes no calls.
	if _, err := h.Block(t.Context(), "ana", true); err != nil {
		t.Fatal(err)
	}
	if c, err := h.ByPIN(t.Context(), pin, phoneA); err != nil || !c.Blocked {
		t.Errorf("%+v, %v", c, err)
	}
	good(t, ticket, true)
	if n, err := h.RevokePINs(t.Context(), "ana"); err != nil || n != 1 {
		t.Errorf("%d revoked, %v", n, err)
	}
	if _, err := h.ByPIN(t.Context(), pin, phoneA); !errors.Is(err, billing.ErrUnknownCaller) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := h.IssuePIN(t.Context(), "ana"); err != nil { // a new PIN revives nothing
		t.Fatal(err)
	}
	good(t, ticket, false)
	keyless := billing.New(h.db, billing.Options{})
	if _, err := keyless.IssuePIN(t.Context(), "ana"); !errors.Is(err, billing.ErrKey) {
		t.Errorf("without key: %v", err)
	}
}

func TestWrongPINs(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	pin, err := h.IssuePIN(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	try := func(typed string, from billing.PINSource, want error) {
		t.Helper()
		if _, err := h.ByPIN(t.Context(), typed, from); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", from, err, want)
		}
	}
	hostile := []string{"000000000000", "", "' OR 1=1 --", strings.Repeat("9", 10_000), "\x00"}
	for _, wrong := range hostile {
		try(wrong, phoneA, billing.ErrUnknownCaller)
	}
	try("000000000000", phoneA, billing.ErrTooManyPINs)
	try(pin, phoneA, billing.ErrTooManyPINs) // without look-up
	other := billing.PINSource{Caller: "+49151000002", Provider: "P1"}
	try(pin, other, nil) // others still get in

	// An hour later the caller may try again, and the old failures are gone.
	if _, err := h.db.Exec(`UPDATE pin_failure SET at = at - interval '61 min'`); err != nil {
		t.Fatal(err)
	}
	try("000000000000", phoneA, billing.ErrUnknownCaller)
	if n := h.count(t, `SELECT count(*) FROM pin_failure`); n != 1 {
		t.Errorf("%d failures kept", n)
	}

	// Callers without a number don't lock each other out, only all of them their provider.
	withheld := billing.PINSource{Provider: "P1"}
	for range 98 {
		try("000000000000", withheld, billing.ErrUnknownCaller)
	}
	try(pin, withheld, billing.ErrTooManyPINs)
	try(pin, other, billing.ErrTooManyPINs)
	try(pin, billing.PINSource{Provider: "P2"}, nil)
}

// Guesses made at once don't get more tries than guesses made one by one.
func TestWrongPINsAtOnce(t *testing.T) {
	h := newHouse(t)
	warm(t, h.db, 20)
	var refused sync.Map
	var guessing sync.WaitGroup
	for i := range 40 {
		guessing.Go(func() {
			_, err := h.ByPIN(t.Context(), fmt.Sprint(i), phoneA)
			if errors.Is(err, billing.ErrTooManyPINs) {
				refused.Store(i, true)
			} else if !errors.Is(err, billing.ErrUnknownCaller) {
				t.Error(err)
			}
		})
	}
	guessing.Wait()
	n := 0
	refused.Range(func(any, any) bool { n++; return true })
	if n != 35 {
		t.Errorf("%d of 40 guesses refused, want 35", n)
	}
}
