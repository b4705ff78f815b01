package billing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// Each row asks for a minute of 0.06 on an account with a credit of 1.00, and with limits.
func TestLimits(t *testing.T) {
	const cent = money.Cent
	fee, free := minute, minute
	fee.ConnectFee, free.RatePerMinute = 50*cent, 0
	dearer := minute
	dearer.RatePerMinute = 7 * cent
	spent := func(ago time.Duration) func(*testing.T, house, string) { // 0.05
		return func(t *testing.T, h house, code string) {
			t.Helper()
			h.spend(t, code, 50*time.Second, ago)
		}
	}
	running := func(seconds int) func(*testing.T, house, string) {
		return func(t *testing.T, h house, code string) {
			t.Helper()
			if _, err := h.Authorise(t.Context(), request(code, seconds)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := newHouse(t)
	for i, tt := range []struct {
		proves  string
		limits  billing.Limits
		before  func(t *testing.T, h house, code string)
		ask     func(r *billing.Request)
		amount  money.Amount
		limited bool // by what may be spent
		err     error
	}{
		{"the first call at once", billing.Limits{MaxCalls: 1}, nil, nil, 6 * cent, false, nil},
		{"the second", billing.Limits{MaxCalls: 1}, running(10), nil, 0, false, billing.ErrTooManyCalls},
		{"the second of two", billing.Limits{MaxCalls: 2}, running(10), nil, 6 * cent, false, nil},
		{"a call that is over is none at once", billing.Limits{MaxCalls: 1}, spent(0), nil, 6 * cent, false, nil},

		{"a minute at the limit", billing.Limits{MaxRate: 6 * cent}, nil, nil, 6 * cent, false, nil},
		{"a minute above it", billing.Limits{MaxRate: 6*cent - 1}, nil, nil, 0, false, billing.ErrTooDear},
		{
			"the connection is no part of a minute",
			billing.Limits{MaxRate: 6 * cent},
			nil,
			func(r *billing.Request) { r.Rate = fee }, 56 * cent, false, nil,
		},
		{
			"a row that may come to price it is dearer",
			billing.Limits{MaxRate: 6 * cent},
			nil,
			func(r *billing.Request) { r.Later = []tariff.Later{{From: time.Now().Add(time.Minute), Row: dearer}} },
			0, false, billing.ErrTooDear,
		},

		{"the hour leaves all that is asked", billing.Limits{MaxPerHour: 11 * cent}, spent(0), nil, 6 * cent, false, nil},
		{"the hour leaves a part", billing.Limits{MaxPerHour: 7 * cent}, spent(0), nil, 2 * cent, true, nil},
		{"the hour leaves nothing", billing.Limits{MaxPerHour: 5 * cent}, spent(0), nil, 0, false, billing.ErrSpendLimit},
		{"what is held is as good as spent", billing.Limits{MaxPerHour: 7 * cent}, running(50), nil, 2 * cent, true, nil},
		{"spent more than an hour ago", billing.Limits{MaxPerHour: 7 * cent}, spent(61 * time.Minute), nil, 6 * cent, false, nil},
		{"spent less than an hour ago", billing.Limits{MaxPerHour: 7 * cent}, spent(59 * time.Minute), nil, 2 * cent, true, nil},
		{"the day sees that hour", billing.Limits{MaxPerDay: 7 * cent}, spent(61 * time.Minute), nil, 2 * cent, true, nil},
		{"the day is over", billing.Limits{MaxPerDay: 7 * cent}, spent(24*time.Hour + time.Minute), nil, 6 * cent, false, nil},
		{"the lesser of hour and day", billing.Limits{MaxPerHour: 3 * cent, MaxPerDay: 7 * cent}, spent(2 * time.Hour), nil, 2 * cent, true, nil},
		{"the limit is beyond the credit", billing.Limits{MaxPerHour: 2 * money.Unit}, nil, func(r *billing.Request) { r.CallLimit = 7200 }, money.Unit, false, nil},
		{"the greatest limit there is", billing.Limits{MaxPerHour: math.MaxInt64, MaxPerDay: math.MaxInt64}, spent(0), nil, 6 * cent, false, nil},
		{
			"free calls are free",
			billing.Limits{MaxPerHour: 5 * cent, MaxRate: cent},
			spent(0),
			func(r *billing.Request) { r.Rate = free }, 0, false, nil,
		},
		{
			"no credit is no matter of the limit",
			billing.Limits{MaxPerHour: 5 * cent},
			spent(0),
			func(r *billing.Request) { r.Rate.ConnectFee = 2 * money.Unit }, 0, false, billing.ErrInsufficientCredit,
		},

		{"a country of the list", billing.Limits{Countries: "DE,UA"}, nil, nil, 6 * cent, false, nil},
		{"a country beside it", billing.Limits{Countries: "DE,PL"}, nil, nil, 0, false, billing.ErrCountryBarred},
		{
			"Jamaica is not the United States",
			billing.Limits{Countries: "US"},
			nil,
			func(r *billing.Request) { r.Number = "+18765230123" }, 0, false, billing.ErrCountryBarred,
		},
		{
			"what never can be called comes first",
			billing.Limits{Countries: "DE", MaxCalls: 1, MaxRate: 1},
			running(10),
			nil, 0, false, billing.ErrCountryBarred,
		},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			code := fmt.Sprintf("acc-%d", i)
			h.limited(t, code, money.Unit, billing.Limits{})
			if tt.before != nil {
				tt.before(t, h, code)
			}
			h.setLimits(t, code, tt.limits)
			r := request(code, 60)
			if tt.ask != nil {
				tt.ask(&r)
			}
			for range 2 { // repeated, it is the same
				hold, err := h.Authorise(t.Context(), r)
				if !errors.Is(err, tt.err) || hold.Amount != tt.amount || hold.SpendLimited != tt.limited {
					t.Errorf("%+v, %v; want %s, %v", hold, err, tt.amount, tt.err)
				}
			}
			rows := h.count(t, `SELECT (SELECT count(*) FROM call WHERE id = $1) + (SELECT count(*) FROM hold WHERE call_id = $1)`, r.Call)
			if want := map[bool]int{true: 2, false: 0}[tt.err == nil]; rows != want {
				t.Errorf("%d rows of the call, want %d", rows, want)
			}
			h.wantBooks(t)
		})
	}
}

// spend makes a call of a cent for each ten seconds that ended some time ago.
func (h house) spend(t *testing.T, code string, answered, ago time.Duration) {
	t.Helper()
	r := request(code, 600)
	if _, err := h.Authorise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	st := settlement(r.Call, answered)
	st.AnsweredAt, st.Ended = st.AnsweredAt.Add(-ago), st.Ended.Add(-ago)
	if err := h.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
}

// setLimits gives an account these limits and no others.
func (h house) setLimits(t *testing.T, code string, l billing.Limits) billing.Account {
	t.Helper()
	a, err := h.SetAccount(t.Context(), code, billing.AccountChange{LimitsChange: billing.LimitsChange{
		MaxCalls: &l.MaxCalls, MaxRate: &l.MaxRate, MaxPerHour: &l.MaxPerHour, MaxPerDay: &l.MaxPerDay, Countries: &l.Countries,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A longer hold is no way around a limit, and a limit that is lowered takes nothing from calls that run.
func TestExtendWithinLimits(t *testing.T) {
	h := newHouse(t)
	h.limited(t, "ana", 2*money.Cent, billing.Limits{MaxPerHour: 5 * money.Cent, MaxCalls: 1, MaxRate: 6 * money.Cent})
	r := request("ana", 60)
	if hold, err := h.Authorise(t.Context(), r); err != nil || hold.Seconds != 20 || hold.SpendLimited {
		t.Fatalf("%+v, %v", hold, err)
	}
	if _, err := h.TopUp(t.Context(), billing.TopUp{Account: "ana", Amount: money.Unit}); err != nil {
		t.Fatal(err)
	}
	extend := func(seconds int, limited bool) {
		t.Helper()
		for range 2 {
			if hold, err := h.Extend(t.Context(), r.Call); err != nil || hold.Seconds != seconds || hold.SpendLimited != limited {
				t.Errorf("%+v, %v; want %d s, limited %t", hold, err, seconds, limited)
			}
		}
	}
	extend(50, true)
	h.setLimits(t, "ana", billing.Limits{MaxPerHour: money.Cent, MaxRate: 1})
	extend(50, true)
	h.setLimits(t, "ana", billing.Limits{})
	extend(60, false)
	h.wantAccount(t, "ana", money.Unit+2*money.Cent, 6*money.Cent)
	h.wantBooks(t)
}

func TestSetLimits(t *testing.T) {
	h := newHouse(t)
	want := billing.Limits{MaxCalls: 3, MaxRate: 15 * money.Cent, MaxPerHour: 5 * money.Unit, MaxPerDay: 20 * money.Unit, Countries: "DE,UA"}
	a, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "ana", Limits: want})
	if err != nil || a.Limits != want {
		t.Fatalf("%+v, %v", a, err)
	}
	out, err := json.Marshal(a)
	const fields = `{"code":"ana","name":"","balance":"0.00","held":"0.00","free":"0.00","limit":"0.00","currency":"EUR",` +
		`"blocked":false,"enterprise":"CALL","tariff":"retail","call_limit":7200,"max_calls":3,"max_rate":"0.15",` +
		`"max_per_hour":"5.00","max_per_day":"20.00","countries":["DE","UA"]}`
	if err != nil || string(out) != fields {
		t.Errorf("%s, %v; want %s", out, err, fields)
	}
	name, calls := "Ana", 4
	want.MaxCalls = calls
	for range 2 { // what is not given stays
		a, err = h.SetAccount(t.Context(), "ana", billing.AccountChange{Name: &name, LimitsChange: billing.LimitsChange{MaxCalls: &calls}})
		if err != nil || a.Limits != want || a.Name != name {
			t.Errorf("%+v, %v", a, err)
		}
	}
	if a := h.setLimits(t, "ana", billing.Limits{}); a.Limits != (billing.Limits{}) {
		t.Errorf("taken away: %+v", a)
	}
	negative, none, lower := money.Amount(-1), -1, billing.Countries("de")
	for what, c := range map[string]billing.LimitsChange{
		"calls": {MaxCalls: &none}, "rate": {MaxRate: &negative}, "hour": {MaxPerHour: &negative}, "day": {MaxPerDay: &negative},
	} {
		if _, err := h.SetAccount(t.Context(), "ana", billing.AccountChange{LimitsChange: c}); !errors.Is(err, billing.ErrLimit) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := h.SetAccount(t.Context(), "ana", billing.AccountChange{LimitsChange: billing.LimitsChange{Countries: &lower}}); !errors.Is(err, billing.ErrCountry) {
		t.Errorf("countries: %v", err)
	}
	if _, err := h.AddAccount(t.Context(), billing.NewAccount{Code: "bob", Limits: billing.Limits{MaxCalls: -1}}); !errors.Is(err, billing.ErrLimit) {
		t.Errorf("a new account: %v", err)
	}
	if a, err := h.Account(t.Context(), "ana"); err != nil || a.Limits != (billing.Limits{}) {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestParseCountries(t *testing.T) {
	for in, want := range map[string]billing.Countries{
		"DE": "DE", "ua,DE": "DE,UA", "DE, UA,de": "DE,UA", "XK": "XK",
		"": "", "DE,": "", "DE UA": "", "UK": "", "D": "", "49": "", "001": "", "DEU": "", "*": "", "DE;UA": "", "ЯЯ": "",
	} {
		got, err := billing.ParseCountries(in)
		if got != want || (want == "") != errors.Is(err, billing.ErrCountry) {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestCountryOf(t *testing.T) {
	for number, want := range map[e164.Number]string{
		"+380441234567":   "UA",
		"+4915112345678":  "DE",
		"+12125550123":    "US",
		"+14165550123":    "CA",
		"+18765230123":    "JM", // +1 is many countries
		"+18095550123":    "DO",
		"+77172123456":    "KZ", // and +7
		"+74951234567":    "RU",
		"+442071838750":   "GB",
		"+447781123456":   "GG",
		"+3780549882555":  "SM",
		"+390669812345":   "VA",
		"+870773123456":   "001", // a satellite network
		"+80012345678":    "001",
		"+11111111111":    "", // nobody's
		"+2101234567":     "",
		"+49999999999999": "DE",
	} {
		if got := billing.CountryOf(number); got != want {
			t.Errorf("%s is in %q, want %q", number, got, want)
		}
	}
}
