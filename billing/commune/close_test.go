package commune_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// netZero is a month in which each of n members rents one of n things like the others.
func netZero(n int, rent money.Amount, lessee func(int) string) commune.Situation {
	s := commune.Situation{Period: "2028-02", Book: "COM", Balances: map[string]money.Amount{}, Banks: map[string]money.Amount{}}
	for i := range n {
		thing, agreement := fmt.Sprint("H", i), fmt.Sprint("R", i)
		s.Rented = append(s.Rented, commune.Rented{
			Agreement: commune.Agreement{Code: agreement, Asset: thing, Start: "2028-01-01", Lessee: commune.Lessee{Member: lessee(i)}, Terms: commune.Terms{Fixed: rent}},
			Meter:     commune.None, Order: &commune.Order{},
		})
		cost := 24 * money.Unit
		s.Assets = append(s.Assets, commune.Owned{
			Asset: commune.Asset{Code: thing, Cost: cost, Life: 24, Acquired: "2028-01-01"}, Agreements: []string{agreement},
		})
		s.Balances["1500:"+thing], s.Balances["3100:"+thing] = cost, -cost
		s.Members = append(s.Members, commune.MemberDays{Member: fmt.Sprint("M", i), Days: 29})
	}
	return s
}

// TestNetZero is I-16: who rents exactly his part gets it all back (R23).
func TestNetZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, rent := rapid.IntRange(1, 40).Draw(t, "members"), money.Cent*money.Amount(rapid.IntRange(1, 1e6).Draw(t, "rent"))
		r, err := commune.Close(netZero(n, rent, func(i int) string { return fmt.Sprint("M", i) }))
		if err != nil {
			t.Fatal(err)
		}
		for member, dividend := range r.Figures.Dividends {
			if dividend != rent {
				t.Fatalf("%s pays %s and gets %s", member, rent, dividend)
			}
		}
	})
}

// TestDividendIsBlind is I-07: who rents what, and who holds bonds, does not matter.
func TestDividendIsBlind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "members")
		to := rapid.SliceOfN(rapid.IntRange(0, n-1), n, n).Draw(t, "lessees")
		holders := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, n, rapid.ID).Draw(t, "holders")
		split := func(lessee func(int) string, holder func(int) string) map[string]money.Amount {
			s := netZero(n, 33*money.Unit, lessee)
			bonds := commune.Bonds{Series: commune.Series{Code: "S", Asset: "H0", Issued: "2028-01-01", RateBPS: 500, Term: 10, Principal: 10 * money.Unit * money.Amount(len(holders))}}
			for i := range holders {
				bonds.Holders = append(bonds.Holders, holder(i))
				s.Balances["2100:S/"+holder(i)] = -10 * money.Unit
			}
			s.Assets[0].Bonds = []commune.Bonds{bonds}
			s.Members[0].Days = 7
			r, err := commune.Close(s)
			if err != nil {
				t.Fatal(err)
			}
			return r.Figures.Dividends
		}
		plain := split(func(i int) string { return fmt.Sprint("M", i) }, func(i int) string { return fmt.Sprint("X", i) })
		other := split(func(i int) string { return fmt.Sprint("M", to[i]) }, func(i int) string { return fmt.Sprint("M", holders[i]) })
		if !maps.Equal(plain, other) {
			t.Fatalf("%v, with other lessees and holders %v", plain, other)
		}
	})
}

