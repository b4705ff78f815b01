package routing_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

// The oracle says what a plan must be, in the plainest way: it looks at every row of every version of every trunk, and
// prices with big numbers. It shares nothing with the code but the types that go in.

// world is whatever decides a plan, made at random.
type world struct {
	random   *rand.Rand
	trunks   []routing.Trunk
	decks    []worldDeck
	rates    []tariff.DatedRate
	leases   routing.Leases
	caller   string // enterprise
	rules    routing.Rules
	figures  []routing.Figure
	at       time.Time
	to       e164.Number
	retail   tariff.Row
	vat      tariff.Percent
	seed     uint64
	snapshot *routing.Snapshot
}

type worldDeck struct {
	tariff.Deck
	windows []*hours // of each row
}

// hours are a window taken apart.
type hours struct {
	days     []string
	from, to int // minutes; to before from is on the next day
}

func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

func one[T any](w *world, of ...T) T { return of[w.random.IntN(len(of))] }

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 7)), seed: seed}
	w.at = noon.Add(time.Duration(w.random.IntN(48*60)-24*60) * time.Minute)
	w.to = e164.Number("+" + w.digits(5) + w.digits(6))
	for i := range 1 + w.random.IntN(7) {
		t := routing.Trunk{Code: fmt.Sprintf("T%d", i), Enabled: w.chance(85), Priority: one(w, 1, 2, 3), Weight: one(w, 1, 5, 100)}
		if w.chance(15) { // another's deck, or that of a trunk to come
			t.Deck = fmt.Sprintf("T%d", w.random.IntN(8))
		}
		if w.chance(30) {
			t.Asset = fmt.Sprintf("A%d", w.random.IntN(3))
		}
		w.trunks = append(w.trunks, t)
		for version := range w.random.IntN(4) {
			w.decks = append(w.decks, w.deck(t.Code, version+1))
		}
	}
	w.decks = append(w.decks, w.deck("removed", 1))
	w.random.Shuffle(len(w.trunks), func(i, j int) { w.trunks[i], w.trunks[j] = w.trunks[j], w.trunks[i] })
	w.random.Shuffle(len(w.decks), func(i, j int) { w.decks[i], w.decks[j] = w.decks[j], w.decks[i] })
	for day := range w.random.IntN(3) {
		rate := tariff.ExchangeRate(1 + w.random.IntN(3_000_000))
		w.rates = append(w.rates, tariff.DatedRate{Currency: "USD", From: noon.Add(time.Duration(w.random.IntN(24)+24*day-48) * time.Hour), Rate: rate})
	}
	w.retail, w.vat = w.paid(), tariff.Percent(w.random.IntN(30))*1_000_000
	w.makeRules()
	decks := make([]tariff.Deck, len(w.decks))
	for i, d := range w.decks {
		decks[i] = d.Deck
	}
	w.lease()
	w.snapshot = routing.NewSnapshot(w.trunks, tariff.NewDecks(decks).In("EUR", w.rates)).With(w.rules).Let(w.leases).For(w.caller)
	return w
}

// lease lets assets to those who call and to others, for days that begin and end around the call, and exactly then.
func (w *world) lease() {
	w.caller = one(w, "CALL", "CALL", "HOST")
	day := func() time.Time { return w.at.Add(time.Duration(one(w, -48, -1, 0, 0, 1, 48)) * time.Hour) }
	for range w.random.IntN(7) {
		l := routing.Lease{Asset: fmt.Sprintf("A%d", w.random.IntN(3)), Enterprise: one(w, "CALL", "HOST"), From: day()}
		if w.chance(60) {
			l.Until = day()
		}
		w.leases = append(w.leases, l)
	}
}

// rents tells whether the caller's enterprise rents an asset at the moment of the call.
func (w *world) rents(asset string) bool {
	for _, l := range w.leases {
		begun, over := l.From.Compare(w.at) <= 0, !l.Until.IsZero() && l.Until.Compare(w.at) <= 0
		if l.Asset == asset && l.Enterprise == w.caller && begun && !over {
			return true
		}
	}
	return false
}

func (w *world) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = one(w, byte('1'), '2')
	}
	return string(b)
}

