package billing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// golden is the part of the golden month's scenario that this test reads.
type golden struct {
	Opening map[string]map[string]money.Amount
	Tariffs struct {
		Retail  map[string]goldenRate
		Carrier map[string]map[string]goldenRate
	}
	Events []struct {
		ID, Type, At, Account, Destination, Trunk, Member, Text, To string
		Seconds                                                     int `json:"answered_seconds"`
		Amount                                                      money.Amount
		Bids                                                        []commune.Bid
		Agreement                                                   any // its code, or the offer of one
	}
	Expect struct {
		Balances map[string]map[string]money.Amount
	}
}

type goldenRate struct {
	Rate    money.Amount `json:"rate_per_minute"`
	Minimum money.Amount `json:"minimum_charge"`
}

// TestGoldenMonth does the golden month the long way: calls that are authorised and settled, and the commune's operations
// and close as the commands call them. The books end as the scenario says.
func TestGoldenMonth(t *testing.T) {
	text, err := os.ReadFile("replay/testdata/02-golden-june.json")
	if err != nil {
		t.Fatal(err)
	}
	g := &goldenMonth{house: newHouse(t)}
	g.commune = commune.NewStore(g.db)
	if err := json.Unmarshal(text, &g.golden); err != nil {
		t.Fatal(err)
	}
	g.open(t)
	for _, e := range g.Events {
		if err := g.event(t, e.ID); err != nil {
			t.Fatalf("%s: %v", e.ID, err)
		}
	}
	for book, accounts := range g.Expect.Balances {
		trial, err := ledger.Trial(t.Context(), g.db, ledger.TrialFilter{Book: book})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range trial {
			if l.Balance != accounts[l.Account] {
				t.Errorf("%s %s is %s, want %s", book, l.Account, l.Balance, accounts[l.Account])
			}
			delete(accounts, l.Account)
		}
		if len(accounts) > 0 {
			t.Errorf("%s lacks %v", book, accounts)
		}
	}
	if v, err := ledger.Verify(t.Context(), g.db, ledger.Check{Finding: func(f ledger.Finding) { t.Error(f) }}); err != nil || v.Entries < 40 {
		t.Errorf("%+v, %v", v, err)
	}
}

type goldenMonth struct {
	house
	golden

	commune *commune.Store
}

// open makes the world as it is on the first of June. The opening is the first entry, so June is the month that is open.
func (g *goldenMonth) open(t *testing.T) {
	t.Helper()
	var lines []ledger.Line
	for book, accounts := range g.Opening {
		for account, balance := range accounts {
			lines = append(lines, ledger.Line{Book: book, Account: account, Amount: balance})
		}
	}
	first := time.Date(2027, 6, 1, 8, 0, 0, 0, time.UTC)
	err := postgres.InTx(t.Context(), g.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, ledger.Entry{Key: "opening", Kind: "opening", At: first, Lines: lines})
		o := commune.Opening{
			Assets: []commune.Asset{{Code: "B", Kind: "trunk", Meter: commune.Seconds, Cost: 96 * money.Unit, Life: 48, Worn: 12, Acquired: "2026-06-01"}},
			Agreements: []commune.Agreement{{
				Code: "RB", Asset: "B", Start: "2026-06-01", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Minimum: 3 * money.Unit, Rate: 12_000},
			}},
		}
		for _, m := range []string{"M1", "M2", "M3"} {
			o.Members = append(o.Members, commune.Membership{Member: m, Joined: "2026-01-01"})
		}
		return errors.Join(err, commune.In(tx, commune.Book).Open(t.Context(), o))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.db.Exec(`INSERT INTO trunk (code, carrier, address, asset) VALUES ('A', 'K1', '192.0.2.1:5060', 'A'), ('B', 'K1', '192.0.2.2:5060', 'B')`); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"C1", "C2", "C3"} {
		g.account(t, a, 0)
	}
}

// row makes a rate row of a rate of the scenario.
func (r goldenRate) row(unit money.Amount) tariff.Row {
	return tariff.Row{
		Prefix: "380", RatePerMinute: r.Rate, MinimumCharge: r.Minimum, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: unit,
		RoundingMode: money.HalfUp, Deck: "retail@1", Currency: "EUR",
	}
}

