package billing

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// TopUp is money paid in.
type TopUp struct {
	Account string
	Amount  money.Amount // whole cents
	Key     string       // makes it repeatable; none: a new one, named by an error after which it may have been done
	Text    string       // for the bill
	Actor   string       // who takes the money; none: this node
}

// TopUp pays money into an account (T-01) and gives the account as it is then: Book for PaidIn.
func (s *Service) TopUp(ctx context.Context, t TopUp) (Account, error) {
	return s.Book(ctx, Booking{Kind: PaidIn, Account: t.Account, Amount: t.Amount, Key: t.Key, Text: t.Text, Actor: t.Actor})
}

// Book moves money on an account by one entry and gives the account as it is then. The same key with the same content is
// done once, whatever became of the account since; with another content it is ErrConflict. ErrAmount, ErrReason,
// ErrNotFound, ErrInsufficientCredit for more than is free, ErrNotOwed, ErrBlocked, ErrFunds; for a transfer also
// ErrSameAccount and ErrOtherEnterprise.
func (s *Service) Book(ctx context.Context, b Booking) (Account, error) {
	err := b.check()
	if b.Key == "" {
		b.Key = uuid.NewString()
	}
	var a Account
	if err == nil {
		a, err = once(ctx, "with --key "+b.Key, func() (Account, error) { return s.book(ctx, b) })
	}
	if err != nil {
		return Account{}, fmt.Errorf("%s of %.40q: %w", b.Kind, b.Account, err)
	}
	return a, nil
}

func (s *Service) book(ctx context.Context, b Booking) (a Account, err error) {
	key := string(b.Kind) + ":" + b.Key
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAccounts(ctx, tx, b.Account, b.Into); err != nil {
			return err
		}
		if a, err = account(ctx, tx, b.Account); err != nil {
			return err
		}
		if b.Kind == Transfer {
			if err := sameEnterprise(ctx, tx, a, b.Into); err != nil {
				return err
			}
		}
		known, err := isPosted(ctx, tx, key)
		if err == nil && !known {
			err = mayBook(ctx, tx, b, a)
		}
		if err != nil {
			return err
		}
		_, err = ledger.Post(ctx, tx, ledger.Entry{
			Key: key, Kind: string(b.Kind), Text: b.text(), Actor: s.actor(b.Actor), At: s.now(), Lines: b.Lines(a.Enterprise),
		})
		if err != nil {
			return err
		}
		a, err = account(ctx, tx, b.Account)
		return err
	})
	return a, err
}

// mayBook tells whether a booking that was not made before may be made now.
func mayBook(ctx context.Context, tx *sqlx.Tx, b Booking, a Account) error {
	if err := b.allowed(a); err != nil {
		return err
	}
	if templates[b.Kind].credit == bank {
		return mayPay(ctx, tx, a.Enterprise, b.Amount)
	}
	return nil
}

// lockAccounts keeps the balances of accounts from being moved by others until tx ends. Their rows are locked in the
// order of the ledger, or two transfers that cross would each wait for the other.
func lockAccounts(ctx context.Context, tx *sqlx.Tx, codes ...string) error {
	_, err := tx.ExecContext(ctx, `
		SELECT FROM account a JOIN balance b ON b.book = a.enterprise AND b.account = '2100:' || a.code
		WHERE a.code = ANY ($1) ORDER BY b.book, b.account FOR UPDATE OF b`, pq.Array(codes))
	return err
}

func sameEnterprise(ctx context.Context, tx *sqlx.Tx, a Account, other string) error {
	o, err := account(ctx, tx, other)
	if err == nil && o.Enterprise != a.Enterprise {
		err = ErrOtherEnterprise
	}
	return err
}

// isPosted tells whether the entry of a key is there, so that what was done is not refused when it is repeated.
func isPosted(ctx context.Context, tx *sqlx.Tx, key string) (posted bool, err error) {
	err = tx.GetContext(ctx, &posted, `SELECT EXISTS (SELECT FROM entry WHERE key = $1)`, key)
	return posted, err
}

// takeTurn lets one after the other pay out of the bank account of a book, each until its transaction ends; those who pay
// in don't wait.
func takeTurn(ctx context.Context, tx *sqlx.Tx, book string) error {
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('bank of ' || $1, 0))`, book)
	return err
}

// mayPay tells whether the bank account of a book has an amount, else ErrFunds.
func mayPay(ctx context.Context, tx *sqlx.Tx, book string, amount money.Amount) error {
	if err := takeTurn(ctx, tx, book); err != nil {
		return err
	}
	var there money.Amount
	err := tx.GetContext(ctx, &there, `SELECT COALESCE(sum(amount), 0)::bigint FROM line WHERE book = $1 AND account = $2`, book, bank)
	if err == nil && there < amount {
		err = fmt.Errorf("the bank account of %s has %s: %w", book, there, ErrFunds)
	}
	return err
}

// once does a write that has a key, and again when its answer got lost. When that is of no avail either, the error says
// how to repeat it: doing the same under another key would perhaps do it twice.
func once[T any](ctx context.Context, again string, write func() (T, error)) (T, error) {
	v, err := write()
	if doubtful(err) && ctx.Err() == nil {
		v, err = write()
	}
	if doubtful(err) {
		err = fmt.Errorf("%w; it may have been done all the same, repeat %s", err, again)
	}
	return v, err
}
