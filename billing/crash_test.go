package billing_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	}
	hold := func(t *testing.T, s *stage) {
		t.Helper()
		if _, err := s.Authorise(t.Context(), s.r); err != nil {
			t.Fatal(err)
		}
	}
	const start = money.Unit
	h := newHouse(t)
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
			start + money.Cent, 0, false,
		},
		{
			"authorise", nil,
			func(t *testing.T, s *stage) error { return second(s.Authorise(t.Context(), s.r)) },
			start, 60_000, true,
		},
		{
			"extend", hold,
			func(t *testing.T, s *stage) error { return second(s.Extend(t.Context(), s.r.Call)) },
			start, 60_000, false,
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
			start, 0, false,
		},
		{
			"issue a voucher", nil,
			func(t *testing.T, s *stage) error {
				return second(s.IssueVoucher(t.Context(), billing.VoucherIssue{Account: s.account, Amount: 7, Key: s.account}))
			},
			start - 7, 0, false,
		},
		{
			"redeem a voucher",
			func(t *testing.T, s *stage) {
				v, err := s.IssueVoucher(t.Context(), billing.VoucherIssue{Account: s.account, Amount: 7})
				if err != nil {
					t.Fatal(err)
				}
				s.voucher = v.Number
			},
			func(t *testing.T, s *stage) error {
				return second(s.RedeemVoucher(t.Context(), s.voucher, s.account, ""))
			},
			start, 0, false,
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
}

// The hold of a call whose Authorise was stored but never answered is released, and its account can call again.
func TestDoubtedHoldIsReleased(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 6*money.Cent)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	fault.breakAt(0, 2)
	r := request("ana", 60)
	if _, err := s.Authorise(t.Context(), r); !errors.Is(err, errBroken) {
		t.Fatalf("%v", err)
	}
	h.wantAccount(t, "ana", 6*money.Cent, 6*money.Cent)
	if _, err := s.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", 6*money.Cent, 0)
	if c, err := h.Call(t.Context(), r.Call); err != nil || c.Outcome != billing.Unavailable || c.EndedAt == nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSettledFromTheSpool(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	var calls []billing.Settlement
	for i := range 3 {
		r := request("ana", 60)
		if _, err := s.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, settlement(r.Call, time.Duration(i+1)*10*time.Second))
	}
	fault.setAway(true)
	for _, st := range calls[:2] {
		if err := s.Settle(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Resolve(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	// A crash tore a line in the middle. It takes neither its neighbour nor the settlement after it along.
	if err := os.WriteFile(filepath.Join(h.spool, "settlements.jsonl"), []byte(`{"Call":"0190`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), calls[2]); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit, 180_000)

	// The program dies; what is in the spool is better evidence than the last sign of life.
	again := onDatabase(t, h.db, h.spool, "node-1")
	for range 2 {
		if n, err := again.Resolve(t.Context()); err != nil || n != 0 {
			t.Errorf("%d resolved, %v", n, err)
		}
	}
	h.wantAccount(t, "ana", money.Unit-60_000, 0)
	h.wantBooks(t)
	left, err := os.ReadDir(h.spool)
	if err != nil || len(left) != 1 {
		t.Errorf("%v left in the spool, %v", left, err)
	}
	if bad, err := os.ReadFile(filepath.Join(h.spool, "unreadable.jsonl")); err != nil || string(bad) != `{"Call":"0190`+"\n" {
		t.Errorf("%q, %v", bad, err)
	}
}

// A drain that was cut off between settling and deleting its file is done again and charges nothing twice.
func TestDrainIsRepeatable(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	r := request("ana", 60)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	pool, fault := faulty(t, h.db)
	fault.setAway(true)
	if err := onDatabase(t, pool, h.spool, "node-1").Settle(t.Context(), settlement(r.Call, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	spooled := filepath.Join(h.spool, "settlements.jsonl")
	content, err := os.ReadFile(spooled)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := h.Resolve(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.wantAccount(t, "ana", money.Unit-30_000, 0)
		if err := os.WriteFile(spooled, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What can't be settled ever does not keep the rest from being settled.
func TestSpoolSetsAside(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	r := request("ana", 60)
	if _, err := s.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	fault.setAway(true)
	for _, st := range []billing.Settlement{settlement(uuid.New(), time.Second), settlement(r.Call, time.Second)} {
		if err := s.Settle(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	fault.setAway(false)
	if _, err := s.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit-1000, 0)
	bad, err := os.ReadFile(filepath.Join(h.spool, "unreadable.jsonl"))
	if err != nil || strings.Count(string(bad), "\n") != 1 {
		t.Errorf("%q, %v", bad, err)
	}
}

func TestSettleWithoutDatabaseAndSpool(t *testing.T) {
	h := newHouse(t)
	pool, fault := faulty(t, h.db)
	fault.setAway(true)
	s := onDatabase(t, pool, "", "node-1")
	if err := s.Settle(t.Context(), settlement(uuid.New(), time.Second)); !errors.Is(err, errBroken) {
		t.Errorf("%v; want to be told", err)
	}
}
