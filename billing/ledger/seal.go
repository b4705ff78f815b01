package ledger

import (
	"context"
	"crypto/sha256"

	"github.com/jmoiron/sqlx"
)

const sealSize = sha256.Size

// chain is the running seal of a month: the hash of its link before and of the next entry's hash, in the order of their
// ids. It begins with the month and the seal of the month before, so that each seal vouches for all that went before.
type chain struct {
	seal    [sealSize]byte
	entries int64
}

func newChain(p Period, before Seal) *chain {
	var f form
	f.text("period 1")
	f.text(string(p))
	f.text(string(before))
	return &chain{seal: sha256.Sum256(f)}
}

func (c *chain) add(hash []byte) {
	c.seal = sha256.Sum256(append(c.seal[:], hash...))
	c.entries++
}

// seal reads the chain of a month: its entries are those from the first open day on.
func (c *calendar) seal(ctx context.Context, tx *sqlx.Tx, p Period) (*chain, error) {
	var before Seal
	err := tx.GetContext(ctx, &before, `SELECT COALESCE((SELECT seal FROM period ORDER BY month DESC LIMIT 1), '')`)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `
		SELECT hash FROM entry WHERE business_date BETWEEN $1::date AND $2::date ORDER BY id`,
		string(c.OpenFrom), string(p.Last()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	chain := newChain(p, before)
	var hash []byte
	for rows.Next() {
		if err := rows.Scan(&hash); err != nil {
			return nil, err
		}
		chain.add(hash)
	}
	return chain, rows.Err()
}
