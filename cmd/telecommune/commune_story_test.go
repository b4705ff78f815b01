package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telecommune/internal/htmltest"
	"telecommune/internal/postgres"
)

// TestCommuneStory is a commune by its commands: two members, a trunk bought with bonds, a gift that nobody wants, the
// month's close, the dividends. All of it counts on the first of this month, so that months are whole.
func TestCommuneStory(t *testing.T) {
	fresh := freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: fresh, Log: quiet()}) // kept up for all of it
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(args ...string) outcome { return tcWith(t, "", append(args, "--state", fresh)...) }
	do := func(line string) map[string]any {
		t.Helper()
		r := run(append(words(line), "-o", "json")...)
		if r.code != 0 || r.err != "" {
			t.Fatalf("telecommune %s: exit %d, %s", line, r.code, r.err)
		}
		return decode[map[string]any](t, r.out)
	}
	month, first := time.Now().UTC().Format("2006-01"), time.Now().UTC().Format("2006-01")+"-01"
	on := func(line string) string { return strings.ReplaceAll(line, "MONTH", month) + " --on " + first }
	bids := filepath.Join("..", "..", "docs", "examples", "bond-bids.csv")
	rental := filepath.Join("..", "..", "docs", "examples", "rental-bids.csv")

	member := "code name state joined left worked lapses iban account payable"
	asset := "code kind meter state cost life_months months_depreciated book_value bonds commons_fund acquired liquidated agreement"
	agreement := "code asset start end enterprise fixed minimum rate included state deposit open"
	enterprise := "code name owned_bp state overdue wages retained"
	for _, s := range []struct{ line, fields, field, want string }{
		{on(`member join anna --name "Anna Arendt" --enterprise CALL`), member, "state", "active"},
		{on("member join bert --enterprise CALL --attested-by anna"), member, "joined", first},
		{"member set bert --iban DE02120300000000202051", member, "iban", "DE02120300000000202051"},
		{"account add anna", "", "balance", "0.00"},
		{"account topup anna 60.00 --key till-1", "", "balance", "60.00"},
		{on("asset request alpha --member anna --kind trunk --price 120.00 --life 24 --meter seconds --agreement RA --lessee CALL --fixed 11.00 --rate 0.003"), asset, "state", "requested"},
		{on("bond auction S1 --asset alpha --offer 120.00 --cap-bps 800 --term 12 --bids " + bids), "series status rate_bps allotments refunds", "status", "cleared"},
		{on("asset acquire alpha"), asset, "state", "let"},
		{"bond show S1", "code asset issued rate_bps term_months principal offer cap_bps state outstanding interest_due", "outstanding", "120.00"},
		{on("agreement deposit RA 5.00"), agreement, "deposit", "5.00"},
		{on("rent pay RA MONTH"), agreement + " period", "period", month},
		{on("rent unpaid RA MONTH"), agreement + " period", "period", month},
		{on("rent pay RA MONTH --key rent-1"), agreement + " period", "open", "0.00"},
		{on(`period expense 0.21 --text "bank charge"`), "amount text", "amount", "0.21"},
		{on("period levy MONTH --bps 1000"), "period amount bps", "period", month},
		{on("enterprise wage CALL anna 2.00"), "enterprise member amount", "amount", "2.00"},
		{on("enterprise pay-wage CALL anna 2.00"), "enterprise member amount", "amount", "2.00"},
		{on("member work anna --enterprise CALL --attested-by bert --text June"), member, "worked", first},
		{on(`enterprise propose HOST --name Hosting --member anna`), enterprise, "state", "proposed"},
		{on(`enterprise start HOST --text "all of us"`), enterprise, "state", "active"},
		{on(`enterprise add NEWS --name News`), "code name vat_percent currency", "name", "News"},
		{on(`commune policy vote arrears-notice 2 --text "all of us"`), "policy value from text", "from", first},
		{on("asset gift disk --kind disk --value 40.00 --life 4 --meter quantity --agreement RD --lessee HOST --rate 0.10"), asset, "agreement", "RD"},
		{on("asset use disk 12.5 --key disk-1"), asset, "state", "let"},
		{on("agreement notice RD --end " + first), agreement, "state", "ended"},
		{on("asset let disk --agreement RD2 --reserve 8.00 --bids " + rental), "asset status reserve", "status", "no_demand"},
		{on("asset let disk --agreement RD3 --included 2.5 --bids " + rental), "asset status reserve winner agreement amount", "winner", "bert"},
	} {
		o := do(s.line)
		if s.fields != "" {
			checkFields(t, s.line, o, s.fields)
		}
		if o[s.field] != s.want {
			t.Errorf("%s: %s is %v, want %s", s.line, s.field, o[s.field], s.want)
		}
	}
	// From a file: what is known counts once, what is tried counts not at all, what is wrong counts whole not.
	known, other := file(t, "use.csv", "\ufeffkey,asset,quantity\r\ndisk-1,disk,12.5\r\n"), file(t, "other.csv", "key,asset,quantity\nnew,disk,1\ndisk-1,disk,12.6\n")
	tried := file(t, "tried.csv", "key,asset,quantity,enterprise,day\nnew,disk,1000,CALL,"+first+"\n")
	for line, want := range map[string]string{
		"asset report " + known:               "0 1 false",
		"asset report --dry-run " + tried:     "1 0 true",
		on("asset report --dry-run " + known): "0 1 true",
	} {
		o := do(line)
		checkFields(t, line, o, "reported repeated dry_run assets")
		if got := fmt.Sprintf("%v %v %v", o["reported"], o["repeated"], o["dry_run"]); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if r := run("asset", "report", other, "--on", first); r.code != 1 || !strings.Contains(r.err, "line 3") || !strings.Contains(r.err, "idempotency_conflict") {
		t.Errorf("a key with another quantity: %d, %s", r.code, r.err)
	}
	checkStoryClose(t, do, run, month)
	next := func(line string) string {
		return line + " --on " + time.Now().UTC().AddDate(0, 1, 1-time.Now().UTC().Day()).Format("2006-01-02")
	}
	for line, says := range map[string][]string{
		next("agreement arrears RD3"):                    {"too_early", "arrears-notice", "policy list"},
		next("agreement apply-deposit RA"):               {"wrong_state", "no notice of arrears"},
		next("agreement take-back RA"):                   {"wrong_state", "running"},
		next("bond default S1"):                          {"wrong_state", "let"},
		next("member lapse anna"):                        {"too_early", first},
		next("member forfeit bert"):                      {"wrong_state", "was not claimed"},
		next("enterprise suspend CALL --text x"):         {"wrong_state", "it is active"},
		next("enterprise wind-up CALL --text x"):         {"wrong_state", "it is active"},
		next("enterprise resume CALL --text x"):          {"wrong_state", "it is active"},
		next("enterprise distribute HOST 1.00 --text x"): {"wrong_state", "retained"},
		on("asset acquire alpha"):                        {"period_closed", "period list"},
		"member pay anna --credit nobody":                {"not found"},
		"agreement show RX":                              {"unknown_reference", "list"},
	} {
		r := run(strings.Fields(line)...)
		if r.code == 0 {
			t.Errorf("%s went well", line)
		}
		for _, word := range says {
			if !strings.Contains(r.err, word) {
				t.Errorf("%s: %q lacks %q", line, r.err, word)
			}
		}
	}
}

