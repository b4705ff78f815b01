package clock_test

import (
	"testing"
	"time"

	"telecommune/internal/clock"
)

func TestParseDate(t *testing.T) {
	for _, c := range []struct{ proves, date, zone, want string }{
		{"an ordinary day", "2027-06-30", "Europe/Berlin", "2027-06-29T22:00:00Z"},
		{"the day that clocks are put forward, at two", "2027-03-28", "Europe/Berlin", "2027-03-27T23:00:00Z"},
		{"the day after", "2027-03-29", "Europe/Berlin", "2027-03-28T22:00:00Z"},
		{"the day that clocks are put back, at three", "2027-10-31", "Europe/Berlin", "2027-10-30T22:00:00Z"},
		{"a leap day", "2028-02-29", "Asia/Kathmandu", "2028-02-28T18:15:00Z"},
		{"UTC", "2027-06-30", "UTC", "2027-06-30T00:00:00Z"},
		{"put forward at midnight: the day begins at one", "2024-04-26", "Africa/Cairo", "2024-04-25T22:00:00Z"},
		{"the same in the west", "2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		{"put back from one to midnight: the first of two", "2023-11-05", "America/Havana", "2023-11-05T04:00:00Z"},
		{"the day after has one midnight", "2023-11-06", "America/Havana", "2023-11-06T05:00:00Z"},
		{"put back from midnight: the hour before is double, not this one", "2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00Z"},
		{"a day that Samoa had not", "2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"before all changes", "1800-01-01", "Europe/Berlin", "1799-12-31T23:06:32Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := clock.ParseDate(c.date, zone)
		if err != nil || got.UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%s: %v, %v; want %s", c.proves, got.UTC(), err, c.want)
		}
	}
	for _, s := range []string{"", "2027-02-29", "2027-6-1", "2027-06-30T00:00:00Z"} {
		if at, err := clock.ParseDate(s, time.UTC); err == nil {
			t.Errorf("%q: %v", s, at)
		}
	}
}

// Each day begins where the one before it ends: no instant belongs to two, and the instant before a day is not in it.
func TestMidnightOfAnyDay(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Africa/Cairo", "America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Beirut", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for day := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2030; day = day.AddDate(0, 0, 1) {
			at := clock.Midnight(day.Year(), day.Month(), day.Day(), zone)
			if got, before := at.In(zone).Format(time.DateOnly), at.Add(-1).In(zone).Format(time.DateOnly); got != day.Format(time.DateOnly) || before >= got {
				t.Errorf("%s of %s: %v, the instant before is on %s", name, day.Format(time.DateOnly), at, before)
			}
		}
	}
}
