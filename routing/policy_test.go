package routing_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/routing"
)

func TestPolicies(t *testing.T) {
	trunks := []routing.Trunk{
		{Code: "T1", Enabled: true, Priority: 3},
		{Code: "T2", Enabled: true, Priority: 1},
		{Code: "T3", Enabled: true, Priority: 3},
		{Code: "T4", Enabled: true, Priority: 2},
	}
	decks := tariff.NewDecks([]tariff.Deck{
		deck("T1", cost("380", 10_000)), deck("T2", cost("380", 13_000)), deck("T3", cost("380", 9_000)), deck("T4", cost("380", 10_800)),
	})
	quality := routing.NewQuality([]routing.Figure{
		{Trunk: "T1", Prefix: "380", Answered: 500},
		{Trunk: "T1", Prefix: "", Answered: 900},
		{Trunk: "T2", Prefix: "", Answered: 999},
		{Trunk: "T3", Prefix: "3", Answered: 400},
		{Trunk: "T4", Prefix: "44", Answered: 100},
		{Trunk: "T4", Prefix: "38", Answered: 600},
	})
	const byCost = "T3 380 0.027 T1 380 0.03 T4 380 0.0324 T2 380 0.039 |"
	for _, c := range []struct {
		proves   string
		policies []routing.Policy
		quality  *routing.Quality
		want     string
	}{
		{"none: the cheapest first", nil, quality, byCost},
		{"cheapest", []routing.Policy{{Strategy: routing.Cheapest}}, quality, byCost},
		{"the lowest priority first, equals by cost", []routing.Policy{{Strategy: routing.Priority}}, nil, "T2 380 0.039 T4 380 0.0324 T3 380 0.027 T1 380 0.03 |"},
		{
			"the longest prefix of a policy, in whatever order they come",
			[]routing.Policy{{Prefix: "38", Strategy: routing.Priority}, {Strategy: routing.Weighted}, {Prefix: "380", Strategy: routing.Cheapest}, {Prefix: "3", Strategy: routing.Priority}},
			nil, byCost,
		},
		{"other numbers' policies don't count", []routing.Policy{{Prefix: "49", Strategy: routing.Priority}}, nil, byCost},
		{"quality up to exactly 20 % over the cheapest", []routing.Policy{{Strategy: routing.Best, Band: 20}}, quality, "T4 380 0.0324 T1 380 0.03 T3 380 0.027 T2 380 0.039 |"},
		{"quality in a narrower band", []routing.Policy{{Strategy: routing.Best, Band: 19}}, quality, "T1 380 0.03 T3 380 0.027 T4 380 0.0324 T2 380 0.039 |"},
		{"quality at any price", []routing.Policy{{Strategy: routing.Best, Band: 1000}}, quality, "T2 380 0.039 T4 380 0.0324 T1 380 0.03 T3 380 0.027 |"},
		{"quality for nothing", []routing.Policy{{Strategy: routing.Best}}, quality, byCost},
		{"no figures at all", []routing.Policy{{Strategy: routing.Best, Band: 20}}, nil, byCost},
		{
			"a trunk without a figure comes first, or it would never get one",
			[]routing.Policy{{Strategy: routing.Best, Band: 20}},
			routing.NewQuality([]routing.Figure{{Trunk: "T3", Answered: 999}, {Trunk: "T1", Answered: 999}}),
			"T4 380 0.0324 T3 380 0.027 T1 380 0.03 T2 380 0.039 |",
		},
	} {
		snapshot := routing.NewSnapshot(trunks, decks).With(routing.Rules{Policies: c.policies, Quality: c.quality})
		if got := brief(snapshot.Plan(noon, kyiv, paid(19_000), vat, 1)); got != c.want {
			t.Errorf("%s: %s, want %s", c.proves, got, c.want)
		}
	}
}

