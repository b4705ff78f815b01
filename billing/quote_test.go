package billing_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// priced reads what a closed call was priced by.
func (h house) priced(t *testing.T, call billing.CallID) (rate tariff.Row, price money.Amount) {
	t.Helper()
	row := h.db.QueryRowContext(t.Context(), `SELECT retail_rate->>'deck', retail_rate->>'rate_per_minute', price FROM call WHERE id = $1`, call)
	var perMinute string
	if err := row.Scan(&rate.Deck, &perMinute, &price); err != nil {
		t.Fatal(err)
	}
	var err error
	if rate.RatePerMinute, err = money.Parse(perMinute); err != nil {
		t.Fatal(err)
	}
	return rate, price
}

// atTen is a call authorised at two seconds to ten, when another row comes into force.
func atTen(account string, limit int, later money.Amount) (r billing.Request, ten time.Time) {
	ten = time.Date(2027, 6, 1, 10, 0, 0, 0, time.UTC)
	r = request(account, limit)
	r.Started = ten.Add(-2 * time.Second)
	next := minute
	next.RatePerMinute, next.Deck = later, "retail@2"
	r.Later = []tariff.Later{{From: ten, Row: next}}
	return r, ten
}

// A call is priced by the row in force when it was answered, and holds what the dearer of the possible rows asks.
func TestAnswerDecidesThePrice(t *testing.T) {
	h := newHouse(t)
	for i, c := range []struct {
		proves   string
		later    money.Amount // a minute, from ten on; before it is 0.06
		credit   money.Amount
		answered time.Duration // after ten
		crash    bool          // settled by its last sign of life
		held     money.Amount
		seconds  int
		deck     string
		price    money.Amount // of a minute
	}{
		{"dearer at ten, answered before", 120_000, 10 * money.Cent, -time.Nanosecond, false, 10 * money.Cent, 50, "retail@1", 6 * money.Cent},
		{"dearer at ten, answered at ten sharp", 120_000, 20 * money.Cent, 0, false, 20 * money.Cent, 100, "retail@2", 12 * money.Cent},
		{"cheaper at ten, answered before: the dear row", 30_000, 10 * money.Cent, -time.Second, false, 10 * money.Cent, 100, "retail@1", 6 * money.Cent},
		{"cheaper at ten, answered after", 30_000, 10 * money.Cent, time.Second, false, 10 * money.Cent, 100, "retail@2", 3 * money.Cent},
		{"never more than is held", 600_000, 10 * money.Cent, time.Second, false, 10 * money.Cent, 10, "retail@2", 10 * money.Cent},
		{"after a crash, answered before", 120_000, 20 * money.Cent, -time.Nanosecond, true, 20 * money.Cent, 100, "retail@1", 6 * money.Cent},
		{"after a crash, answered after", 120_000, 20 * money.Cent, 0, true, 20 * money.Cent, 100, "retail@2", 12 * money.Cent},
		{"the hold is that of the dearer row for the call limit", 120_000, money.Unit, time.Second, false, 60 * money.Cent, 300, "retail@2", 12 * money.Cent},
	} {
		account := fmt.Sprintf("ana-%d", i)
		h.account(t, account, c.credit)
		r, ten := atTen(account, 300, c.later)
		for range 2 { // repeated, it is the same hold
			hold, err := h.Authorise(t.Context(), r)
			if err != nil || hold.Amount != c.held || hold.Seconds != c.seconds {
				t.Errorf("%s: hold %+v, %v; want %s for %d s", c.proves, hold, err, c.held, c.seconds)
			}
		}
		at := ten.Add(c.answered)
		if c.crash {
			sign := billing.Sign{Call: r.Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: at, Answered: time.Minute}
			if err := h.Alive(t.Context(), []billing.Sign{sign}); err != nil {
				t.Fatal(err)
			}
			h.Release()
			h = onDatabase(t, h.db, h.spool, "node-1")
			h.claim(t)
			if n, err := h.Resolve(t.Context()); err != nil || n != 1 {
				t.Fatalf("%s: resolved %d, %v", c.proves, n, err)
			}
		} else {
			st := settlement(r.Call, time.Minute)
			st.AnsweredAt, st.Ended = at, at.Add(time.Minute)
			for range 2 {
				if err := h.Settle(t.Context(), st); err != nil {
					t.Fatalf("%s: %v", c.proves, err)
				}
			}
		}
		rate, price := h.priced(t, r.Call)
		if rate.Deck != c.deck || price != c.price {
			t.Errorf("%s: %s by %s, want %s by %s", c.proves, price, rate.Deck, c.price, c.deck)
		}
		h.wantAccount(t, account, c.credit-c.price, 0)
	}
	h.wantBooks(t)
}

