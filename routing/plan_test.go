package routing_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

var noon = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

const (
	kyiv = e164.Number("+380441234567")
	vat  = tariff.Percent(19_000_000)
)

// deck makes a trunk's deck of prefix=rate rows, rates in millionths a minute.
func deck(trunk string, rows ...tariff.Row) tariff.Deck {
	return tariff.Deck{
		Spec: tariff.Spec{Kind: tariff.Trunk, Name: trunk, Currency: "EUR", ActiveFrom: noon.Add(-time.Hour)}, Version: 1, Rows: rows,
	}
}

func cost(prefix string, rate money.Amount) tariff.Row {
	r := tariff.Trunk.Defaults()
	r.Prefix, r.RatePerMinute = prefix, rate
	return r
}

func with(r tariff.Row, set func(*tariff.Row)) tariff.Row {
	set(&r)
	return r
}

// paid is a retail row of so many millionths a minute, VAT included.
func paid(rate money.Amount) tariff.Row {
	r := tariff.Retail.Defaults()
	r.Prefix, r.RatePerMinute, r.Deck, r.Currency = "380", rate, "std@1", "EUR"
	return r
}

func on(codes ...string) (trunks []routing.Trunk) {
	for _, c := range codes {
		trunks = append(trunks, routing.Trunk{Code: c, Carrier: c, Enabled: true})
	}
	return trunks
}

// brief writes a plan as "T1 380 0.024 T2 …| T3 no_rate".
func brief(p routing.Plan) string {
	s := ""
	for i, c := range p.Candidates {
		if c.Rank != i+1 {
			s += fmt.Sprintf("(rank %d!) ", c.Rank)
		}
		s += fmt.Sprintf("%s %s %v ", c.Trunk.Code, c.Row.Prefix, c.Cost)
	}
	s += "|"
	for _, k := range p.Skipped {
		s += fmt.Sprintf(" %s %s", k.Trunk, k.Reason)
	}
	return s
}