// checkStoryClose: 11.00 of rent; bonds take 0.58 and 10.00, the disk earns 7.50 that nobody pays; of the pool 0.21 pays the
// bank and a tenth stays.
func checkStoryClose(t *testing.T, do func(string) map[string]any, run func(...string) outcome, month string) {
	t.Helper()
	dry := do("period close " + month + " --dry-run")
	closed := do("period close " + month + " --early")
	again := do("period close " + month)
	if closed["state"] != "closed" || again["seal"] != closed["seal"] || len(again["posted"].([]any)) != 0 {
		t.Errorf("closed %v, again %v", closed, again)
	}
	for _, o := range []map[string]any{dry, closed, again, do("period show " + month)} {
		f := o["figures"].(map[string]any)
		checkFields(t, "figures", f, "rents interest interest_paid redeemed remainder mutual_expenses levy pool dividends carry")
		got, err := json.Marshal([]any{f["rents"], f["interest_paid"], f["redeemed"], f["remainder"], f["levy"], f["pool"], f["dividends"], f["carry"]})
		want := `[{"RA":"11.00","RD3":"7.50"},{"S1":"0.58"},{"S1":"10.00"},{"alpha":"0.42","disk":"0.00"},"0.02","0.19",{"anna":"0.09","bert":"0.09"},"0.01"]`
		if err != nil || string(got) != want {
			t.Errorf("figures\n%s, want\n%s", got, want)
		}
	}
	next := time.Now().UTC().AddDate(0, 1, 1-time.Now().UTC().Day()).Format("2006-01-02")
	for _, line := range []string{"member pay anna --credit anna --key a1", "member pay bert --key b1", "enterprise settle CALL 0.09"} {
		for range strings.Count(line, "--key") + 1 { // with a key it happens once
			if o := do(line + " --on " + next); o["amount"] != "0.09" {
				t.Errorf("%s: %v", line, o)
			}
		}
	}
	if o := do("account show anna"); o["balance"] != "60.09" {
		t.Errorf("the dividend did not become credit: %v", o)
	}
	m := do("statement anna --member --period " + month)
	if m["dividend"] != "0.09" || m["pool"] != "0.19" {
		t.Errorf("month of anna: %v", m)
	}
	file := filepath.Join(t.TempDir(), "dividends.xml")
	r := run("period", "payments", month+"-01", "--payer", "The commune", "--iban", "GB82WEST12345698765432", "--file", file)
	if text, err := os.ReadFile(file); r.code != 0 || err != nil || !strings.Contains(string(text), "<IBAN>DE02120300000000202051</IBAN>") {
		t.Errorf("file for the bank: %s, %v\n%s", r.err, err, text)
	}
	for _, line := range []string{"member list", "asset list", "agreement list", "rent list", "bond list", "bond bids S1", "bond holders", "enterprise list", "commune policy list", "commune policy votes", "period show " + month, "asset show alpha"} {
		for _, format := range []string{"table", "csv"} {
			if r := run(append(strings.Fields(line), "-o", format)...); r.code != 0 || strings.Count(r.out, "\n") < 2 {
				t.Errorf("%s -o %s: %d, %s\n%s", line, format, r.code, r.err, r.out)
			}
		}
	}
	for line, fields := range map[string]string{
		"books result CALL --period " + month:       "book name currency period state income expenses result closed equity journal",
		"books result --period " + month:            "book name currency period state income expenses result closed equity journal",
		"books sheet --at " + month + "-28":         "book name currency at assets liabilities equity result total journal",
		"books sheet CALL":                          "book name currency at assets liabilities equity result total journal",
		"bond statement xenia":                      "holder currency holdings moves",
		"asset life alpha":                          "code kind meter state cost life_months months_depreciated book_value bonds commons_fund acquired liquidated agreement currency stations months entries",
		"statement anna --member --period " + month: "member name period currency state assets brought_forward rents other mutual_expenses levy pool shared carry days all_days members dividend payouts payable from entries",
	} {
		checkFields(t, line, do(line), fields)
		text, page := run(append(words(line), "-o", "text")...), run(append(words(line), "-o", "html")...)
		if text.code != 0 || len(text.out) < 300 || !strings.HasPrefix(page.out, "<!DOCTYPE html>") {
			t.Errorf("%s: %s%s\n%s", line, text.err, page.err, text.out)
		}
		htmltest.Check(t, page.out)
	}
	// What a document names can be listed.
	entry := m["entries"].([]any)[0].(map[string]any)["entry"].(string)
	if r := run("books", "journal", "--entry", entry, "-o", "json"); r.code != 0 || strings.Count(r.out, `"key"`) != 1 || !strings.Contains(r.out, entry) {
		t.Errorf("journal of one entry: %s%s", r.err, r.out)
	}
	if r := run("books", "journal", "--book", "COM", "--account", "2100", "-o", "csv"); r.code != 0 || !strings.Contains(r.out, "2100:S1/") {
		t.Errorf("journal of an account with its sub-accounts: %s%s", r.err, r.out)
	}
	for line, says := range map[string]string{"books result NONE": "NONE", "books sheet NONE": "NONE", "bond statement nobody": "nobody", "bond statement wim": "wim", "asset life nothing": "nothing"} {
		if r := run(words(line)...); r.code != 1 || !strings.Contains(r.err, says) {
			t.Errorf("%s: %d, %s", line, r.code, r.err)
		}
	}
	if r := run("books", "verify"); r.code != 0 {
		t.Errorf("books verify: %s", r.err)
	}
}
