package pbx_test

import (
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// A call that may be answered on either side of a change of rates is announced and held at the dearer one; the moment of
// the answer decides what the carrier asks.
func TestRatesThatChangeWhileItRings(t *testing.T) {
	onExchange(t, func(x *exchange) {
		change := time.Now().Add(20 * time.Second)
		deck := func(kind tariff.Kind, name string, before, after money.Amount) tariff.Deck {
			row := kind.Defaults()
			row.Prefix, row.RatePerMinute, row.EffectiveTo = "380", before, change
			next := row
			next.RatePerMinute, next.EffectiveFrom, next.EffectiveTo = after, change, time.Time{}
			return tariff.Deck{Spec: tariff.Spec{Kind: kind, Name: name, Currency: "EUR"}, Version: 1, Rows: []tariff.Row{row, next}}
		}
		snapshot := routing.NewSnapshot([]routing.Trunk{{Code: "cheap", Enabled: true}}, tariff.NewDecks([]tariff.Deck{
			deck(tariff.Retail, "retail", 19_000, 30_000), deck(tariff.Trunk, "cheap", 5_000, 6_000),
		}))
		x.config.Routes = func() *routing.Snapshot { return snapshot }
		x.parties["cheap"] = party{after: 30 * time.Second, talks: 5 * time.Second}

		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears("this-call-costs", "3", "cents", "a-minute", prompt.AskNextNumber)
		p.types(kyiv + "#")
		p.hears("this-call-costs", "3", "cents", "a-minute", prompt.AskNextNumber)
		p.hangsUp()
		p.waits()

		first, second := x.bank.asked[0], x.bank.asked[1]
		if first.Rate.RatePerMinute != 19_000 || len(first.Later) != 1 || first.Later[0].Row.RatePerMinute != 30_000 ||
			!first.Later[0].From.Equal(change) {
			t.Errorf("before the change the rate was %+v, later %+v", first.Rate, first.Later)
		}
		if second.Rate.RatePerMinute != 30_000 || len(second.Later) != 0 {
			t.Errorf("after the change the rate was %+v, later %+v", second.Rate, second.Later)
		}
		if s := x.bank.settled[0]; s.Cost.RatePerMinute != 6_000 || s.AnsweredAt.Before(change) {
			t.Errorf("settled %+v", s)
		}
	})
}
