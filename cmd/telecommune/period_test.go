package main

import (
	"strings"
	"testing"
	"time"

	"telecommune/internal/postgres"
)

// TestMonthIsClosed tells the life of a month in books of its own: others go on posting to theirs.
func TestMonthIsClosed(t *testing.T) {
	state := freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()}) // kept up for all commands
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(args ...string) outcome {
		return tcWith(t, "", append(args, "-o", "json", "--state", state)...)
	}
	good := func(args ...string) map[string]any {
		r := do(args...)
		if r.code != 0 || r.err != "" {
			t.Fatalf("%q: exit %d, %s", args, r.code, r.err)
		}
		return decode[map[string]any](t, r.out)
	}
	bad := func(want string, args ...string) {
		if r := do(args...); r.code != exitFailed || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%q: exit %d, %q; want one line with %q", args, r.code, r.err, want)
		}
	}
	now := time.Now().UTC()
	month, next := now.Format("2006-01"), now.AddDate(0, 0, 1-now.Day()).AddDate(0, 1, 0).Format("2006-01")

	good("account", "add", "anna")
	good("account", "topup", "anna", "10.00", "--key", "k1")
	entries := decode[[]map[string]any](t, do("books", "journal").out)
	entry := entries[0]["id"].(string)

	bad("period_open", "period", "close", next)
	bad("the month is not over", "period", "close", month)
	if o := good("period", "close", month, "--dry-run"); o["state"] != "open" {
		t.Errorf("dry run: %v", o)
	}
	reversal := good("books", "reverse", entry, "--text", "paid in twice")
	if reversal["reverses"] != entry || reversal["text"] != "paid in twice" {
		t.Errorf("reversal: %v", reversal)
	}
	if again := good("books", "reverse", entry, "--text", "paid in twice"); again["id"] != reversal["id"] {
		t.Errorf("reversed again: %v", again)
	}
	bad("reversed before", "books", "reverse", entry, "--text", "for fun")
	bad("no such entry", "books", "reverse", "019f8a4c-7c1e-7b52-9d0a-3f2b8c6d1e90", "--text", "x")
	if a := good("account", "show", "anna"); a["balance"] != "0.00" {
		t.Errorf("after the reversal: %v", a)
	}

	closed := good("period", "close", month, "--early")
	if again := good("period", "close", month); closed["state"] != "closed" || again["seal"] != closed["seal"] {
		t.Errorf("closed %v, again %v", closed, again)
	}
	bad("period_closed", "account", "topup", "anna", "1.00", "--key", "k2")
	months := decode[[]map[string]any](t, do("period", "list").out)
	if len(months) != 1 || months[0]["seal"] != closed["seal"] {
		t.Errorf("%v", months)
	}
	seal := closed["seal"].(string)
	if v := good("books", "verify", "--seal", month+"="+seal); len(v["findings"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	bad("1 findings", "books", "verify", "--seal", month+"="+strings.Repeat("0", len(seal)))
}
