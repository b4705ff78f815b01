package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// expected is what a scenario says of its result, as far as it says something.
type expected struct {
	Balances map[string]map[string]money.Amount `json:"balances"`
	Periods  map[ledger.Period]Period           `json:"periods"`
	Auctions map[string]Auction                 `json:"auctions"`
	Calls    map[string]Call                    `json:"calls"`
	Journal  []Entry                            `json:"journal"`
}

// compare tells how a result is unlike what the scenario expects, line by line. When the run stopped early, ran holds the
// events it got to: then the journal of those counts, and the balances that follow from it.
func (s *scenario) compare(r Result, ran map[string]bool) []string {
	d := &differences{}
	if ran == nil {
		d.refusals(r.Error, s.expectError)
	} else if r.Error != nil {
		d.add("%v", r.Error)
	}
	if s.expect == nil {
		return d.lines
	}
	var want expected
	if err := json.Unmarshal(s.expect, &want); err != nil {
		d.add("expect: %v", err)
		return d.lines
	}
	if ran != nil {
		want.upTo(ran)
		maps.DeleteFunc(want.Periods, func(p ledger.Period, _ Period) bool { _, closed := r.Periods[p]; return !closed })
		maps.DeleteFunc(want.Auctions, func(id string, _ Auction) bool { _, held := r.Auctions[id]; return !held })
	}
	if want.Balances != nil {
		d.sums("balance of", books(r.Balances), books(want.Balances))
	}
	if want.Journal != nil {
		d.sums("journal: event", journal(r.Journal), journal(want.Journal))
	}
	if want.Periods != nil {
		d.sums("period", periods(r.Periods), periods(want.Periods))
	}
	for _, id := range slices.Sorted(maps.Keys(want.Auctions)) {
		d.auction(id, r.Auctions[id], want.Auctions[id])
	}
	for _, id := range slices.Sorted(maps.Keys(want.Calls)) {
		if got := r.Calls[id]; got != want.Calls[id] {
			d.add("call %s is %+v, expected %+v", id, got, want.Calls[id])
		}
	}
	return d.lines
}

// upTo leaves out what comes of later events.
func (w *expected) upTo(ran map[string]bool) {
	w.Journal = slices.DeleteFunc(w.Journal, func(e Entry) bool { return e.Event != opening && !ran[e.Event] })
	maps.DeleteFunc(w.Calls, func(id string, _ Call) bool { return !ran[id] })
	w.Balances = map[string]map[string]money.Amount{}
	for _, e := range w.Journal {
		for _, l := range e.Lines {
			if w.Balances[l.Book] == nil {
				w.Balances[l.Book] = map[string]money.Amount{}
			}
			w.Balances[l.Book][l.Account] += l.amount()
		}
	}
}

// amount is debit positive.
func (l Line) amount() money.Amount {
	switch {
	case l.Debit != nil:
		return *l.Debit
	case l.Credit != nil:
		return -*l.Credit
	}
	return 0
}

type differences struct{ lines []string }

func (d *differences) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *differences) refusals(got, want *Refusal) {
	switch {
	case got == nil && want != nil:
		d.add("nothing was refused, expected event %d: %s", want.Event, want.Code)
	case got != nil && (want == nil || got.Event != want.Event || got.Code != want.Code):
		d.add("%v", got)
		if want != nil {
			d.add("expected was event %d: %s", want.Event, want.Code)
		}
	}
}

// auction compares what an auction came to. An amount that is missing is zero.
func (d *differences) auction(id string, got, want Auction) {
	words := func(a Auction) string {
		rate := 0
		if a.RateBPS != nil {
			rate = *a.RateBPS
		}
		return fmt.Sprintf("%s at %d bps, won by %q with %q", a.Status, rate, a.Winner, a.Agreement)
	}
	if words(got) != words(want) {
		d.add("auction %s is %s, expected %s", id, words(got), words(want))
	}
	amounts := func(a Auction) map[string]money.Amount {
		flat := map[string]money.Amount{}
		for name, amount := range map[string]*money.Amount{"shortfall": a.Shortfall, "reserve": a.Reserve, "amount": a.Amount} {
			if amount != nil {
				flat[name] = *amount
			}
		}
		for bidder, amount := range a.Allotments {
			flat["allotment "+bidder] = amount
		}
		for bidder, amount := range a.Refunds {
			flat["refund "+bidder] = amount
		}
		return flat
	}
	d.sums("auction "+id+":", amounts(got), amounts(want))
}

// sums compares amounts by name; one that is missing is zero.
func (d *differences) sums(what string, got, want map[string]money.Amount) {
	names := maps.Clone(got)
	maps.Copy(names, want)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got[name] != want[name] {
			d.add("%s %s is %s, expected %s", what, name, got[name], want[name])
		}
	}
}

func books(balances map[string]map[string]money.Amount) map[string]money.Amount {
	flat := map[string]money.Amount{}
	for book, accounts := range balances {
		for account, balance := range accounts {
			flat[book+" "+account] = balance
		}
	}
	return flat
}

// periods names each amount of each period; what is not there is zero.
func periods(all map[ledger.Period]Period) map[string]money.Amount {
	flat := map[string]money.Amount{}
	for p, period := range all {
		for name, amount := range map[string]money.Amount{
			"mutual_expenses": period.MutualExpenses, "levy": period.Levy, "pool": period.Pool, "carry": period.Carry,
		} {
			flat[string(p)+" "+name] = amount
		}
		for name, amounts := range map[string]map[string]money.Amount{
			"rents": period.Rents, "interest": period.Interest, "interest_paid": period.InterestPaid,
			"redeemed": period.Redeemed, "remainder": period.Remainder, "dividends": period.Dividends,
		} {
			for id, amount := range amounts {
				flat[string(p)+" "+name+" "+id] = amount
			}
		}
	}
	return flat
}

// journal adds up the lines of each event by book, account and side: how they are grouped into entries is free.
func journal(entries []Entry) map[string]money.Amount {
	sums := map[string]money.Amount{}
	for _, e := range entries {
		for _, l := range e.Lines {
			side := "debit"
			if l.Debit == nil {
				side = "credit"
			}
			sums[fmt.Sprintf("%s (%s): %s %s %s", e.Event, e.Date, l.Book, l.Account, side)] += l.amount()
		}
	}
	return sums
}
