package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"telecommune/routing"
)

// TestWhatMayBeCalled explains numbers that may not be called, and lets them be called by a rule.
func TestWhatMayBeCalled(t *testing.T) {
	rates := file(t, "n.csv", "prefix,rate_per_minute\n44,0.01\n870,4.00\n43,1.01\n")
	ok(t, "trunk", "add", "n-alpha", "--address", "192.0.2.20:5060")
	ok(t, "deck", "import", "--trunk", "n-alpha", rates)
	ok(t, "deck", "import", "--retail", "n-retail", rates)
	ok(t, "account", "add", "n-anna", "--tariff", "n-retail")
	explain := func(number string) (denied string, candidates int) {
		t.Helper()
		o := object(t, "route", "explain", number, "--account", "n-anna")
		for _, s := range o["skipped"].([]any) {
			if s := s.(map[string]any); (s["reason"] == "blocked") != (o["denied"] != "") {
				t.Errorf("%s: denied for %q, skipped %v", number, o["denied"], s)
			}
		}
		return o["denied"].(string), len(o["candidates"].([]any))
	}
	check := func(number, want string) {
		t.Helper()
		if denied, n := explain(number); denied != want || (n == 0) != (want != "") {
			t.Errorf("%s is denied for %q with %d candidates, want %q", number, denied, n, want)
		}
	}
	check("+442071838750", "")
	check("+449011234567", "premium")
	check("+870773111234", "satellite")
	check("+436641234567", "too_dear")
	check("+44999", "emergency")

	ok(t, "route", "rule", "set", "870", "allow", "--max-rate", "4.00", "--text", "the ship")
	ok(t, "route", "rule", "set", "+4420", "block")
	check("+870773111234", "")
	check("+442071838750", "rule")
	ok(t, "route", "rule", "remove", "4420")
	if out := ok(t, "route", "explain", "+449011234567", "--account", "n-anna"); !strings.Contains(out, "may not be called: premium") {
		t.Errorf("the table does not say why: %s", out)
	}

	limits := object(t, "route", "limit", "set", "--countries", "de,ua", "--max-rate", "2.00")
	defer ok(t, "route", "limit", "set", "--countries", "all", "--max-rate", "1.00")
	if limits["max_rate"] != "2.00" || len(limits["countries"].([]any)) != 2 {
		t.Errorf("limits %v", limits)
	}
	check("+442071838750", "country")
	check("+870773111234", "") // a rule comes before the countries
	object(t, "route", "limit", "set", "--countries", "all")
	check("+436641234567", "")
}

// TestCallTellsItsWay compares what a call keeps of its plan with what is explained, and the figures of its trunk with
// the call.
func TestCallTellsItsWay(t *testing.T) {
	rates := file(t, "w.csv", "prefix,rate_per_minute\n998,0.05\n")
	ok(t, "trunk", "add", "w-alpha", "--address", "192.0.2.20:5060")
	ok(t, "deck", "import", "--trunk", "w-alpha", rates)
	ok(t, "deck", "import", "--retail", "w-retail", rates)
	ok(t, "account", "add", "w-anna", "--tariff", "w-retail", "--limit", "5.00", "--call-limit", "600")
	id := oneCall(t, "w")
	shown := object(t, "call", "show", id.String())
	kept := shown["route"].(map[string]any)
	explained := object(t, "route", "explain", "+998711234567", "--account", "w-anna")
	for _, c := range explained["candidates"].([]any) {
		delete(c.(map[string]any), "capacity")
	}
	delete(kept, "at")
	delete(explained, "at")
	was, _ := json.Marshal(kept)
	is, _ := json.Marshal(explained)
	if string(was) != string(is) {
		t.Errorf("the call keeps %s\nexplained is %s", was, is)
	}
	if out := ok(t, "call", "show", id.String()); !strings.Contains(out, "The plan it was routed by:") || !strings.Contains(out, "w-alpha@1") {
		t.Errorf("the table lacks the plan:\n%s", out)
	}

	figures := decode[[]map[string]any](t, ok(t, "trunk", "quality", "w-alpha", "--by", "prefix", "-o", "json"))
	last := figures[len(figures)-1]
	if last["prefix"] != "998" || last["country"] != "UZ" || last["asr"] != "100.00" || last["acd"] != json.Number("120") {
		t.Errorf("figures %v", figures)
	}
	trunk := object(t, "trunk", "show", "w-alpha")
	if trunk["asr"] != "100.00" || trunk["cost"] != last["cost"] {
		t.Errorf("%v", trunk)
	}
	if rows := decode[[]any](t, ok(t, "trunk", "quality", "w-alpha", "--to", "2020-01-01", "--from", "2019-01-01", "-o", "json")); len(rows) > 0 {
		t.Errorf("figures of a time before: %v", rows)
	}
}

