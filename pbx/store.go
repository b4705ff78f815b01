package pbx

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/nyaruka/phonenumbers/v2"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/pbx/prompt"
)

var (
	// ErrNotFound is returned by the store for a provider or an access number that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a provider or an access number is added whose code, address, user or number is taken.
	ErrExists = errors.New("exists already")
	// ErrInUse is returned by RemoveProvider and RemoveAccessNumber while something hangs on it.
	ErrInUse = errors.New("still in use")
	// ErrInvalid is returned for a provider or an access number that breaks a rule; the message says which.
	ErrInvalid = errors.New("not valid")
)

// MinPassword is the least length of a provider's password: its user name is reachable from the whole internet.
const MinPassword = 8

// Store keeps who may send calls and the access numbers they may send them to.
type Store struct{ db *sqlx.DB }

// NewStore makes a store on the database.
func NewStore(db *sqlx.DB) *Store { return &Store{db} }

// LoadAdmission reads providers and access numbers as they were at one moment.
func LoadAdmission(ctx context.Context, db *sqlx.DB) (*Admission, error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("load admission: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	a := &Admission{Numbers: map[e164.Number]AccessNumber{}}
	if a.Providers, err = providers(ctx, tx, ""); err != nil {
		return nil, fmt.Errorf("load admission: %w", err)
	}
	numbers, err := accessNumbers(ctx, tx, "")
	if err != nil {
		return nil, fmt.Errorf("load admission: %w", err)
	}
	for _, n := range numbers {
		a.Numbers[n.Number] = n
	}
	return a, nil
}

// NewPassword makes a password that nobody guesses (at least 128 bits).
func NewPassword() string { return rand.Text() }

// AddProvider adds a provider: ErrInvalid, ErrExists.
func (s *Store) AddProvider(ctx context.Context, p Provider) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("add provider %s: %w", p.Code, err)
	}
	_, err := postgres.Exec(ctx, s.db, `
		INSERT INTO provider (code, address, username, password, trust_caller_id)
		VALUES ($1, $2, $3, $4, $5)`, p.Code, p.address(), p.user(), p.Password, p.TrustCallerID)
	if err != nil {
		return fmt.Errorf("add provider %s: %w", p.Code, p.broken(err))
	}
	return nil
}

// SetProvider changes a provider by a function, under its row's lock so that two changes at once both count. The code
// stays what it is: ErrNotFound, ErrInvalid, ErrExists.
func (s *Store) SetProvider(ctx context.Context, code string, change func(*Provider)) (Provider, error) {
	var p Provider
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT FROM provider WHERE code = $1 FOR UPDATE`, code); err != nil {
			return err
		}
		found, err := providers(ctx, tx, code)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		p = found[0]
		change(&p)
		p.Code = code
		if err := p.check(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE provider SET address = $2, username = $3, password = $4, trust_caller_id = $5
			WHERE code = $1`, code, p.address(), p.user(), p.Password, p.TrustCallerID)
		return p.broken(err)
	})
	if err != nil {
		return Provider{}, fmt.Errorf("set provider %s: %w", code, err)
	}
	return p, nil
}

