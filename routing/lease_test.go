package routing_test

import (
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/routing"
)

// TestLeases: T1 is the asset A, which CALL rents until noon and HOST from noon on for an hour; T2 is no asset.
func TestLeases(t *testing.T) {
	trunks := on("T1", "T2")
	trunks[0].Asset = "A"
	leases := routing.Leases{
		{Asset: "A", Enterprise: "CALL", From: noon.Add(-time.Minute), Until: noon},
		{Asset: "A", Enterprise: "HOST", From: noon, Until: noon.Add(time.Hour)},
		{Asset: "B", Enterprise: "CALL", From: noon.Add(-time.Hour)},
	}
	decks := tariff.NewDecks([]tariff.Deck{deck("T1", cost("380", 1_000)), deck("T2", cost("380", 2_000))})
	const both, other, vacant = "T1 380 0.003 T2 380 0.006 |", "T2 380 0.006 | T1 unlet", routing.Unlet
	plain := routing.NewSnapshot(trunks, decks)
	let := plain.Let(leases)
	for _, tt := range []struct {
		proves   string
		snapshot *routing.Snapshot
		caller   string
		at       time.Time
		want     string
		anybody  routing.Reason
	}{
		{"who rents it calls over it", let, "CALL", noon.Add(-time.Minute), both, ""},
		{"up to the last instant", let, "CALL", noon.Add(-1), both, ""},
		{"and then no more, without anything being loaded anew", let, "CALL", noon, other, ""},
		{"another calls from the first instant on", let, "HOST", noon, both, ""},
		{"and not before", let, "HOST", noon.Add(-1), other, ""},
		{"nobody rents it", let, "HOST", noon.Add(time.Hour), other, vacant},
		{"before anybody did", let, "CALL", noon.Add(-time.Minute - 1), other, vacant},
		{"nobody is said to call", let, "", noon.Add(-time.Minute), other, ""},
		{"nothing is known of leases", plain, "CALL", noon.Add(-time.Minute), other, ""},
		{"nothing is let", let.Let(nil), "CALL", noon.Add(-time.Minute), other, ""},
		{"rules change nothing of it", let.With(routing.Rules{}), "CALL", noon.Add(-time.Minute), both, ""},
	} {
		if got := brief(tt.snapshot.For(tt.caller).Plan(tt.at, kyiv, paid(19_000), vat, 1)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.proves, got, tt.want)
		}
		if got := leases.Unlet(trunks[0], tt.at); got != tt.anybody {
			t.Errorf("%s: for all it is %q, want %q", tt.proves, got, tt.anybody)
		}
	}
	if got := leases.Unlet(trunks[1], noon); got != "" {
		t.Errorf("a trunk that is no asset is %q", got)
	}
	seen := let.For("CALL")
	if n := testing.AllocsPerRun(100, func() { seen.Plan(noon, kyiv, paid(19_000), vat, 1) }); n > 2 {
		t.Errorf("a plan allocates %v times", n)
	}
}
