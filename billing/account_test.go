package billing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

func TestAccounts(t *testing.T) {
	h := newHouse(t)
	a, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "ana", Name: "Ana", Limit: money.Unit})
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(a)
	const want = `{"code":"ana","name":"Ana","balance":"0.00","held":"0.00","free":"1.00","limit":"1.00","currency":"EUR",` +
		`"blocked":false,"enterprise":"CALL","tariff":"retail","call_limit":7200}`
	if err != nil || string(out) != want {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
	for _, tt := range []struct {
		name string
		n    billing.NewAccount
		err  error
	}{
		{"taken", billing.NewAccount{Code: "ana"}, billing.ErrExists},
		{"no code", billing.NewAccount{}, billing.ErrCode},
		{"a hostile code", billing.NewAccount{Code: "x'; DROP TABLE account; --"}, billing.ErrCode},
		{"a long code", billing.NewAccount{Code: strings.Repeat("x", 33)}, billing.ErrCode},
		{"a negative limit", billing.NewAccount{Code: "bob", Limit: -1}, billing.ErrAmount},
		{"a negative call limit", billing.NewAccount{Code: "bob", CallLimit: -1}, billing.ErrCallLimit},
		{"no enterprise", billing.NewAccount{Code: "bob", Enterprise: "HOST"}, billing.ErrNotFound},
	} {
		if _, err := h.AddAccount(t.Context(), tt.n); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
	name, tariff, limit, seconds, negative := "Ana B.", "cheap", 2*money.Unit, 60, money.Amount(-1)
	a, err = h.SetAccount(t.Context(), "ana", billing.AccountChange{Name: &name, Tariff: &tariff, Limit: &limit, CallLimit: &seconds})
	if err != nil || a.Name != name || a.Tariff != tariff || a.Limit != limit || a.CallLimit != seconds || a.Free != limit {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := h.SetAccount(t.Context(), "ana", billing.AccountChange{Limit: &negative}); !errors.Is(err, billing.ErrAmount) {
		t.Errorf("a negative limit: %v", err)
	}
	for _, err := range []error{
		second(h.SetAccount(t.Context(), "eve", billing.AccountChange{})), second(h.Account(t.Context(), "eve")),
		second(h.Block(t.Context(), "eve", true)), second(h.TopUp(t.Context(), billing.TopUp{Account: "eve", Amount: money.Cent})),
		second(h.IssuePIN(t.Context(), "eve")), second(h.RevokePINs(t.Context(), "eve")), second(h.Call(t.Context(), billing.CallID{})),
		h.AddPhone(t.Context(), billing.Phone{Number: "+49151234567", Account: "eve"}), h.RemovePhone(t.Context(), "+49151234567"),
		h.SetContact(t.Context(), billing.ContactEntry{Account: "ana", AccessNumber: "+4930123456", Number: "+380441234567"}),
		h.RemoveContact(t.Context(), "ana", "+4930123456"), second(h.SetVAT(t.Context(), "HOST", 0)), second(h.Enterprise(t.Context(), "HOST")),
	} {
		if !errors.Is(err, billing.ErrNotFound) {
			t.Errorf("%v, want %v", err, billing.ErrNotFound)
		}
	}
	if list, err := h.Accounts(t.Context()); err != nil || !slices.Equal(list, []billing.Account{a}) {
		t.Errorf("%+v, %v", list, err)
	}
}

// second gives the error of a call with two results.
func second[T any](_ T, err error) error { return err }

func TestTopUp(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	pay := func(amount money.Amount, key, text string, want error) {
		t.Helper()
		_, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: amount, Key: key, Text: text})
		if !errors.Is(err, want) {
			t.Errorf("%s under %q: %v, want %v", amount, key, err, want)
		}
	}
	pay(money.Unit, "bank-1", "", nil)
	pay(money.Unit, "bank-1", "", nil)
	pay(money.Cent, "bank-1", "", billing.ErrConflict)
	pay(money.Unit, "bank-1", "Gift", billing.ErrConflict)
	pay(money.Unit, "", "", nil)
	pay(money.Unit, "", "", nil)
	pay(0, "", "", billing.ErrAmount)
	pay(-money.Cent, "", "", billing.ErrAmount)
	pay(money.Cent+1, "", "", billing.ErrAmount)
	h.wantAccount(t, "ana", 3*money.Unit, 0)
	h.wantBooks(t)
}

