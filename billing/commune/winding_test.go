package commune

import (
	"errors"
	"testing"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// TestWindingUp is T-21: what the commune gets for its share, what the pool gets or bears, and a book of zeros.
func TestWindingUp(t *testing.T) {
	const billion = 1_000_000_000 * money.Unit
	for _, tt := range []struct {
		name                          string
		bank, capital, retained, sale money.Amount
		wages                         money.Amount
		share                         money.Amount
		excess, deficit               money.Amount
	}{
		{"more than the share", 14, -10, 5, -9, 0, 10, 4, 0},
		{"just the share", 10, -10, 0, 0, 0, 10, 0, 0},
		{"less than the share: all bear it", 3, -10, 7, 0, 0, 10, 0, 7},
		{"nothing at all: at most the share is borne", 0, -10, 10, 0, 0, 10, 0, 10},
		{"nothing was put in", 6, 0, -6, 0, 0, 0, 6, 0},
		{"a loss of the month that runs", 9, -10, 0, -2, 3, 10, 0, 1},
		{"nine billion", 9 * billion, -billion, -8 * billion, 0, 0, billion, 8 * billion, 0},
		{"an empty one", 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		w := WindingUp{Enterprise: "HOST", Book: "COM", Share: tt.share, Balances: map[string]money.Amount{
			"1000": tt.bank, "3000": tt.capital, "3900": tt.retained, "4000:web": tt.sale, "5200:anna": tt.wages, "2300:RD": 0,
		}}
		left := map[string]money.Amount{}
		for account, balance := range w.Balances {
			left["HOST "+account] = balance
		}
		drafts, net, err := w.entries()
		if err != nil || net != tt.bank {
			t.Errorf("%s: %s, %v", tt.name, net, err)
		}
		for _, d := range drafts {
			sums := map[string]money.Amount{}
			for _, l := range d.Lines {
				sums[l.Book] += l.Amount
				left[l.Book+" "+l.Account] += l.Amount
			}
			if sums["HOST"] != 0 || sums["COM"] != 0 {
				t.Errorf("%s: %s does not balance: %v", tt.name, d.Text, d.Lines)
			}
		}
		want := map[string]money.Amount{"COM 1000": tt.bank, "COM 1300:HOST": -tt.share, "COM 4300:HOST": -tt.excess, "COM 5400": tt.deficit}
		for account, balance := range left {
			if balance != want[account] {
				t.Errorf("%s: %s is %s, want %s", tt.name, account, balance, want[account])
			}
		}
	}
	for account, want := range map[string]error{"2400:anna": ErrState, "2100:C1": ErrState, "1350:RD": ErrState, "1400": ErrState} {
		w := WindingUp{Enterprise: "HOST", Book: "COM", Balances: map[string]money.Amount{"1000": 5, account: -1, "3900": -4}}
		if _, _, err := w.entries(); !errors.Is(err, want) {
			t.Errorf("with something on %s: %v", account, err)
		}
	}
	const most = 1<<63 - 1
	w := WindingUp{Enterprise: "HOST", Book: "COM", Share: -most, Balances: map[string]money.Amount{"1000": most}}
	if _, _, err := w.entries(); !errors.Is(err, money.ErrRange) {
		t.Errorf("beyond 64 bits: %v", err)
	}
}

// TestLapses: full months are those of the calendar, however long.
func TestLapses(t *testing.T) {
	for _, tt := range []struct {
		last ledger.Date
		idle int
		want ledger.Date
	}{
		{"2027-06-01", 3, "2027-10-01"},
		{"2027-06-30", 3, "2027-10-01"},
		{"2027-11-30", 3, "2028-03-01"}, // February has a leap day
		{"2028-02-29", 1, "2028-04-01"},
		{"2027-12-31", 120, "2038-01-01"},
	} {
		if got := lapses(tt.last, tt.idle); got != tt.want {
			t.Errorf("%d months after %s: %s, want %s", tt.idle, tt.last, got, tt.want)
		}
	}
}
