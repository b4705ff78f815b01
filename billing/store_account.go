package billing

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Account is a prepaid account (JSON contract of design.md 6).
type Account struct {
	Code       string         `json:"code" db:"code"`
	Name       string         `json:"name" db:"name"`
	Balance    money.Amount   `json:"balance" db:"balance"`    // credit positive
	Held       money.Amount   `json:"held" db:"held"`          // set aside for calls that run
	Free       money.Amount   `json:"free" db:"free"`          // Balance - Held + Limit
	Limit      money.Amount   `json:"limit" db:"credit_limit"` // how far below zero it may go
	Currency   money.Currency `json:"currency" db:"currency"`
	Blocked    bool           `json:"blocked" db:"blocked"`
	Enterprise string         `json:"enterprise" db:"enterprise"`
	Tariff     string         `json:"tariff" db:"tariff"`         // name of the retail deck
	CallLimit  int            `json:"call_limit" db:"call_limit"` // most seconds of one call
	Limits
}

// NewAccount is what AddAccount is asked for; only Code is needed.
type NewAccount struct {
	Code       string
	Name       string
	Enterprise string       // default CALL
	Tariff     string       // default retail
	CallLimit  int          // seconds, default two hours
	Limit      money.Amount // default 0
	Limits
}

// AccountChange is what SetAccount changes: whatever is not nil.
type AccountChange struct {
	Name      *string
	Tariff    *string
	CallLimit *int
	Limit     *money.Amount
	LimitsChange
}

const defaultCallLimit = 7200

const selectAccount = `
SELECT a.code, a.name, b.balance, b.held, b.balance - b.held + b.credit_limit AS free, b.credit_limit, k.currency,
    a.blocked, a.enterprise, a.tariff, a.call_limit, COALESCE(a.max_calls, 0) AS max_calls,
    COALESCE(a.max_rate, 0) AS max_rate, COALESCE(a.max_per_hour, 0) AS max_per_hour,
    COALESCE(a.max_per_day, 0) AS max_per_day, COALESCE(array_to_string(a.countries, ','), '') AS countries
FROM account a JOIN book k ON k.code = a.enterprise
    JOIN balance b ON b.book = a.enterprise AND b.account = '2100:' || a.code`

// AddAccount opens an account. ErrExists, ErrCode, ErrAmount, ErrCallLimit, ErrLimit, ErrCountry, ErrNotFound for its
// enterprise.
func (s *Service) AddAccount(ctx context.Context, n NewAccount) (Account, error) {
	n.Enterprise = cmp.Or(n.Enterprise, "CALL")
	n.Tariff = cmp.Or(n.Tariff, "retail")
	n.CallLimit = cmp.Or(n.CallLimit, defaultCallLimit)
	var a Account
	err := s.tx(ctx, func(tx *sqlx.Tx) error {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO account (id, code, name, enterprise, tariff, call_limit, max_calls, max_rate, max_per_hour,
			    max_per_day, countries)
			VALUES ($1, $2, $3, $4, $5, $6, NULLIF($7, 0), NULLIF($8::bigint, 0), NULLIF($9::bigint, 0), NULLIF($10::bigint, 0),
			    string_to_array(NULLIF($11, ''), ','))`,
			id, n.Code, n.Name, n.Enterprise, n.Tariff, n.CallLimit, n.MaxCalls, n.MaxRate, n.MaxPerHour, n.MaxPerDay,
			n.Countries)
		if err != nil {
			return err
		}
		if n.Limit < 0 {
			return ErrAmount
		}
		if err := ledger.OpenBalance(ctx, tx, n.Enterprise, CreditAccount(n.Code), n.Limit); err != nil {
			return err
		}
		a, err = account(ctx, tx, n.Code)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("add account %.40q: %w", n.Code, err)
	}
	return a, nil
}

// Account gives one account, or ErrNotFound.
func (s *Service) Account(ctx context.Context, code string) (Account, error) {
	return account(ctx, s.db, code)
}

func account(ctx context.Context, db sqlx.QueryerContext, code string) (Account, error) {
	var a Account
	err := sqlx.GetContext(ctx, db, &a, selectAccount+` WHERE a.code = $1`, code)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Account{}, fmt.Errorf("account %.40q: %w", code, err)
	}
	return a, nil
}

// Accounts lists all accounts by code.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	list := []Account{}
	if err := s.db.SelectContext(ctx, &list, selectAccount+` ORDER BY a.code COLLATE "C"`); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return list, nil
}

// SetAccount changes an account. Calls that run go on within what they hold. ErrNotFound, ErrCode, ErrCallLimit, ErrLimit,
// ErrCountry, ErrAmount, ErrInsufficientCredit when the new limit is below what is owed or held.
func (s *Service) SetAccount(ctx context.Context, code string, c AccountChange) (Account, error) {
	var a Account
	err := s.tx(ctx, func(tx *sqlx.Tx) error {
		var book string
		err := tx.GetContext(ctx, &book, `
			UPDATE account SET name = COALESCE($2, name), tariff = COALESCE($3, tariff), call_limit = COALESCE($4, call_limit),
			    max_calls = NULLIF(COALESCE($5, max_calls), 0), max_rate = NULLIF(COALESCE($6, max_rate), 0),
			    max_per_hour = NULLIF(COALESCE($7, max_per_hour), 0), max_per_day = NULLIF(COALESCE($8, max_per_day), 0),
			    countries = CASE WHEN $9::text IS NULL THEN countries ELSE string_to_array(NULLIF($9, ''), ',') END
			WHERE code = $1 RETURNING enterprise`,
			code, c.Name, c.Tariff, c.CallLimit, c.MaxCalls, c.MaxRate, c.MaxPerHour, c.MaxPerDay, c.Countries)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if c.Limit != nil && *c.Limit < 0 {
			return ErrAmount
		}
		if c.Limit != nil {
			if _, err := ledger.SetLimit(ctx, tx, book, CreditAccount(code), *c.Limit); err != nil {
				return err
			}
		}
		a, err = account(ctx, tx, code)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("set account %.40q: %w", code, err)
	}
	return a, nil
}

// Block keeps an account from making calls and issuing vouchers, or lets it again. Running calls end within what is held;
// the bill can still be seen. ErrNotFound.
func (s *Service) Block(ctx context.Context, code string, blocked bool) (Account, error) {
	done, err := postgres.Exec(ctx, s.db, `UPDATE account SET blocked = $2 WHERE code = $1`, code, blocked)
	if err == nil {
		err = one(done)
	}
	if err != nil {
		return Account{}, fmt.Errorf("block account %.40q: %w", code, err)
	}
	return s.Account(ctx, code)
}

// one is nil when a statement changed a row, else ErrNotFound.
func one(done sql.Result) error {
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}
