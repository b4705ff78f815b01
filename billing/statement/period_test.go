package statement

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParsePeriod(t *testing.T) {
	for _, good := range []string{"2027-06", "1999-12", "9999-01", "0001-01"} {
		p, err := ParsePeriod(good)
		if err != nil || p.String() != good {
			t.Errorf("ParsePeriod(%q) = %v, %v", good, p, err)
		}
	}
	for _, bad := range []string{
		"", "2027", "2027-6", "2027-00", "2027-13", "2027-06-01", " 2027-06", "27-06", "0000-01",
		"2027/06", "-2027-06", "2027-06\x00", "٢٠٢٧-٠٦", "<b>2027-06</b>",
	} {
		if p, err := ParsePeriod(bad); !errors.Is(err, ErrPeriod) {
			t.Errorf("ParsePeriod(%q) = %v, %v; want ErrPeriod", bad, p, err)
		}
	}
}

func TestPeriodBeginsInTheZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	march := Period{2027, time.March} // 31 days less one hour: summer time begins
	if got, want := march.Begin(berlin).UTC(), time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("March begins %s, want %s", got, want)
	}
	if got := march.End(berlin).Sub(march.Begin(berlin)); got != 31*24*time.Hour-time.Hour {
		t.Errorf("March lasts %s", got)
	}
	// Half past midnight on 1 July in Berlin is still June in UTC.
	at := time.Date(2027, 6, 30, 22, 30, 0, 0, time.UTC)
	if PeriodOf(at).String() != "2027-06" || PeriodOf(at.In(berlin)).String() != "2027-07" {
		t.Error("the month of an instant is not taken from its zone")
	}
}

func TestPeriodAdd(t *testing.T) {
	for _, tc := range []struct {
		from string
		n    int
		want string
	}{{"2027-06", 1, "2027-07"}, {"2027-12", 1, "2028-01"}, {"2027-01", -1, "2026-12"}, {"2027-06", -30, "2024-12"}} {
		p, err := ParsePeriod(tc.from)
		if err != nil || p.Add(tc.n).String() != tc.want {
			t.Errorf("%s %+d = %s, %v; want %s", tc.from, tc.n, p.Add(tc.n), err, tc.want)
		}
	}
}

func TestPeriodRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Period{rapid.IntRange(1, 9999).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month"))}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Period
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Fatalf("%s came back as %s, %v", p, back, err)
		}
		if q := p.Add(1); !p.Before(q) || q.Before(p) || p.Before(p) {
			t.Fatalf("%s is not before %s", p, q)
		}
	})
}