func TestPlan(t *testing.T) {
	off := routing.Trunk{Code: "T1"}
	for _, c := range []struct {
		proves string
		trunks []routing.Trunk
		decks  []tariff.Deck
		retail tariff.Row
		vat    tariff.Percent
		want   string
	}{
		{
			"cheapest first", on("T1", "T2", "T3"),
			[]tariff.Deck{deck("T1", cost("380", 9_000)), deck("T2", cost("380", 8_000)), deck("T3", cost("380", 8_500))},
			paid(19_000), vat, "T2 380 0.024 T3 380 0.0255 T1 380 0.027 |",
		},
		{
			"the longest prefix of each trunk, also when a shorter one is cheaper", on("T1", "T2"),
			[]tariff.Deck{deck("T1", cost("380", 1_000), cost("38044", 9_000)), deck("T2", cost("3", 8_000), cost("381", 1))},
			paid(19_000), vat, "T2 3 0.024 T1 38044 0.027 |",
		},
		{
			"equals by code, whatever order they came in", on("T2", "t1", "T1"),
			[]tariff.Deck{deck("T1", cost("380", 8_000)), deck("T2", cost("380", 8_000)), deck("t1", cost("380", 8_000))},
			paid(19_000), vat, "T1 380 0.024 T2 380 0.024 t1 380 0.024 |",
		},
		{
			"a connection fee counts in the expected call", on("T1", "T2"),
			[]tariff.Deck{
				deck("T1", with(cost("380", 7_000), func(r *tariff.Row) { r.ConnectFee = 10_000 })),
				deck("T2", cost("380", 8_000)),
			},
			paid(19_000), vat, "T2 380 0.024 T1 380 0.031 |",
		},
		{
			"steps count in the expected call", on("T1", "T2"),
			[]tariff.Deck{
				deck("T1", with(cost("380", 7_000), func(r *tariff.Row) { r.IntervalFirst, r.IntervalNext = 100, 100 })),
				deck("T2", cost("380", 7_500)),
			},
			paid(19_000), vat, "T2 380 0.0225 T1 380 0.023333 |",
		},
		{
			"exactly the income is no loss", on("T1", "T2"),
			[]tariff.Deck{deck("T1", cost("380", 10_000)), deck("T2", with(cost("380", 10_000), func(r *tariff.Row) { r.ConnectFee = 1 }))},
			paid(11_900), vat, "T1 380 0.03 | T2 below_cost",
		},
		{
			"VAT is not ours to spend", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 10_001))},
			paid(11_900), vat, "| T1 below_cost",
		},
		{
			"without VAT all of the price is", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 11_900))},
			paid(11_900), 0, "T1 380 0.0357 |",
		},
		{
			"a free call is not carried at a cost", on("T1", "T2"),
			[]tariff.Deck{deck("T1", cost("380", 1)), deck("T2", cost("380", 0))},
			paid(0), vat, "T2 380 0.00 | T1 below_cost",
		},
		{
			"no retail row: explained without loss protection", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 9_000_000))},
			tariff.Row{},
			vat, "T1 380 27.00 |",
		},
		{
			"a retail row that can't price earns nothing", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 1))},
			tariff.Row{Prefix: "380", RatePerMinute: money.Unit},
			vat, "| T1 below_cost",
		},
		{
			"a VAT that is none earns nothing", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 1))},
			paid(19_000), -1, "| T1 below_cost",
		},
		{
			"no deck, no row, a row not yet in force", on("T1", "T2", "T3"),
			[]tariff.Deck{deck("T2", cost("381", 1)), deck("T3", with(cost("380", 1), func(r *tariff.Row) { r.EffectiveFrom = noon.Add(1) }))},
			paid(19_000), vat, "| T1 no_rate T2 no_rate T3 no_rate",
		},
		{
			"disabled goes before every other reason", []routing.Trunk{off}, nil, paid(19_000), vat, "| T1 disabled",
		},
		{
			"a retail deck of a trunk's name is not its deck", on("std"),
			[]tariff.Deck{{Spec: tariff.Spec{Kind: tariff.Retail, Name: "std"}, Rows: []tariff.Row{cost("380", 1)}}},
			paid(19_000), vat, "| std no_rate",
		},
		{
			"a row that allows a loss", on("T1"),
			[]tariff.Deck{deck("T1", cost("380", 9_000_000))},
			with(paid(1), func(r *tariff.Row) { r.AllowLoss = true }), vat, "T1 380 27.00 |",
		},
		{
			"the deck of a trunk that was removed", on("T2"),
			[]tariff.Deck{deck("T1", cost("380", 1)), deck("T2", cost("380", 2)), deck("T3", cost("380", 1))},
			paid(19_000), vat, "T2 380 0.000006 |",
		},
		{"no trunks", nil, nil, paid(19_000), vat, "|"},
	} {
		snapshot := routing.NewSnapshot(c.trunks, tariff.NewDecks(c.decks))
		if got := brief(snapshot.Plan(noon, kyiv, c.retail, c.vat, 1)); got != c.want {
			t.Errorf("%s: %s, want %s", c.proves, got, c.want)
		}
	}
}

func TestSnapshotIsItsOwn(t *testing.T) {
	trunks := on("T2", "T1")
	decks := tariff.NewDecks(nil)
	s := routing.NewSnapshot(trunks, decks)
	trunks[0].Code = "X"
	s.Trunks()[0].Code = "Y"
	if got := s.Trunks(); got[0].Code != "T1" || got[1].Code != "T2" || s.Decks() != decks {
		t.Errorf("%+v", got)
	}
}

// TestPlanProperties: every trunk is named once; candidates are in order and none costs more than the call earns.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trunks []routing.Trunk
		var decks []tariff.Deck
		for i := range rapid.IntRange(0, 12).Draw(t, "trunks") {
			code := fmt.Sprintf("T%02d", i)
			trunks = append(trunks, routing.Trunk{Code: code, Enabled: rapid.Bool().Draw(t, "enabled")})
			prefix := rapid.SampledFrom([]string{"3", "380", "38044", "44"}).Draw(t, "prefix")
			decks = append(decks, deck(code, cost(prefix, money.Amount(rapid.Int64Range(0, 20_000).Draw(t, "rate")))))
		}
		retail := paid(money.Amount(rapid.Int64Range(0, 30_000).Draw(t, "retail")))
		snapshot := routing.NewSnapshot(trunks, tariff.NewDecks(decks))
		p := snapshot.Plan(noon, kyiv, retail, vat, rapid.Uint64().Draw(t, "seed"))
		price, _ := retail.Price(routing.ExpectedSeconds)
		tax, _ := tariff.VAT(price, vat)
		seen := map[string]bool{}
		for i, c := range p.Candidates {
			seen[c.Trunk.Code] = true
			if c.Cost > price-tax || !c.Trunk.Enabled {
				t.Fatalf("%+v may not carry the call", c)
			}
			if i > 0 && (p.Candidates[i-1].Cost > c.Cost || p.Candidates[i-1].Cost == c.Cost && p.Candidates[i-1].Trunk.Code > c.Trunk.Code) {
				t.Fatalf("out of order: %s", brief(p))
			}
		}
		for _, k := range p.Skipped {
			seen[k.Trunk] = true
		}
		if len(seen) != len(trunks) || len(p.Candidates)+len(p.Skipped) != len(trunks) {
			t.Fatalf("%d trunks: %s", len(trunks), brief(p))
		}
		if again := snapshot.Plan(noon, kyiv, retail, vat, 0); brief(again) != brief(p) {
			t.Fatalf("not pure: %s, then %s", brief(p), brief(again))
		}
	})
}

