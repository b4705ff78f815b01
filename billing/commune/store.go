package commune

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Store keeps the commune in PostgreSQL. All methods may be called from several goroutines.
type Store struct{ db *sqlx.DB }

// NewStore makes a store.
func NewStore(db *sqlx.DB) *Store { return &Store{db} }

// Do runs operations of the commune in one transaction: all of them happen, or none.
func (s *Store) Do(ctx context.Context, do func(*Commune) error) error {
	return postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error { return do(In(tx, Book)) })
}

// Commune is the commune within a transaction. One operation runs at a time, in all programs together: each takes the
// lock of the calendar, which closes take too.
//
// After an error the transaction must be rolled back. Every operation is done once under the key of its act: repeated
// with the same content it changes nothing, with another it is ErrConflict. Dated in a closed month it is
// ledger.ErrPeriodClosed, in a later month than the open one ErrPeriodOpen.
type Commune struct {
	tx   *sqlx.Tx
	book string
}

// In gives the commune within a transaction, with the code of its book.
func In(tx *sqlx.Tx, book string) *Commune { return &Commune{tx, book} }

// Tx gives the transaction, for what belongs into the same one.
func (c *Commune) Tx() *sqlx.Tx { return c.tx }

// Act is what every operation needs besides what it is about.
type Act struct {
	Key   string // made before the first attempt
	Actor string
	At    time.Time   // when it is done
	Date  ledger.Date // the day it counts on; none: that of At in the commune's zone
}

// timing says which days an operation may be dated.
type timing int

const (
	inOpenMonth timing = iota
	alsoLater          // people come and go, and assets are used, while the month before waits for its close
)

// op is an operation at work.
type op struct {
	*Commune
	Act

	kind   string
	day    ledger.Date
	open   ledger.Period
	again  bool // it was done before: nothing is left to do
	posted int
}

// begin takes the lock, dates the operation, and writes it into the minute book.
func (c *Commune) begin(ctx context.Context, a Act, kind string, content any, t timing) (*op, error) {
	calendar, err := ledger.LockCalendar(ctx, c.tx, a.At)
	if err != nil {
		return nil, err
	}
	o := &op{Commune: c, Act: a, kind: kind, open: calendar.Open, day: a.Date}
	if o.day == "" {
		o.day = ledger.DateOf(a.At, calendar.Zone)
	}
	if o.again, err = o.minute(ctx, content); err != nil || o.again {
		return o, err
	}
	switch {
	case o.day < calendar.From:
		return nil, fmt.Errorf("%s: %w", o.day, ledger.ErrPeriodClosed)
	case t == inOpenMonth && o.day > o.open.Last():
		return nil, fmt.Errorf("%s, while %s is not closed: %w", o.day, o.open, ErrPeriodOpen)
	}
	return o, nil
}

// minute writes the operation down, or finds that it was before.
func (o *op) minute(ctx context.Context, content any) (again bool, err error) {
	text, err := json.Marshal(content)
	if err != nil {
		return false, err
	}
	done, err := o.tx.ExecContext(ctx, `
		INSERT INTO act (key, kind, day, at, actor, content) VALUES ($1, $2, $3::date, $4, $5, $6)
		ON CONFLICT (key) DO NOTHING`, o.Key, o.kind, string(o.day), o.At, o.Actor, string(text))
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return false, err
	}
	var same bool
	err = o.tx.GetContext(ctx, &same, `
		SELECT kind = $2 AND content = $3::jsonb AND ($4 = '' OR day = NULLIF($4, '')::date) FROM act WHERE key = $1`,
		o.Key, o.kind, string(text), string(o.Date))
	if err == nil && !same {
		err = fmt.Errorf("%s: %w", o.Key, ErrConflict)
	}
	return true, err
}

// post adds an entry of the operation. Zero lines are left out, and an entry without lines. No bank may go below zero.
func (o *op) post(ctx context.Context, text string, lines ...ledger.Line) error {
	return o.postDraft(ctx, Draft{Kind: o.kind, Text: text, Lines: lines})
}

func (o *op) postDraft(ctx context.Context, d Draft) error {
	var lines []ledger.Line
	for _, l := range d.Lines {
		if l.Amount != 0 {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	o.posted++
	_, err := ledger.Post(ctx, o.tx, ledger.Entry{
		Key: fmt.Sprintf("%s:%d", o.Key, o.posted), Kind: d.Kind, Text: d.Text, Actor: o.Actor, At: o.At, Date: o.day,
		Lines: lines,
	})
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.Amount < 0 && (l.Account == bank || l.Account == escrow) {
			if err := o.funded(ctx, l.Book, l.Account); err != nil {
				return err
			}
		}
	}
	return nil
}

// funded refuses a bank account that is below zero (D-38).
func (c *Commune) funded(ctx context.Context, book, account string) error {
	balance, err := c.balance(ctx, book, account)
	if err == nil && balance < 0 {
		err = fmt.Errorf("%s %s would be at %s: %w", book, account, balance, ErrFunds)
	}
	return err
}

// balance is that of one account, debit positive.
func (c *Commune) balance(ctx context.Context, book, account string) (money.Amount, error) {
	var balance money.Amount
	err := c.tx.GetContext(ctx, &balance, `
		SELECT COALESCE(sum(amount), 0)::bigint FROM line WHERE book = $1 AND account = $2`, book, account)
	return balance, translate(err)
}

// balances are those of the commune's book on a day, debit positive.
func (c *Commune) balances(ctx context.Context, day ledger.Date) (map[string]money.Amount, error) {
	lines, err := ledger.Trial(ctx, c.tx, ledger.TrialFilter{Book: c.book, At: day})
	if err != nil {
		return nil, err
	}
	balances := make(map[string]money.Amount, len(lines))
	for _, l := range lines {
		balances[l.Account] = l.Balance
	}
	return balances, nil
}

// one reads the row that a query gives, or ErrUnknown with what was looked for.
func one[T any](ctx context.Context, c *Commune, what, code, query string, args ...any) (row T, err error) {
	err = c.tx.GetContext(ctx, &row, query, append([]any{code}, args...)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%s %.40q: %w", what, code, ErrUnknown)
	}
	return row, err
}

// known refuses a code that none of the things of that name has.
func (c *Commune) known(ctx context.Context, what, code, query string) error {
	_, err := one[int](ctx, c, what, code, query)
	return err
}

func (c *Commune) knownEnterprise(ctx context.Context, code string) error {
	return c.known(ctx, "enterprise", code, `SELECT 1 FROM enterprise WHERE code = $1`)
}

func (c *Commune) knownMember(ctx context.Context, code string) error {
	return c.known(ctx, "member", code, `SELECT 1 FROM member WHERE code = $1`)
}

// wholeCents refuses what is not a positive amount of whole cents (D-05).
func wholeCents(a money.Amount) error {
	if a <= 0 || a%money.Cent != 0 {
		return fmt.Errorf("%s, want a positive amount of whole cents: %w", a, ErrAmount)
	}
	return nil
}

// translate gives what the database refuses for reasons in the data its name here.
func translate(err error) error {
	var refused *pq.Error
	if errors.As(err, &refused) && refused.Code == "22003" { // numeric_value_out_of_range
		return money.ErrRange
	}
	return err
}

// nullable is a day for a column that may be NULL.
func nullable[T ~string](s T) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}
