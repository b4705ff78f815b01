package billing_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(racerDSN); dsn != "" {
		if err := runAsRacer(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(pgtest.Main(m))
}

// minute is 0.06 a minute by seconds: 1 cent buys ten seconds, 6 cents exactly one minute.
var minute = tariff.Row{
	Prefix: "380", Destination: "Ukraine", RatePerMinute: 60_000, IntervalFirst: 1, IntervalNext: 1,
	RoundingUnit: 100, RoundingMode: money.Up, Deck: "retail@1", Currency: "EUR",
}

// wholesale is what the carrier asks for.
var wholesale = tariff.Row{
	Prefix: "380", RatePerMinute: 30_000, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: 1, RoundingMode: money.HalfUp,
	Deck: "T1@1", Currency: "EUR",
}

// A house is a service on a database of its own.
type house struct {
	*billing.Service
	db    *sqlx.DB
	spool string
}

func newHouse(t *testing.T) house {
	t.Helper()
	return onDatabase(t, pgtest.New(t), t.TempDir(), "node-1")
}

// onDatabase is another run of a program on the same database.
func onDatabase(t *testing.T, db *sqlx.DB, spool, node string) house {
	t.Helper()
	return whileRecovering(t, db, spool, node, nil)
}

// whileRecovering is that, with an engine whose calls may go on.
func whileRecovering(t *testing.T, db *sqlx.DB, spool, node string, recovering <-chan struct{}) house {
	t.Helper()
	s := billing.New(db, billing.Options{
		Key: []byte("a secret of thirty-two bytes ...."), Node: node, Boot: uuid.New(), Spool: spool, Recovering: recovering,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	billing.Hurry(s)
	return house{s, db, spool}
}

// claim makes it the only program of its node.
func (h house) claim(t *testing.T) {
	t.Helper()
	if err := h.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Release)
}

// account opens an account with some credit.
func (h house) account(t *testing.T, code string, credit money.Amount) {
	t.Helper()
	h.limited(t, code, credit, billing.Limits{})
}

// limited opens an account with some credit and limits.
func (h house) limited(t *testing.T, code string, credit money.Amount, limits billing.Limits) {
	t.Helper()
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: code, Limits: limits}); err != nil {
		t.Fatal(err)
	}
	if credit > 0 {
		if _, err := h.TopUp(t.Context(), billing.TopUp{Account: code, Amount: credit}); err != nil {
			t.Fatal(err)
		}
	}
}

func request(account string, limit int) billing.Request {
	return billing.Request{
		Origin: billing.Origin{
			Call: uuid.Must(uuid.NewV7()), AccessCall: uuid.Must(uuid.NewV7()), Provider: "P1",
			AccessNumber: "+4930123456", Caller: "+49151234567", Started: time.Now(),
		},
		Account: account, Number: "+380441234567", Rate: minute, CallLimit: limit,
	}
}

// settlement is the end of a call that was answered for some time, or never.
func settlement(call billing.CallID, answered time.Duration) billing.Settlement {
	st := billing.Settlement{
		Call: call, Trunk: "T1", Carrier: "K1", Ended: time.Now(), Outcome: billing.NotAnswered, SIP: 480, Q850: 19,
	}
	if answered > 0 {
		st.Cost, st.AnsweredAt, st.Answered = wholesale, st.Ended.Add(-answered), answered
		st.Outcome, st.SIP, st.Q850 = billing.Answered, 200, 16
	}
	return st
}

// wantAccount checks balance and held.
func (h house) wantAccount(t *testing.T, code string, balance, held money.Amount) {
	t.Helper()
	a, err := h.Account(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	if a.Balance != balance || a.Held != held {
		t.Errorf("%s has balance %s, held %s; want %s, %s", code, a.Balance, a.Held, balance, held)
	}
}

// wantBooks checks what must hold of the books at any time: each book sums to zero, and what accounts and holds say is
// what the entries and the running calls say.
func (h house) wantBooks(t *testing.T) {
	t.Helper()
	trial, err := ledger.Trial(t.Context(), h.db, ledger.TrialFilter{})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]money.Amount{}
	for _, l := range trial {
		sums[l.Book] += l.Balance
	}
	for book, sum := range sums {
		if sum != 0 {
			t.Errorf("book %s is off by %s", book, sum)
		}
	}
	var wrong []struct {
		Account       string
		Balance, Held money.Amount
		Ledger, Holds money.Amount
		CreditLimit   money.Amount `db:"credit_limit"`
	}
	err = h.db.SelectContext(t.Context(), &wrong, `
		SELECT b.account, b.balance, b.held, b.credit_limit, l.sum AS ledger, h.sum AS holds
		FROM balance b JOIN account a ON b.account = '2100:' || a.code,
		    LATERAL (SELECT COALESCE(-sum(amount), 0)::bigint AS sum FROM line WHERE book = b.book AND account = b.account) l,
		    LATERAL (SELECT COALESCE(sum(amount), 0)::bigint AS sum FROM hold WHERE account = a.code) h
		WHERE b.balance <> l.sum OR b.held <> h.sum OR b.balance - b.held < -b.credit_limit`)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Errorf("account is not what the books and holds say: %+v", w)
	}
}

func (h house) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	if err := h.db.GetContext(t.Context(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

// authorised gives calls of an account that hold a minute each.
func authorised(t *testing.T, h house, account string, calls int) []billing.Request {
	t.Helper()
	requests := make([]billing.Request, calls)
	for i := range requests {
		requests[i] = request(account, 60)
		if _, err := h.Authorise(t.Context(), requests[i]); err != nil {
			t.Fatal(err)
		}
	}
	return requests
}
