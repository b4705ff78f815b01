package tariff_test

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// carrierDeck parses a trunk's deck.
func carrierDeck(t *testing.T, trunk string, currency money.Currency, csv string) tariff.Deck {
	t.Helper()
	deck := parse(t, tariff.Spec{
		Kind: tariff.Trunk, Name: trunk, Currency: currency, Zone: zone(t, "Europe/Berlin"),
		ActiveFrom: noon.Add(-time.Hour),
	}, csv)
	deck.Version = 3
	return deck
}

// brief writes the rows of a deck as "380 0.10+0.01 60/6 [mon]".
func brief(d tariff.Deck) string {
	var rows []string
	for _, r := range d.Rows {
		text := fmt.Sprintf("%s %v+%v %d/%d", r.Prefix, r.RatePerMinute, r.ConnectFee, r.IntervalFirst, r.IntervalNext)
		if r.Window != "" {
			text += " [" + string(r.Window) + "]"
		}
		rows = append(rows, text)
	}
	return strings.Join(rows, ", ")
}

func TestCostPlus(t *testing.T) {
	const percent = 1_000_000
	alpha := carrierDeck(t, "alpha", "EUR", "prefix,rate_per_minute,connect_fee,interval_first,interval_next,effective_from,effective_to\n"+
		"380,0.10,0.01,60,6,,\n38044,0.08,0,1,1,,\n49,0.50,,1,1,,2027-06-01\n49,0.006,,1,1,2027-06-01,2027-07-01\n49,0.9,,1,1,2027-07-01,\n")
	beta := carrierDeck(t, "beta", "USD", "prefix,rate_per_minute,window\n380,0.24,\n3,0.12,\n380,0.36,mon-fri 08:00-18:00\n1,0.02,sat\n")
	decks := tariff.NewDecks([]tariff.Deck{alpha, beta}).In("EUR", []tariff.DatedRate{{Currency: "USD", From: noon, Rate: 2_000_000}})
	for _, c := range []struct {
		proves string
		rule   tariff.CostPlus
		want   string
	}{
		{
			"as the carrier asks, of the rows in force",
			tariff.CostPlus{Trunks: []string{"alpha"}},
			"38044 0.08+0.00 1/1, 380 0.10+0.01 60/6, 49 0.006+0.00 1/1",
		},
		{
			"percent on rate and fee, amount on the rate",
			tariff.CostPlus{Trunks: []string{"alpha"}, Percent: 50 * percent, Add: 10_000},
			"38044 0.13+0.00 1/1, 380 0.16+0.015 60/6, 49 0.019+0.00 1/1",
		},
		{
			"VAT comes last, rounded up to 0.0001",
			tariff.CostPlus{Trunks: []string{"alpha"}, Percent: 25 * percent, Add: 5_000, VAT: 19 * percent},
			"38044 0.125+0.00 1/1, 380 0.1547+0.0149 60/6, 49 0.0149+0.00 1/1",
		}, // 0.12495, 0.1547, 0.014875; 0.014875
		{
			"the floor is what the caller sees",
			tariff.CostPlus{Trunks: []string{"alpha"}, VAT: 19 * percent, Floor: 100_000},
			"38044 0.10+0.00 1/1, 380 0.119+0.0119 60/6, 49 0.10+0.00 1/1",
		},
		{
			"more than double",
			tariff.CostPlus{Trunks: []string{"alpha"}, Percent: 150 * percent},
			"38044 0.20+0.00 1/1, 380 0.25+0.025 60/6, 49 0.015+0.00 1/1",
		},
		{
			"in the commune's currency, windows kept",
			tariff.CostPlus{Trunks: []string{"beta"}},
			"1 0.01+0.00 1/1 [sat], 3 0.06+0.00 1/1, 380 0.12+0.00 1/1, 380 0.18+0.00 1/1 [mon-fri 08:00-18:00]",
		},
		{
			"the cheapest of two for each prefix, by the dearest hour",
			tariff.CostPlus{Trunks: []string{"alpha", "beta"}},
			"1 0.01+0.00 1/1, 3 0.06+0.00 1/1, 380 0.10+0.01 60/6, 38044 0.08+0.00 1/1, 49 0.006+0.00 1/1",
		},
	} {
		deck, err := c.rule.Apply(decks, "plus", noon)
		if err != nil {
			t.Errorf("%s: %v", c.proves, err)
			continue
		}
		want := strings.Split(c.want, ", ")
		got := strings.Split(brief(deck), ", ")
		if !sameSet(got, want) {
			t.Errorf("%s\n got %s\nwant %s", c.proves, brief(deck), c.want)
		}
		if deck.Kind != tariff.Retail || deck.Currency != "EUR" || deck.Zone.String() != "Europe/Berlin" {
			t.Errorf("%s: %+v", c.proves, deck.Spec)
		}
		var csv strings.Builder // what was made can be imported
		if err := deck.WriteCSV(&csv); err != nil {
			t.Fatal(err)
		}
		if again, err := tariff.ParseDeck(strings.NewReader(csv.String()), deck.Spec); err != nil || !reflect.DeepEqual(again.Rows, deck.Rows) {
			t.Errorf("%s: %v, %+v", c.proves, err, again.Rows)
		}
	}
	deck, err := tariff.CostPlus{Trunks: []string{"alpha", "beta"}, Percent: 25 * percent, Add: 5_000, VAT: 19 * percent}.Apply(decks, "plus", noon)
	if want := "cost-plus: alpha@3 or beta@3 at 2.00 USD + 25.00% + 0.005 a minute, at least 0.00, with 19.00% VAT"; err != nil || deck.Source != want {
		t.Errorf("%v, made from %q, want %q", err, deck.Source, want)
	}
	for _, c := range []struct {
		rule tariff.CostPlus
		at   time.Time
		want error
	}{
		{tariff.CostPlus{Trunks: []string{"gamma"}}, noon, tariff.ErrNotFound},
		{tariff.CostPlus{Trunks: []string{"alpha"}}, noon.Add(-2 * time.Hour), tariff.ErrNotFound},
		{tariff.CostPlus{Trunks: []string{"alpha", "beta"}}, noon.Add(-1), tariff.ErrNoExchangeRate},
		{tariff.CostPlus{Trunks: []string{"alpha"}, Add: 1 << 62, Percent: 10_000 * percent, VAT: 100 * percent}, noon, money.ErrRange},
		{tariff.CostPlus{}, noon, nil},
		{tariff.CostPlus{Trunks: []string{"alpha"}, Percent: -1}, noon, nil},
		{tariff.CostPlus{Trunks: []string{"alpha"}, Floor: -1}, noon, nil},
	} {
		if deck, err := c.rule.Apply(decks, "plus", c.at); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v: %+v, %v; want %v", c.rule, deck, err, c.want)
		}
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// Callers' prices are the exact ones by the rule, rounded up once: what is left after VAT is never less than cost and
// mark-up, and never more than a rounding step above.
func TestCostPlusIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := tariff.Trunk.Defaults()
		row.Prefix, row.RatePerMinute = "380", money.Amount(rapid.Int64Range(0, 5_000_000).Draw(t, "rate"))
		exchange := tariff.ExchangeRate(rapid.Int64Range(10_000, 1_000_000_000).Draw(t, "exchange"))
		rule := tariff.CostPlus{
			Trunks:  []string{"T1"},
			Percent: tariff.Percent(rapid.Int64Range(0, 300_000_000).Draw(t, "percent")),
			Add:     money.Amount(rapid.Int64Range(0, 100_000).Draw(t, "add")),
			VAT:     tariff.Percent(rapid.Int64Range(0, 100_000_000).Draw(t, "VAT")),
		}
		decks := tariff.NewDecks([]tariff.Deck{{Spec: tariff.Spec{Kind: tariff.Trunk, Name: "T1", Currency: "USD"}, Rows: []tariff.Row{row}}}).
			In("EUR", []tariff.DatedRate{{Currency: "USD", Rate: exchange}})
		deck, err := rule.Apply(decks, "plus", noon)
		if err != nil {
			t.Fatal(err)
		}
		share := func(p tariff.Percent) *big.Rat { return big.NewRat(100_000_000+int64(p), 100_000_000) }
		exact := big.NewRat(int64(row.RatePerMinute)*1_000_000, int64(exchange))
		exact.Mul(exact, share(rule.Percent))
		exact.Add(exact, big.NewRat(int64(rule.Add), 1))
		exact.Mul(exact, share(rule.VAT))
		over := new(big.Rat).Sub(big.NewRat(int64(deck.Rows[0].RatePerMinute), 1), exact)
		if over.Sign() < 0 || over.Cmp(big.NewRat(100, 1)) >= 0 || deck.Rows[0].RatePerMinute%100 != 0 {
			t.Fatalf("%v is %v over %v", deck.Rows[0].RatePerMinute, over, exact)
		}
	})
}

func TestPercentJSON(t *testing.T) {
	for text, want := range map[string]tariff.Percent{`"19.00"`: 19_000_000, `"7.7"`: 7_700_000, `"0"`: 0, `"100"`: 100_000_000} {
		var p tariff.Percent
		if err := p.UnmarshalJSON([]byte(text)); err != nil || p != want {
			t.Errorf("%s: %v, %v", text, p, err)
		}
		again, err := p.MarshalJSON()
		var q tariff.Percent
		if err != nil || q.UnmarshalJSON(again) != nil || q != p {
			t.Errorf("%s is written %s, %v", text, again, err)
		}
	}
	for _, text := range []string{`19`, `"19%"`, `"101"`, `"-1"`, `null`, `""`} {
		p := tariff.Percent(-5)
		if err := p.UnmarshalJSON([]byte(text)); !errors.Is(err, tariff.ErrPercent) || p != -5 {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
}
