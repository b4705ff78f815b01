package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Enterprise sells calls and has a book of its own.
type Enterprise struct {
	Code     string         `json:"code" db:"code"`
	Name     string         `json:"name" db:"name"`
	VAT      tariff.Percent `json:"vat_percent" db:"vat_percent"`
	Currency money.Currency `json:"currency" db:"currency"`
}

// Commune is what holds for all books: one currency, and the zone that business dates are days of.
type Commune struct {
	Currency money.Currency `json:"currency" db:"currency"`
	Zone     string         `json:"zone" db:"zone"`
}

var currencySyntax = regexp.MustCompile(`^[A-Z]{3}$`)

// Enterprise gives one enterprise, or ErrNotFound.
func (s *Service) Enterprise(ctx context.Context, code string) (Enterprise, error) {
	return enterprise(ctx, s.db, code)
}

func enterprise(ctx context.Context, db sqlx.QueryerContext, code string) (Enterprise, error) {
	var e Enterprise
	err := sqlx.GetContext(ctx, db, &e, `
		SELECT e.code, e.name, e.vat_percent, k.currency FROM enterprise e JOIN book k ON k.code = e.code WHERE e.code = $1`, code)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Enterprise{}, fmt.Errorf("enterprise %.40q: %w", code, err)
	}
	return e, nil
}

// SetVAT sets the tax within the prices of an enterprise, for calls authorised from now on. ErrNotFound.
func (s *Service) SetVAT(ctx context.Context, code string, vat tariff.Percent) (Enterprise, error) {
	done, err := postgres.Exec(ctx, s.db, `UPDATE enterprise SET vat_percent = $2 WHERE code = $1`, code, vat)
	if err == nil {
		err = one(done)
	}
	if err != nil {
		return Enterprise{}, fmt.Errorf("set VAT of %.40q: %w", code, err)
	}
	return s.Enterprise(ctx, code)
}

// Commune gives the settings of the commune.
func (s *Service) Commune(ctx context.Context) (Commune, error) {
	var c Commune
	if err := s.db.GetContext(ctx, &c, `SELECT currency, zone FROM commune`); err != nil {
		return Commune{}, fmt.Errorf("commune: %w", err)
	}
	return c, nil
}

// SetZone sets the zone of business dates, for entries posted from now on. ErrZone.
func (s *Service) SetZone(ctx context.Context, zone string) error {
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		return fmt.Errorf("%.40q: %w", zone, ErrZone)
	}
	// PostgreSQL computes the dates: a zone that it does not know makes this fail here rather than at a posting.
	_, err := postgres.Exec(ctx, s.db, `UPDATE commune SET zone = $1 WHERE now() AT TIME ZONE $1 IS NOT NULL`, zone)
	if err != nil {
		return fmt.Errorf("set zone: %w", err)
	}
	return nil
}

// ParseCurrency reads the code of a currency, or returns ErrCurrency.
func ParseCurrency(s string) (money.Currency, error) {
	if !currencySyntax.MatchString(s) {
		return "", fmt.Errorf("%.10q: %w", s, ErrCurrency)
	}
	return money.Currency(s), nil
}

// SetCurrency sets the currency of the commune and all books, as long as nothing is written in the one they have: no
// entries, no decks, no credit or limit of an account. ErrCurrency, ErrCurrencyUsed.
func (s *Service) SetCurrency(ctx context.Context, currency money.Currency) error {
	if _, err := ParseCurrency(string(currency)); err != nil {
		return err
	}
	// Asked without the locks first: what can't be done must not make calls wait.
	err := checkCurrency(ctx, s.db, currency)
	if err == nil {
		err = s.tx(ctx, func(tx *sqlx.Tx) error { return setCurrency(ctx, tx, currency) })
	}
	if err != nil {
		return fmt.Errorf("set currency %s: %w", currency, err)
	}
	return nil
}

// setCurrency keeps amounts from being written between the check and the change. An import of a deck holds the commune's
// row. Every posting, every hold and every new account writes to balance, and so waits for its table lock, or this waits
// for them; that a posting may find no row to write there makes no difference.
func setCurrency(ctx context.Context, tx *sqlx.Tx, currency money.Currency) error {
	if _, err := tx.ExecContext(ctx, `SELECT FROM commune FOR UPDATE`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `LOCK TABLE balance IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return err
	}
	if err := checkCurrency(ctx, tx, currency); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `WITH books AS (UPDATE book SET currency = $1) UPDATE commune SET currency = $1`, currency)
	return err
}

func checkCurrency(ctx context.Context, db sqlx.QueryerContext, currency money.Currency) error {
	var used bool
	err := sqlx.GetContext(ctx, db, &used, `
		SELECT currency <> $1 AND (EXISTS (SELECT FROM entry) OR EXISTS (SELECT FROM deck)
		    OR EXISTS (SELECT FROM balance WHERE (balance, held, credit_limit) <> (0, 0, 0)))
		FROM commune`, currency)
	if err == nil && used {
		err = ErrCurrencyUsed
	}
	return err
}
