package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

var sampleRow = tariff.Row{
	Prefix: "38044", RatePerMinute: 19_000, IntervalFirst: 6, IntervalNext: 6, GraceSeconds: 3, RoundingUnit: 100,
	RoundingMode: money.Up, Deck: "retail@3", Currency: "EUR",
}

// sample is a statement with everything that a statement can have.
func sample(t testing.TB) Statement {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2027, 6, day, hour, minute, 0, 0, berlin) }
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	entry := id(99)
	call := func(n byte, day int, number, destination, trunk string, answered int, m Money) Call {
		return Call{
			ID: id(n), StartedAt: at(day, 10, 22), Number: number, Destination: destination, Trunk: trunk,
			Outcome: billing.Answered, AnsweredSeconds: answered, BilledSeconds: (answered + 5) / 6 * 6,
			Rate: sampleRow, RateFrom: time.Date(2027, 6, 1, 0, 0, 0, 0, berlin), Money: m, Entry: &entry,
		}
	}
	s := Statement{
		Account: "anna", Holder: "Anna Arendt", Enterprise: "Long-distance calls", Period: Period{2027, time.June},
		Zone: "Europe/Berlin", Currency: "EUR",
		Opening: 2 * money.Unit,
		Bookings: []Booking{
			{id(1), at(2, 9, 0), "topup", "till 14", 10 * money.Unit},
			{id(2), at(20, 18, 30), "voucher-issue", "Voucher of anna", -2 * money.Unit},
		},
		Calls: []Call{
			call(3, 14, "+380441234567", "Ukraine, Kyiv", "alpha", 62, Money{20_900, 8_800, 3_337, 8_763}),
			call(4, 15, "+4930123456", "Germany", "a-carrier-with-a-long-trunk-name", 3601, Money{1_141_900, 500_400, 182_320, 459_180}),
			call(5, 16, "+8613812345678", "中国移动, mobile networks of all provinces", "beta", 7, Money{53_800, 51_000, 8_590, -5_790}),
			call(6, 17, "+380441234567", "Ukraine, Kyiv", "alpha", 2, Money{0, 317, 0, -317}),
		},
		Attempts: []Attempt{
			{id(7), at(14, 10, 20), "+380441234567", "Ukraine, Kyiv", "alpha", billing.Busy},
			{id(8), at(18, 0, 1), "", "", "", billing.NoNumber},
		},
	}
	s.Calls[2].Rate.ConnectFee, s.Calls[2].Rate.Window = 50_000, "mon-fri 08:00-18:00"
	s.Calls[3].Outcome = billing.Lost
	s.Closing = s.Opening + 8*money.Unit - 20_900 - 1_141_900 - 53_800
	if err := s.total(); err != nil {
		t.Fatal(err)
	}
	return s
}

func text(t testing.TB, s Statement) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTotals(t *testing.T) {
	s := sample(t)
	want := Totals{Bookings: 8 * money.Unit, Sum: Sum{
		Calls: 4, AnsweredSeconds: 62 + 3601 + 7 + 2, BilledSeconds: 66 + 3606 + 12 + 6,
		Money: Money{1_216_600, 560_517, 194_247, 461_836},
	}}
	if s.Totals != want {
		t.Errorf("totals %+v, want %+v", s.Totals, want)
	}
	s.Closing++
	if err := s.total(); !errors.Is(err, ErrBooks) {
		t.Errorf("a closing balance that is a millionth off: %v, want ErrBooks", err)
	}
	s.Bookings[0].Amount, s.Bookings[1].Amount = 1<<63-1, 1
	if err := s.total(); !errors.Is(err, money.ErrRange) {
		t.Errorf("a sum beyond 64 bits: %v, want ErrRange", err)
	}
}

func TestTextIsAligned(t *testing.T) {
	out := text(t, sample(t))
	for l := range strings.Lines(out) {
		l = strings.TrimSuffix(l, "\n")
		if w := displaywidth.String(l); w > report.Width {
			t.Errorf("line of %d columns: %q", w, l)
		}
		if strings.TrimRight(l, " ") != l {
			t.Errorf("trailing space: %q", l)
		}
	}
	for _, want := range []string{
		"Statement 2027-06", "Anna Arendt (anna)", "Balance at the end of 30 June 2027", "8.7834\n",
		"14 Jun 10:22  +380441234567", "62 s", "66 s", "0.0209\n", "carrier 0.008800", "VAT 0.003337", "enterprise  0.008763",
		"enterprise -0.005790", "busy", "0.05 for the connection", "mon-fri 08:00-18:00", "billed in steps of 6 s; free up to 3 s; rounded up",
		"deck retail@3, in force from 1 June 2027", "      free  0.0000\n", "cut off by a fault of ours", "Top-up: till 14", "20 Jun 18:30  Voucher of anna ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestJSONAmountsAreStrings(t *testing.T) {
	b, err := json.Marshal(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"period":"2027-06"`, `"opening_balance":"2.00"`, `"closing_balance":"8.7834"`, `"price":"0.0209"`,
		`"enterprise_share":"-0.00579"`, `"started_at":"2027-06-14T10:22:00+02:00"`, `"answered_seconds":62`,
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	if bytes.Contains(b, []byte("as_of")) {
		t.Error("the statement of a month that is over says when it was made")
	}
}
