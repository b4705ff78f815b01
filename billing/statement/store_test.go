package statement_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const vat = 19_000_000

// retail is what callers pay: six-second steps, the first three seconds are free.
var retail = tariff.Row{
	Prefix: "380", Destination: "Ukraine", RatePerMinute: 60_000, IntervalFirst: 6, IntervalNext: 6, GraceSeconds: 3,
	RoundingUnit: 100, RoundingMode: money.Up, Deck: "retail@1", Currency: "EUR",
}

var wholesale = tariff.Row{
	Prefix: "380", RatePerMinute: 30_000, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: 1, RoundingMode: money.HalfUp,
	Deck: "alpha@1", Currency: "EUR",
}

// late is an instant after all that happens in these tests.
var late = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// house is a service on a database of its own, in Berlin.
type house struct {
	*billing.Service
	db *sqlx.DB
}

func newHouse(t *testing.T, accounts ...string) house {
	t.Helper()
	db := pgtest.New(t)
	h := house{billing.New(db, billing.Options{
		Key: []byte("a key of at least sixteen bytes"), Node: "node-1", Boot: uuid.New(), Spool: t.TempDir(),
	}), db}
	must(t, h.SetZone(t.Context(), "Europe/Berlin"))
	for _, code := range accounts {
		_, err := h.AddAccount(t.Context(), billing.NewAccount{Code: code, Name: strings.ToUpper(code)})
		must(t, err)
	}
	return h
}

// fatal is what testing.T and rapid.T have in common.
type fatal interface {
	Helper()
	Fatal(args ...any)
}

