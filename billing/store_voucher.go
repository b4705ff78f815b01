package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// MaxBatch is how many vouchers are issued at once at most.
const MaxBatch = 10_000

// Voucher is credit on paper.
type Voucher struct {
	ID         uuid.UUID      `json:"id" db:"id"`
	Batch      uuid.UUID      `json:"batch" db:"batch"` // the id of the entry that issued it, and others with it
	Serial     int            `json:"serial" db:"serial"`
	Number     string         `json:"code,omitempty" db:"-"` // 15 digits in groups; known when issued, never stored
	Amount     money.Amount   `json:"amount" db:"amount"`
	Currency   money.Currency `json:"currency" db:"currency"`
	ExpiresOn  *ledger.Date   `json:"expires_on" db:"expires_on"` // the last day on which it is good; none: it stays good
	State      VoucherState   `json:"state" db:"state"`
	Enterprise string         `json:"enterprise" db:"enterprise"`
	IssuedBy   string         `json:"issued_by" db:"issued_by"`
	IssuedAt   time.Time      `json:"issued_at" db:"issued_at"`
	RedeemedBy *string        `json:"redeemed_by" db:"redeemed_by"`
	RedeemedAt *time.Time     `json:"redeemed_at" db:"redeemed_at"`
}

// VoucherState is what became of a voucher.
type VoucherState string

// What may become of a voucher.
const (
	VoucherOpen     VoucherState = "open"
	VoucherRedeemed VoucherState = "redeemed"
	VoucherVoid     VoucherState = "void"    // its credit went back to the account that it came from
	VoucherExpired  VoucherState = "expired" // its last day is over, whether that is booked or not
)

// refusal is why a voucher in a state can't be redeemed.
func (v VoucherState) refusal() error {
	return map[VoucherState]error{
		VoucherRedeemed: ErrVoucherSpent, VoucherVoid: ErrVoucherVoid, VoucherExpired: ErrVoucherExpired,
	}[v]
}

// VoucherIssue asks for vouchers out of an account's credit.
type VoucherIssue struct {
	Account   string
	Amount    money.Amount // of each
	Count     int          // how many; 0 is one
	ExpiresOn ledger.Date  // the last day on which they are good; none: they stay good
	Key       string       // makes it repeatable: the same key gives the same vouchers; none: new ones
	Actor     string       // who asks for them; none: this node
}

// text is what the entry says: with the lines, all that was asked for.
func (i VoucherIssue) text() string {
	text := "Voucher of " + i.Account
	if i.Count > 1 {
		text = fmt.Sprintf("Vouchers of %s: %d of %s", i.Account, i.Count, i.Amount)
	}
	if i.ExpiresOn != "" {
		text += ", good until " + string(i.ExpiresOn)
	}
	return text
}

// voucherState is a voucher's VoucherState in SQL, of row v.
const voucherState = `
CASE WHEN v.redeemed_at IS NOT NULL THEN 'redeemed' WHEN v.ended IS NOT NULL THEN v.ended
    WHEN v.expires_on < (now() AT TIME ZONE (SELECT zone FROM commune))::date THEN 'expired' ELSE 'open' END`

const selectVoucher = `
SELECT v.id, v.batch, v.serial, v.amount, k.currency, v.expires_on, ` + voucherState + ` AS state, v.enterprise,
    v.issued_by, v.issued_at, v.redeemed_by, v.redeemed_at
FROM voucher v JOIN book k ON k.code = v.enterprise`

// IssueVoucher is IssueVouchers for one.
func (s *Service) IssueVoucher(ctx context.Context, i VoucherIssue) (Voucher, error) {
	i.Count = 1
	vouchers, err := s.IssueVouchers(ctx, i)
	if err != nil {
		return Voucher{}, err
	}
	return vouchers[0], nil
}

// IssueVouchers takes the amount of some vouchers out of an account's free credit, by one entry (T-02), and gives the
// vouchers with their numbers. The same key with the same content gives the same vouchers, with another content
// ErrConflict. ErrAmount, ErrVoucherCount, ErrVoucherExpired, ErrInsufficientCredit, ErrBlocked, ErrNotFound, ErrKey.
func (s *Service) IssueVouchers(ctx context.Context, i VoucherIssue) ([]Voucher, error) {
	vouchers, err := s.issueVouchers(ctx, i)
	if err != nil {
		return nil, fmt.Errorf("issue vouchers of %.40q: %w", i.Account, err)
	}
	return vouchers, nil
}

func (s *Service) issueVouchers(ctx context.Context, i VoucherIssue) ([]Voucher, error) {
	i.Count = max(i.Count, 1)
	switch {
	case i.Amount <= 0:
		return nil, fmt.Errorf("%s is not positive: %w", i.Amount, ErrAmount)
	case i.Count > MaxBatch:
		return nil, ErrVoucherCount
	case i.Amount > ledger.MaxBalance/MaxBatch:
		return nil, fmt.Errorf("voucher of %s: %w", i.Amount, money.ErrRange)
	}
	if i.Key == "" {
		i.Key = uuid.NewString()
	}
	if len(s.key) < minKey {
		return nil, ErrKey
	}
	return once(ctx, "with --key "+i.Key, func() ([]Voucher, error) { return s.storeVouchers(ctx, i) })
}

