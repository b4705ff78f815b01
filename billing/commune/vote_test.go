package commune_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// TestVotes: a vote counts from its day on in place of those before it, and none changes what was closed.
func TestVotes(t *testing.T) {
	s := newSaga(t)
	vote := func(v commune.Vote) func(context.Context, com, act) error {
		return func(ctx context.Context, c com, a act) error { return c.VotePolicy(ctx, a, v) }
	}
	for _, tt := range []struct {
		proves string
		v      commune.Vote
		want   error
	}{
		{"a value to come", commune.Vote{Policy: commune.IdleMonths, Value: 6, From: "2027-09-01", Text: "a"}, nil},
		{"a later vote from an earlier day on takes its place", commune.Vote{Policy: commune.IdleMonths, Value: 2, From: "2027-07-15", Text: "b"}, nil},
		{"the day of the vote, when none is given", commune.Vote{Policy: commune.Limitation, Value: 12, Text: "c"}, nil},
		{"a policy that there is not", commune.Vote{Policy: "rent", Value: 1, Text: "d"}, commune.ErrUnknown},
		{"a membership that lapses at once", commune.Vote{Policy: commune.IdleMonths, Text: "e"}, commune.ErrAmount},
		{"more than everything", commune.Vote{Policy: commune.StandingLevy, Value: 10_001, Text: "f"}, commune.ErrAmount},
		{"less than nothing", commune.Vote{Policy: commune.DaysNotice, Value: -1, Text: "g"}, commune.ErrAmount},
		{"of nobody", commune.Vote{Policy: commune.DaysNotice, Value: 1}, commune.ErrState},
		{"from a day of a closed month", commune.Vote{Policy: commune.DaysNotice, Value: 1, From: "2027-05-31", Text: "h"}, ledger.ErrPeriodClosed},
	} {
		t.Log(tt.proves)
		s.on("2027-06-10", tt.want, vote(tt.v))
	}
	for day, want := range map[ledger.Date][2]int{"2027-06-09": {3, 36}, "2027-06-10": {3, 12}, "2027-07-15": {2, 12}, "2027-09-01": {2, 12}} {
		all, err := s.PoliciesOn(t.Context(), day)
		if err != nil || len(all) != len(commune.Policies) {
			t.Fatal(all, err)
		}
		got := map[string]int{}
		for _, p := range all {
			got[p.Name] = p.Value
		}
		if got[commune.IdleMonths] != want[0] || got[commune.Limitation] != want[1] || got[commune.DaysReturn] != 30 {
			t.Errorf("on %s: %v, want %v", day, got, want)
		}
	}
	votes, err := s.Votes(t.Context(), commune.IdleMonths)
	if err != nil || len(votes) != 2 || votes[0].Text != "a" || votes[1].Actor != "test" || votes[1].From != "2027-07-15" {
		t.Errorf("%+v, %v", votes, err)
	}
	if _, err := s.Votes(t.Context(), "rent"); !errors.Is(err, commune.ErrUnknown) {
		t.Errorf("votes on what there is not: %v", err)
	}
}

// TestStandingLevy: it counts for each month that ends when it does, unless the month has a vote of its own.
func TestStandingLevy(t *testing.T) {
	s := newSaga(t)
	s.on("2027-06-10", nil, func(ctx context.Context, c com, a act) error {
		return c.VotePolicy(ctx, a, commune.Vote{Policy: commune.StandingLevy, Value: 1000, From: "2027-07-31", Text: "all"})
	})
	s.on("2027-06-10", nil, func(ctx context.Context, c com, a act) error {
		return c.VoteLevy(ctx, a, "2027-08", commune.Levy{Amount: 50 * money.Cent})
	})
	for p, want := range []money.Amount{0, 1_000_000, 500_000, 1_000_000} {
		period := ledger.Period("2027-06").AddMonths(p)
		if err := s.post(period.First(), ledger.Debit("COM", "1000", 10*money.Unit), ledger.Credit("COM", "3200:pool", 10*money.Unit)); err != nil {
			t.Fatal(err)
		}
		f := s.close(period)
		if f.Levy != want {
			t.Errorf("%s: levy of %s, want %s", period, f.Levy, want)
		}
	}
}