func (w *world) deck(name string, version int) worldDeck {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	d := worldDeck{Deck: tariff.Deck{Version: version, Spec: tariff.Spec{
		Kind: tariff.Trunk, Name: name, Currency: one(w, money.Currency("EUR"), "EUR", "EUR", "EUR", "USD", "GBP"),
		Zone: one(w, time.UTC, berlin), ActiveFrom: noon.Add(time.Duration(one(w, -48, -2, -2, 0, 1, 30)) * time.Hour),
	}}}
	if w.chance(30) {
		d.Holidays = []tariff.Holiday{{Date: w.at.Format(time.DateOnly), CountsAs: one(w, "sun", "hol", "wed")}}
	}
	used := map[string]bool{}
	for range 1 + w.random.IntN(12) {
		prefix := w.to.Digits()[:1+w.random.IntN(7)]
		if w.chance(40) {
			prefix = w.digits(1 + w.random.IntN(5))
		}
		if !used[prefix] {
			used[prefix] = true
			w.addRows(&d, prefix)
		}
	}
	return d
}

// addRows gives a prefix one row, or two that follow each other, or one in a window with or without another for the rest.
func (w *world) addRows(d *worldDeck, prefix string) {
	row := func() *tariff.Row {
		r := tariff.Trunk.Defaults()
		r.Prefix, r.RatePerMinute, r.ConnectFee = prefix, money.Amount(one(w, 0, 1, 5_000, 8_000, w.random.IntN(20_000))), 0
		if w.chance(20) {
			r.ConnectFee = money.Amount(w.random.IntN(20_000))
		}
		r.IntervalFirst, r.IntervalNext = one(w, 1, 1, 60, 200), one(w, 1, 6, 60, 77)
		d.Rows, d.windows = append(d.Rows, r), append(d.windows, nil)
		return &d.Rows[len(d.Rows)-1]
	}
	change := noon.Add(time.Duration(w.random.IntN(40)-20) * time.Hour)
	switch w.random.IntN(10) {
	case 0, 1:
		row().EffectiveTo = change
		if w.chance(70) {
			row().EffectiveFrom = change
		}
	case 2, 3:
		h := &hours{from: w.random.IntN(24 * 60), to: 1 + w.random.IntN(24*60-1)}
		if h.to == h.from {
			h.to = h.from%(24*60-1) + 1
		}
		for _, day := range []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun", "hol"} {
			if w.chance(60) {
				h.days = append(h.days, day)
			}
		}
		if len(h.days) == 0 {
			h.days = []string{"tue"}
		}
		window, err := tariff.ParseWindow(fmt.Sprintf("%s %02d:%02d-%02d:%02d", strings.Join(h.days, " "), h.from/60, h.from%60, h.to/60, h.to%60))
		if err != nil {
			panic(err)
		}
		row().Window = window
		d.windows[len(d.windows)-1] = h
		if w.chance(70) {
			row()
		}
	default:
		row()
	}
}

func (w *world) paid() tariff.Row {
	r := tariff.Retail.Defaults()
	if w.chance(10) {
		return tariff.Row{}
	}
	r.Prefix, r.Deck, r.RatePerMinute = w.to.Digits()[:1], "retail@1", money.Amount(w.random.IntN(20_000))
	r.ConnectFee, r.MinimumCharge = money.Amount(one(w, 0, 0, w.random.IntN(9_000))), money.Amount(one(w, 0, 0, 0, 30_000))
	r.IntervalFirst, r.IntervalNext, r.GraceSeconds = one(w, 1, 60), one(w, 1, 6, 77), one(w, 0, 0, 0, 0, 179, 180)
	r.RoundingUnit, r.RoundingMode = money.Amount(one(w, 1, 100, 10_000)), one(w, money.Up, money.HalfUp)
	r.AllowLoss = w.chance(15)
	return r
}

func (w *world) makeRules() {
	if w.chance(5) {
		w.rules.Ours = []e164.Number{"+4930123456", w.to}
	}
	used := map[string]bool{}
	for range w.random.IntN(4) {
		p := routing.Policy{Prefix: w.to.Digits()[:w.random.IntN(4)], Strategy: routing.Strategy(one(w, routing.Strategies...))}
		if p.Strategy == routing.Best {
			p.Band = one(w, 0, 10, 50, 200)
		}
		if !used[p.Prefix] {
			used[p.Prefix] = true
			w.rules.Policies = append(w.rules.Policies, p)
		}
	}
	for i, t := range w.trunks {
		for n := range 4 {
			if w.chance(30) {
				w.figures = append(w.figures, routing.Figure{Trunk: t.Code, Prefix: w.to.Digits()[:n], Answered: 100 * ((i + n) % 5)})
			}
		}
	}
	if w.chance(80) {
		w.rules.Quality = routing.NewQuality(w.figures)
	} else {
		w.figures = nil
	}
}