func (s *Service) storeVouchers(ctx context.Context, i VoucherIssue) (vouchers []Voucher, err error) {
	key, numbers := "voucher-issue:"+i.Key, numbers{s.key, i.Key}
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		a, err := account(ctx, tx, i.Account)
		if err != nil {
			return err
		}
		known, err := isPosted(ctx, tx, key)
		if err == nil && !known { // what was issued before is still given
			err = mayIssue(ctx, tx, i, a)
		}
		if err != nil {
			return err
		}
		batch, err := ledger.Post(ctx, tx, ledger.Entry{
			Key: key, Kind: "voucher-issue", Text: i.text(), Actor: s.actor(i.Actor),
			At: s.now(), Lines: VoucherIssueLines(a.Enterprise, i.Account, i.Amount*money.Amount(i.Count)),
		})
		if err != nil {
			return err
		}
		if vouchers, err = issued(ctx, tx, batch, numbers); err != nil || len(vouchers) > 0 {
			return err
		}
		if err := insertVouchers(ctx, tx, i, a.Enterprise, batch, numbers); err != nil {
			return err
		}
		vouchers, err = issued(ctx, tx, batch, numbers)
		return err
	})
	return vouchers, err
}

func mayIssue(ctx context.Context, tx *sqlx.Tx, i VoucherIssue, a Account) error {
	if a.Blocked {
		return ErrBlocked
	}
	var over bool
	err := tx.GetContext(ctx, &over, `
		SELECT COALESCE(NULLIF($1, '')::date < (now() AT TIME ZONE zone)::date, false) FROM commune`, string(i.ExpiresOn))
	if err == nil && over {
		err = fmt.Errorf("%s is over: %w", i.ExpiresOn, ErrVoucherExpired)
	}
	return err
}

// issued gives the vouchers of a batch with their numbers, in order.
func issued(ctx context.Context, tx *sqlx.Tx, batch uuid.UUID, numbers numbers) ([]Voucher, error) {
	var vouchers []Voucher
	var macs [][]byte
	err := tx.SelectContext(ctx, &vouchers, selectVoucher+` WHERE v.batch = $1 ORDER BY v.serial`, batch)
	if err == nil {
		err = tx.SelectContext(ctx, &macs, `SELECT hmac FROM voucher WHERE batch = $1 ORDER BY serial`, batch)
	}
	for n := range vouchers {
		if err == nil {
			vouchers[n].Number, err = numbers.of(vouchers[n].Serial, macs[n])
		}
	}
	return vouchers, err
}

// insertVouchers stores new vouchers. A number that another voucher has, once in a very long time, gives way to the next
// that its place in the batch may have.
func insertVouchers(ctx context.Context, tx *sqlx.Tx, i VoucherIssue, enterprise string, batch uuid.UUID, numbers numbers) error {
	for try := range numberTries {
		ids, macs, serials := make([]string, i.Count), make([][]byte, i.Count), make([]int64, i.Count)
		for n := range i.Count {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			_, mac, err := numbers.candidate(n+1, try)
			if err != nil {
				return err
			}
			ids[n], macs[n], serials[n] = id.String(), mac, int64(n+1)
		}
		var left int
		err := tx.GetContext(ctx, &left, `
			WITH added AS (
			    INSERT INTO voucher (id, hmac, batch, serial, enterprise, amount, issued_by, expires_on)
			    SELECT n.id, n.hmac, $4, n.serial, $5, $6, $7, NULLIF($8, '')::date
			    FROM unnest($1::uuid[], $2::bytea[], $3::integer[]) AS n (id, hmac, serial)
			    ON CONFLICT DO NOTHING RETURNING id
			)
			SELECT $9 - (SELECT count(*) FROM added) - (SELECT count(*) FROM voucher WHERE batch = $4)`,
			pq.Array(ids), pq.Array(macs), pq.Array(serials), batch, enterprise, i.Amount, i.Account, string(i.ExpiresOn), i.Count)
		if err != nil || left == 0 {
			return err
		}
	}
	return fmt.Errorf("no numbers left for vouchers: %w", ErrExists)
}

// RedeemVoucher turns a voucher into credit of an account of the same enterprise (T-02), once. Redeeming it again into
// the same account gives the same result. The number may have spaces and dashes. ErrVoucherNumber, ErrNotFound,
// ErrVoucherSpent, ErrVoucherVoid, ErrVoucherExpired, ErrKey.
func (s *Service) RedeemVoucher(ctx context.Context, number, into, actor string) (Voucher, error) {
	mac, err := s.voucherMAC(number)
	var v Voucher
	if err == nil {
		err = s.tx(ctx, func(tx *sqlx.Tx) (err error) {
			v, err = s.redeem(ctx, tx, mac, into, actor)
			return err
		})
	}
	if err != nil {
		return Voucher{}, fmt.Errorf("redeem voucher into %.40q: %w", into, err)
	}
	return v, nil
}

