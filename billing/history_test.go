package billing_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// Whatever happens in whatever order: the books sum to zero, what is held is the sum of the holds, nobody pays more than
// was held for a call or owes more than the limit, and repeating a step changes nothing.
func TestHistories(t *testing.T) {
	if os.Getenv("TELECOMMUNE_LONG") == "" {
		if err := flag.Set("rapid.checks", "30"); err != nil {
			t.Fatal(err)
		}
	}
	h := newHouse(t)
	h.account(t, "other", 0)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		y := &history{t: t, house: h, account: fmt.Sprintf("acc-%d", n), open: map[billing.CallID]billing.Hold{}, quotes: map[billing.CallID]tariff.Quote{}}
		limit := money.Amount(rapid.Int64Range(0, 300_000).Draw(rt, "limit"))
		if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: y.account, Limit: limit}); err != nil {
			rt.Fatal(err)
		}
		defer func() { y.Release() }() // of the last run
		rt.Repeat(map[string]func(*rapid.T){
			"top up":    y.topUp,
			"book":      y.book,
			"authorise": y.authorise,
			"extend":    y.extend,
			"alive":     y.alive,
			"settle":    y.settle,
			"crash":     y.crash,
			"":          y.check,
		})
		y.crash(rt) // leave no holds to the next history
	})
}

type history struct {
	house
	t       *testing.T
	account string
	open    map[billing.CallID]billing.Hold
	quotes  map[billing.CallID]tariff.Quote
}

// one picks a running call.
func (y *history) one(rt *rapid.T) billing.CallID {
	if len(y.open) == 0 {
		rt.Skip("no call runs")
	}
	ids := slices.SortedFunc(maps.Keys(y.open), func(a, b billing.CallID) int { return slices.Compare(a[:], b[:]) })
	return ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "call")]
}

// twice does a step and then again, which must change nothing and give the same.
func twice[T comparable](y *history, rt *rapid.T, step func() (T, error)) (T, error) {
	first, err := step()
	after, readErr := y.Account(y.t.Context(), y.account)
	second, again := step()
	last, readErr2 := y.Account(y.t.Context(), y.account)
	if first != second || after != last || (err == nil) != (again == nil) || readErr != nil || readErr2 != nil {
		rt.Fatalf("repeated: %v, %v, %+v; then %v, %v, %+v", first, err, after, second, again, last)
	}
	return first, err
}

func (y *history) topUp(rt *rapid.T) {
	top := billing.TopUp{
		Account: y.account, Key: fmt.Sprint(y.account, time.Now().UnixNano()),
		Amount: money.Cent * money.Amount(rapid.Int64Range(1, 50).Draw(rt, "cents")),
	}
	if _, err := twice(y, rt, func() (billing.Account, error) { return y.TopUp(y.t.Context(), top) }); err != nil {
		rt.Fatal(err)
	}
}

// book is whatever somebody decides on; what may not be booked is refused and leaves all as it was.
func (y *history) book(rt *rapid.T) {
	b := billing.Booking{
		Account: y.account, Into: "other", Text: "x", Key: fmt.Sprint(y.account, time.Now().UnixNano()),
		Kind: rapid.SampledFrom([]billing.BookingKind{
			billing.Refund, billing.Goodwill, billing.Adjustment, billing.Lapse, billing.WriteOff, billing.Transfer,
		}).Draw(rt, "kind"),
		Amount: money.Cent * money.Amount(rapid.Int64Range(1, 50).Draw(rt, "cents")),
	}
	before, err := y.Account(y.t.Context(), y.account)
	if err != nil {
		rt.Fatal(err)
	}
	_, err = twice(y, rt, func() (billing.Account, error) { return y.Book(y.t.Context(), b) })
	after, readErr := y.Account(y.t.Context(), y.account)
	own := before.Balance - before.Held
	switch {
	case readErr != nil:
		rt.Fatal(readErr)
	case err == nil && (b.Kind == billing.Refund || b.Kind == billing.Lapse) && own < b.Amount,
		err == nil && b.Kind == billing.WriteOff && after.Balance > 0:
		rt.Fatalf("%s of %s of %+v", b.Kind, b.Amount, before)
	case err != nil && (before != after || !errors.Is(err, billing.ErrInsufficientCredit) && !errors.Is(err, billing.ErrNotOwed) && !errors.Is(err, billing.ErrFunds)):
		rt.Fatalf("%v: %+v, it was %+v", err, after, before)
	}
}

