package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrices works the figures out by hand: the first minute whole, then steps of 6 seconds, 0.05 for the connection.
func TestPrices(t *testing.T) {
	ok(t, "enterprise", "set", "CALL", "--vat", "19")
	defer ok(t, "enterprise", "set", "CALL", "--vat", "0")
	ok(t, "account", "add", "p-anna", "--tariff", "p-retail")
	head := "prefix,rate_per_minute,connect_fee,interval_first,interval_next\n"
	v := object(t, "deck", "import", "--retail", "p-retail", "--from", "2027-01-01", "--zone", "Europe/Berlin",
		file(t, "old.csv", head+"7701,0.10,0.05,60,6\n"))
	if v["active_from"] != "2026-12-31T23:00:00Z" {
		t.Errorf("midnight in Berlin is %v", v["active_from"])
	}
	ok(t, "deck", "import", "--retail", "p-retail", "--from", "2027-02-01", "--accept", file(t, "new.csv", head+"7701,0.20,0.05,60,6\n"))
	for _, tt := range []struct{ at, seconds, billed, price, vat, deck string }{
		{"2027-01-15", "0", "0", "0.00", "0.00", "p-retail@1"},
		{"2027-01-15", "1", "60", "0.15", "0.02395", "p-retail@1"},
		{"2027-01-15", "61", "66", "0.16", "0.025546", "p-retail@1"},
		{"2027-01-31T23:59:59Z", "60", "60", "0.15", "0.02395", "p-retail@1"},
		{"2027-02-01T00:00:00Z", "60", "60", "0.25", "0.039916", "p-retail@2"},
	} {
		got := object(t, "rate", "explain", "007701234567", "--account", "p-anna", "--seconds", tt.seconds, "--at", tt.at)
		if got["billed_seconds"] != json.Number(tt.billed) || got["price"] != tt.price || got["vat"] != tt.vat ||
			got["deck"] != tt.deck {
			t.Errorf("%s seconds at %s: %v", tt.seconds, tt.at, got)
		}
	}
}

func TestMoneyMoves(t *testing.T) {
	ok(t, "account", "add", "m-anna")
	ok(t, "account", "add", "m-oksana")
	for range 2 { // the key makes it one payment
		if a := object(t, "account", "topup", "m-anna", "10.00", "--key", "m-1"); a["balance"] != "10.00" {
			t.Errorf("paid in: %v", a)
		}
	}
	voucher := object(t, "voucher", "issue", "2.50", "--account", "m-anna", "--key", "m-2")
	again := object(t, "voucher", "issue", "2.50", "--account", "m-anna", "--key", "m-2")
	if voucher["code"] != again["code"] {
		t.Errorf("one key, two vouchers: %v, %v", voucher, again)
	}
	ok(t, "voucher", "redeem", voucher["code"].(string), "--account", "m-oksana")
	for account, want := range map[string]string{"m-anna": "7.50", "m-oksana": "2.50"} {
		if a := object(t, "account", "show", account); a["balance"] != want || a["free"] != want {
			t.Errorf("%v, want %s", a, want)
		}
	}
	if !strings.Contains(ok(t, "statement", "m-anna", "-o", "html"), "<html") {
		t.Error("the page of the bill is none")
	}
	trial := ok(t, "books", "trial")
	lines := strings.Split(strings.TrimSpace(trial), "\n")
	if sum := strings.Fields(lines[len(lines)-1]); sum[1] != "sum" || sum[4] != "0.00" || sum[2] != sum[3] {
		t.Errorf("the books don't sum to zero:\n%s", trial)
	}
}