// TypeVoucher is RedeemVoucher for a number that its holder typed: on the page, from a client, or on a phone, which calls
// by a provider. Wrong numbers are counted, for the account and for where they come from, and too many in an hour are
// ErrTooManyVouchers, as with PINs (design.md 9.6). A number whose check digit is wrong tells nobody anything, so it does
// not count.
func (s *Service) TypeVoucher(ctx context.Context, number, into, from string) (Voucher, error) {
	mac, err := s.voucherMAC(number)
	var v Voucher
	if err == nil {
		v, err = inTime(ctx, s, func(ctx context.Context) (v Voucher, err error) {
			var verdict error
			err = s.tx(ctx, func(tx *sqlx.Tx) (err error) {
				v, verdict, err = s.tryVoucher(ctx, tx, mac, into, from)
				return err
			})
			if err == nil {
				err = verdict
			}
			return v, err
		})
	}
	if err != nil {
		return Voucher{}, fmt.Errorf("redeem voucher into %.40q: %w", into, err)
	}
	return v, nil
}

// tryVoucher is to vouchers what tryPIN is to PINs.
func (s *Service) tryVoucher(ctx context.Context, tx *sqlx.Tx, mac []byte, into, from string) (v Voucher, verdict, err error) {
	source := PINSource{Caller: "voucher:" + into, Provider: "voucher:" + from}
	// One at a time on each account, wherever from; see failedTooOften.
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('voucher ' || $1, 0))`, into); err != nil {
		return Voucher{}, nil, err
	}
	switch tooMany, err := failedTooOften(ctx, tx, source); {
	case err != nil:
		return Voucher{}, nil, err
	case tooMany:
		return Voucher{}, ErrTooManyVouchers, nil
	}
	v, err = s.redeem(ctx, tx, mac, into, into)
	if errors.Is(err, ErrNoVoucher) {
		return Voucher{}, err, failed(ctx, tx, source)
	}
	return v, nil, err
}

// voucherMAC gives what the database knows of a number as typed. ErrVoucherNumber, ErrKey.
func (s *Service) voucherMAC(number string) ([]byte, error) {
	digits, err := parseVoucher(number)
	if err != nil {
		return nil, err
	}
	return s.key.mac("voucher", digits)
}

func (s *Service) redeem(ctx context.Context, tx *sqlx.Tx, mac []byte, into, actor string) (v Voucher, err error) {
	a, err := account(ctx, tx, into)
	if err != nil {
		return Voucher{}, err
	}
	// The row is locked first: the newest one counts, whoever else redeems it or makes it void.
	_, err = tx.ExecContext(ctx, `SELECT FROM voucher WHERE hmac = $1 FOR UPDATE`, mac)
	if err == nil {
		err = tx.GetContext(ctx, &v, selectVoucher+` WHERE v.hmac = $1 AND v.enterprise = $2`, mac, a.Enterprise)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Voucher{}, ErrNoVoucher
	case err != nil:
		return Voucher{}, err
	case v.RedeemedBy != nil && *v.RedeemedBy == into:
		return v, nil
	}
	if err := v.State.refusal(); err != nil {
		return Voucher{}, err
	}
	_, err = ledger.Post(ctx, tx, ledger.Entry{
		Key: "voucher-redeem:" + v.ID.String(), Kind: "voucher-redeem", Text: "Voucher redeemed by " + into, Actor: s.actor(actor),
		At: s.now(), Lines: VoucherRedeemLines(a.Enterprise, into, v.Amount),
	})
	if err != nil {
		return Voucher{}, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE voucher SET redeemed_by = $2, redeemed_at = now() WHERE id = $1`, v.ID, into); err != nil {
		return Voucher{}, err
	}
	err = tx.GetContext(ctx, &v, selectVoucher+` WHERE v.id = $1`, v.ID)
	return v, err
}

// VoucherFilter chooses vouchers. Its zero value means all.
type VoucherFilter struct {
	Account string // that issued or redeemed them
	Batch   uuid.UUID
}

// Vouchers lists vouchers, oldest first.
func (s *Service) Vouchers(ctx context.Context, f VoucherFilter) ([]Voucher, error) {
	list := []Voucher{}
	err := s.db.SelectContext(ctx, &list, selectVoucher+`
		WHERE ($1 = '' OR v.issued_by = $1 OR v.redeemed_by = $1) AND ($2 OR v.batch = $3)
		ORDER BY v.issued_at, v.batch, v.serial`, f.Account, f.Batch == uuid.Nil, f.Batch)
	if err != nil {
		return nil, fmt.Errorf("vouchers: %w", err)
	}
	return list, nil
}
