package main

import (
	"os"
	"strings"
	"testing"

	"telecommune/internal/postgres"
)

const openingExample = "../../docs/examples/opening.toml"

// TestOpening begins books with the example: a dry run changes nothing, the opening counts once, and what can't be an
// opening, or comes too late for one, is refused and leaves no trace.
func TestOpening(t *testing.T) {
	fresh := freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: fresh, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(args ...string) outcome { return tcWith(t, "", append(args, "--state", fresh)...) }
	text, err := os.ReadFile(openingExample)
	if err != nil {
		t.Fatal(err)
	}
	const empty = "[]\n"
	if r := do("account", "add", "clara"); r.code != 0 {
		t.Fatal(r.err)
	}
	for _, tt := range []struct{ old, instead, says string }{
		{"1000 = 12.41", "1000 = 12.40", "unbalanced_opening COM -0.01"},
		{`"1590:beta" = -24.00`, `"1590:beta" = -23.00`, "unbalanced_opening"},
		{"months_depreciated = 12", "months_depreciated = 11", "unbalanced_opening 1590:beta 22.00"},
		{"3000 = -1.00\n3900 = -34.125", "3900 = -35.125", "unbalanced_opening 1300:CALL"},
		{"1000 = 40.00", "1000 = 40.001\n2500 = -0.001", "amount_precision whole cents"},
		{"1000 = 40.00", "1000 = 1e3", "1e3"},
		{"[balances.CALL]", "[balances.HOST]\n1000 = 1\n3900 = -1\n[balances.CALL]", "HOST unknown_reference list"},
		{`"2000:anna"`, `"2000:carl"`, "2000:carl unknown_reference"},
		{`"2200:carrier"`, `"2100:nobody"`, "2100:nobody unknown_account"},
		{`"2200:carrier"`, `"4000:beta"`, "4000:beta no such account"},
		{`code = "bert"`, `code = "anna"`, "anna already wrong_state"},
		{"joined = 2024-03-01", "joined = 2026-03-01", "anna joined 2026-01"},
		{`"2026-01"`, `"2026-13"`, "first_period 2026-13"},
		{`lessee = "CALL"`, `lessee = "HOST"`, "HOST unknown_reference"},
		{`lessee = "CALL"`, ``, "lessee_member"},
		{`meter = "seconds"`, `meter = "litres"`, "litres"},
		{"rate = 0.012", "rate = 0.012\ncolour = \"red\"", "line colour"},
		{`"2026-01"`, `"2099-01"`, "period_open"},
	} {
		r := do("books", "opening", file(t, "o.toml", strings.Replace(string(text), tt.old, tt.instead, 1)))
		checkRefusal(t, r, exitFailed, strings.Fields(tt.says), []string{tt.instead})
	}
	dry := do("books", "opening", openingExample, "--dry-run", "-o", "json")
	if r := do("books", "trial", "-o", "json"); r.out != empty || dry.code != 0 || dry.out == empty {
		t.Errorf("a dry run: %s%s, and the books have %s", dry.out, dry.err, r.out)
	}
	for range 2 { // the second time changes nothing
		if r := do("books", "opening", openingExample, "-o", "json"); r.out != dry.out {
			t.Errorf("the opening: %s%s, a dry run %s", r.out, r.err, dry.out)
		}
	}
	checkRefusal(t, do("books", "opening", file(t, "o.toml", strings.Replace(string(text), `"anna"`, `"anne"`, 1))), exitFailed,
		[]string{"another opening", "wrong_state"}, []string{"another opening"})
	checkRefusal(t, do("asset", "gift", "disk", "--value", "5.00", "--kind", "disk", "--life", "5", "--on", "2025-12-31"), exitFailed,
		[]string{"period_closed"}, []string{"before the books"})
	if r := do("books", "verify"); r.code != 0 {
		t.Errorf("verify: %s%s", r.out, r.err)
	}
	for _, line := range []string{"rent pay RB 2026-01 --on 2026-01-31", "period close 2026-01", "books verify"} {
		if r := do(strings.Fields(line)...); r.code != 0 {
			t.Fatalf("%s: %s", line, r.err)
		}
	}
	// Beta's least rent of 3.00 comes to the pool: 12.41 among two.
	month := decode[map[string]any](t, do("period", "show", "2026-01", "-o", "json").out)
	if f := month["figures"].(map[string]any); f["pool"] != "12.41" || f["carry"] != "0.01" {
		t.Errorf("the first month: %v", f)
	}
}

// TestOpeningComesFirst: books that have an entry have begun.
func TestOpeningComesFirst(t *testing.T) {
	ok(t, "account", "add", "o-anna")
	ok(t, "account", "topup", "o-anna", "1.00")
	refused(t, exitFailed, []string{"have entries", "wrong_state"}, "books", "opening", openingExample)
}
