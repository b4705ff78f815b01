package ledger

import "testing"

func TestDaysAndMonths(t *testing.T) {
	for _, tt := range []struct {
		what     string
		from, to Date
		days     int
	}{
		{"none", "2027-06-30", "2027-06-30", 0},
		{"back", "2027-07-01", "2027-06-30", -1},
		{"a leap day", "2028-02-28", "2028-03-01", 2},
		{"no leap day in a century", "2100-02-28", "2100-03-01", 1},
		{"days with 23 and 25 hours somewhere", "2027-03-01", "2027-11-30", 274},
	} {
		if got := DaysBetween(tt.from, tt.to); got != tt.days {
			t.Errorf("%s: %d, want %d", tt.what, got, tt.days)
		}
		if got := tt.from.AddDays(tt.days); got != tt.to {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.to)
		}
	}
	for _, tt := range []struct {
		from, to Period
		months   int
	}{{"2027-06", "2027-06", 0}, {"2027-12", "2028-01", 1}, {"2028-01", "2027-12", -1}, {"2026-11", "2028-12", 25}} {
		if got := MonthsBetween(tt.from, tt.to); got != tt.months {
			t.Errorf("%s to %s: %d, want %d", tt.from, tt.to, got, tt.months)
		}
		if got := tt.from.AddMonths(tt.months); got != tt.to {
			t.Errorf("%d months after %s: %s, want %s", tt.months, tt.from, got, tt.to)
		}
	}
	for p, want := range map[Period]Period{"2027-01": "2026-12", "2028-03": "2028-02", "2027-12": "2027-11"} {
		if got := p.Previous(); got != want || got.Next() != p {
			t.Errorf("before %s: %s, want %s", p, got, want)
		}
	}
}