// RemoveProvider removes a provider that has no access numbers: ErrNotFound, ErrInUse.
func (s *Store) RemoveProvider(ctx context.Context, code string) error {
	r, err := postgres.Exec(ctx, s.db, `DELETE FROM provider WHERE code = $1`, code)
	if postgres.Constraint(err) == "access_number_provider_fkey" {
		return fmt.Errorf("provider %s is %w: remove its access numbers first", code, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("remove provider %s: %w", code, err)
	}
	return found(r, "provider", code)
}

// Provider gives one provider, or ErrNotFound.
func (s *Store) Provider(ctx context.Context, code string) (Provider, error) {
	found, err := providers(ctx, s.db, code)
	if err != nil {
		return Provider{}, fmt.Errorf("provider %s: %w", code, err)
	}
	if len(found) == 0 {
		return Provider{}, fmt.Errorf("provider %s: %w", code, ErrNotFound)
	}
	return found[0], nil
}

// Providers lists all by code.
func (s *Store) Providers(ctx context.Context) ([]Provider, error) {
	found, err := providers(ctx, s.db, "")
	if err != nil {
		return nil, fmt.Errorf("providers: %w", err)
	}
	return found, nil
}

// AddAccessNumber adds an access number; empty language and service mean English and gateway. It returns what was
// added: ErrInvalid, ErrExists, ErrNotFound for a provider that does not exist.
func (s *Store) AddAccessNumber(ctx context.Context, n AccessNumber) (AccessNumber, error) {
	if n.Language == "" {
		n.Language = "en"
	}
	if n.Service == "" {
		n.Service = Gateway
	}
	n.IntervalFirst, n.IntervalNext = max(n.IntervalFirst, 1), max(n.IntervalNext, 1)
	if err := n.check(); err != nil {
		return AccessNumber{}, fmt.Errorf("add access number %s: %w", n.Number, err)
	}
	_, err := postgres.Exec(ctx, s.db, `
		INSERT INTO access_number (number, provider, country, language, service, cost_per_minute, cost_connect_fee,
		    cost_interval_first, cost_interval_next)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, n.Number, n.Provider, n.Country, n.Language, n.Service,
		n.PerMinute, n.ConnectFee, n.IntervalFirst, n.IntervalNext)
	switch postgres.Constraint(err) {
	case "access_number_pkey":
		return AccessNumber{}, fmt.Errorf("access number %s %w", n.Number, ErrExists)
	case "access_number_provider_fkey", "code_syntax":
		return AccessNumber{}, fmt.Errorf("provider %s: %w", n.Provider, ErrNotFound)
	}
	if err != nil {
		return AccessNumber{}, fmt.Errorf("add access number %s: %w", n.Number, err)
	}
	return n, nil
}

// SetAccessNumber changes an access number by a function, under its row's lock as SetProvider does. Number, provider and
// service stay what they are: ErrNotFound, ErrInvalid.
func (s *Store) SetAccessNumber(ctx context.Context, number e164.Number, change func(*AccessNumber)) (AccessNumber, error) {
	var n AccessNumber
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT FROM access_number WHERE number = $1 FOR UPDATE`, number); err != nil {
			return err
		}
		found, err := accessNumbers(ctx, tx, number)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		n = found[0]
		change(&n)
		n.Number, n.Provider, n.Service = number, found[0].Provider, found[0].Service
		if err := n.check(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE access_number SET country = $2, language = $3, cost_per_minute = $4, cost_connect_fee = $5,
			    cost_interval_first = $6, cost_interval_next = $7
			WHERE number = $1`, number, n.Country, n.Language, n.PerMinute, n.ConnectFee, n.IntervalFirst, n.IntervalNext)
		return err
	})
	if err != nil {
		return AccessNumber{}, fmt.Errorf("set access number %s: %w", number, err)
	}
	return n, nil
}

// RemoveAccessNumber removes an access number that stands for no contact: ErrNotFound, ErrInUse.
func (s *Store) RemoveAccessNumber(ctx context.Context, n e164.Number) error {
	r, err := postgres.Exec(ctx, s.db, `DELETE FROM access_number WHERE number = $1`, n)
	if postgres.Constraint(err) == "contact_access_number_fkey" {
		return fmt.Errorf("access number %s is %w: remove the contacts on it first", n, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("remove access number %s: %w", n, err)
	}
	return found(r, "access number", n.String())
}

// AccessNumber gives one access number, or ErrNotFound.
func (s *Store) AccessNumber(ctx context.Context, n e164.Number) (AccessNumber, error) {
	found, err := accessNumbers(ctx, s.db, n)
	if err != nil {
		return AccessNumber{}, fmt.Errorf("access number %s: %w", n, err)
	}
	if len(found) == 0 {
		return AccessNumber{}, fmt.Errorf("access number %s: %w", n, ErrNotFound)
	}
	return found[0], nil
}

// AccessNumbers lists all by number.
func (s *Store) AccessNumbers(ctx context.Context) ([]AccessNumber, error) {
	found, err := accessNumbers(ctx, s.db, "")
	if err != nil {
		return nil, fmt.Errorf("access numbers: %w", err)
	}
	return found, nil
}

// providers reads one provider, or all with an empty code.
func providers(ctx context.Context, q sqlx.QueryerContext, code string) ([]Provider, error) {
	rows := []struct {
		Code, Password string
		Address, User  sql.NullString
		TrustCallerID  bool `db:"trust_caller_id"`
	}{}
	err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT code, address::text AS address, username AS "user", password, trust_caller_id
		FROM provider WHERE $1 = '' OR code = $1 ORDER BY code`, code)
	if err != nil {
		return nil, err
	}
	found := make([]Provider, len(rows))
	for i, r := range rows {
		p := Provider{Code: r.Code, User: r.User.String, Password: r.Password, TrustCallerID: r.TrustCallerID}
		if r.Address.Valid {
			if p.Address, err = netip.ParsePrefix(r.Address.String); err != nil {
				return nil, fmt.Errorf("address of provider %s: %w", r.Code, err)
			}
		}
		found[i] = p
	}
	return found, nil
}

// accessNumbers reads one access number, or all with an empty one.
func accessNumbers(ctx context.Context, q sqlx.QueryerContext, n e164.Number) ([]AccessNumber, error) {
	found := []AccessNumber{}
	err := sqlx.SelectContext(ctx, q, &found, `
		SELECT number, provider, country, language, service, cost_per_minute, cost_connect_fee, cost_interval_first,
		    cost_interval_next
		FROM access_number WHERE $1 = '' OR number = $1 ORDER BY number`, n)
	return found, err
}

// found turns an UPDATE or DELETE of no row into ErrNotFound.
func found(r sql.Result, what, name string) error {
	n, err := r.RowsAffected()
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, name, err)
	}
	if n == 0 {
		return fmt.Errorf("%s %s: %w", what, name, ErrNotFound)
	}
	return nil
}