// Nobody has so many trunks, or decks of trunks that are gone; a plan has them all the same.
func TestPlanOfManyTrunks(t *testing.T) {
	var trunks []routing.Trunk
	var decks []tariff.Deck
	for i := range 150 {
		code := fmt.Sprintf("T%03d", i)
		decks = append(decks, deck(code, cost("380", money.Amount(1_000-i))))
		if i%3 > 0 {
			trunks = append(trunks, routing.Trunk{Code: code, Enabled: i%3 == 1})
		}
	}
	for _, n := range []int{10, 100} {
		p := routing.NewSnapshot(trunks[:n], tariff.NewDecks(decks)).Plan(noon, kyiv, paid(19_000), vat, 1)
		if len(p.Candidates) != n/2 || len(p.Skipped) != n/2 || p.Candidates[0].Trunk.Code != trunks[n-2].Code || p.Skipped[0].Trunk != "T002" {
			t.Errorf("%d trunks: %s", n, brief(p))
		}
	}
}

func TestPlanWithout(t *testing.T) {
	decks := tariff.NewDecks([]tariff.Deck{deck("T1", cost("380", 1)), deck("T2", cost("380", 2)), deck("T3", cost("380", 3))})
	p := routing.NewSnapshot(on("T1", "T2", "T3", "T4"), decks).Plan(noon, kyiv, paid(19_000), vat, 1)
	before := brief(p)
	gate := routing.NewGate()
	narrow := p.Candidates[1].Trunk
	narrow.Channels = 1
	p.Candidates[1].Trunk = narrow
	if _, reason := take(gate, narrow); reason != "" {
		t.Fatal(reason)
	}
	if got, want := brief(p.Without(gate.Full)), "T1 380 0.000003 T3 380 0.000009 | T4 no_rate T2 full"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if brief(p) != before {
		t.Errorf("the plan itself changed: %s", brief(p))
	}
}

// TestPlanHoursAndSharedDecks: a trunk outside of its hours, in its own zone, is none to take; one deck may cost the calls
// of several trunks, also of one that has a deck of its own which then counts for nothing.
func TestPlanHoursAndSharedDecks(t *testing.T) {
	trunks := on("T1", "T2", "T3", "T4")
	trunks[0].Hours, trunks[0].Zone = "08:00-14:00", "UTC"
	trunks[1].Hours, trunks[1].Zone, trunks[1].Deck = "08:00-14:00", "Europe/Moscow", "T1" // an hour after it closed, at noon
	trunks[2].Deck = "T1"
	trunks[3].Deck = "T9"
	decks := tariff.NewDecks([]tariff.Deck{deck("T1", cost("380", 2)), deck("T3", cost("380", 1)), deck("T4", cost("380", 1))})
	s := routing.NewSnapshot(trunks, decks)
	p := s.Plan(noon, kyiv, paid(19_000), vat, 1)
	if got, want := brief(p), "T1 380 0.000006 T3 380 0.000006 | T2 closed_hours T4 no_rate"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c := s.Answered(p.Candidates[1], kyiv, noon); c.Row != p.Candidates[1].Row {
		t.Errorf("costed by %+v", c.Row)
	}
	if n := testing.AllocsPerRun(100, func() { s.Plan(noon, kyiv, paid(19_000), vat, 1) }); n > 2 {
		t.Errorf("%v allocations, the answer's are two", n)
	}
}
