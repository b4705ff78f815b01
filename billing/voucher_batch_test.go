package billing_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// batch issues vouchers of 0.10 each.
func (h house) batch(t *testing.T, account string, count int, until ledger.Date) []billing.Voucher {
	t.Helper()
	vouchers, err := h.IssueVouchers(t.Context(), billing.VoucherIssue{
		Account: account, Amount: 10 * money.Cent, Count: count, ExpiresOn: until, Key: account,
	})
	if err != nil {
		t.Fatal(err)
	}
	return vouchers
}

func (h house) onlyBatch(t *testing.T) billing.VoucherBatch {
	t.Helper()
	list, err := h.VoucherBatches(t.Context(), "")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}

// expire puts the last day of all vouchers into the past, which the program itself has no way to do.
func (h house) expire(t *testing.T) {
	t.Helper()
	pgtest.Owner(t, h.db).MustExec(`UPDATE voucher SET expires_on = current_date - 2 WHERE expires_on IS NOT NULL`)
}

// A thousand vouchers are one entry, all different, and the same when they are asked for again.
func TestVoucherBatch(t *testing.T) {
	h := newHouse(t)
	h.account(t, "shop", 101*money.Unit)
	h.account(t, "bob", 0)
	first := h.batch(t, "shop", 1000, "2099-12-31")
	h.wantAccount(t, "shop", money.Unit, 0)
	const entry = "voucher-issue by node-1: Vouchers of shop: 1000 of 0.10, good until 2099-12-31; CALL 2100:shop 100.00; CALL 2450 -100.00"
	if got := h.entry(t, "voucher-issue:shop"); got != entry {
		t.Errorf("%s\nwant %s", got, entry)
	}
	numbers := map[string]bool{}
	for n, v := range first {
		numbers[v.Number] = true
		if v.Serial != n+1 || v.Batch != first[0].Batch || v.State != billing.VoucherOpen || *v.ExpiresOn != "2099-12-31" || len(v.Number) != 17 {
			t.Fatalf("%+v", v)
		}
	}
	if len(numbers) != 1000 {
		t.Errorf("%d different numbers", len(numbers))
	}
	for i, v := range h.batch(t, "shop", 1000, "2099-12-31") {
		if v.ID != first[i].ID || v.Number != first[i].Number {
			t.Fatalf("again: %+v, want %+v", v, first[i])
		}
	}
	for _, i := range []billing.VoucherIssue{
		{Amount: 10 * money.Cent, Count: 999, ExpiresOn: "2099-12-31"},
		{Amount: 10 * money.Cent, Count: 1000},
		{Amount: 100 * money.Cent, Count: 100, ExpiresOn: "2099-12-31"},
		{Amount: 100 * money.Unit},
	} {
		i.Account, i.Key = "shop", "shop"
		if _, err := h.IssueVouchers(t.Context(), i); !errors.Is(err, billing.ErrConflict) {
			t.Errorf("%+v: %v", i, err)
		}
	}
	for _, v := range []billing.Voucher{first[0], first[999]} {
		if got, err := h.RedeemVoucher(t.Context(), v.Number, "bob", ""); err != nil || got.ID != v.ID || got.State != billing.VoucherRedeemed {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if b := h.onlyBatch(t); b.Count != 1000 || b.Open != 998 || b.Redeemed != 2 || b.Key != "shop" || b.IssuedBy != "shop" {
		t.Errorf("%+v", b)
	}
	if list, err := h.Vouchers(t.Context(), billing.VoucherFilter{Batch: first[0].Batch}); err != nil || len(list) != 1000 {
		t.Errorf("%d, %v", len(list), err)
	}
	if list, err := h.Vouchers(t.Context(), billing.VoucherFilter{Batch: uuid.New()}); err != nil || len(list) != 0 {
		t.Errorf("%d of no batch, %v", len(list), err)
	}
	h.wantBooks(t)
}

func TestVoucherBatchRefused(t *testing.T) {
	h := newHouse(t)
	h.account(t, "shop", money.Unit)
	for _, tt := range []struct {
		why  string
		i    billing.VoucherIssue
		want error
	}{
		{"too many", billing.VoucherIssue{Amount: 1, Count: billing.MaxBatch + 1}, billing.ErrVoucherCount},
		{"more than is there", billing.VoucherIssue{Amount: 10 * money.Cent, Count: 11}, billing.ErrInsufficientCredit},
		{"beyond all", billing.VoucherIssue{Amount: ledger.MaxBalance, Count: 3}, money.ErrRange},
		{"nothing", billing.VoucherIssue{Count: 3}, billing.ErrAmount},
		{"good for no day", billing.VoucherIssue{Amount: 1, Count: 3, ExpiresOn: "2020-12-31"}, billing.ErrVoucherExpired},
	} {
		tt.i.Account = "shop"
		if _, err := h.IssueVouchers(t.Context(), tt.i); !errors.Is(err, tt.want) || strings.Contains(err.Error(), "repeat") {
			t.Errorf("%s: %v, want %v", tt.why, err, tt.want)
		}
	}
	h.wantAccount(t, "shop", money.Unit, 0)
	if n := h.count(t, `SELECT count(*) FROM voucher`); n != 0 {
		t.Errorf("%d vouchers", n)
	}
}

// A number that another voucher has by chance gives way to another, which repeating the issue finds.
func TestVoucherNumbersCollide(t *testing.T) {
	h := newHouse(t)
	h.account(t, "shop", money.Unit)
	h.batch(t, "shop", 5, "")
	owner := pgtest.Owner(t, h.db)
	// The vouchers with numbers 2 and 4 become another's: their HMACs are taken when the batch is issued anew.
	owner.MustExec(`DELETE FROM voucher WHERE serial NOT IN (2, 4)`)
	owner.MustExec(`WITH other AS (SELECT e.id FROM entry e WHERE e.kind = 'topup' LIMIT 1) UPDATE voucher SET batch = (SELECT id FROM other)`)
	again := h.batch(t, "shop", 5, "")
	if len(again) != 5 {
		t.Fatalf("%d vouchers", len(again))
	}
	h.account(t, "bob", 0)
	for i, v := range h.batch(t, "shop", 5, "") {
		if v.Number != again[i].Number {
			t.Errorf("%d: %s, then %s", i, again[i].Number, v.Number)
		}
		if got, err := h.RedeemVoucher(t.Context(), v.Number, "bob", ""); err != nil || got.ID != v.ID {
			t.Errorf("%s is %+v, %v", v.Number, got, err)
		}
	}
}

// What was not redeemed of a batch goes back to whom it came from.
func TestVoidVouchers(t *testing.T) {
	h := newHouse(t)
	h.account(t, "shop", money.Unit)
	h.account(t, "bob", 0)
	vouchers := h.batch(t, "shop", 3, "")
	if _, err := h.RedeemVoucher(t.Context(), vouchers[1].Number, "bob", ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b, err := h.VoidVouchers(t.Context(), vouchers[0].Batch, "lost", "till")
		if err != nil || b.Void != 2 || b.Redeemed != 1 || b.Open != 0 {
			t.Fatalf("%+v, %v", b, err)
		}
	}
	const entry = "voucher-void by till: lost; CALL 2450 0.20; CALL 2100:shop -0.20"
	if got := h.entry(t, "voucher-void:"+vouchers[0].Batch.String()); got != entry {
		t.Errorf("%s\nwant %s", got, entry)
	}
	if _, err := h.RedeemVoucher(t.Context(), vouchers[0].Number, "bob", ""); !errors.Is(err, billing.ErrVoucherVoid) {
		t.Errorf("redeemed all the same: %v", err)
	}
	if _, err := h.VoidVouchers(t.Context(), uuid.New(), "lost", ""); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("of no batch: %v", err)
	}
	if _, err := h.VoidVouchers(t.Context(), vouchers[0].Batch, "", ""); !errors.Is(err, billing.ErrReason) {
		t.Errorf("without reason: %v", err)
	}
	h.wantAccount(t, "shop", 90*money.Cent, 0)
	h.wantAccount(t, "bob", 10*money.Cent, 0)
	h.wantBooks(t)
}

// A voucher is good on its last day and on none after it; what has expired is booked once, as earned.
func TestVouchersExpire(t *testing.T) {
	h := newHouse(t)
	h.account(t, "shop", money.Unit)
	h.account(t, "bob", 0)
	today := ledger.Date(h.text(t, `SELECT current_date::text`))
	vouchers := h.batch(t, "shop", 3, today)
	if _, err := h.RedeemVoucher(t.Context(), vouchers[0].Number, "bob", ""); err != nil {
		t.Errorf("on the last day: %v", err)
	}
	if list, err := h.ExpireVouchers(t.Context(), "till"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	h.expire(t)
	if _, err := h.RedeemVoucher(t.Context(), vouchers[1].Number, "bob", ""); !errors.Is(err, billing.ErrVoucherExpired) {
		t.Errorf("after the last day: %v", err)
	}
	if _, err := h.RedeemVoucher(t.Context(), vouchers[0].Number, "bob", ""); err != nil {
		t.Errorf("the one that was redeemed, again: %v", err)
	}
	if b := h.onlyBatch(t); b.Expired != 2 || b.Open != 0 {
		t.Errorf("%+v", b)
	}
	for round := range 2 {
		list, err := h.ExpireVouchers(t.Context(), "till")
		if err != nil || len(list) != 1-round || round == 0 && (list[0].Expired != 2 || list[0].Redeemed != 1) {
			t.Errorf("%+v, %v", list, err)
		}
	}
	const entry = "voucher-expiry by till: Vouchers expired; CALL 2450 0.20; CALL 4100 -0.20"
	if got := h.entry(t, "voucher-expiry:"+vouchers[0].Batch.String()); got != entry {
		t.Errorf("%s\nwant %s", got, entry)
	}
	if b, err := h.VoidVouchers(t.Context(), vouchers[0].Batch, "too late", ""); err != nil || b.Void != 0 {
		t.Errorf("%+v, %v", b, err)
	}
	h.wantAccount(t, "shop", 70*money.Cent, 0)
	h.wantBooks(t)
}

func (h house) text(t *testing.T, query string) (text string) {
	t.Helper()
	if err := h.db.GetContext(t.Context(), &text, query); err != nil {
		t.Fatal(err)
	}
	return text
}

// Vouchers that are redeemed while their batch is made void are one or the other.
func TestVoidWhileRedeeming(t *testing.T) {
	h := newHouse(t)
	h.account(t, "bob", 0)
	warm(t, h.db, 5)
	for round := range 10 {
		shop := fmt.Sprint("shop-", round)
		h.account(t, shop, money.Unit)
		vouchers := h.batch(t, shop, 4, "")
		var racing sync.WaitGroup
		var redeemed [4]bool
		for i, v := range vouchers {
			racing.Go(func() {
				_, err := h.RedeemVoucher(t.Context(), v.Number, "bob", "")
				redeemed[i] = err == nil
				if err != nil && !errors.Is(err, billing.ErrVoucherVoid) {
					t.Error(err)
				}
			})
		}
		racing.Go(func() {
			if _, err := h.VoidVouchers(t.Context(), vouchers[0].Batch, "lost", ""); err != nil {
				t.Error(err)
			}
		})
		racing.Wait()
		left := money.Unit
		for _, r := range redeemed {
			if r {
				left -= 10 * money.Cent
			}
		}
		h.wantAccount(t, shop, left, 0)
	}
	if n := h.count(t, `SELECT COALESCE(sum(amount), 0)::int FROM line WHERE account = '2450'`); n != 0 {
		t.Errorf("%d outstanding", n)
	}
	h.wantBooks(t)
}

// Wrong numbers are counted for the account and for where they come from; a slip of the finger is not.
func TestTypedVouchers(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", 0)
	h.account(t, "eve", 0)
	vouchers := h.batch(t, "ana", 2, "")
	guess := func() string {
		for {
			number := fmt.Sprintf("%015d", rand.Int64N(1e15))
			if _, err := h.RedeemVoucher(t.Context(), number, "ana", ""); !errors.Is(err, billing.ErrVoucherNumber) {
				return number // with the right check digit
			}
		}
	}
	typed := func(number, into, from string, want error) {
		t.Helper()
		if _, err := h.TypeVoucher(t.Context(), number, into, from); !errors.Is(err, want) {
			t.Errorf("%s into %s from %s: %v, want %v", number, into, from, err, want)
		}
	}
	typed(vouchers[0].Number, "bob", "192.0.2.1", nil)
	typed(vouchers[0].Number, "eve", "192.0.2.1", billing.ErrVoucherSpent)
	for range 10 {
		typed("12345 67890 12346", "bob", "192.0.2.1", billing.ErrVoucherNumber)
	}
	for i := range 5 { // wherever they come from
		typed(guess(), "bob", fmt.Sprint("192.0.2.", i), billing.ErrNoVoucher)
	}
	typed(vouchers[1].Number, "bob", "192.0.2.9", billing.ErrTooManyVouchers)
	typed(vouchers[1].Number, "eve", "192.0.2.1", nil) // others are not shut out
	if _, err := h.RedeemVoucher(t.Context(), vouchers[0].Number, "bob", ""); err != nil {
		t.Errorf("by an operator: %v", err)
	}
	for i := range 99 {
		account := fmt.Sprint("many-", i/5)
		if i%5 == 0 {
			h.account(t, account, 0)
		}
		typed(guess(), account, "203.0.113.7", billing.ErrNoVoucher)
	}
	typed(guess(), "eve", "203.0.113.7", billing.ErrTooManyVouchers)
	typed(strings.Repeat("9", 1e6), "eve", "192.0.2.1", billing.ErrVoucherNumber)
	h.wantBooks(t)
}

// Guesses that are made at once are counted all the same.
func TestGuessesAtOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	number := h.batch(t, "ana", 1, "")[0].Number
	pgtest.Owner(t, h.db).MustExec(`UPDATE voucher SET hmac = 'another''s'`) // a number with the right check digit
	warm(t, h.db, 8)
	var guessing sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for i := range 16 {
		guessing.Go(func() {
			_, err := h.TypeVoucher(t.Context(), number, "ana", fmt.Sprint("192.0.2.", i))
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, billing.ErrNoVoucher) {
				looked++
			} else if !errors.Is(err, billing.ErrTooManyVouchers) {
				t.Error(err)
			}
		})
	}
	guessing.Wait()
	if looked != 5 {
		t.Errorf("%d guesses were looked at", looked)
	}
}