// Once it is known when the call was answered, the credit buys what it buys at that row.
func TestExtendKnowsTheAnswer(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 10*money.Cent)
	r, ten := atTen("ana", 300, 600_000)
	hold, err := h.Authorise(t.Context(), r)
	if err != nil || hold.Seconds != 10 {
		t.Fatalf("%+v, %v; want 10 seconds", hold, err)
	}
	if hold, err = h.Extend(t.Context(), r.Call); err != nil || hold.Seconds != 10 {
		t.Errorf("before the answer: %+v, %v; want 10 seconds", hold, err)
	}
	sign := billing.Sign{Call: r.Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: ten.Add(-1), Answered: time.Second}
	if err := h.Alive(t.Context(), []billing.Sign{sign}); err != nil {
		t.Fatal(err)
	}
	if hold, err = h.Extend(t.Context(), r.Call); err != nil || hold.Seconds != 100 || hold.Amount != 10*money.Cent {
		t.Errorf("answered at the cheap rate: %+v, %v; want 100 seconds", hold, err)
	}
	st := settlement(r.Call, 100*time.Second)
	st.AnsweredAt = ten.Add(-1)
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	h.wantAccount(t, "ana", 0, 0)
}

// However rates change: the call costs what its row says for the seconds granted or less, never more than is held.
func TestQuotesAreHeldFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) tariff.Row {
			r := minute
			r.RatePerMinute = money.Amount(rapid.Int64Range(0, 2_000_000).Draw(t, name+" rate"))
			r.ConnectFee = money.Amount(rapid.Int64Range(0, 200_000).Draw(t, name+" fee"))
			r.IntervalFirst = rapid.SampledFrom([]int{1, 30, 60}).Draw(t, name+" first")
			r.GraceSeconds = rapid.IntRange(0, 5).Draw(t, name+" grace")
			return r
		}
		ten := time.Date(2027, 6, 1, 10, 0, 0, 0, time.UTC)
		q := tariff.Quote{Row: draw("now")}
		for i := range rapid.IntRange(0, 3).Draw(t, "changes") {
			q.Later = append(q.Later, tariff.Later{From: ten.Add(time.Duration(i) * time.Minute), Row: draw("later")})
		}
		limit := rapid.IntRange(1, 600).Draw(t, "limit")
		amount := money.Amount(rapid.Int64Range(0, 5_000_000).Draw(t, "credit"))
		most, err := q.Price(limit)
		if err != nil {
			t.Fatal(err)
		}
		amount = min(amount, most)
		seconds := q.Affordable(amount, limit)
		row := q.At(ten.Add(time.Duration(rapid.IntRange(-60, 300).Draw(t, "answered")) * time.Second))
		price, err := row.Price(seconds)
		if err != nil || price > amount {
			t.Fatalf("%d s cost %s, %v; held %s", seconds, price, err, amount)
		}
		if amount == most && seconds != limit {
			t.Fatalf("the price of %d s buys %d", limit, seconds)
		}
		if least, err := q.Price(min(q.FirstPaidSecond(), limit)); err != nil || amount >= least && seconds < min(row.FirstPaidSecond(), limit) {
			t.Fatalf("%s is not less than %s, %v, and buys %d s", amount, least, err, seconds)
		}
		perMinute, fee := q.Told()
		if row.RatePerMinute > perMinute || row.ConnectFee > fee {
			t.Fatalf("told %s and %s, charged %+v", perMinute, fee, row)
		}
	})
}
