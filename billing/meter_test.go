package billing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// TestUsage: calls over a trunk that is an asset are metered as they are settled, once, on the day of their entry; the
// month's rent counts the same seconds (I-15).
func TestUsage(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 10*money.Unit)
	c := commune.NewStore(h.db)
	today := ledger.DateOf(time.Now(), time.UTC)
	act := func(key string) commune.Act {
		return commune.Act{Key: key, At: time.Now(), Date: ledger.PeriodOf(today).First()}
	}
	err := c.Do(t.Context(), func(c *commune.Commune) error {
		thing := commune.Thing{Asset: "A", Kind: "trunk", Life: 48, Meter: commune.Seconds}
		return errors.Join(
			c.Join(t.Context(), act("1"), commune.Joining{Member: "ana", Enterprise: "CALL"}),
			c.AcceptGift(t.Context(), act("2"), commune.Gift{Value: 48 * money.Unit, Thing: thing, Agreement: &commune.Offered{
				Code: "R", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Rate: 60_000},
			}}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.db.Exec(`INSERT INTO trunk (code, carrier, address, asset)
		VALUES ('T1', 'K1', '192.0.2.1:5060', 'A'), ('T2', 'K1', '192.0.2.2:5060', NULL), ('T3', 'K1', '192.0.2.3:5060', 'scrap')`)
	if err != nil {
		t.Fatal(err)
	}
	free := minute
	free.RatePerMinute = 0
	seconds := 0
	for _, tt := range []struct {
		name     string
		trunk    string
		answered time.Duration
		free     bool
		metered  int
	}{
		{"over the asset", "T1", 30 * time.Second, false, 30},
		{"a part of a second counts whole", "T1", 1500 * time.Millisecond, false, 2},
		{"not answered", "T1", 0, false, 0},
		{"over a trunk that is no asset", "T2", 30 * time.Second, false, 0},
		{"over a trunk whose asset there is not", "T3", 30 * time.Second, false, 0},
		{"free both ways, so that there is no entry", "T1", 10 * time.Second, true, 10},
	} {
		r := request("ana", 60)
		if tt.free {
			r.Rate = free
		}
		if _, err := h.Authorise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		st := settlement(r.Call, tt.answered)
		st.Trunk = tt.trunk
		if tt.free {
			st.Cost = free
		}
		for range 2 {
			if err := h.Settle(t.Context(), st); err != nil {
				t.Fatal(err)
			}
		}
		if got := h.count(t, `SELECT COALESCE(sum(units), 0)::integer FROM asset_usage WHERE key = 'call:' || $1::text AND day = $2::date AND enterprise = 'CALL'`, r.Call, string(today)); got != tt.metered {
			t.Errorf("%s: %d seconds, want %d", tt.name, got, tt.metered)
		}
		seconds += tt.metered
	}
	out, err := c.Close(context.Background(), ledger.Order{Period: ledger.PeriodOf(today), Now: time.Now(), DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := (commune.Terms{Rate: 60_000}).Rent(commune.Seconds, commune.Part{Days: 1, Of: 1}, int64(seconds)); out.Figures.Rents["R"] != want {
		t.Errorf("rent %s for %d seconds, want %s", out.Figures.Rents["R"], seconds, want)
	}
}

// TestUnletUsage: a call that took place is settled whoever rents the trunk; the close asks who pays.
func TestUnletUsage(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	c := commune.NewStore(h.db)
	thing := commune.Thing{Asset: "A", Kind: "trunk", Life: 48, Meter: commune.Seconds}
	err := c.Do(t.Context(), func(c *commune.Commune) error {
		return c.AcceptGift(t.Context(), commune.Act{Key: "1", At: time.Now()}, commune.Gift{Value: 48 * money.Unit, Thing: thing})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Exec(`INSERT INTO trunk (code, carrier, address, asset) VALUES ('T1', 'K1', '192.0.2.1:5060', 'A')`); err != nil {
		t.Fatal(err)
	}
	r := request("ana", 60)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := h.Settle(t.Context(), settlement(r.Call, time.Minute)); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", money.Unit-60_000, 0)
	dry := ledger.Order{Period: ledger.PeriodOf(ledger.DateOf(time.Now(), time.UTC)), Now: time.Now(), DryRun: true}
	if _, err := c.Close(t.Context(), dry); !errors.Is(err, commune.ErrUnlet) {
		t.Errorf("closing a month with usage that nobody pays for: %v", err)
	}
	err = c.Do(t.Context(), func(c *commune.Commune) error {
		n, err := c.WaiveUsage(t.Context(), commune.Act{Key: "2", At: time.Now()}, "A", "a test call")
		if n != 1 {
			t.Errorf("%d uses waived", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.Close(t.Context(), dry); err != nil || len(out.Figures.Rents) != 0 {
		t.Errorf("after it was waived: %v, %v", out.Figures, err)
	}
}