// TestDesk is a day at the treasurer's desk: what each command books, and what stands in the books in the evening.
func TestDesk(t *testing.T) {
	ok(t, "trunk", "add", "t-alpha", "--address", "192.0.2.20:5060", "--carrier", "t-acme")
	ok(t, "account", "add", "t-anna")
	ok(t, "account", "add", "t-shop", "--limit", "10.00")
	for range 2 { // each has a key of its own, or is one by its nature
		for _, line := range []string{
			"account topup t-anna 50.00 --key t-1",
			"account refund t-anna 4.00 --key t-1",
			"account credit t-anna 0.50 --key t-1 --text goodwill",
			"account debit t-anna 0.25 --key t-1 --text fee",
			"account expire t-anna 0.125 --key t-1 --text unused",
			"account transfer t-anna t-shop 2.00 --key t-1",
			"account debit t-shop 7.00 --key t-2 --text phones",
			"account write-off t-shop 4.00 --key t-1 --text insolvent",
			"carrier invoice add 815 --carrier t-acme --amount 12.00",
			"carrier invoice pay 815 --carrier t-acme",
		} {
			ok(t, strings.Fields(line)...)
		}
	}
	name := filepath.Join(t.TempDir(), "vouchers.csv")
	batch := strings.Fields("voucher batch --account t-anna --count 3 --amount 1.00 --expires 2099-12-31 --key t-3 -o csv --file " + name)
	ok(t, batch...)
	printed, err := os.ReadFile(name)
	if err != nil || strings.Count(string(printed), "\n") != 4 || !strings.HasPrefix(string(printed), "id,batch,serial,code,amount,currency,expires_on,") {
		t.Fatalf("%s, %v", printed, err)
	}
	if stat, err := os.Stat(name); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("others can read the codes: %v, %v", stat, err)
	}
	ok(t, batch...)
	if again, err := os.ReadFile(name); err != nil || string(again) != string(printed) {
		t.Errorf("the same key gives other vouchers: %s, %v", again, err)
	}
	row := strings.Split(strings.Split(string(printed), "\n")[1], ",")
	ok(t, "voucher", "redeem", row[3], "--account", "t-shop")
	if v := object(t, "voucher", "void", row[1], "--text", "lost"); v["void"] != json.Number("2") || v["redeemed"] != json.Number("1") {
		t.Errorf("void: %v", v)
	}
	if expired := decode[[]any](t, ok(t, "voucher", "expire", "-o", "json")); len(expired) != 0 {
		t.Errorf("expired: %v", expired)
	}
	for account, want := range map[string]string{"t-anna": "43.125", "t-shop": "0.00"} {
		if a := object(t, "account", "show", account); a["balance"] != want {
			t.Errorf("%v, want %s", a, want)
		}
	}
	bill := ok(t, "statement", "t-anna")
	for _, line := range []string{"Refund of unused credit", "Credit: goodwill", "Charge: fee", "Expired credit: unused", "Transfer from t-anna to t-shop", "Voucher made void: lost"} {
		if !strings.Contains(bill, line) {
			t.Errorf("the bill does not say %q:\n%s", line, bill)
		}
	}
	if r := tcWith(t, "", "__complete", "--state", state, "account", "transfer", "t-anna", ""); !strings.Contains(r.out, "t-shop\n") {
		t.Errorf("the second account is not completed: %s%s", r.out, r.err)
	}
	if r := tcWith(t, "", "__complete", "--state", state, "carrier", "invoice", "list", "--carrier", ""); !strings.Contains(r.out, "t-acme\n") {
		t.Errorf("carriers are not completed: %s%s", r.out, r.err)
	}
}

