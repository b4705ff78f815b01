package billing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// The currency can be set as long as no amount was written in the one before.
func TestCurrencyInUse(t *testing.T) {
	for _, tc := range []struct {
		what string
		use  func(t *testing.T, h house) error
		want error
	}{
		{"an account without credit", func(*testing.T, house) error { return nil }, nil},
		{"an account's limit", func(t *testing.T, h house) error {
			_, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "bob", Limit: 1})
			return err
		}, billing.ErrCurrencyUsed},
		{"an entry of no account", func(t *testing.T, h house) error {
			return postgres.InTx(t.Context(), h.db, func(tx *sqlx.Tx) error {
				_, err := ledger.Post(t.Context(), tx, ledger.Entry{
					Key: "k", Kind: "sale", At: time.Now(),
					Lines: []ledger.Line{ledger.Debit("COM", "1000", money.Unit), ledger.Credit("COM", "4000", money.Unit)},
				})
				return err
			})
		}, billing.ErrCurrencyUsed},
		{"a deck", func(t *testing.T, h house) error {
			_, err := h.db.ExecContext(t.Context(), `
				INSERT INTO deck (id, kind, name, version, currency, zone, active_from)
				SELECT gen_random_uuid(), 'retail', 'retail', 1, currency, zone, now() FROM commune`)
			return err
		}, billing.ErrCurrencyUsed},
	} {
		t.Run(tc.what, func(t *testing.T) {
			h := newHouse(t)
			h.account(t, "ana", 0)
			if err := tc.use(t, h); err != nil {
				t.Fatal(err)
			}
			if err := h.SetCurrency(t.Context(), "EUR"); err != nil {
				t.Errorf("the one it has: %v", err)
			}
			if err := h.SetCurrency(t.Context(), "PLN"); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// A top-up that is not yet committed when the currency is set is waited for, and seen.
func TestCurrencyWaitsForPostings(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	set := make(chan error, 1)
	err := postgres.InTx(t.Context(), h.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, ledger.Entry{
			Key: "k", Kind: "sale", At: time.Now(),
			Lines: []ledger.Line{ledger.Debit("COM", "1000", money.Unit), ledger.Credit("COM", "4000", money.Unit)},
		})
		if err != nil {
			return err
		}
		go func() { set <- h.SetCurrency(t.Context(), "PLN") }()
		for waits := false; !waits && len(set) == 0; {
			err := h.db.GetContext(t.Context(), &waits, `
				SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'balance'::regclass
				    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-set; !errors.Is(err, billing.ErrCurrencyUsed) {
		t.Errorf("%v, want it refused", err)
	}
}