func must(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func instant(t fatal, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	must(t, err)
	return at
}

func (h house) topUp(t *testing.T, tt fatal, account string, at time.Time, amount money.Amount) {
	tt.Helper()
	must(tt, postgres.InTx(t.Context(), h.db, func(tx *sqlx.Tx) error {
		_, err := ledger.Post(t.Context(), tx, ledger.Entry{
			Key: uuid.NewString(), Kind: "topup", Text: "Top-up " + account, Actor: "till", At: at,
			Lines: billing.TopUpLines("CALL", account, amount),
		})
		return err
	}))
}

// call makes a call that ends at an instant; answered 0 is nobody answered.
func (h house) call(t *testing.T, tt fatal, account string, ended time.Time, answered time.Duration) billing.CallID {
	tt.Helper()
	id := h.begin(t, tt, account, ended.Add(-answered-10*time.Second))
	st := billing.Settlement{Call: id, Trunk: "alpha", Carrier: "acme", Ended: ended, Outcome: billing.Busy, SIP: 486, Q850: 17}
	if answered > 0 {
		st.Cost, st.AnsweredAt, st.Answered = wholesale, ended.Add(-answered), answered
		st.Outcome, st.SIP, st.Q850 = billing.Answered, 200, 16
	}
	must(tt, h.Settle(t.Context(), st))
	return id
}

// begin makes a call that runs.
func (h house) begin(t *testing.T, tt fatal, account string, started time.Time) billing.CallID {
	tt.Helper()
	id := uuid.Must(uuid.NewV7())
	_, err := h.Authorise(t.Context(), billing.Request{
		Origin: billing.Origin{
			Call: id, AccessCall: uuid.Must(uuid.NewV7()), Provider: "pstn", AccessNumber: "+49305550100",
			Caller: "+4915112345678", Started: started,
		},
		Account: account, Number: "+380441234567", Rate: retail, VAT: vat, CallLimit: 300,
	})
	must(tt, err)
	return id
}

func (h house) statement(t *testing.T, tt fatal, account, period string) statement.Statement {
	tt.Helper()
	p, err := statement.ParsePeriod(period)
	must(tt, err)
	s, err := statement.Make(t.Context(), h.db, account, p, late)
	must(tt, err)
	return s
}

// ledgerBalance is what the books say that the account has at the end of a day.
func (h house) ledgerBalance(t *testing.T, tt fatal, account string, day ledger.Date) money.Amount {
	tt.Helper()
	lines, err := ledger.Trial(t.Context(), h.db, ledger.TrialFilter{Book: "CALL", At: day})
	must(tt, err)
	for _, l := range lines {
		if l.Account == "2100:"+account {
			return -l.Balance
		}
	}
	return 0
}

func TestMake(t *testing.T) {
	h := newHouse(t, "anna", "bert")
	h.topUp(t, t, "anna", instant(t, "2027-05-31T21:59:59Z"), 10*money.Unit) // the last second of May in Berlin
	h.topUp(t, t, "anna", instant(t, "2027-05-31T22:00:00Z"), 5*money.Unit)  // the first of June
	h.topUp(t, t, "bert", instant(t, "2027-06-10T12:00:00Z"), 7*money.Unit)
	paid := h.call(t, t, "anna", instant(t, "2027-06-14T08:00:00Z"), 61*time.Second)
	busy := h.call(t, t, "anna", instant(t, "2027-06-14T09:00:00Z"), 0)
	free := h.call(t, t, "anna", instant(t, "2027-06-15T08:00:00Z"), 3*time.Second) // within grace, costs the house
	h.call(t, t, "bert", instant(t, "2027-06-15T09:00:00Z"), time.Minute)
	// Begun in June, ended in July: a call of July.
	midnight := h.call(t, t, "anna", instant(t, "2027-06-30T22:00:30Z"), time.Minute)
	h.call(t, t, "anna", instant(t, "2027-06-30T22:30:00Z"), 0)
	h.begin(t, t, "anna", instant(t, "2027-06-20T08:00:00Z")) // runs for ever
	none := uuid.Must(uuid.NewV7())
	must(t, h.Close(t.Context(), billing.Closing{
		Origin:  billing.Origin{Call: none, AccessCall: uuid.New(), Started: instant(t, "2027-06-21T08:00:00Z")},
		Account: "anna", Ended: instant(t, "2027-06-21T08:00:20Z"), Outcome: billing.NoNumber,
	}))

	s := h.statement(t, t, "anna", "2027-06")
	if s.Holder != "ANNA" || s.Enterprise != "Long-distance calls" || s.Currency != "EUR" || s.Zone != "Europe/Berlin" || s.AsOf != nil {
		t.Errorf("head %+v", s)
	}
	if s.Opening != 10*money.Unit || s.Totals.Bookings != 5*money.Unit || len(s.Bookings) != 1 {
		t.Errorf("opening %s, bookings %+v", s.Opening, s.Bookings)
	}
	if len(s.Calls) != 2 || s.Calls[0].ID != paid || s.Calls[1].ID != free {
		t.Fatalf("calls %+v", s.Calls)
	}
	c := s.Calls[0]
	// 61 s are 66 s billed: 0.066, of which 19/119 VAT; the carrier gets 61 s at 0.03 a minute.
	want := statement.Money{Price: 66_000, VAT: 10_538, CarrierCost: 30_500, Enterprise: 66_000 - 10_538 - 30_500}
	if c.Money != want || c.AnsweredSeconds != 61 || c.BilledSeconds != 66 || c.Trunk != "alpha" || c.Destination != "Ukraine" ||
		c.Number != "+380441234567" || c.Rate != retail || c.Entry == nil {
		t.Errorf("call %+v", c)
	}
	if got := c.StartedAt.Format(time.RFC3339); got != "2027-06-14T09:58:49+02:00" {
		t.Errorf("started %s", got)
	}
	if loss := s.Calls[1].Money; loss != (statement.Money{CarrierCost: 1_500, Enterprise: -1_500}) {
		t.Errorf("the free call: %+v", loss)
	}
	if len(s.Attempts) != 2 || s.Attempts[0].ID != busy || s.Attempts[0].Outcome != billing.Busy ||
		s.Attempts[1].ID != none || s.Attempts[1].Outcome != billing.NoNumber {
		t.Errorf("attempts %+v", s.Attempts)
	}
	if s.Closing != 10*money.Unit+5*money.Unit-66_000 || s.Closing != h.ledgerBalance(t, t, "anna", "2027-06-30") {
		t.Errorf("closing %s, the books say %s", s.Closing, h.ledgerBalance(t, t, "anna", "2027-06-30"))
	}
	first, err := json.Marshal(s)
	must(t, err)
	if again, err := json.Marshal(h.statement(t, t, "anna", "2027-06")); err != nil || string(again) != string(first) {
		t.Errorf("made twice, it differs: %s, %s", first, again)
	}
	july := h.statement(t, t, "anna", "2027-07")
	if july.Opening != s.Closing || len(july.Calls) != 1 || july.Calls[0].ID != midnight || len(july.Attempts) != 1 {
		t.Errorf("July %+v", july)
	}
	empty := h.statement(t, t, "anna", "2020-01")
	if empty.Opening != 0 || empty.Closing != 0 || len(empty.Calls)+len(empty.Bookings)+len(empty.Attempts) != 0 {
		t.Errorf("a month before the account: %+v", empty)
	}
}

// A call that ends while the statement is made is on it with its price, or not at all.
func TestMakeSeesOneMoment(t *testing.T) {
	h := newHouse(t, "anna")
	h.topUp(t, t, "anna", instant(t, "2027-06-01T12:00:00Z"), 100*money.Unit)
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for i := range 60 {
			at := instant(t, "2027-06-14T08:00:00Z").Add(time.Duration(i) * time.Minute)
			id := uuid.Must(uuid.NewV7())
			_, err := h.Authorise(t.Context(), billing.Request{
				Origin: billing.Origin{Call: id, AccessCall: id, Started: at}, Account: "anna", Number: "+380441234567",
				Rate: retail, CallLimit: 60,
			})
			if err == nil {
				err = h.Settle(t.Context(), billing.Settlement{
					Call: id, Trunk: "alpha", Carrier: "acme", Cost: wholesale, AnsweredAt: at, Answered: time.Minute,
					Ended: at.Add(time.Minute), Outcome: billing.Answered,
				})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		h.statement(t, t, "anna", "2027-06")
	}
	if s := h.statement(t, t, "anna", "2027-06"); len(s.Calls) != 60 {
		t.Errorf("%d calls, want 60", len(s.Calls))
	}
}

func TestVouchersAreOnTheBill(t *testing.T) {
	h := newHouse(t, "anna", "bert")
	before := time.Now()
	_, err := h.TopUp(t.Context(), billing.TopUp{Account: "anna", Amount: 10 * money.Unit, Text: "till 14"})
	must(t, err)
	v, err := h.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "anna", Amount: 4 * money.Unit})
	must(t, err)
	_, err = h.RedeemVoucher(t.Context(), v.Number, "bert", "")
	must(t, err)
	berlin, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	period := statement.PeriodOf(before.In(berlin))
	if statement.PeriodOf(time.Now().In(berlin)) != period {
		t.Skip("the month ended while the test ran")
	}
	for account, want := range map[string]string{"anna": "-4.00", "bert": "4.00"} {
		s, err := statement.Make(t.Context(), h.db, account, period, time.Now())
		must(t, err)
		if s.AsOf == nil {
			t.Errorf("%s: the month is not over, and the statement does not say when it was made", account)
		}
		if last := s.Bookings[len(s.Bookings)-1]; last.Amount.String() != want || !strings.HasPrefix(last.Kind, "voucher") {
			t.Errorf("%s: %+v, want %s", account, last, want)
		}
		if now := h.ledgerBalance(t, t, account, ""); s.Closing != now {
			t.Errorf("%s: closing %s, the books say %s", account, s.Closing, now)
		}
	}
}