func (y *history) authorise(rt *rapid.T) {
	r := request(y.account, rapid.IntRange(1, 600).Draw(rt, "call limit"))
	r.VAT = tariff.Percent(rapid.Int64Range(0, 25).Draw(rt, "vat")) * 1_000_000
	r.Rate.RatePerMinute = money.Amount(rapid.Int64Range(0, 2_000_000).Draw(rt, "rate"))
	r.Rate.ConnectFee = money.Amount(rapid.Int64Range(0, 1).Draw(rt, "fee")) * 50_000
	r.Rate.IntervalFirst = rapid.SampledFrom([]int{1, 30, 60}).Draw(rt, "first")
	r.Rate.IntervalNext = rapid.SampledFrom([]int{1, 6, 60}).Draw(rt, "next")
	r.Rate.GraceSeconds = rapid.IntRange(0, 5).Draw(rt, "grace")
	if rapid.Bool().Draw(rt, "another rate comes") { // settlements and signs tell of answers up to 700 seconds ago
		next := r.Rate
		next.RatePerMinute = money.Amount(rapid.Int64Range(0, 2_000_000).Draw(rt, "next rate"))
		r.Later = []tariff.Later{{From: time.Now().Add(-350 * time.Second), Row: next}}
	}
	quote := tariff.Quote{Row: r.Rate, Later: r.Later}
	hold, err := twice(y, rt, func() (billing.Hold, error) { return y.Authorise(y.t.Context(), r) })
	switch {
	case err == nil:
		y.open[r.Call], y.quotes[r.Call] = hold, quote
		if price, err := quote.Price(hold.Seconds); err != nil || price > hold.Amount || hold.Seconds < 1 || hold.Seconds > r.CallLimit {
			rt.Fatalf("hold %+v, its seconds cost %s, %v", hold, price, err)
		}
	case !errors.Is(err, billing.ErrInsufficientCredit):
		rt.Fatal(err)
	}
}

func (y *history) extend(rt *rapid.T) {
	call := y.one(rt)
	hold, err := twice(y, rt, func() (billing.Hold, error) { return y.Extend(y.t.Context(), call) })
	if err != nil || hold.Amount < y.open[call].Amount || hold.Seconds < y.open[call].Seconds {
		rt.Fatalf("%+v, %v; it was %+v", hold, err, y.open[call])
	}
	y.open[call] = hold
}

func (y *history) alive(rt *rapid.T) {
	answered := time.Duration(rapid.Int64Range(0, 700_000).Draw(rt, "ms")) * time.Millisecond
	sign := billing.Sign{
		Call: y.one(rt), Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: time.Now().Add(-answered), Answered: answered,
	}
	if err := y.Alive(y.t.Context(), []billing.Sign{sign}); err != nil {
		rt.Fatal(err)
	}
}

func (y *history) settle(rt *rapid.T) {
	call := y.one(rt)
	st := settlement(call, time.Duration(rapid.Int64Range(0, 700_000).Draw(rt, "ms"))*time.Millisecond)
	if _, err := twice(y, rt, func() (bool, error) { return true, y.Settle(y.t.Context(), st) }); err != nil {
		rt.Fatal(err)
	}
	y.over(rt, call)
}

// crash is the end of the program with all its calls, and its next start.
func (y *history) crash(rt *rapid.T) {
	y.Release()
	y.house = onDatabase(y.t, y.db, y.spool, "node-1")
	if err := y.Claim(y.t.Context()); err != nil {
		rt.Fatal(err)
	}
	n, err := y.Resolve(y.t.Context())
	if err != nil || n != len(y.open) {
		rt.Fatalf("%d calls resolved, %v; %d ran", n, err, len(y.open))
	}
	for call := range y.open {
		y.over(rt, call)
	}
}

// over checks what a call that has ended cost.
func (y *history) over(rt *rapid.T, call billing.CallID) {
	c, err := y.Call(y.t.Context(), call)
	if err != nil || c.EndedAt == nil || c.Price > y.open[call].Amount {
		rt.Fatalf("%+v, %v; held was %+v", c, err, y.open[call])
	}
	var answered time.Time
	if c.AnsweredAt != nil {
		answered = *c.AnsweredAt
	}
	row := y.quotes[call].At(answered)
	if price, err := row.Price(c.AnsweredSeconds); err != nil || price != c.Price || c.AnsweredSeconds > row.Affordable(y.open[call].Amount, 600) {
		rt.Fatalf("%+v; by the row of its answer it costs %s, %v; held was %+v", c, price, err, y.open[call])
	}
	delete(y.open, call)
}

func (y *history) check(rt *rapid.T) {
	y.wantBooks(y.t)
	if y.t.Failed() {
		rt.Fatal("the books are wrong")
	}
}