func TestPhonesAndContacts(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	if _, err := h.db.Exec(`
		INSERT INTO provider (code, address, trust_caller_id) VALUES ('P1', '192.0.2.1', true);
		INSERT INTO access_number (number, provider, country) VALUES ('+4930123456', 'P1', 'DE')`); err != nil {
		t.Fatal(err)
	}
	phone := billing.Phone{Number: "+49151234567", Account: "ana"}
	if err := h.AddPhone(t.Context(), phone); err != nil {
		t.Fatal(err)
	}
	if err := h.AddPhone(t.Context(), phone); !errors.Is(err, billing.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	want := billing.Caller{Account: "ana", Enterprise: "CALL", Tariff: "retail", CallLimit: 7200, Currency: "EUR", VAT: 19_000_000}
	if _, err := h.SetVAT(t.Context(), "CALL", 19_000_000); err != nil {
		t.Fatal(err)
	}
	if c, err := h.ByPhone(t.Context(), phone.Number); err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	for _, unknown := range []e164.Number{"+49151234568", ""} {
		if _, err := h.ByPhone(t.Context(), unknown); !errors.Is(err, billing.ErrUnknownCaller) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
	if list, err := h.Phones(t.Context(), "ana"); err != nil || !slices.Equal(list, []billing.Phone{phone}) {
		t.Errorf("%+v, %v", list, err)
	}

	friend := billing.ContactEntry{Account: "ana", AccessNumber: "+4930123456", Number: "+380441234567", Label: "Olha"}
	moved := friend
	moved.Number = "+380441234568"
	for _, c := range []billing.ContactEntry{friend, moved} {
		if err := h.SetContact(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if n, err := h.Contact(t.Context(), "ana", c.AccessNumber); err != nil || n != c.Number {
			t.Errorf("%s, %v", n, err)
		}
	}
	if list, err := h.Contacts(t.Context(), ""); err != nil || !slices.Equal(list, []billing.ContactEntry{moved}) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := errors.Join(h.RemoveContact(t.Context(), "ana", "+4930123456"), h.RemovePhone(t.Context(), phone.Number)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Contact(t.Context(), "ana", "+4930123456"); !errors.Is(err, billing.ErrNoContact) {
		t.Errorf("removed: %v", err)
	}
}

func TestHouse(t *testing.T) {
	h := newHouse(t)
	for zone, want := range map[string]error{"Europe/Berlin": nil, "": billing.ErrZone, "Local": billing.ErrZone, "Mars/Olympus": billing.ErrZone} {
		if err := h.SetZone(t.Context(), zone); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", zone, err, want)
		}
	}
	if err := h.SetCurrency(t.Context(), "PLN"); err != nil {
		t.Fatal(err)
	}
	if c, err := h.Commune(t.Context()); err != nil || c != (billing.Commune{Currency: "PLN", Zone: "Europe/Berlin"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if e, err := h.Enterprise(t.Context(), "CALL"); err != nil || e.Currency != "PLN" {
		t.Errorf("%+v, %v", e, err)
	}
	for _, bad := range []money.Currency{"pln", "€", ""} {
		if err := h.SetCurrency(t.Context(), bad); !errors.Is(err, billing.ErrCurrency) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// An account that may owe more than fits beside its balance would break every list.
func TestAccountsWithinRange(t *testing.T) {
	h := newHouse(t)
	limit := func(l money.Amount) billing.AccountChange { return billing.AccountChange{Limit: &l} }
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "ana", Limit: math.MaxInt64}); !errors.Is(err, money.ErrRange) {
		t.Errorf("the limit of a new account: %v", err)
	}
	h.account(t, "ana", money.Unit)
	for _, l := range []money.Amount{math.MaxInt64, ledger.MaxBalance + 1} {
		if _, err := h.SetAccount(t.Context(), "ana", limit(l)); !errors.Is(err, money.ErrRange) {
			t.Errorf("limit %s: %v", l, err)
		}
	}
	for _, bad := range []string{`credit_limit = 10000000000000001`, `balance = 10000000000000001`} { // also by another way
		if _, err := h.db.Exec(`UPDATE balance SET ` + bad); !strings.HasSuffix(postgres.Constraint(err), "_range") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: ledger.MaxBalance}); !errors.Is(err, money.ErrRange) {
		t.Errorf("top-up: %v", err)
	}
	if _, err := h.SetAccount(t.Context(), "ana", limit(ledger.MaxBalance)); err != nil {
		t.Error(err)
	}
	if _, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: ledger.MaxBalance - money.Unit}); err != nil {
		t.Error(err)
	}
	if list, err := h.Accounts(t.Context()); err != nil || len(list) != 1 || list[0].Free != 2*ledger.MaxBalance {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestCalls(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", money.Unit)
	var calls []billing.Request
	for i, code := range []string{"ana", "bob", "ana", "ana"} {
		r := request(code, 10)
		r.Started = r.Started.AddDate(0, 0, -i)
		if _, err := h.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, r)
	}
	for _, tt := range []struct {
		f    billing.CallFilter
		want []int
	}{
		{billing.CallFilter{}, []int{3, 2, 1, 0}},
		{billing.CallFilter{Account: "ana"}, []int{3, 2, 0}},
		{billing.CallFilter{From: calls[2].Started, To: calls[0].Started}, []int{2, 1}},
		{billing.CallFilter{Account: "eve"}, nil},
	} {
		list, err := h.Calls(t.Context(), tt.f)
		var got []string
		for _, c := range list {
			got = append(got, c.ID.String())
		}
		var want []string
		for _, i := range tt.want {
			want = append(want, calls[i].Call.String())
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: %v, %v; want %v", tt.f, got, err, want)
		}
	}
}