func TestPeriods(t *testing.T) {
	h := newHouse(t, "anna", "bert")
	// The first entry counts in June, in Berlin; the account itself is opened when the test runs.
	h.topUp(t, t, "anna", instant(t, "2025-05-31T22:00:00Z"), money.Unit)
	periods, err := statement.Periods(t.Context(), h.db, "anna", instant(t, "2030-01-31T23:30:00Z"))
	must(t, err)
	if first, last := periods[0], periods[len(periods)-1]; first.String() != "2030-02" || last.String() != "2025-06" || len(periods) != 57 {
		t.Errorf("%d months from %s back to %s", len(periods), first, last)
	}
	now := time.Now()
	if periods, err := statement.Periods(t.Context(), h.db, "bert", now); err != nil || len(periods) != 1 {
		t.Errorf("of a new account: %v, %v", periods, err)
	}
	if _, err := statement.Periods(t.Context(), h.db, "nobody", now); !errors.Is(err, billing.ErrNotFound) {
		t.Errorf("of nobody: %v, want ErrNotFound", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	h := newHouse(t, "anna")
	june, err := statement.ParsePeriod("2027-06")
	must(t, err)
	for _, code := range []string{"", "nobody", "anna'; DROP TABLE call; --", "ANNA"} {
		if _, err := statement.Make(t.Context(), h.db, code, june, late); !errors.Is(err, billing.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", code, err)
		}
	}
	h.topUp(t, t, "anna", instant(t, "2027-06-01T12:00:00Z"), money.Unit)
	id := h.call(t, t, "anna", instant(t, "2027-06-14T08:00:00Z"), time.Minute)
	if _, err := h.db.ExecContext(t.Context(), `UPDATE call SET price = price + 1 WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
	if _, err := statement.Make(t.Context(), h.db, "anna", june, late); !errors.Is(err, statement.ErrBooks) {
		t.Errorf("a call that is not what the books say: %v, want ErrBooks", err)
	}
}

// Whatever happened, each month leads to the next, the ends are the books' own, and no call is lost or told twice.
func TestMonthsTieToTheBooks(t *testing.T) {
	h := newHouse(t)
	begin := instant(t, "2027-04-30T21:00:00Z")
	rapid.Check(t, func(rt *rapid.T) {
		account := "a" + uuid.NewString()[:8]
		_, err := h.AddAccount(t.Context(), billing.NewAccount{Code: account})
		must(rt, err)
		h.topUp(t, rt, account, begin, 50*money.Unit)
		calls := 0
		for range rapid.IntRange(0, 6).Draw(rt, "events") {
			at := begin.Add(time.Duration(rapid.IntRange(0, 93*24*60).Draw(rt, "minute")) * time.Minute)
			if rapid.Bool().Draw(rt, "is call") {
				h.call(t, rt, account, at, time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds"))*time.Second)
				calls++
			} else {
				h.topUp(t, rt, account, at, money.Cent*money.Amount(rapid.IntRange(1, 1000).Draw(rt, "cents")))
			}
		}
		var balance money.Amount
		for _, m := range []struct {
			period string
			last   ledger.Date
		}{{"2027-04", "2027-04-30"}, {"2027-05", "2027-05-31"}, {"2027-06", "2027-06-30"}, {"2027-07", "2027-07-31"}, {"2027-08", "2027-08-31"}} {
			s := h.statement(t, rt, account, m.period)
			if s.Opening != balance || s.Closing != h.ledgerBalance(t, rt, account, m.last) {
				rt.Fatalf("%s leads from %s to %s; before it %s, the books say %s",
					m.period, s.Opening, s.Closing, balance, h.ledgerBalance(t, rt, account, m.last))
			}
			if m := s.Totals.Money; m.Price != m.CarrierCost+m.VAT+m.Enterprise {
				rt.Fatalf("the price does not go anywhere: %+v", m)
			}
			balance = s.Closing
			calls -= len(s.Calls) + len(s.Attempts)
		}
		if calls != 0 {
			rt.Fatalf("%d calls are on no statement, or on two", calls)
		}
	})
}
