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

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// Whatever happens in whatever order: the books sum to zero, what is held is the sum of the holds, nobody pays more than
// was held for a call, owes more than the limit or passes another limit, and repeating a step changes nothing. Each hold
// and each refusal is what the model says.
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
		y := &history{t: t, house: h, account: fmt.Sprintf("acc-%d", n), model: model{running: map[billing.CallID]*modelCall{}}}
		y.credit = money.Amount(rapid.Int64Range(0, 300_000).Draw(rt, "limit"))
		if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: y.account, Limit: y.credit}); err != nil {
			rt.Fatal(err)
		}
		y.start(rt)
		defer func() { y.Release() }() // of the last run
		y.topUp(rt)
		y.setLimits(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"top up":     y.topUp,
			"set limits": y.setLimits,
			"authorise":  y.authorise,
			"and again":  y.authorise, // calls should run beside each other
			"extend":     y.extend,
			"alive":      y.alive,
			"settle":     y.settle,
			"release":    y.release,
			"refund":     y.refund,
			"book":       y.book,
			"crash":      y.crash,
			"":           y.check,
		})
		y.crash(rt) // leave no holds to the next history
	})
}

type history struct {
	house
	model
	t       *testing.T
	account string
	ended   []billing.Call // that cost something and were not refunded
}

// one picks a running call.
func (y *history) one(rt *rapid.T) billing.CallID {
	if len(y.running) == 0 {
		rt.Skip("no call runs")
	}
	ids := slices.SortedFunc(maps.Keys(y.running), func(a, b billing.CallID) int { return slices.Compare(a[:], b[:]) })
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
		Amount: money.Cent * money.Amount(rapid.Int64Range(1, 200).Draw(rt, "cents")),
	}
	if _, err := twice(y, rt, func() (billing.Account, error) { return y.TopUp(y.t.Context(), top) }); err != nil {
		rt.Fatal(err)
	}
	y.balance += top.Amount
}

