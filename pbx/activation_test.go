package pbx_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// dated notes when each hold was asked for.
type dated struct {
	*bank
	at map[billing.CallID]time.Time
}

func (d *dated) Authorise(ctx context.Context, r billing.Request) (billing.Hold, error) {
	d.set(func() { d.at[r.Call] = time.Now() })
	return d.bank.Authorise(ctx, r)
}

// Under 200 calls a second all decks change over every second: callers' prices and both carriers'. No call fails and none
// sees a mixture. With one carriers would cost more than callers pay, and the other trunk would be the cheapest: each
// version makes the other one so.
func TestDecksChangeUnderLoad(t *testing.T) {
	changes := 5
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		changes = 60
	}
	const callsBetween = 200
	onExchange(t, func(x *exchange) {
		start := time.Now()
		version := func(at time.Time) int { return int(at.Sub(start) / time.Second) }
		decksOf := func(version int) (decks []tariff.Deck) {
			for i, name := range []string{"retail", "cheap", "dear"} {
				kind, rate := tariff.Trunk, money.Amount(20_000+1_000*version-10*((version+i)%2))
				if i == 0 {
					kind, rate = tariff.Retail, money.Amount(20_000+1_000*version)
				}
				row := kind.Defaults()
				row.Prefix, row.RatePerMinute = "380", rate
				spec := tariff.Spec{Kind: kind, Name: name, Currency: "EUR", ActiveFrom: start.Add(time.Duration(version) * time.Second)}
				decks = append(decks, tariff.Deck{Spec: spec, Version: version, Rows: []tariff.Row{row}})
			}
			return decks
		}
		x.trunks = []routing.Trunk{{Code: "cheap", Enabled: true}, {Code: "dear", Enabled: true}}
		var newest atomic.Pointer[routing.Snapshot]
		swap := func(versions ...int) {
			var decks []tariff.Deck
			for _, v := range versions {
				decks = append(decks, decksOf(v)...)
			}
			newest.Store(routing.NewSnapshot(x.trunks, tariff.NewDecks(decks)))
		}
		swap(0, 1)
		last := changes + 60 // beyond the last call's talk
		go func() {
			for v := 1; v < last; v++ {
				time.Sleep(time.Until(start.Add(time.Duration(v)*time.Second + time.Second/2)))
				swap(v, v+1) // the one in force, and one to come
			}
		}()
		x.config.Routes = newest.Load
		credit := &dated{x.bank, map[billing.CallID]time.Time{}}
		x.config.Credit = credit
		for _, trunk := range x.trunks {
			x.parties[trunk.Code] = party{after: 1500 * time.Millisecond, talks: 2 * time.Second}
		}

		done := make(chan struct{})
		calls := changes * callsBetween
		for range calls {
			time.Sleep(time.Second / callsBetween)
			p := x.call(gateway, anna)
			go func() {
				p.types(kyiv + "#")
				p.hears(prompt.AskNextNumber)
				p.hangsUp()
				p.waits()
				done <- struct{}{}
			}()
		}
		for range calls {
			<-done
		}
		if len(x.bank.settled) != calls || len(x.bank.closings) != 0 {
			t.Fatalf("%d of %d calls settled, %d not begun", len(x.bank.settled), calls, len(x.bank.closings))
		}
		asked := map[billing.CallID]tariff.Quote{}
		for _, r := range x.bank.asked {
			asked[r.Call] = tariff.Quote{Row: r.Rate, Later: r.Later}
			v := version(credit.at[r.Call])
			if want := fmt.Sprintf("retail@%d", v); r.Rate.Deck != want || r.Rate.RatePerMinute != money.Amount(20_000+1_000*v) {
				t.Fatalf("at %v priced by %s at %v, want %s", credit.at[r.Call].Sub(start), r.Rate.Deck, r.Rate.RatePerMinute, want)
			}
		}
		for _, s := range x.bank.settled {
			planned, answered := asked[s.Call].Deck, asked[s.Call].At(s.AnsweredAt).Deck // what the call's own picture knows of
			if want := []string{"cheap", "dear"}[versionOf(planned)%2]; s.Trunk != want || s.Outcome != billing.Answered {
				t.Fatalf("priced by %s, %s over %s", planned, s.Outcome, s.Trunk)
			}
			if versionOf(s.Cost.Deck) != versionOf(answered) {
				t.Fatalf("priced by %s, then %s, and cost by %s", planned, answered, s.Cost.Deck)
			}
		}
	})
}

// versionOf is the number of a row's version.
func versionOf(deck string) (n int) {
	_, number, _ := strings.Cut(deck, "@")
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	return n
}