// TestShares: of 100,000 calls each trunk gets its share as first, and as second its share of those that others got first;
// the same seed always gives the same order.
func TestShares(t *testing.T) {
	const plans = 100_000
	weights := []int{50, 30, 15, 5}
	var trunks []routing.Trunk
	var decks []tariff.Deck
	total := 0
	for i, weight := range weights {
		code := fmt.Sprintf("T%d", i)
		trunks = append(trunks, routing.Trunk{Code: code, Enabled: true, Weight: weight})
		decks = append(decks, deck(code, cost("380", money.Amount(1_000*i))))
		total += weight
	}
	policy := routing.Policy{Strategy: routing.Weighted}
	snapshot := routing.NewSnapshot(trunks, tariff.NewDecks(decks)).With(routing.Rules{Policies: []routing.Policy{policy}})
	first, second := map[string]float64{}, map[string]float64{}
	for seed := range uint64(plans) {
		p := snapshot.Plan(noon, kyiv, paid(19_000), vat, seed)
		if len(p.Candidates) != len(weights) {
			t.Fatal(brief(p))
		}
		first[p.Candidates[0].Trunk.Code]++
		second[p.Candidates[1].Trunk.Code]++
		if seed%1000 == 0 {
			if again := snapshot.Plan(noon, kyiv, paid(19_000), vat, seed); !reflect.DeepEqual(again, p) {
				t.Fatalf("seed %d: %s, then %s", seed, brief(p), brief(again))
			}
		}
	}
	for i, weight := range weights {
		code, share := fmt.Sprintf("T%d", i), float64(weight)/float64(total)
		asSecond := 0.0
		for j, other := range weights {
			if j != i {
				asSecond += float64(other) / float64(total) * float64(weight) / float64(total-other)
			}
		}
		for what, c := range map[string]struct{ got, want float64 }{"first": {first[code], share}, "second": {second[code], asSecond}} {
			if off := c.got/plans - c.want; off < -0.01 || off > 0.01 {
				t.Errorf("%s is %s in %.2f %% of the plans, want %.2f %%", code, what, 100*c.got/plans, 100*c.want)
			}
			t.Logf("%s %s: %.3f %%, wanted %.3f %%", code, what, 100*c.got/plans, 100*c.want)
		}
	}
}

// TestPlanAllocatesItsAnswer: the list of candidates and the list of those skipped, and nothing else, whatever the decks
// have in them.
func TestPlanAllocatesItsAnswer(t *testing.T) {
	var trunks []routing.Trunk
	var plain, timed []tariff.Deck
	for i := range 50 {
		code := fmt.Sprintf("T%02d", i)
		trunks = append(trunks, routing.Trunk{Code: code, Enabled: i%10 != 0, Weight: i, Priority: i % 3})
		rate := money.Amount(5_000 + 100*i)
		plain = append(plain, deck(code, cost("380", rate)))
		d := deck(code, with(cost("380", rate), func(r *tariff.Row) { r.Window = "mon-fri 08:00-18:00" }), cost("380", rate+1),
			with(cost("38", rate), func(r *tariff.Row) { r.EffectiveFrom = noon.Add(-1) }))
		d.Currency = []money.Currency{"EUR", "USD", "GBP"}[i%3]
		timed = append(timed, d)
	}
	rates := []tariff.DatedRate{{Currency: "USD", From: noon.Add(-1), Rate: 1_085_600}}
	quality := routing.NewQuality([]routing.Figure{{Trunk: "T03", Prefix: "380", Answered: 400}})
	for name, decks := range map[string]*tariff.Decks{"plain": tariff.NewDecks(plain), "timed": tariff.NewDecks(timed).In("EUR", rates)} {
		for _, strategy := range routing.Strategies {
			rules := routing.Rules{Quality: quality, Ours: []e164.Number{"+49305550100"}}
			rules.Policies = []routing.Policy{{Prefix: "38", Strategy: routing.Strategy(strategy)}}
			s := routing.NewSnapshot(trunks, decks).With(rules)
			var p routing.Plan
			n := testing.AllocsPerRun(100, func() { p = s.Plan(noon, kyiv, paid(19_000), vat, 7) })
			if n != 2 || len(p.Candidates) == 0 || len(p.Skipped) == 0 {
				t.Errorf("%s decks, %s: %v allocations for %s", name, strategy, n, brief(p))
			}
		}
	}
}

func TestQuality(t *testing.T) {
	var none *routing.Quality
	if _, ok := none.Answered("T1", kyiv); ok {
		t.Error("nobody's figures")
	}
	q := routing.NewQuality([]routing.Figure{
		{Trunk: "T1", Prefix: "380", Answered: 1}, {Trunk: "T1", Prefix: "38044", Answered: 2}, {Trunk: "T2", Answered: 3},
	})
	for _, c := range []struct {
		trunk string
		to    e164.Number
		want  int
	}{
		{"T1", kyiv, 2},
		{"T1", "+380671234567", 1},
		{"T1", "+38", 0},
		{"T1", "+4930", 0},
		{"T2", kyiv, 3},
		{"T2", "", 3},
		{"T3", kyiv, 0},
	} {
		if got, ok := q.Answered(c.trunk, c.to); got != c.want || ok != (c.want > 0) {
			t.Errorf("%s to %s: %d, %v; want %d", c.trunk, c.to, got, ok, c.want)
		}
	}
}