// TestDistribution: surplus goes to the pool by a vote of those who earned it, out of what was retained.
func TestDistribution(t *testing.T) {
	s := newSaga(t)
	distribute := func(amount money.Amount, text string) func(context.Context, com, act) error {
		return func(ctx context.Context, c com, a act) error {
			return c.Distribute(ctx, a, commune.Distribution{Resolution: commune.Resolution{Enterprise: "HOST", Text: text}, Amount: amount})
		}
	}
	s.on("2027-06-10", commune.ErrState, distribute(money.Unit, "its workers")) // nothing is retained yet
	s.on("2027-06-10", nil, func(ctx context.Context, c com, a act) error {
		return c.VoteLevy(ctx, a, "2027-06", commune.Levy{})
	})
	s.on("2027-06-30", nil, func(ctx context.Context, c com, a act) error {
		return c.PayRent(ctx, a, commune.RentPayment{Agreement: "RD", Period: "2027-06", Amount: 4 * money.Unit})
	})
	if err := s.post("2027-06-10", ledger.Debit("HOST", "1000", 20*money.Unit), ledger.Credit("HOST", "4000:web", 20*money.Unit)); err != nil {
		t.Fatal(err)
	}
	s.close("2027-06") // 29.00 earned, 12.00 of rent: 17.00 retained
	s.balance("HOST", "3900", "-17.00")
	s.on("2027-07-01", commune.ErrState, distribute(3*money.Unit, "")) // nobody voted
	s.on("2027-07-01", commune.ErrState, distribute(18*money.Unit, "its workers"))
	s.on("2027-07-01", commune.ErrAmount, distribute(1, "its workers"))
	s.on("2027-07-01", commune.ErrState, func(ctx context.Context, c com, a act) error {
		return c.SuspendEnterprise(ctx, a, commune.Resolution{Enterprise: "HOST", Text: "for no reason"})
	})
	s.on("2027-07-01", nil, distribute(3*money.Unit, "its workers"))
	s.balance("HOST", "3900", "-14.00")
	s.balance("COM", "4300:HOST", "-3.00")
	f := s.close("2027-07")
	if f.Distributions["HOST"] != 3*money.Unit || f.Pool != 3*money.Unit || f.Dividends["anna"] != 1_500_000 {
		t.Errorf("%+v", f)
	}
}

// TestSuspensionEnds: an enterprise that pays goes on.
func TestSuspensionEnds(t *testing.T) {
	s := newSaga(t)
	s.close("2027-06")
	resolution := commune.Resolution{Enterprise: "HOST", Text: "all"}
	s.on("2027-07-01", nil, func(ctx context.Context, c com, a act) error { return c.NoticeArrears(ctx, a, "RD") })
	s.on("2027-07-30", nil, func(ctx context.Context, c com, a act) error { return c.TakeBack(ctx, a, "RD") })
	s.on("2027-07-31", nil, func(ctx context.Context, c com, a act) error { return c.SuspendEnterprise(ctx, a, resolution) })
	s.on("2027-07-31", commune.ErrState, func(ctx context.Context, c com, a act) error { return c.ResumeEnterprise(ctx, a, resolution) })
	s.close("2027-07")
	if err := s.post("2027-08-01", ledger.Debit("HOST", "1000", 30*money.Unit), ledger.Credit("HOST", "4000:web", 30*money.Unit)); err != nil {
		t.Fatal(err)
	}
	for _, p := range []ledger.Period{"2027-06", "2027-07"} {
		s.on("2027-08-01", nil, func(ctx context.Context, c com, a act) error {
			return c.PayRent(ctx, a, commune.RentPayment{Agreement: "RD", Period: p})
		})
	}
	s.on("2027-08-02", nil, func(ctx context.Context, c com, a act) error { return c.ResumeEnterprise(ctx, a, resolution) })
	s.enterprise("HOST", commune.Active)
	s.on("2027-08-03", nil, func(ctx context.Context, c com, a act) error {
		_, err := c.LetByAuction(ctx, a, commune.Letting{Asset: "disk", Agreement: "RD2", Bids: []commune.RentalBid{{Bidder: "bert", Enterprise: "HOST", Amount: 12 * money.Unit}}})
		return err
	})
	s.agreement("2027-08-03", "RD2", commune.Running)
}

// TestMembershipEnds: after three full months without work (P-14), by a decision, or by death; new work makes a new share.
func TestMembershipEnds(t *testing.T) {
	s := newSaga(t)
	lapse := func(member string) func(context.Context, com, act) error {
		return func(ctx context.Context, c com, a act) error { return c.Lapse(ctx, a, member) }
	}
	work := func(member, enterprise, attests string) func(context.Context, com, act) error {
		return func(ctx context.Context, c com, a act) error {
			return c.Work(ctx, a, commune.Joining{Member: member, Enterprise: enterprise, AttestedBy: attests})
		}
	}
	state := func(day ledger.Date, member string, want commune.State, lapses ledger.Date) {
		t.Helper()
		m, err := s.Member(t.Context(), day, member)
		if err != nil || m.State != want || m.Lapses != lapses {
			t.Errorf("%s is %s on %s and lapses on %s, %v; want %s and %s", member, m.State, day, m.Lapses, err, want, lapses)
		}
	}
	s.on("2027-06-30", nil, work("anna", "CALL", "bert"))
	s.on("2027-06-30", commune.ErrNoContribution, work("anna", "CALL", "")) // nobody saw it
	s.on("2027-06-30", commune.ErrUnknown, work("carl", "CALL", "anna"))
	s.on("2027-06-30", commune.ErrUnknown, work("anna", "POST", "bert"))
	s.on("2027-06-30", commune.ErrEarly, lapse("bert"))
	state("2027-06-30", "bert", commune.Active, "2027-10-01")
	s.close("2027-06")
	s.close("2027-07")
	s.on("2027-08-31", nil, work("anna", "CALL", "bert"))
	s.close("2027-08")
	s.on("2027-09-30", commune.ErrEarly, lapse("bert"))
	s.close("2027-09")
	s.on("2027-10-01", commune.ErrEarly, lapse("anna"))
	s.on("2027-10-01", commune.ErrUnknown, lapse("carl"))
	s.on("2027-10-01", nil, lapse("bert"))
	s.on("2027-10-02", commune.ErrNotMember, lapse("bert"))
	s.on("2027-10-02", commune.ErrNotMember, work("bert", "CALL", "anna"))
	state("2027-10-01", "bert", commune.Former, "")
	state("2027-10-01", "anna", commune.Active, "2027-12-01")
	s.on("2027-10-03", nil, func(ctx context.Context, c com, a act) error {
		return c.Join(ctx, a, commune.Joining{Member: "bert", Enterprise: "CALL", AttestedBy: "anna"})
	})
	state("2027-10-03", "bert", commune.Active, "2028-02-01")
	s.on("2027-10-20", commune.ErrState, func(ctx context.Context, c com, a act) error {
		return c.End(ctx, a, commune.Ending{Member: "bert"}) // without a reason
	})
	s.on("2027-10-20", nil, func(ctx context.Context, c com, a act) error {
		return c.End(ctx, a, commune.Ending{Member: "bert", Text: "sold the tools"})
	})
	state("2027-10-20", "bert", commune.Former, "")
	s.on("2027-11-05", nil, func(ctx context.Context, c com, a act) error { return c.Leave(ctx, a, "anna") })
	state("2027-10-25", "anna", commune.Leaving, "")
	state("2027-11-05", "anna", commune.Former, "")
}