// TestCloseOverflows: a sum beyond 64 bits is an error and nothing else.
func TestCloseOverflows(t *testing.T) {
	for name, spoil := range map[string]func(*commune.Situation){
		"a rent": func(s *commune.Situation) {
			s.Rented[0].Rate, s.Rented[0].Meter, s.Rented[0].Units = 1<<62, commune.Seconds, 1<<62
		},
		"a bank":       func(s *commune.Situation) { s.Balances["1000"] = 1<<63 - 1 },
		"expenses":     func(s *commune.Situation) { s.Expenses = []commune.Expense{{Amount: 1<<63 - 1}, {Amount: 1<<63 - 1}} },
		"what is owed": func(s *commune.Situation) { s.Balances["2000:a"], s.Balances["2000:b"] = -1<<62, -1<<62 },
	} {
		s := netZero(3, money.Unit, func(i int) string { return fmt.Sprint("M", i) })
		spoil(&s)
		if _, err := commune.Close(s); !errors.Is(err, money.ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := netZero(3, 3_000_000_000*money.Unit, func(i int) string { return fmt.Sprint("M", i) })
	if r, err := commune.Close(s); err != nil || r.Figures.Dividends["M1"] != 3_000_000_000*money.Unit {
		t.Errorf("nine billion: %v, %v", r.Figures, err)
	}
}

var june = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// settled makes a commune of two members who let a trunk to CALL, which was used and pays its rent.
func settled(t *testing.T, db *sqlx.DB) *commune.Store {
	t.Helper()
	s := commune.NewStore(db)
	n := 0
	act := func(day ledger.Date) commune.Act {
		n++
		return commune.Act{Key: fmt.Sprint("act:", n), Actor: "test", At: june, Date: day}
	}
	err := s.Do(t.Context(), func(c *commune.Commune) error {
		ctx := t.Context()
		tx := func(e ledger.Entry) error { _, err := ledger.Post(ctx, c.Tx(), e); return err }
		return errors.Join(
			tx(ledger.Entry{Key: "cash", Kind: "topup", At: june, Lines: []ledger.Line{ledger.Debit("CALL", "1000", 100*money.Unit), ledger.Credit("CALL", "3900", 100*money.Unit)}}),
			c.Join(ctx, act("2027-06-01"), commune.Joining{Member: "anna", Enterprise: "CALL"}),
			c.Join(ctx, act("2027-06-16"), commune.Joining{Member: "bert", Enterprise: "CALL", AttestedBy: "anna"}),
			c.AcceptGift(ctx, act("2027-06-01"), commune.Gift{Value: 48 * money.Unit, Thing: commune.Thing{Asset: "A", Kind: "trunk", Life: 48, Meter: commune.Seconds}, Agreement: &commune.Offered{
				Code: "RA", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 3 * money.Unit, Rate: 60_000},
			}}),
			commune.MeterCalls(ctx, c.Tx(), commune.Carried{Key: "call:1", Asset: "A", Enterprise: "CALL", Day: "2027-06-09", Seconds: 50}),
			c.PayRent(ctx, act("2027-06-30"), commune.RentPayment{Agreement: "RA", Period: "2027-06"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var closeJune = ledger.Order{Period: "2027-06", Actor: "test", Now: time.Date(2027, 7, 1, 12, 0, 0, 0, time.UTC)}

// rows counts what a close could have left.
func rows(t *testing.T, db *sqlx.DB) (n int) {
	t.Helper()
	err := db.Get(&n, `SELECT (SELECT count(*) FROM entry WHERE key LIKE 'close:%') + (SELECT count(*) FROM distribution) + (SELECT count(*) FROM rent_posting)
		+ (SELECT count(*) FROM dividend) + (SELECT sum(months_depreciated) FROM asset) + (SELECT count(*) FROM period) + (SELECT 1 - count(*) FROM rent_order)`)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCloseHappensOnce: asked for by four programs at once, and again, it happens once, and all are told the same.
func TestCloseHappensOnce(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	dry := closeJune
	dry.DryRun = true
	preview, err := s.Close(t.Context(), dry)
	if err != nil || rows(t, db) != 0 {
		t.Fatalf("dry run: %v, %d rows", err, rows(t, db))
	}
	outcomes := make([]commune.Outcome, 4)
	var running sync.WaitGroup
	for i := range outcomes {
		running.Go(func() {
			var err error
			if outcomes[i], err = s.Close(t.Context(), closeJune); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	after := rows(t, db)
	var orders int
	if err := db.Get(&orders, `SELECT count(*) FROM rent_order`); err != nil || orders != 0 {
		t.Errorf("%d orders left, %v", orders, err)
	}
	again, err := s.Close(t.Context(), closeJune)
	if err != nil || rows(t, db) != after || len(again.Posted) != 0 {
		t.Errorf("closed again: %v, %d rows where %d were", err, rows(t, db), after)
	}
	posted := 0
	for _, o := range outcomes {
		if o.Seal.String() != again.Seal.String() || fmt.Sprint(o.Figures) != fmt.Sprint(preview.Figures) {
			t.Errorf("%+v, another got %+v, the dry run %+v", o, again, preview)
		}
		if len(o.Posted) > 0 {
			posted++
		}
	}
	if posted != 1 {
		t.Errorf("%d of them did it", posted)
	}
	// 3.00 + 50 s at 0.06 a minute = 3.05, by 30 and 15 days.
	if f := again.Figures; f.Rents["RA"] != 3_050_000 || f.Dividends["anna"] != 2_030_000 || f.Dividends["bert"] != 1_010_000 || f.Carry != 10_000 {
		t.Errorf("%+v", f)
	}
}

// TestCloseInterrupted: broken off anywhere, it leaves nothing; repeated, it happens.
func TestCloseInterrupted(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	broken := 0
	for patience := time.Millisecond; ; patience += patience/4 + time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := s.Close(ctx, closeJune)
		cancel()
		if err == nil {
			break
		}
		broken++
		if left := rows(t, db); left != 0 {
			// The commit itself was reached, and only its answer lost: then all of it is there.
			if _, err := s.Close(t.Context(), closeJune); err != nil || left < 9 {
				t.Fatalf("broken off after %s: %d rows, %v", patience, left, err)
			}
			break
		}
	}
	if broken == 0 {
		t.Error("it was never broken off")
	}
	if v, err := ledger.Verify(t.Context(), db, ledger.Check{Finding: func(f ledger.Finding) { t.Error(f) }}); err != nil || v.Entries == 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestUnletUsage: a month in which an asset was used that was not let is not closed.
func TestUnletUsage(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	err := s.Do(t.Context(), func(c *commune.Commune) error {
		return commune.MeterCalls(t.Context(), c.Tx(), commune.Carried{Key: "call:2", Asset: "A", Enterprise: "HOST", Day: "2027-06-09", Seconds: 5})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Close(t.Context(), closeJune); !errors.Is(err, commune.ErrUnlet) || rows(t, db) != 0 {
		t.Errorf("%v, %d rows", err, rows(t, db))
	}
}

// TestKeys: an operation is done once under its key, and never with another content.
func TestKeys(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	pay := func(key string, amount money.Amount) error {
		return s.Do(t.Context(), func(c *commune.Commune) error {
			return c.PayDeposit(t.Context(), commune.Act{Key: key, At: june, Date: "2027-06-20"}, "RA", amount)
		})
	}
	if err := errors.Join(pay("k", money.Unit), pay("k", money.Unit)); err != nil {
		t.Fatal(err)
	}
	if err := pay("k", 2*money.Unit); !errors.Is(err, commune.ErrConflict) {
		t.Errorf("another amount under the same key: %v", err)
	}
	trial, err := ledger.Trial(t.Context(), db, ledger.TrialFilter{Book: "COM"})
	for _, l := range trial {
		if l.Account == "2300:RA" && l.Balance != -money.Unit {
			t.Errorf("the deposit is %s", l.Balance)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
