package billing_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/money"
)

// Each write fails once without being stored, and once although it is stored; done again under the same key it has
// happened once.
func TestFailedWrites(t *testing.T) {
	type stage struct {
		house          // over the faulty pool
		account string // also used as key
		r       billing.Request
		st      billing.Settlement
		voucher string
		batch   uuid.UUID
	}
	batch := func(t *testing.T, s *stage) {
		t.Helper()
		v, err := s.IssueVoucher(t.Context(), billing.VoucherIssue{Account: s.account, Amount: 7, ExpiresOn: "2099-12-31"})
		if err != nil {
			t.Fatal(err)
		}
		s.voucher, s.batch = v.Number, v.Batch
	}
	invoice := func(number string) billing.NewInvoice {
		return billing.NewInvoice{Carrier: "K1", Number: number, Amount: money.Cent}
	}
	hold := func(t *testing.T, s *stage) {
		t.Helper()
		if _, err := s.Authorise(t.Context(), s.r); err != nil {
			t.Fatal(err)
		}
	}
	const start = money.Unit
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	h.account(t, "sink", 0)
	h.accrues(t, "2027-06-01", 10*money.Unit) // something that VAT and a carrier are due of
	pool, fault := faulty(t, h.db)
	for i, tt := range []struct {
		name    string
		prepare func(*testing.T, *stage)
		write   func(*testing.T, *stage) error
		balance money.Amount
		held    money.Amount
		itself  bool // it tries again by itself
	}{
		{
			"top-up", nil,
			func(t *testing.T, s *stage) error {
				return second(s.TopUp(t.Context(), billing.TopUp{Account: s.account, Amount: money.Cent, Key: s.account}))
			},
			start + money.Cent, 0, true,
		},
		{
			"authorise", nil,
			func(t *testing.T, s *stage) error { return second(s.Authorise(t.Context(), s.r)) },
			start, 60_000, true,
		},
		{
			"authorise the one call that the limits allow",
			func(t *testing.T, s *stage) {
				t.Helper()
				s.setLimits(t, s.account, billing.Limits{MaxCalls: 1, MaxPerHour: 4 * money.Cent, Countries: "UA"})
			},
			func(t *testing.T, s *stage) error { return second(s.Authorise(t.Context(), s.r)) },
			start, 40_000, true,
		},
		{
			"extend", hold,
			func(t *testing.T, s *stage) error { return second(s.Extend(t.Context(), s.r.Call)) },
			start, 60_000, false,
		},
		{
			"extend up to the limit",
			func(t *testing.T, s *stage) {
				t.Helper()
				s.setLimits(t, s.account, billing.Limits{MaxPerDay: 2 * money.Cent})
				hold(t, s)
				s.setLimits(t, s.account, billing.Limits{MaxPerDay: 5 * money.Cent})
			},
			func(t *testing.T, s *stage) error { return second(s.Extend(t.Context(), s.r.Call)) },
			start, 50_000, false,
		},
		{
			"set limits", nil,
			func(t *testing.T, s *stage) error {
				calls := 2
				a, err := s.SetAccount(t.Context(), s.account, billing.AccountChange{LimitsChange: billing.LimitsChange{MaxCalls: &calls}})
				if err == nil && a.MaxCalls != 2 {
					t.Errorf("%+v", a)
				}
				return err
			},
			start, 0, false,
		},
		{
			"sign of life", hold,
			func(t *testing.T, s *stage) error {
				return s.Alive(t.Context(), []billing.Sign{{Call: s.r.Call, AnsweredAt: s.st.AnsweredAt, Answered: time.Second}})
			},
			start, 60_000, false,
		},
		{
			"settle", hold,
			func(t *testing.T, s *stage) error { return s.Settle(t.Context(), s.st) },
			start - 30_000, 0, true,
		},
		{
			"close", nil,
			func(t *testing.T, s *stage) error {
				return s.Close(t.Context(), billing.Closing{Origin: s.r.Origin, Ended: s.st.Ended, Outcome: billing.Refused})
			},
			start, 0, true,
		},
		{
			"issue a voucher", nil,
			func(t *testing.T, s *stage) error {
				return second(s.IssueVoucher(t.Context(), billing.VoucherIssue{Account: s.account, Amount: 7, Key: s.account}))
			},
			start - 7, 0, true,
		},
		{
			"redeem a voucher", batch,
			func(t *testing.T, s *stage) error {
				return second(s.RedeemVoucher(t.Context(), s.voucher, s.account, ""))
			},
			start, 0, false,
		},
		{
			"refund", nil,
			func(t *testing.T, s *stage) error {
				return second(s.Book(t.Context(), billing.Booking{Kind: billing.Refund, Account: s.account, Amount: start, Key: s.account}))
			},
			0, 0, true,
		},
		{
			"transfer", nil,
			func(t *testing.T, s *stage) error {
				return second(s.Book(t.Context(), billing.Booking{
					Kind: billing.Transfer, Account: s.account, Into: "sink", Amount: start, Key: s.account,
				}))
			},
			0, 0, true,
		},
		{
			"issue a batch", nil,
			func(t *testing.T, s *stage) error {
				return second(s.IssueVouchers(t.Context(), billing.VoucherIssue{Account: s.account, Amount: 7, Count: 3, Key: s.account}))
			},
			start - 21, 0, true,
		},
		{
			"void a batch", batch,
			func(t *testing.T, s *stage) error { return second(s.VoidVouchers(t.Context(), s.batch, "lost", "")) },
			start, 0, true,
		},
		{
			"expire a batch",
			func(t *testing.T, s *stage) {
				batch(t, s)
				h.expire(t)
			},
			func(t *testing.T, s *stage) error { return second(s.ExpireVouchers(t.Context(), "")) },
			start - 7, 0, false,
		},
		{
			"type a voucher", batch,
			func(t *testing.T, s *stage) error {
				return second(s.TypeVoucher(t.Context(), s.voucher, s.account, "192.0.2.1"))
			},
			start, 0, false,
		},
		{
			"take an invoice down", nil,
			func(t *testing.T, s *stage) error { return second(s.AddInvoice(t.Context(), invoice(s.account))) },
			start, 0, true,
		},
		{
			"pay an invoice",
			func(t *testing.T, s *stage) {
				if _, err := s.AddInvoice(t.Context(), invoice(s.account)); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, s *stage) error {
				return second(s.PayInvoice(t.Context(), billing.InvoicePayment{Carrier: "K1", Number: s.account}))
			},
			start, 0, true,
		},
		{
			"pay VAT", nil,
			func(t *testing.T, s *stage) error {
				return second(s.PayVAT(t.Context(), billing.VATPayment{Enterprise: "CALL", Amount: money.Cent, Key: s.account}))
			},
			start, 0, true,
		},
	} {
		for _, stored := range []bool{false, true} {
			name := tt.name + " failed, not stored"
			if stored {
				name = tt.name + " failed, but stored"
			}
			t.Run(name, func(t *testing.T) {
				code := fmt.Sprintf("acc-%d-%t", i, stored)
				h.account(t, code, start)
				s := &stage{house: onDatabase(t, pool, h.spool, "node-1"), account: code, r: request(code, 60)}
				s.st = settlement(s.r.Call, 30*time.Second)
				if tt.prepare != nil {
					tt.prepare(t, s)
				}
				if stored {
					fault.breakAt(0, 1)
				} else {
					fault.breakAt(1, 0)
				}
				err := tt.write(t, s)
				if tt.itself && err != nil || !tt.itself && !errors.Is(err, errBroken) {
					t.Fatalf("first: %v", err)
				}
				for range 2 {
					if err := tt.write(t, s); err != nil {
						t.Fatalf("again: %v", err)
					}
				}
				h.wantAccount(t, code, tt.balance, tt.held)
				h.wantBooks(t)
			})
		}
	}
	// Of the writes that move nothing on the account: each happened once, in both of its runs.
	for _, tt := range []struct {
		query string
		want  int
	}{
		{`SELECT count(*) FROM carrier_invoice`, 4},
		{`SELECT count(*) FROM entry WHERE kind = 'carrier-invoice'`, 4},
		{`SELECT count(*) FROM entry WHERE kind = 'carrier-payment'`, 2},
		{`SELECT count(*) FROM entry WHERE kind = 'vat-payment'`, 2},
		{`SELECT count(*) FROM entry WHERE kind = 'voucher-expiry'`, 2},
	} {
		if n := h.count(t, tt.query); n != tt.want {
			t.Errorf("%s: %d, want %d", tt.query, n, tt.want)
		}
	}
}