// TestExplainThenNowAndLater asks for the route of a day in the past and in the future: the decks are those of then.
func TestExplainThenNowAndLater(t *testing.T) {
	ok(t, "trunk", "add", "x-alpha", "--address", "192.0.2.20:5060")
	head := "prefix,rate_per_minute\n"
	ok(t, "deck", "import", "--retail", "x-retail", "--from", "2020-01-01", file(t, "r.csv", head+"38044,0.03\n"))
	for _, v := range []struct{ from, rate string }{{"2020-01-01", "0.01"}, {"2021-01-01", "0.02"}, {"2120-01-01", "0.04"}} {
		ok(t, "deck", "import", "--trunk", "x-alpha", "--accept", "--from", v.from, file(t, "c.csv", head+"38044,"+v.rate+"\n"))
	}
	ok(t, "account", "add", "x-anna", "--tariff", "x-retail")
	for at, want := range map[string]string{
		"2020-06-01T12:00:00Z":          "x-alpha@1 0.01",
		"2021-01-01":                    "x-alpha@2 0.02",
		time.Now().Format(time.RFC3339): "x-alpha@2 0.02",
		"2120-01-01T00:00:00+00:00":     "x-alpha below_cost", // dearer than the caller's 0.03
	} {
		o := object(t, "route", "explain", "+380441234567", "--account", "x-anna", "--at", at)
		got := ""
		for _, c := range o["candidates"].([]any) {
			if c := c.(map[string]any); c["trunk"] == "x-alpha" {
				got = c["deck"].(string) + " " + c["rate_per_minute"].(string)
			}
		}
		for _, s := range o["skipped"].([]any) {
			if s := s.(map[string]any); s["trunk"] == "x-alpha" {
				got = "x-alpha " + s["reason"].(string)
			}
		}
		if got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
	}
	ok(t, "trunk", "add", "x-beta", "--address", "192.0.2.21:5060", "--deck", "x-alpha")
	if o := object(t, "rate", "explain", "+380441234567", "--seconds", "60", "--trunk", "x-beta"); o["deck"] != "x-alpha@2" {
		t.Errorf("the deck of a trunk that shares one is %v", o["deck"])
	}
	refused(t, exitFailed, []string{"no rate", "2019"}, "route", "explain", "+380441234567", "--account", "x-anna", "--at", "2019-01-01")
}

// The documents name every reason, and no other.
func TestReasonsAreInTheDocuments(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, r := range routing.Reasons {
		if !strings.Contains(text, "| `"+string(r)+"` |") {
			t.Errorf("docs/operating.md does not say what %s is", r)
		}
	}
	for _, d := range []routing.Denial{
		routing.Emergency, routing.Short, routing.Premium, routing.SharedCost, routing.Satellite, routing.Personal,
		routing.Unallocated, routing.Foreign, routing.OwnRule, routing.TooDear,
	} {
		if !strings.Contains(text, "| `"+string(d)+"` |") {
			t.Errorf("docs/operating.md does not say what %s is", d)
		}
	}
}