var (
	codeSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	userSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)
)

// ParseAddress reads the address a provider sends from, IP or IP/N.
func ParseAddress(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("address %q is %w: want IP or IP/N, such as 192.0.2.10 or 192.0.2.0/28", s, ErrInvalid)
		}
		addr = addr.Unmap()
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	return p, checkAddress(p)
}

func checkAddress(p netip.Prefix) error {
	switch {
	case p.Addr().Is4In6():
		return fmt.Errorf("address %s is %w: write it as IPv4", p, ErrInvalid)
	case p.Masked() != p:
		return fmt.Errorf("address %s is %w: its net is %s", p, ErrInvalid, p.Masked())
	case p.Bits() == 0:
		return fmt.Errorf("address %s is %w: it would let everybody in", p, ErrInvalid)
	}
	return nil
}

func (p Provider) check() error {
	switch {
	case !codeSyntax.MatchString(p.Code):
		return errCode
	case p.Address.IsValid() == (p.User != ""):
		return fmt.Errorf("%w: a provider is known either by address or by user", ErrInvalid)
	case p.Address.IsValid() && p.Password != "":
		return fmt.Errorf("%w: a password goes with a user, and this provider is known by address", ErrInvalid)
	case p.Address.IsValid():
		return checkAddress(p.Address)
	case !userSyntax.MatchString(p.User):
		return fmt.Errorf("user %q is %w: want up to 64 letters, digits, and . _ + -", p.User, ErrInvalid)
	case len(p.Password) < MinPassword:
		return fmt.Errorf("the password is %w: want at least %d characters", ErrInvalid, MinPassword)
	case strings.ContainsFunc(p.Password, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the password is %w: it has control characters", ErrInvalid)
	}
	return nil
}

var errCode = fmt.Errorf("code is %w: want 1 to 32 letters, digits, - or _", ErrInvalid)

// broken tells which constraint an INSERT or UPDATE of the provider broke.
func (p Provider) broken(err error) error {
	switch postgres.Constraint(err) {
	case "provider_pkey":
		return ErrExists
	case "provider_address_unique":
		return fmt.Errorf("a provider with the address %s %w", p.Address, ErrExists)
	case "provider_username_unique":
		return fmt.Errorf("a provider with the user %s %w", p.User, ErrExists)
	}
	return err
}

// address and user are NULL when the provider is known by the other.
func (p Provider) address() sql.NullString {
	return sql.NullString{String: p.Address.String(), Valid: p.Address.IsValid()}
}

func (p Provider) user() sql.NullString { return sql.NullString{String: p.User, Valid: p.User != ""} }

func (n AccessNumber) check() error {
	switch {
	case phonenumbers.GetCountryCodeForRegion(n.Country) == 0:
		return fmt.Errorf("country %q is %w: want the two letters of ISO 3166, such as DE", n.Country, ErrInvalid)
	case !slices.Contains(prompt.Languages(), n.Language):
		return fmt.Errorf("language %q is %w: want one of %s", n.Language, ErrInvalid, strings.Join(prompt.Languages(), ", "))
	case !slices.Contains([]Service{Gateway, Contact, Echo}, n.Service):
		return fmt.Errorf("service %q is %w: want one of gateway, contact, echo", n.Service, ErrInvalid)
	}
	return n.Cost.check()
}

// The most that an access number may cost: more is a slip of the keyboard.
const (
	maxCost     = 1000 * money.Unit
	maxInterval = 3600 // seconds
)

func (c Cost) check() error {
	for _, price := range []money.Amount{c.PerMinute, c.ConnectFee} {
		if price < 0 || price > maxCost {
			return fmt.Errorf("cost %s is %w: want 0 to %s", price, ErrInvalid, maxCost)
		}
	}
	for _, seconds := range []int{c.IntervalFirst, c.IntervalNext} {
		if seconds < 1 || seconds > maxInterval {
			return fmt.Errorf("interval %d is %w: want 1 to %d seconds", seconds, ErrInvalid, maxInterval)
		}
	}
	return nil
}