// event does one event by what the product has for it.
func (g *goldenMonth) event(t *testing.T, id string) error {
	ctx := t.Context()
	for _, e := range g.Events {
		if e.ID != id {
			continue
		}
		at, err := time.Parse(time.DateOnly, e.At)
		if err != nil {
			at, _ = time.Parse(time.RFC3339, e.At)
		}
		act := commune.Act{Key: "act:" + id, Actor: "test", At: at.Add(12 * time.Hour), Date: ledger.DateOf(at, time.UTC)}
		do := func(op func(*commune.Commune) error) error { return g.commune.Do(ctx, op) }
		switch e.Type {
		case "topup":
			return g.post(ctx, id, at, billing.TopUpLines("CALL", e.Account, e.Amount))
		case "voucher_issue":
			return g.post(ctx, id, at, billing.VoucherIssueLines("CALL", e.Account, e.Amount))
		case "voucher_redeem":
			return g.post(ctx, id, at, billing.VoucherRedeemLines("CALL", e.Account, 5*money.Unit))
		case "call":
			return g.call(ctx, e.Account, e.Destination, e.Trunk, time.Duration(e.Seconds)*time.Second, at)
		case "asset_request":
			return do(func(c *commune.Commune) error {
				return c.RequestAsset(ctx, act, commune.Request{
					Member: "M1", Price: 120 * money.Unit, Thing: commune.Thing{Asset: "A", Kind: "trunk", Life: 24, Meter: commune.Seconds},
					Agreement: commune.Offered{Code: "RA", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 11 * money.Unit, Rate: 3000}},
				})
			})
		case "bond_auction":
			return do(func(c *commune.Commune) error {
				_, err := c.AuctionBonds(ctx, act, commune.Offer{Series: "S1", Asset: "A", Offer: 120 * money.Unit, CapBPS: 800, Unit: money.Unit, Term: 12, Bids: e.Bids})
				return err
			})
		case "acquisition":
			return do(func(c *commune.Commune) error { return c.Acquire(ctx, act, "A", 0) })
		case "remuneration":
			return do(func(c *commune.Commune) error {
				return c.EarnWage(ctx, act, commune.Wage{Enterprise: "CALL", Member: e.Member, Amount: e.Amount})
			})
		case "remuneration_paid":
			return do(func(c *commune.Commune) error {
				return c.PayWage(ctx, act, commune.Wage{Enterprise: "CALL", Member: e.Member})
			})
		case "mutual_expense":
			return do(func(c *commune.Commune) error { return c.NoteExpense(ctx, act, e.Amount, e.Text) })
		case "rent_paid":
			return do(func(c *commune.Commune) error {
				return c.PayRent(ctx, act, commune.RentPayment{Agreement: fmt.Sprint(e.Agreement), Period: "2027-06"})
			})
		case "close":
			_, err := g.commune.Close(ctx, ledger.Order{Period: "2027-06", Actor: "test", Now: time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)})
			return err
		case "dividend_election":
			return do(func(c *commune.Commune) error {
				election := commune.Election{Member: e.Member}
				if e.To == "credit" {
					election.Enterprise, election.Account = "CALL", billing.CreditAccount(e.Account)
				}
				_, err := c.PayDividend(ctx, act, election)
				return err
			})
		}
		return fmt.Errorf("nothing does %s", e.Type)
	}
	return nil
}

// post adds an entry of the till, which else is dated by the machine's clock.
func (g *goldenMonth) post(ctx context.Context, key string, at time.Time, lines []ledger.Line) error {
	return postgres.InTx(ctx, g.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(ctx, tx, ledger.Entry{Key: key, Kind: "till", At: at, Lines: lines})
		return err
	})
}

func (g *goldenMonth) call(ctx context.Context, account, destination, trunk string, answered time.Duration, at time.Time) error {
	r := billing.Request{
		Origin: billing.Origin{
			Call: uuid.Must(uuid.NewV7()), AccessCall: uuid.Must(uuid.NewV7()), Provider: "P1", AccessNumber: "+4930123456",
			Caller: "+49151234567", Started: at,
		},
		Account: account, Number: "+380441234567", Rate: g.Tariffs.Retail[destination].row(money.Cent), CallLimit: 7200 * 2,
	}
	if _, err := g.Authorise(ctx, r); err != nil {
		return err
	}
	st := billing.Settlement{Call: r.Call, Trunk: trunk, Carrier: "K1", Ended: at.Add(answered), Outcome: billing.NotAnswered}
	if answered > 0 {
		st.Cost, st.AnsweredAt, st.Answered, st.Outcome = g.Tariffs.Carrier["K1"][destination].row(money.Micro), at, answered, billing.Answered
	}
	return g.Settle(ctx, st)
}