func TestProviderChangesHands(t *testing.T) {
	trusted := func(line string) any { return object(t, strings.Fields(line)...)["trust_caller_id"] }
	for _, tt := range []struct {
		line string
		want bool
	}{
		{"provider add h-a --address 198.18.0.1", true},
		{"provider add h-b --user h-b", false},
		{"provider add h-c --user h-c --trust-caller-id", true},
		{"provider set h-a --trust-caller-id=false", false},
		{"provider set h-a --address 198.18.0.2", false}, // as it was
		{"provider set h-b --address 198.18.0.3", true},  // another way to be known, and what goes with it
		{"provider set h-b --user h-bb", false},
		{"provider set h-c --user h-cc", true},
	} {
		if got := trusted(tt.line); got != tt.want {
			t.Errorf("%s: trusted %v, want %v", tt.line, got, tt.want)
		}
	}
	r := tcWith(t, "typed password\n", "provider", "set", "h-b", "--password-file", "-", "--state", state)
	if r.code != 0 || strings.Contains(r.out, "typed password") {
		t.Errorf("a password from the input: exit %d, %s%s", r.code, r.out, r.err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	ok(t, "account", "add", "r-anna")
	dump := filepath.Join(t.TempDir(), "tc.dump")
	info := object(t, "backup", dump)
	stat, err := os.Stat(dump)
	if err != nil || info["file"] != dump || stat.Size() == 0 || stat.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v, %v", info, stat, err)
	}
	refused(t, exitFailed, []string{"not empty", "--force"}, "restore", dump)

	other := freshState(t)
	if r := tcWith(t, "", "restore", dump, "--state", other); r.code != 0 {
		t.Fatal(r.err)
	}
	if r := tcWith(t, "", "account", "show", "r-anna", "--state", other); r.code != 0 {
		t.Errorf("after the restore: %s", r.err)
	}
}

func TestReplay(t *testing.T) {
	scenario := filepath.Join("..", "..", "billing", "replay", "testdata", "01-first-call.json")
	result := decode[map[string]any](t, ok(t, "books", "replay", scenario))
	checkFields(t, "replay", result, "balances periods auctions calls journal error")

	text, err := os.ReadFile(scenario)
	if err != nil {
		t.Fatal(err)
	}
	scene := decode[map[string]any](t, string(text))
	scene["expect"].(map[string]any)["balances"] = map[string]any{"CALL": map[string]any{"1000": "99.00"}}
	wrong, err := json.Marshal(scene)
	if err != nil {
		t.Fatal(err)
	}
	r := tc(t, "books", "replay", file(t, "wrong.json", string(wrong)))
	if r.code != exitFailed || !strings.Contains(r.err, "99.00") || !strings.Contains(r.err, "differences") {
		t.Errorf("a wrong scenario: exit %d, %s", r.code, r.err)
	}
	decode[map[string]any](t, r.out)
}

func TestDoctor(t *testing.T) {
	nowhere := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := tc(t, "doctor", "--prompts", nowhere, "--sip", "127.0.0.1:0", "--http", taken.Addr().String(), "-o", "json")
	if r.code != exitFailed || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "checks failed") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	found := map[string]finding{}
	for _, f := range decode[[]finding](t, r.out) {
		found[f.Check] = f
		if (f.Status != good) != (f.Fix != "") {
			t.Errorf("%s: what is wrong has a mend, what is right has none: %+v", f.Check, f)
		}
	}
	for check, want := range map[string]status{
		"postgresql": good, "database": good, "state folder": good, "SIP port": good, "prompts": fail, "HTTP port": fail,
	} {
		if found[check].Status != want {
			t.Errorf("%s: %+v, want %s", check, found[check], want)
		}
	}
	if f := found["prompts"]; f.Fix != "make prompts" || !strings.Contains(f.Detail, nowhere) {
		t.Errorf("prompts: %+v", f)
	}
	ok(t, "account", "add", "doc-anna")
	ok(t, "pin", "issue", "--account", "doc-anna") // makes the key, if no test before did
	if err := os.Chmod(filepath.Join(state, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(state, keyFile), 0o600)
	for _, f := range decode[[]finding](t, tc(t, "doctor", "-o", "json").out) {
		if f.Check == "secret key" && (f.Status != fail || !strings.HasPrefix(f.Fix, "chmod 600 ")) {
			t.Errorf("a key that others can read: %+v", f)
		}
	}
}
