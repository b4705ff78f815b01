package billing_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"telecommune/billing"
	"telecommune/internal/money"
)

func TestVouchers(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", 0)
	issue := func(amount money.Amount, key string, want error) billing.Voucher {
		t.Helper()
		v, err := h.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "ana", Amount: amount, Key: key})
		if !errors.Is(err, want) {
			t.Errorf("%s under %q: %v, want %v", amount, key, err, want)
		}
		return v
	}
	redeem := func(number, into string, want error) {
		t.Helper()
		if _, err := h.RedeemVoucher(t.Context(), number, into, ""); !errors.Is(err, want) {
			t.Errorf("%q into %s: %v, want %v", number, into, err, want)
		}
	}
	first := issue(300_001, "k1", nil)
	if again := issue(300_001, "k1", nil); again != first || len(first.Number) != 17 {
		t.Errorf("%+v, then %+v", first, again)
	}
	issue(300_000, "k1", billing.ErrConflict)
	second := issue(100_000, "", nil)
	issue(600_000, "", billing.ErrInsufficientCredit)
	issue(0, "", billing.ErrAmount)
	issue(-1, "", billing.ErrAmount)
	h.wantAccount(t, "ana", 599_999, 0)

	redeem("12345 67890 12346", "bob", billing.ErrVoucherNumber)
	redeem("00000 00000 00000", "bob", billing.ErrNotFound)
	redeem(first.Number, "eve", billing.ErrNotFound)
	redeem(first.Number, "bob", nil)
	redeem(strings.ReplaceAll(first.Number, " ", ""), "bob", nil)
	redeem(first.Number, "ana", billing.ErrVoucherSpent)
	redeem(second.Number, "ana", nil)
	h.wantAccount(t, "ana", 699_999, 0)
	h.wantAccount(t, "bob", 300_001, 0)
	h.wantBooks(t)

	if _, err := h.Block(t.Context(), "ana", true); err != nil {
		t.Fatal(err)
	}
	issue(1, "", billing.ErrBlocked)
	issue(300_002, "k1", billing.ErrConflict)
	if again := issue(300_001, "k1", nil); again.ID != first.ID || again.Number != first.Number {
		t.Errorf("repeated after the block: %+v, want %+v", again, first)
	}
	list, err := h.Vouchers(t.Context(), billing.VoucherFilter{Account: "bob"})
	if err != nil || len(list) != 1 || list[0].ID != first.ID || *list[0].RedeemedBy != "bob" || list[0].Number != "" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A voucher is redeemed once, also by two at once.
func TestVoucherAtOnce(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	h.account(t, "bob", 0)
	h.account(t, "eve", 0)
	v, err := h.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "ana", Amount: money.Unit})
	if err != nil {
		t.Fatal(err)
	}
	warm(t, h.db, 2)
	errs := make([]error, 2)
	var redeeming sync.WaitGroup
	for i, into := range []string{"bob", "eve"} {
		redeeming.Go(func() { _, errs[i] = h.RedeemVoucher(t.Context(), v.Number, into, "") })
	}
	redeeming.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), billing.ErrVoucherSpent) {
		t.Errorf("%v", errs)
	}
	h.wantBooks(t)
}