// found is a candidate, or why there is none.
type found struct {
	trunk   routing.Trunk
	reason  routing.Reason
	cost    *big.Int
	row     tariff.Row
	deck    string
	quality int
}

// expected is the oracle.
func (w *world) expected() (candidates, skipped []found) {
	for _, t := range w.trunks {
		f := found{trunk: t, quality: w.quality(t.Code)}
		row, deck, rate := w.row(t.DeckName())
		switch {
		case slices.Contains(w.rules.Ours, w.to):
			f.reason = routing.Loop
		case !t.Enabled:
			f.reason = routing.Disabled
		case t.Asset != "" && !w.rents(t.Asset):
			f.reason = routing.Unlet
		case row == nil || rate == 0:
			f.reason = routing.NoRate
		default:
			f.row, f.deck = *row, fmt.Sprintf("%s@%d", deck.Name, deck.Version)
			f.cost = priceOf(*row, rate)
			if w.retail != (tariff.Row{}) && !w.retail.AllowLoss && f.cost.Cmp(w.income()) > 0 {
				f.reason = routing.BelowCost
			}
		}
		if f.reason == "" {
			candidates = append(candidates, f)
		} else {
			skipped = append(skipped, f)
		}
	}
	byCode := func(a, b found) int { return strings.Compare(a.trunk.Code, b.trunk.Code) }
	slices.SortFunc(skipped, byCode)
	slices.SortFunc(candidates, byCode)
	slices.SortStableFunc(candidates, func(a, b found) int { return a.cost.Cmp(b.cost) })
	switch policy := w.policy(); policy.Strategy {
	case routing.Priority:
		slices.SortStableFunc(candidates, func(a, b found) int { return a.trunk.Priority - b.trunk.Priority })
	case routing.Best:
		near := 0
		for near < len(candidates) {
			most := new(big.Int).Mul(candidates[0].cost, big.NewInt(int64(100+policy.Band)))
			if new(big.Int).Mul(candidates[near].cost, big.NewInt(100)).Cmp(most) > 0 {
				break
			}
			near++
		}
		slices.SortStableFunc(candidates[:near], func(a, b found) int { return b.quality - a.quality })
	}
	return candidates, skipped
}

func (w *world) policy() routing.Policy {
	best := routing.Policy{Strategy: routing.Cheapest}
	for n := range 16 {
		for _, p := range w.rules.Policies {
			if len(p.Prefix) == n && strings.HasPrefix(w.to.Digits(), p.Prefix) {
				best = p
			}
		}
	}
	return best
}

func (w *world) quality(trunk string) int {
	quality := 1000
	for n := range 16 {
		for _, f := range w.figures {
			if f.Trunk == trunk && len(f.Prefix) == n && strings.HasPrefix(w.to.Digits(), f.Prefix) {
				quality = f.Answered
			}
		}
	}
	return quality
}

// row finds a trunk's row and its deck, and what one unit of ours buys of its currency in millionths; 0: nobody knows.
func (w *world) row(trunk string) (best *tariff.Row, deck *worldDeck, rate int64) {
	for i := range w.decks {
		d := &w.decks[i]
		if d.Name != trunk || d.ActiveFrom.After(w.at) {
			continue
		}
		if deck == nil || d.ActiveFrom.After(deck.ActiveFrom) || d.ActiveFrom.Equal(deck.ActiveFrom) && d.Version > deck.Version {
			deck = d
		}
	}
	if deck == nil {
		return nil, nil, 0
	}
	inWindow := false
	for i := range deck.Rows {
		r, h := &deck.Rows[i], deck.windows[i]
		if !strings.HasPrefix(w.to.Digits(), r.Prefix) || r.EffectiveFrom.After(w.at) || !r.EffectiveTo.IsZero() && !r.EffectiveTo.After(w.at) ||
			h != nil && !h.contain(w.at, deck) {
			continue
		}
		if best == nil || len(r.Prefix) > len(best.Prefix) || len(r.Prefix) == len(best.Prefix) && h != nil && !inWindow {
			best, inWindow = r, h != nil
		}
	}
	if deck.Currency == "EUR" {
		return best, deck, 1_000_000
	}
	var newest time.Time
	for _, r := range w.rates {
		if r.Currency == deck.Currency && !r.From.After(w.at) && !r.From.Before(newest) {
			newest, rate = r.From, int64(r.Rate)
		}
	}
	return best, deck, rate
}