// setLimits changes all limits. Most often those that refuse a call whatever runs are none.
func (y *history) setLimits(rt *rapid.T) {
	some := func(name string, least, most int64) money.Amount {
		return money.Amount(max(0, rapid.Int64Range(least, most).Draw(rt, name)))
	}
	l := billing.Limits{
		MaxCalls: int(some("max calls", -9, 3)), MaxRate: some("max rate", -6_000_000, 2_000_000),
		MaxPerHour: some("max per hour", -500_000, 500_000), MaxPerDay: some("max per day", -1_000_000, 1_000_000),
		Countries: rapid.SampledFrom([]billing.Countries{"", "", "", "", "", "UA", "JM"}).Draw(rt, "countries"),
	}
	a, err := twice(y, rt, func() (billing.Account, error) { return y.house.setLimits(y.t, y.account, l), nil })
	if err != nil || a.Limits != l {
		rt.Fatalf("%+v, %v; want %+v", a, err, l)
	}
	y.limits = l
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
	moves, may := -b.Amount, y.free() >= b.Amount
	switch b.Kind {
	case billing.Refund, billing.Lapse:
		may = y.balance-y.held() >= b.Amount
	case billing.Goodwill:
		moves, may = b.Amount, true
	case billing.WriteOff:
		moves, may = b.Amount, -y.balance >= b.Amount
	}
	_, err := twice(y, rt, func() (billing.Account, error) { return y.Book(y.t.Context(), b) })
	switch {
	case err == nil && may:
		y.balance += moves
	case err == nil, may && !errors.Is(err, billing.ErrFunds), !may && !errors.Is(err, billing.ErrInsufficientCredit) && !errors.Is(err, billing.ErrNotOwed):
		rt.Fatalf("%s of %s, with balance %s, held %s: %v", b.Kind, b.Amount, y.balance, y.held(), err)
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
	if rapid.Bool().Draw(rt, "access costs") {
		r = over(y.t, r, rapid.Bool().Draw(rt, "passed on"))
	}
	r.Number = rapid.SampledFrom(slices.Sorted(maps.Keys(modelCountries))).Draw(rt, "number")
	want, refused := y.model.authorise(r)
	hold, err := twice(y, rt, func() (billing.Hold, error) { return y.Authorise(y.t.Context(), r) })
	if !errors.Is(err, refused) || hold != want {
		rt.Fatalf("%+v, %v; want %+v, %v", hold, err, want, refused)
	}
	if err != nil {
		return
	}
	quote := modelQuote(r)
	y.running[r.Call] = &modelCall{hold: hold, quote: quote, limit: r.CallLimit}
	if price, err := quote.Price(hold.Seconds); err != nil || price > hold.Amount || hold.Seconds < 1 || hold.Seconds > r.CallLimit {
		rt.Fatalf("hold %+v, its seconds cost %s, %v", hold, price, err)
	}
}

func (y *history) extend(rt *rapid.T) {
	call := y.running[y.one(rt)]
	want, err := y.model.extend(call)
	if err != nil {
		rt.Fatal(err)
	}
	hold, err := twice(y, rt, func() (billing.Hold, error) { return y.Extend(y.t.Context(), call.hold.Call) })
	if err != nil || hold != want || hold.Amount < call.hold.Amount || hold.Seconds < call.hold.Seconds {
		rt.Fatalf("%+v, %v; want %+v; it was %+v", hold, err, want, call.hold)
	}
	call.hold = hold
}

func (y *history) alive(rt *rapid.T) {
	answered := time.Duration(rapid.Int64Range(0, 700_000).Draw(rt, "ms")) * time.Millisecond
	sign := billing.Sign{
		Call: y.one(rt), Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: time.Now().Add(-answered), Answered: answered,
	}
	if err := y.Alive(y.t.Context(), []billing.Sign{sign}); err != nil {
		rt.Fatal(err)
	}
	if c := y.running[sign.Call]; c.answered.IsZero() {
		c.answered = sign.AnsweredAt.Truncate(time.Microsecond)
	}
}

// settle ends a call, perhaps long ago: its end was in the spool.
func (y *history) settle(rt *rapid.T) {
	call := y.one(rt)
	st := settlement(call, time.Duration(rapid.Int64Range(0, 700_000).Draw(rt, "ms"))*time.Millisecond)
	ago := time.Duration(rapid.SampledFrom([]int{0, 30, 90, 25 * 60}).Draw(rt, "minutes ago")) * time.Minute
	st.Ended = st.Ended.Add(-ago)
	if !st.AnsweredAt.IsZero() {
		st.AnsweredAt = st.AnsweredAt.Add(-ago)
	}
	if _, err := twice(y, rt, func() (bool, error) { return true, y.Settle(y.t.Context(), st) }); err != nil {
		rt.Fatal(err)
	}
	y.over(rt, call)
}

// release closes a call that was authorised without its exchange having heard of it.
func (y *history) release(rt *rapid.T) {
	call := y.one(rt)
	c := billing.Closing{Origin: request(y.account, 1).Origin, Account: y.account, Ended: time.Now(), Outcome: billing.Unavailable}
	c.Call = call
	if _, err := twice(y, rt, func() (bool, error) { return true, y.Close(y.t.Context(), c) }); err != nil {
		rt.Fatal(err)
	}
	y.over(rt, call)
}

// refund takes the entry of a call back. What the call cost counts as spent all the same.
func (y *history) refund(rt *rapid.T) {
	if len(y.ended) == 0 {
		rt.Skip("nothing was charged")
	}
	c := y.ended[0]
	_, err := twice(y, rt, func() (uuid.UUID, error) {
		var id uuid.UUID
		err := postgres.InTx(y.t.Context(), y.db, func(tx *sqlx.Tx) (err error) {
			id, err = ledger.Reverse(y.t.Context(), tx, ledger.Reversal{Entry: *c.Entry, Reason: "Refund", Actor: "test", At: time.Now()})
			return err
		})
		return id, err
	})
	if err != nil {
		rt.Fatal(err)
	}
	y.ended, y.balance = y.ended[1:], y.balance+c.Price
}

// start is a new run of the program.
func (y *history) start(rt *rapid.T) {
	y.house = onDatabase(y.t, y.db, y.spool, "node-1")
	if err := y.Claim(y.t.Context()); err != nil {
		rt.Fatal(err)
	}
}

// crash is the end of the program with all its calls, and its next start.
func (y *history) crash(rt *rapid.T) {
	y.Release()
	y.start(rt)
	n, err := y.Resolve(y.t.Context())
	if err != nil || n != len(y.running) {
		rt.Fatalf("%d calls resolved, %v; %d ran", n, err, len(y.running))
	}
	for call := range y.running {
		y.over(rt, call)
	}
}

// over checks what a call that has ended cost.
func (y *history) over(rt *rapid.T, call billing.CallID) {
	ran := y.running[call]
	c, err := y.Call(y.t.Context(), call)
	if err != nil || c.EndedAt == nil || c.Price > ran.hold.Amount {
		rt.Fatalf("%+v, %v; held was %+v", c, err, ran.hold)
	}
	var answered time.Time
	if c.AnsweredAt != nil {
		answered = *c.AnsweredAt
	}
	row := ran.quote.Answered(answered)
	if price, err := row.Price(c.AnsweredSeconds); err != nil || price != c.Price || c.AnsweredSeconds > row.Affordable(ran.hold.Amount, 600) {
		rt.Fatalf("%+v; by the row of its answer it costs %s, %v; held was %+v", c, price, err, ran.hold)
	}
	delete(y.running, call)
	y.balance -= c.Price
	y.charges = append(y.charges, modelCharge{*c.EndedAt, c.Price})
	if c.Price > 0 {
		y.ended = append(y.ended, c)
	}
}

func (y *history) check(rt *rapid.T) {
	y.wantBooks(y.t)
	y.wantAccount(y.t, y.account, y.balance, y.held())
	if y.t.Failed() {
		rt.Fatal("the books are wrong")
	}
}
