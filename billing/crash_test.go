package billing_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/money"
)

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
	if err := os.WriteFile(filepath.Join(h.spool, "ended.jsonl"), []byte(`{"Call":"0190`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), calls[2]); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit, 180_000)

	// The program dies; what is in the spool is better evidence than the last sign of life.
	again := onDatabase(t, h.db, h.spool, "node-1")
	again.claim(t)
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
	spooled := filepath.Join(h.spool, "ended.jsonl")
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

// A full disk: neither database nor spool take the settlement. It waits in memory, and goes to whichever is back first.
func TestSettleWithoutDatabaseAndSpool(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, fault := faulty(t, h.db)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(file, "spool") // below a file there is no folder
	s := onDatabase(t, pool, spool, "node-1")
	first, second := request("ana", 60), request("ana", 60)
	for _, r := range []billing.Request{first, second} {
		if _, err := s.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(r billing.Request, answered time.Duration) {
		t.Helper()
		fault.setAway(true)
		if err := s.Settle(t.Context(), settlement(r.Call, answered)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resolve(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("%v; want to be told", err)
		}
	}
	settle(first, 10*time.Second)
	fault.setAway(false)
	if _, err := s.Resolve(t.Context()); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("the spool does not work: %v", err)
	}
	h.wantAccount(t, "ana", money.Unit-10_000, 60_000)

	settle(second, 20*time.Second)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	if state, err := billing.ReadSpool(spool); err != nil || state != (billing.SpoolState{Waiting: 1}) {
		t.Errorf("%+v, %v", state, err)
	}
	if _, err := onDatabase(t, h.db, spool, "node-1").Resolve(t.Context()); err != nil {
		t.Error(err)
	}
	h.wantAccount(t, "ana", money.Unit-30_000, 0)
	h.wantBooks(t)
}

// A spool that fails keeps neither the calls of dead programs nor holds in doubt waiting; only calls whose end lies in it.
func TestResolveDespiteTheSpool(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	spooled, lost, elsewhere, doubted := request("ana", 60), request("ana", 60), request("ana", 60), request("ana", 60)
	for _, r := range []billing.Request{spooled, lost} {
		if _, err := s.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := onDatabase(t, h.db, t.TempDir(), "node-2").Authorise(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Exec(`UPDATE hold SET alive_at = now() - interval '31 s' WHERE call_id = $1`, elsewhere.Call); err != nil {
		t.Fatal(err)
	}
	fault.setAway(true)
	if err := s.Settle(t.Context(), settlement(spooled.Call, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	fault.setAway(false)

	again := onDatabase(t, pool, h.spool, "node-1")
	again.claim(t)
	fault.breakAt(0, 2)
	if _, err := again.Authorise(t.Context(), doubted); !errors.Is(err, errBroken) {
		t.Fatalf("%v", err)
	}
	unreadable := filepath.Join(h.spool, "0.drain")
	if err := os.Mkdir(unreadable, 0o700); err != nil { // a file that can't be read
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit, 240_000)
	fault.breakAt(1, 0) // and the database fails the moment that the spool is drained
	if n, err := again.Resolve(t.Context()); !errors.Is(err, errBroken) || !errors.Is(err, syscall.EISDIR) || n != 1 {
		t.Errorf("%d resolved, %v", n, err)
	}
	// Any call of this node may be in the file that can't be read; the other node's is not.
	h.wantAccount(t, "ana", money.Unit, 120_000)

	if err := os.Remove(unreadable); err != nil {
		t.Fatal(err)
	}
	fault.breakAt(1, 0)
	if n, err := again.Resolve(t.Context()); !errors.Is(err, errBroken) || n != 1 {
		t.Errorf("%d resolved, %v", n, err)
	}
	h.wantAccount(t, "ana", money.Unit, 60_000)
	if n, err := again.Resolve(t.Context()); err != nil || n != 0 {
		t.Errorf("%d resolved, %v", n, err)
	}
	h.wantAccount(t, "ana", money.Unit-30_000, 0)
	h.wantBooks(t)
}

// A call without hold has its row, also when the database was away as it ended.
func TestCloseFromTheSpool(t *testing.T) {
	h := newHouse(t)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	fault.setAway(true)
	c := billing.Closing{Origin: request("", 1).Origin, Ended: time.Now(), Outcome: billing.Unavailable, SIP: 503}
	if err := s.Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	fault.setAway(false)
	if _, err := s.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Call(t.Context(), c.Call); err != nil || got.Outcome != billing.Unavailable || got.SIP != 503 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.Close(t.Context(), c); err != nil {
		t.Errorf("the same once more: %v", err)
	}
}

func TestReadSpool(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"ended.jsonl": "\n{}\n\n{}\n", "1.drain": "{}\n", "unreadable.jsonl": "x\ny\nz\nz\n", "other": "x\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		folder string
		want   billing.SpoolState
	}{
		{folder, billing.SpoolState{Waiting: 3, Unreadable: 4}},
		{filepath.Join(folder, "none"), billing.SpoolState{}},
	} {
		if got, err := billing.ReadSpool(tt.folder); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.folder, got, err, tt.want)
		}
	}
	if _, err := billing.ReadSpool(filepath.Join(folder, "other")); err == nil {
		t.Error("a file is no spool")
	}
}

// The answer to a write without key gets lost: it is done once, and if it is not known whether, the error names the key.
func TestLostAnswers(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, fault := faulty(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	for _, tt := range []struct {
		name  string
		write func(key string) error
		moves money.Amount
	}{
		{"top-up", func(key string) error {
			return second(s.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: money.Cent, Key: key}))
		}, money.Cent},
		{"refund", func(key string) error {
			return second(s.Book(t.Context(), billing.Booking{Kind: billing.Refund, Account: "ana", Amount: money.Cent, Key: key}))
		}, -money.Cent},
		{"issue a voucher", func(key string) error {
			v, err := s.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "ana", Amount: money.Cent, Key: key})
			if err == nil && v.Number == "" {
				t.Error("no voucher")
			}
			return err
		}, -money.Cent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, err := h.Account(t.Context(), "ana")
			if err != nil {
				t.Fatal(err)
			}
			fault.breakAt(0, 1)
			if err := tt.write(""); err != nil {
				t.Errorf("once lost: %v", err)
			}
			h.wantAccount(t, "ana", before.Balance+tt.moves, 0)

			fault.breakAt(0, 2)
			err = tt.write("")
			if !errors.Is(err, errBroken) {
				t.Fatalf("lost twice: %v", err)
			}
			_, key, named := strings.Cut(err.Error(), "repeat with --key ")
			if !named || uuid.Validate(key) != nil {
				t.Fatalf("%q names no key", err)
			}
			h.wantAccount(t, "ana", before.Balance+2*tt.moves, 0)
			if err := tt.write(key); err != nil {
				t.Errorf("repeated: %v", err)
			}
			h.wantAccount(t, "ana", before.Balance+2*tt.moves, 0)
			h.wantBooks(t)
		})
	}
}
