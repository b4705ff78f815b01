package billing

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
)

// OpenKey gives the secret key of a database once it is seen to be the one that its PINs and vouchers were made with; the
// database knows it by a fingerprint, taken when a key is first used. load reads the key; only when fresh, that is when
// the database has known none, may it make one. ErrWrongKey; ErrKey when there is no file to load.
func OpenKey(ctx context.Context, db *sqlx.DB, load func(fresh bool) ([]byte, error)) (key []byte, err error) {
	err = postgres.InTx(ctx, db, func(tx *sqlx.Tx) error {
		var known []byte
		// The lock lets one program make the first key, and the others find it.
		if err := tx.GetContext(ctx, &known, `SELECT key_fingerprint FROM commune FOR UPDATE`); err != nil {
			return err
		}
		fresh := known == nil
		if key, err = load(fresh); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrKey, err)
		}
		if err != nil {
			return err
		}
		mark, err := secret(key).fingerprint()
		switch {
		case err != nil:
			return err
		case fresh:
			_, err := tx.ExecContext(ctx, `UPDATE commune SET key_fingerprint = $1`, mark)
			return err
		case !hmac.Equal(mark, known):
			return ErrWrongKey
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// ForgetKey is for a key that is lost: it revokes all PINs, which nothing can check any more, and lets the next OpenKey
// make another key. It tells how many PINs there were. Vouchers that were not redeemed can't be, unless the old key turns
// up before that.
func (s *Service) ForgetKey(ctx context.Context) (pins int, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE pin SET revoked_at = now() WHERE revoked_at IS NULL`)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		pins = int(n)
		_, err = tx.ExecContext(ctx, `UPDATE commune SET key_fingerprint = NULL`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget the key: %w", err)
	}
	return pins, nil
}
