package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDeckStory follows a carrier's deck: its format, a dry run after a call was made, a draft, activation, and back.
func TestDeckStory(t *testing.T) {
	ok(t, "trunk", "add", "d-alpha", "--address", "192.0.2.20:5060", "--channels", "1")
	defer ok(t, "trunk", "disable", "d-alpha")
	ok(t, "account", "add", "d-anna", "--tariff", "d-retail", "--limit", "10.00")
	ok(t, "deck", "format", "add", "d-format", file(t, "format.toml", `
file = "csv"
encoding = "utf-8"
delimiter = ";"
header = true
decimal = ","
[columns]
prefix = "Code"
destination = "Name"
rate = "Rate"
[codes]
separator = ","
`))
	ok(t, "deck", "import", file(t, "retail.csv", "prefix,rate_per_minute\n998,0.12\n"), "--retail", "d-retail")
	ok(t, "deck", "import", file(t, "june.csv", "Code;Name;Rate\n998;Uzbekistan;0,0500\n380,7;East;0,1\n"), "--trunk", "d-alpha", "--format", "d-format")
	callOver(t, "d-alpha", "d-retail", "d-anna")
	july := file(t, "july.csv", "Code;Name;Rate\n998;Uzbekistan;0,13\n7;East;0,09\n995;Georgia;0,1\n")
	args := []string{"deck", "import", july, "--trunk", "d-alpha", "--format", "d-format", "--against", "d-retail"}

	dry := object(t, append(args, "--dry-run")...)
	diff := dry["diff"].(map[string]any)
	for field, want := range map[string]string{"new": "1", "gone": "1", "dearer": "1", "cheaper": "1", "same": "0", "over_30_percent": "1", "no_margin": "1"} {
		if diff[field] != json.Number(want) {
			t.Errorf("%s: %v, want %s", field, diff[field], want)
		}
	}
	first := diff["differences"].([]any)[0].(map[string]any)
	checkFields(t, "difference", first, "prefix destination window from change prefix_before rate_before prefix_after rate_after percent anomalies")
	if first["prefix"] != "998" || first["percent"] != "160.00" || len(first["anomalies"].([]any)) != 2 {
		t.Errorf("the worst is %v", first)
	}
	effect := diff["effect"].(map[string]any)
	checkFields(t, "effect", effect, "since calls cost_before cost_after no_rate destinations")
	if effect["calls"] != json.Number("1") || effect["cost_before"] != "0.10" || effect["cost_after"] != "0.26" {
		t.Errorf("the call of two minutes: %v", effect)
	}
	checkFields(t, "destination", effect["destinations"].([]any)[0].(map[string]any), "destination calls cost_before cost_after")
	if rates := dry["rates"].([]any); len(rates) != 3 {
		t.Errorf("rates as they were read: %v", rates)
	}
	table := ok(t, append(args, "--dry-run")...)
	csv := ok(t, append(args, "--dry-run", "--worst", "1", "-o", "csv")...)
	if !strings.Contains(table, "over_30_percent") || strings.Count(csv, "\n") != 5 {
		t.Errorf("table and CSV:\n%s\n%s", table, csv)
	}
	refused(t, exitFailed, []string{"998 (Uzbekistan) from 0.05 to 0.13", "--accept"}, args...)

	same := object(t, "deck", "diff", "d-retail", "d-retail@1")["effect"].(map[string]any)
	if same["calls"] != json.Number("1") || same["cost_before"] != "0.24" || same["cost_after"] != "0.24" {
		t.Errorf("the same call by the callers' prices: %v", same)
	}

	ok(t, append(args, "--draft")...)
	deck := func() string {
		return object(t, "rate", "explain", "+998711234567", "--trunk", "d-alpha", "--seconds", "60")["deck"].(string)
	}
	if got := deck(); got != "d-alpha@1" {
		t.Errorf("a draft counts: %s", got)
	}
	refused(t, exitFailed, []string{"998 (Uzbekistan)", "--accept"}, "deck", "activate", "d-alpha@2")
	ok(t, "deck", "activate", "d-alpha@2", "--accept", "--at", time.Now().Add(time.Hour).Format(time.RFC3339))
	if got := deck(); got != "d-alpha@1" {
		t.Errorf("a version to come counts: %s", got)
	}
	ok(t, "deck", "activate", "d-alpha@2", "--accept")
	if got := deck(); got != "d-alpha@2" {
		t.Errorf("activated, and %s counts", got)
	}
	if back := object(t, "deck", "rollback", "d-alpha"); back["in_force"] != "d-alpha@1" || back["state"] != "rolled_back" {
		t.Errorf("%v", back)
	}
	if got := deck(); got != "d-alpha@1" {
		t.Errorf("rolled back, and %s counts", got)
	}
	if got := ok(t, "deck", "export", "d-alpha@2"); !strings.Contains(got, "\n995,Georgia,0.10,") {
		t.Errorf("the export of a version:\n%s", got)
	}
	if got := ok(t, "deck", "format", "show", "d-format"); !strings.HasPrefix(got, "\nfile = \"csv\"\n") {
		t.Errorf("the format is another than the file:\n%s", got)
	}
}

// TestDeckFromAPipe imports what can be read only once.
func TestDeckFromAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it is only read
	go func() {
		_, err := w.WriteString("prefix,rate_per_minute\n380,0.1\n")
		if err != nil || w.Close() != nil {
			t.Errorf("pipe: %v", err)
		}
	}()
	t.Setenv("TMPDIR", t.TempDir())
	f, err := openDeckFile(fmt.Sprint("/dev/fd/", r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if f.size != 31 {
		t.Errorf("%d bytes", f.size)
	}
	if err := f.Close(); err != nil || tempDecks(t) != 0 {
		t.Errorf("%v; copies are left", err)
	}
}

func tempDecks(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "telecommune-deck-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
