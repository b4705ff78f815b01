package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/e164"
	"telecommune/internal/postgres"
)

// The limits of design.md 9.6: with so many wrong PINs in the last hour, the next one is refused without look-up.
const (
	callerFailures   = 5
	providerFailures = 99
)

const selectCaller = `
SELECT a.code AS account, a.enterprise, a.tariff, a.call_limit AS calllimit, a.blocked OR e.state <> 'active' AS blocked, k.currency, e.vat_percent AS vat,
    COALESCE(t.passes_access, false) AS passes_access
FROM account a JOIN enterprise e ON e.code = a.enterprise JOIN book k ON k.code = a.enterprise
    LEFT JOIN tariff t ON t.name = a.tariff`

var (
	callerByPhoneSQL = postgres.Prepared(selectCaller + ` JOIN phone p ON p.account = a.code WHERE p.number = $1`)
	contactSQL       = postgres.Prepared(`SELECT number FROM contact WHERE account = $1 AND access_number = $2`)
)

// ByPhone finds the account that a calling number opens, blocked ones too. ErrUnknownCaller.
func (s *Service) ByPhone(ctx context.Context, phone e164.Number) (Caller, error) {
	return inTime(ctx, s, func(ctx context.Context) (Caller, error) {
		return caller(ctx, s.db, callerByPhoneSQL, phone)
	})
}

// ByPIN finds the account of a PIN, blocked ones too. ErrUnknownCaller; ErrTooManyPINs after too many wrong ones from
// the same caller or provider. A withheld caller counts for its provider only, so that nobody locks out all the others.
func (s *Service) ByPIN(ctx context.Context, pin string, from PINSource) (Caller, error) {
	return s.login(ctx, "", pin, from)
}

func (s *Service) login(ctx context.Context, account, pin string, from PINSource) (Caller, error) {
	mac, err := s.key.mac("PIN", pin)
	if err != nil {
		return Caller{}, err
	}
	return inTime(ctx, s, func(ctx context.Context) (Caller, error) {
		var found Caller
		var verdict error
		err := s.tx(ctx, func(tx *sqlx.Tx) error {
			var err error
			found, verdict, err = tryPIN(ctx, tx, account, mac, from)
			return err
		})
		if err != nil {
			return Caller{}, fmt.Errorf("PIN: %w", err)
		}
		return found, verdict
	})
}

// tryPIN counts, looks up and, when wrong, records. verdict is what the caller is told; a wrong PIN must be committed,
// so it is no error of the transaction.
func tryPIN(ctx context.Context, tx *sqlx.Tx, account string, mac []byte, from PINSource) (c Caller, verdict, err error) {
	switch tooMany, err := failedTooOften(ctx, tx, from); {
	case err != nil:
		return Caller{}, nil, err
	case tooMany:
		return Caller{}, ErrTooManyPINs, nil
	}
	c, err = caller(ctx, tx, selectCaller+`
		JOIN pin p ON p.account = a.code
		WHERE p.hmac = $1 AND p.revoked_at IS NULL AND ($2 = '' OR a.code = $2)`, mac, account)
	if !errors.Is(err, ErrUnknownCaller) {
		return c, nil, err
	}
	return Caller{}, ErrUnknownCaller, failed(ctx, tx, from)
}