// TestForfeit: what nobody claims for as long as was voted goes back to the pool, the oldest first.
func TestForfeit(t *testing.T) {
	s := newSaga(t)
	forfeit := func(want string) func(context.Context, com, act) error {
		return func(ctx context.Context, c com, a act) error {
			got, err := c.Forfeit(ctx, a, "anna")
			if err == nil && got.String() != want {
				err = fmt.Errorf("%s, want %s", got, want)
			}
			return err
		}
	}
	s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error {
		return c.VotePolicy(ctx, a, commune.Vote{Policy: commune.Limitation, Value: 2, Text: "all"})
	})
	s.on("2027-06-01", commune.ErrState, forfeit("")) // there is none
	s.on("2027-06-01", commune.ErrUnknown, func(ctx context.Context, c com, a act) error { _, err := c.Forfeit(ctx, a, "carl"); return err })
	for i := range 4 { // dividends of 5.00, 5.00, 5.00 and 5.00 each for June to September
		p := ledger.Period("2027-06").AddMonths(i)
		if err := s.post(p.First(), ledger.Debit("COM", "1000", 10*money.Unit), ledger.Credit("COM", "3200:pool", 10*money.Unit)); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // June's is paid
			s.on("2027-07-05", nil, func(ctx context.Context, c com, a act) error {
				_, err := c.PayDividend(ctx, a, commune.Election{Member: "anna"})
				return err
			})
		}
		if i == 3 { // July's may be claimed in August and September
			s.on("2027-09-30", commune.ErrEarly, forfeit(""))
		}
		s.close(p)
	}
	s.on("2027-10-01", nil, forfeit("5.00"))
	s.on("2027-10-02", commune.ErrEarly, forfeit(""))
	s.balance("COM", "2000:anna", "-10.00")
	s.balance("COM", "3200:pool", "-5.00")
	if f := s.close("2027-10"); f.Pool != 5*money.Unit || f.Dividends["anna"] != 2_500_000 {
		t.Errorf("%+v", f)
	}
	s.on("2027-11-01", nil, func(ctx context.Context, c com, a act) error {
		got, err := c.PayDividend(ctx, a, commune.Election{Member: "anna"})
		if err == nil && got != 12_500_000 {
			err = fmt.Errorf("%s is paid", got)
		}
		return err
	})
	s.on("2027-11-02", commune.ErrState, forfeit(""))
}

// TestPoliciesHaveTheirNumbers: each policy of economics.md 8 stands where docs/commune.md says, with its number beside it,
// or is one of those that are voted.
func TestPoliciesHaveTheirNumbers(t *testing.T) {
	page, err := os.ReadFile("../../docs/commune.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{"P-17": true} // the treasurer's to keep
	for _, p := range commune.Policies {
		found[p.Number] = true
	}
	number, file := regexp.MustCompile(`P-\d\d`), regexp.MustCompile("`([a-z_/]+\\.go)`")
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| P-") {
			continue
		}
		for _, policy := range number.FindAllString(line, -1) {
			for _, name := range file.FindAllStringSubmatch(line, -1) {
				code, err := os.ReadFile("../" + name[1])
				if err != nil {
					t.Fatal(err)
				}
				found[policy] = found[policy] || strings.Contains(string(code), policy)
			}
		}
	}
	for n := 1; n <= 17; n++ {
		if policy := fmt.Sprintf("P-%02d", n); !found[policy] {
			t.Errorf("%s has no place in the code", policy)
		}
	}
}