func (h *hours) contain(at time.Time, d *worldDeck) bool {
	local := at.In(d.Zone)
	minute := local.Hour()*60 + local.Minute()
	on := func(day time.Time) bool {
		kind := strings.ToLower(day.Format("Mon"))
		for _, holiday := range d.Holidays {
			if holiday.Date == day.Format(time.DateOnly) {
				kind = holiday.CountsAs
			}
		}
		return slices.Contains(h.days, kind)
	}
	if h.from < h.to {
		return on(local) && h.from <= minute && minute < h.to
	}
	return on(local) && minute >= h.from || on(local.AddDate(0, 0, -1)) && minute < h.to
}

// priceOf is what three minutes cost by a row, in millionths of ours, half up.
func priceOf(r tariff.Row, rate int64) *big.Int {
	exact := exactPrice(r)
	exact.Mul(exact, big.NewRat(1_000_000, rate))
	return nearest(exact)
}

func exactPrice(r tariff.Row) *big.Rat {
	billed := int64(r.IntervalFirst)
	for billed < 180 {
		billed += int64(r.IntervalNext)
	}
	exact := big.NewRat(int64(r.RatePerMinute)*billed, 60)
	return exact.Add(exact, big.NewRat(int64(r.ConnectFee), 1))
}

func nearest(r *big.Rat) *big.Int {
	return floor(new(big.Rat).Add(r, big.NewRat(1, 2)))
}

func floor(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) }

// income is what the caller's price leaves without VAT.
func (w *world) income() *big.Int {
	if w.retail.GraceSeconds >= 180 {
		return big.NewInt(0)
	}
	exact := exactPrice(w.retail)
	if least := big.NewRat(int64(w.retail.MinimumCharge), 1); exact.Cmp(least) < 0 {
		exact = least
	}
	unit := big.NewRat(int64(w.retail.RoundingUnit), 1)
	exact.Quo(exact, unit)
	units := nearest(exact)
	if w.retail.RoundingMode == money.Up {
		units = floor(exact.Neg(exact))
		units.Neg(units)
	}
	price := units.Mul(units, big.NewInt(int64(w.retail.RoundingUnit)))
	tax := nearest(new(big.Rat).SetFrac(new(big.Int).Mul(price, big.NewInt(int64(w.vat))), big.NewInt(100_000_000+int64(w.vat))))
	return price.Sub(price, tax)
}

func (f found) String() string {
	if f.reason != "" {
		return fmt.Sprint(f.trunk.Code, " ", f.reason)
	}
	return fmt.Sprint(f.trunk.Code, " ", f.row.Prefix, " ", f.row.RatePerMinute, " ", f.row.Window, " ", f.cost, " ", f.deck)
}

func TestPlanIsTheOracles(t *testing.T) {
	const worlds = 10_000
	seen := map[string]int{}
	for seed := range uint64(worlds) {
		w := newWorld(seed)
		plan := w.snapshot.Plan(w.at, w.to, w.retail, w.vat, seed)
		var want, got []string
		candidates, skipped := w.expected()
		for _, f := range candidates {
			want = append(want, f.String())
		}
		for i, c := range plan.Candidates {
			if c.Rank != i+1 {
				t.Fatalf("seed %d: rank %d at %d", seed, c.Rank, i+1)
			}
			got = append(got, found{trunk: c.Trunk, row: c.Row, cost: big.NewInt(int64(c.Cost)), deck: c.Row.Deck}.String())
			if cost, err := c.Row.Price(180); err != nil || cost != c.Cost {
				t.Fatalf("seed %d: %v is not the cost by the row, %v", seed, c.Cost, cost)
			}
		}
		strategy := w.policy().Strategy
		if plan.Policy != w.policy() {
			t.Fatalf("seed %d: policy %v", seed, plan.Policy)
		}
		if strategy == routing.Weighted { // who comes first is for TestShares
			slices.Sort(want)
			slices.Sort(got)
		}
		seen[string(strategy)] += len(want)
		for _, f := range skipped {
			want = append(want, f.String())
			seen[string(f.reason)]++
		}
		for _, k := range plan.Skipped {
			got = append(got, k.Trunk+" "+string(k.Reason))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, %s at %v by %+v:\n got %s\nwant %s", seed, w.to, w.at, w.policy(),
				strings.Join(got, " | "), strings.Join(want, " | "))
		}
	}
	for what, least := range map[string]int{
		"cheapest": 1000, "priority": 1000, "weighted": 1000, "quality": 1000, "loop": 1000, "disabled": 1000, "no_rate": 1000, "below_cost": 1000, "unlet": 1000,
	} {
		if seen[what] < least {
			t.Errorf("only %d of %s in %d worlds: %v", seen[what], what, worlds, seen)
		}
	}
}