// failedTooOften tells whether there were so many wrong PINs, or vouchers, from a source that the next is not looked at.
// Others of its provider wait until tx ends: otherwise guesses made at once would all be counted before any is recorded.
func failedTooOften(ctx context.Context, tx *sqlx.Tx, from PINSource) (bool, error) {
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('PIN ' || $1, 0))`, from.Provider); err != nil {
		return false, err
	}
	var failures struct{ Caller, Provider int }
	err := tx.GetContext(ctx, &failures, `
		SELECT (SELECT count(*) FROM pin_failure WHERE caller = $1 AND $1 <> '' AND at > now() - interval '1 hour') AS caller,
		    (SELECT count(*) FROM pin_failure WHERE provider = $2 AND at > now() - interval '1 hour') AS provider`,
		from.Caller, from.Provider)
	return failures.Caller >= callerFailures || failures.Provider >= providerFailures, err
}

// failed records a wrong PIN or voucher.
func failed(ctx context.Context, tx *sqlx.Tx, from PINSource) error {
	_, err := tx.ExecContext(ctx, `
		WITH pruned AS (DELETE FROM pin_failure WHERE at < now() - interval '1 hour')
		INSERT INTO pin_failure (caller, provider) VALUES ($1, $2)`, from.Caller, from.Provider)
	return err
}

func caller(ctx context.Context, db sqlx.QueryerContext, query string, args ...any) (Caller, error) {
	var c Caller
	err := sqlx.GetContext(ctx, db, &c, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return Caller{}, ErrUnknownCaller
	}
	return c, err
}

// Contact gives the number that an access number stands for on an account, or ErrNoContact.
func (s *Service) Contact(ctx context.Context, account string, access e164.Number) (e164.Number, error) {
	number, err := inTime(ctx, s, func(ctx context.Context) (number e164.Number, err error) {
		err = s.db.GetContext(ctx, &number, contactSQL, account, access)
		return number, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoContact
	}
	if err != nil {
		return "", fmt.Errorf("contact of %.40q on %s: %w", account, access, err)
	}
	return number, nil
}

// Phone is a calling number that opens an account without PIN.
type Phone struct {
	Number  e164.Number `json:"number"`
	Account string      `json:"account"`
}

// AddPhone lets a calling number open an account. ErrExists when it opens one already, ErrNotFound.
func (s *Service) AddPhone(ctx context.Context, p Phone) error {
	if _, err := postgres.Exec(ctx, s.db, `INSERT INTO phone (number, account) VALUES ($1, $2)`, p.Number, p.Account); err != nil {
		return fmt.Errorf("add phone %s: %w", p.Number, translate(err))
	}
	return nil
}

// Phones lists the calling numbers of an account, or of all.
func (s *Service) Phones(ctx context.Context, account string) ([]Phone, error) {
	list := []Phone{}
	err := s.db.SelectContext(ctx, &list, `
		SELECT number, account FROM phone WHERE $1 = '' OR account = $1 ORDER BY number COLLATE "C"`, account)
	if err != nil {
		return nil, fmt.Errorf("phones: %w", err)
	}
	return list, nil
}

// RemovePhone makes a calling number open nothing. ErrNotFound.
func (s *Service) RemovePhone(ctx context.Context, number e164.Number) error {
	done, err := postgres.Exec(ctx, s.db, `DELETE FROM phone WHERE number = $1`, number)
	if err == nil {
		err = one(done)
	}
	if err != nil {
		return fmt.Errorf("remove phone %s: %w", number, err)
	}
	return nil
}

// IssuePIN gives an account another PIN of twelve digits. It can't be had again: the database keeps its HMAC only.
// ErrNotFound, ErrKey.
func (s *Service) IssuePIN(ctx context.Context, account string) (string, error) {
	for {
		pin, err := newPIN()
		if err != nil {
			return "", fmt.Errorf("issue PIN: %w", err)
		}
		mac, err := s.key.mac("PIN", pin)
		if err != nil {
			return "", fmt.Errorf("issue PIN: %w", err)
		}
		_, err = postgres.Exec(ctx, s.db, `INSERT INTO pin (hmac, account) VALUES ($1, $2)`, mac, account)
		if postgres.Constraint(err) == "pin_pkey" {
			continue // somebody's already, once in a billion
		}
		if err != nil {
			return "", fmt.Errorf("issue PIN for %.40q: %w", account, translate(err))
		}
		return pin, nil
	}
}

// RevokePINs makes all PINs of an account useless and tells how many there were. ErrNotFound for the account.
func (s *Service) RevokePINs(ctx context.Context, account string) (int, error) {
	if _, err := s.Account(ctx, account); err != nil {
		return 0, fmt.Errorf("revoke PINs: %w", err)
	}
	done, err := postgres.Exec(ctx, s.db, `UPDATE pin SET revoked_at = now() WHERE account = $1 AND revoked_at IS NULL`, account)
	if err != nil {
		return 0, fmt.Errorf("revoke PINs of %.40q: %w", account, err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// ContactEntry is a friend abroad: on this account, the access number stands for the number.
type ContactEntry struct {
	Account      string      `json:"account" db:"account"`
	AccessNumber e164.Number `json:"access_number" db:"access_number"`
	Number       e164.Number `json:"number" db:"number"`
	Label        string      `json:"label" db:"label"`
}

// SetContact makes an access number stand for a number on an account, in place of what it stood for. ErrNotFound for the
// account or the access number.
func (s *Service) SetContact(ctx context.Context, c ContactEntry) error {
	_, err := postgres.Exec(ctx, s.db, `
		INSERT INTO contact (account, access_number, number, label) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, access_number) DO UPDATE SET number = excluded.number, label = excluded.label`,
		c.Account, c.AccessNumber, c.Number, c.Label)
	if err != nil {
		return fmt.Errorf("set contact of %.40q on %s: %w", c.Account, c.AccessNumber, translate(err))
	}
	return nil
}

// Contacts lists the contacts of an account, or of all.
func (s *Service) Contacts(ctx context.Context, account string) ([]ContactEntry, error) {
	list := []ContactEntry{}
	err := s.db.SelectContext(ctx, &list, `
		SELECT account, access_number, number, label FROM contact WHERE $1 = '' OR account = $1
		ORDER BY account COLLATE "C", access_number COLLATE "C"`, account)
	if err != nil {
		return nil, fmt.Errorf("contacts: %w", err)
	}
	return list, nil
}

// RemoveContact makes an access number stand for nobody on an account. ErrNotFound.
func (s *Service) RemoveContact(ctx context.Context, account string, access e164.Number) error {
	done, err := postgres.Exec(ctx, s.db, `DELETE FROM contact WHERE account = $1 AND access_number = $2`, account, access)
	if err == nil {
		err = one(done)
	}
	if err != nil {
		return fmt.Errorf("remove contact of %.40q on %s: %w", account, access, err)
	}
	return nil
}
