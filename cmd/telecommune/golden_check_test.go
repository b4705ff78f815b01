package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/pbx/simcarrier"
)

// closeMonth looks first and then closes; both tell the figures of the scenario.
func (g *goldenMonth) closeMonth(period string) {
	g.Helper()
	for _, line := range []string{"period close " + period + " --dry-run", "period close " + period, "period show " + period} {
		got := decode[struct{ Figures commune.Figures }](g.T, g.do(line)).Figures
		if want := g.Expect.Periods[ledger.Period(period)]; fmt.Sprint(got) != fmt.Sprint(want) {
			g.Errorf("%s:\n%+v, want\n%+v", line, got, want)
		}
	}
}

// checkBalances compares both books with the scenario's.
func (g *goldenMonth) checkBalances() {
	g.Helper()
	got := map[string]map[string]money.Amount{}
	for _, l := range decode[[]ledger.TrialLine](g.T, g.do("books trial")) {
		if got[l.Book] == nil {
			got[l.Book] = map[string]money.Amount{}
		}
		if l.Balance != 0 {
			got[l.Book][l.Account] = l.Balance
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(g.Expect.Balances) {
		g.Errorf("the books end as\n%v, want\n%v", got, g.Expect.Balances)
	}
	g.do("books verify")
}

// checkJournal compares what was debited and credited to each account on each day.
func (g *goldenMonth) checkJournal() {
	g.Helper()
	got, want := map[string]money.Amount{}, map[string]money.Amount{}
	for _, e := range decode[[]ledger.Posted](g.T, g.do("books journal")) {
		for _, l := range e.Lines {
			got[fmt.Sprint(e.Date, " ", l.Book, " ", l.Account, " debit ", l.Amount > 0)] += l.Amount
		}
	}
	for _, e := range g.Expect.Journal {
		for _, l := range e.Lines {
			debit := l.Debit != nil
			amount := l.Debit
			if !debit {
				amount = new(-*l.Credit)
			}
			want[fmt.Sprint(e.Date, " ", l.Book, " ", l.Account, " debit ", debit)] += *amount
		}
	}
	for line, amount := range want {
		if got[line] != amount {
			g.Errorf("journal: %s is %s, want %s", line, got[line], amount)
		}
		delete(got, line)
	}
	if len(got) > 0 {
		g.Errorf("the journal has beside that %v", got)
	}
}

// checkBonds: what the holders' own statements say is what the month paid and the books still owe.
func (g *goldenMonth) checkBonds() {
	g.Helper()
	var redeemed, interest money.Amount
	for _, h := range decode[[]commune.Holding](g.T, g.do("bond holders --series S1")) {
		redeemed, interest = redeemed+h.Redeemed, interest+h.Interest
		if owed := -g.Expect.Balances["COM"]["2100:S1/"+h.Holder]; h.Outstanding != owed || h.Allotted != g.Expect.Auctions["S1"].Allotments[h.Holder] {
			g.Errorf("%s holds %+v, want %s outstanding", h.Holder, h, owed)
		}
	}
	if june := g.Expect.Periods["2027-06"]; redeemed != june.Redeemed["S1"] || interest != june.InterestPaid["S1"] {
		g.Errorf("the holders got %s and %s of interest", redeemed, interest)
	}
}

// checkCalls compares the calls with the scenario's, to the second and the millionth, and with what rent was asked for (I-15).
func (g *goldenMonth) checkCalls(events []goldenEvent) {
	g.Helper()
	calls := map[time.Time]billing.Call{}
	for _, c := range decode[[]billing.Call](g.T, g.do("call list")) {
		calls[c.StartedAt.UTC()] = c
	}
	if len(calls) != len(events) {
		g.Errorf("%d calls, want %d", len(calls), len(events))
	}
	seconds := map[string]int64{}
	for _, e := range events {
		c, want := calls[g.instant(e)], g.Expect.Calls[e.ID]
		seconds[e.Trunk] += int64(c.AnsweredSeconds)
		if c.Account != e.Account || c.Trunk != e.Trunk || c.AnsweredSeconds != e.Seconds || c.BilledSeconds != want.Billed ||
			c.Price != want.Price || c.VAT != want.VAT || c.CarrierCost != want.Cost {
			g.Errorf("%s is %+v, want %+v", e.ID, c, want)
		}
		if ended := g.instant(e).Add(time.Duration(e.Seconds) * time.Second); c.EndedAt == nil || !c.EndedAt.Equal(ended) {
			g.Errorf("%s ended at %v, want %s", e.ID, c.EndedAt, ended)
		}
	}
	type rent struct {
		Agreement string
		Units     int64
	}
	for _, r := range decode[[]rent](g.T, g.do("rent list")) {
		trunk := strings.TrimPrefix(r.Agreement, "R")
		var used int64
		if err := g.app.db.Get(&used, `SELECT sum(units) FROM asset_usage WHERE asset = $1`, trunk); err != nil {
			g.Fatal(err)
		}
		if used != seconds[trunk] || r.Units != used || used == 0 {
			g.Errorf("trunk %s carried %d s, %d s are metered, rent is for %d s", trunk, seconds[trunk], used, r.Units)
		}
	}
	how := map[string]int{}
	for _, carrier := range g.carriers {
		for _, r := range carrier.Calls() {
			how[r.How]++
		}
	}
	if how[simcarrier.Refused] != 1 || how[simcarrier.ByCaller] < 5 || how[simcarrier.ByCarrier] < 5 {
		g.Errorf("at the carriers the calls ended so: %v", how)
	}
}

// goldenBill is a bill as far as its sums go.
type goldenBill struct {
	Opening  money.Amount `json:"opening_balance"`
	Closing  money.Amount `json:"closing_balance"`
	Bookings []struct{ Amount money.Amount }
	Calls    []struct {
		Entry string
		Price money.Amount
	}
}

// checkPapers: what each caller and each member is told adds up, and to the entries of the books.
func (g *goldenMonth) checkPapers() {
	g.Helper()
	entries := map[string]ledger.Posted{}
	for _, e := range decode[[]ledger.Posted](g.T, g.do("books journal")) {
		entries[e.ID.String()] = e
	}
	moved := func(month, book, account string) (sum money.Amount) {
		for _, e := range entries {
			for _, l := range e.Lines {
				if l.Book == book && l.Account == account && string(ledger.PeriodOf(e.Date)) == month {
					sum -= l.Amount
				}
			}
		}
		return sum
	}
	for account := range goldenPhones {
		for _, month := range []string{"2027-06", "2027-07"} {
			bill := decode[goldenBill](g.T, g.do("statement "+account+" --period "+month))
			sum := bill.Opening
			for _, b := range bill.Bookings {
				sum += b.Amount
			}
			for _, c := range bill.Calls {
				sum -= c.Price
				if lines := entries[c.Entry].Lines; len(lines) == 0 || lines[0].Amount != c.Price {
					g.Errorf("a call of %s for %s is entered as %v", account, c.Price, lines)
				}
			}
			if in := moved(month, "CALL", "2100:"+account); sum != bill.Closing || bill.Closing != bill.Opening+in {
				g.Errorf("bill of %s for %s: from %s to %s, its lines come to %s, the entries to %s", account, month, bill.Opening, bill.Closing, sum, in)
			}
		}
	}
	for _, member := range g.Members {
		g.checkMember(decode[commune.MemberMonth](g.T, g.do("statement "+member.ID+" --member --period 2027-06")), entries)
	}
}

func (g *goldenMonth) checkMember(m commune.MemberMonth, entries map[string]ledger.Posted) {
	g.Helper()
	june := g.Expect.Periods["2027-06"]
	var passed money.Amount
	for _, a := range m.Assets {
		passed += a.ToPool
		if a.Collected-a.InterestPaid-a.Redeemed != a.ToPool {
			g.Errorf("asset %s of the month of %s: %+v", a.Asset, m.Member, a)
		}
	}
	if passed != m.Rents || m.Brought+m.Rents+m.Other-m.Expenses-m.Levy != m.Pool || m.Pool != m.Shared+m.Carry || m.Pool != june.Pool ||
		m.Dividend != june.Dividends[m.Member] || 3*m.Dividend != m.Shared || m.Payable != 0 {
		g.Errorf("the month of %s does not add up: %+v", m.Member, m)
	}
	var shared money.Amount
	for _, s := range m.Entries {
		e, there := entries[s.Entry]
		if !there {
			g.Errorf("the month of %s names an entry that there is not: %+v", m.Member, s)
		}
		for _, l := range e.Lines {
			if l.Account == "2000:"+m.Member && e.Date == "2027-06-30" {
				shared -= l.Amount
			}
		}
	}
	if shared != m.Dividend {
		g.Errorf("the entries that the month of %s names give %s", m.Member, shared)
	}
}

// checkExports: two other programs take both books, together and each for itself, with every balance asserted.
func (g *goldenMonth) checkExports() {
	g.Helper()
	dir := g.TempDir()
	for _, book := range []string{"", "COM", "CALL"} {
		for format, check := range map[string][]string{
			"hledger":   {"hledger", "check", "--strict", "ordereddates", "-f"},
			"beancount": {"bean-check"},
		} {
			name := filepath.Join(dir, book+"."+format)
			line := "books export --format " + format + " --file " + name
			if book != "" {
				line += " --book " + book
			}
			g.do(line)
			if text, err := os.ReadFile(name); err != nil || bytes.Count(text, []byte("\n")) < 50 {
				g.Errorf("%s: %d bytes, %v", line, len(text), err)
			}
			foreign(g.T, append(check, name)...)
		}
	}
}

// foreign runs a program of another project that must have nothing to say.
func foreign(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Fatalf("%v; it is in Debian's packages hledger and beancount (deploy/install-deps.sh --test)", err)
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%q: %v\n%.2000s", args, err, out)
	}
}