func TestStorePolicies(t *testing.T) {
	db := pgtest.New(t)
	store, ctx := routing.NewStore(db), t.Context()
	if list, err := store.Policies(ctx); err != nil || list == nil || len(list) > 0 {
		t.Fatalf("none yet: %v, %v", list, err)
	}
	before, err := store.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []routing.Policy{
		{Prefix: "380", Strategy: routing.Weighted}, {Strategy: routing.Best, Band: 20}, {Prefix: "380", Strategy: routing.Priority},
	} {
		if err := store.SetPolicy(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	want := []routing.Policy{{Strategy: routing.Best, Band: 20}, {Prefix: "380", Strategy: routing.Priority}}
	if list, err := store.Policies(ctx); err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("%v, %v; want %v", list, err, want)
	}
	if after, err := store.Revision(ctx); err != nil || after <= before {
		t.Errorf("a running serve does not learn of it: revision %d, then %d, %v", before, after, err)
	}
	for field, p := range map[string]routing.Policy{
		"prefix": {Prefix: "0380", Strategy: routing.Cheapest}, "strategy": {Strategy: "dearest"}, "band": {Strategy: routing.Best, Band: -1},
	} {
		var bad *routing.FieldError
		if err := store.SetPolicy(ctx, p); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%+v: %v, want a FieldError of %s", p, err, field)
		}
	}
	if _, err := db.Exec(`INSERT INTO provider (code, address, trust_caller_id) VALUES ('p', '192.0.2.1', true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO access_number (number, provider, country) VALUES ('+380441234567', 'p', 'UA')`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddTrunk(ctx, routing.Trunk{Code: "T1", Address: "127.0.0.1:5060", CallerNumber: "+493055501", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Plan(noon, kyiv, paid(19_000), vat, 1); brief(p) != "| T1 loop" || p.Policy != want[1] || !s.Ours(kyiv) || !s.Ours("+493055501") || s.Ours("+4930") {
		t.Errorf("%s by %v", brief(p), p.Policy)
	}
	if err := store.RemovePolicy(ctx, "380"); err != nil {
		t.Error(err)
	}
	if err := store.RemovePolicy(ctx, "380"); !errors.Is(err, routing.ErrNoPolicy) {
		t.Errorf("removed twice: %v", err)
	}
}

// Where the policy is quality, the attempts of the last day rank trunks of nearly the same price; few of them tell nothing.
func TestQualityOfAttempts(t *testing.T) {
	db := pgtest.New(t)
	store, decks := routing.NewStore(db), tariff.NewStore(db)
	ctx := t.Context()
	for i, code := range []string{"T1", "T2", "T3"} {
		if _, err := store.AddTrunk(ctx, routing.Trunk{Code: code, Address: "127.0.0.1:5060", Enabled: true}); err != nil {
			t.Fatal(err)
		}
		d := deck(code, cost("380", money.Amount(8_000+100*i)))
		d.ActiveFrom = time.Now().Add(-time.Hour)
		if _, err := decks.Import(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.SetPolicy(ctx, routing.Policy{Prefix: "380", Strategy: routing.Best, Band: 20}); err != nil {
		t.Fatal(err)
	}
	order := func() (codes string) {
		t.Helper()
		s, err := store.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Plan(time.Now(), kyiv, paid(19_000), vat, 1).Candidates {
			codes += c.Trunk.Code + " "
		}
		return codes
	}
	had := func(trunk string, ago time.Duration, attempts, answered int) {
		t.Helper()
		_, err := db.Exec(`
			INSERT INTO trunk_quarter (began, trunk, country, prefix, attempts, answered, effective, delayed, delay_ms, seconds, price, vat, cost)
			VALUES ($1, $2, 'UA', '380', $3, $4, $4, 0, 0, 0, 0, 0, 0)`, time.Now().Add(-ago).Truncate(15*time.Minute), trunk, attempts, answered)
		if err != nil {
			t.Fatal(err)
		}
	}
	had("T1", time.Hour, 19, 0)
	had("T2", 26*time.Hour, 1000, 0)
	if got := order(); got != "T1 T2 T3 " {
		t.Errorf("too few and too old attempts count: %s", got)
	}
	had("T1", 2*time.Hour, 81, 40)
	had("T2", 2*time.Hour, 100, 60)
	if got := order(); got != "T3 T2 T1 " { // T3 is unknown, and gets calls to become known
		t.Errorf("%s", got)
	}
}
