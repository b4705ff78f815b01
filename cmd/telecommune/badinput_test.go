package main

import (
	"strings"
	"testing"
)

// TestBadInput holds that each refusal is one line that names what is wrong, with exit code 1, and changes nothing.
func TestBadInput(t *testing.T) {
	ok(t, "account", "add", "b-anna")
	ok(t, "account", "topup", "b-anna", "5.00", "--key", "b-1")
	ok(t, "provider", "add", "b-pstn", "--address", "203.0.113.0/28")
	ok(t, "access-number", "add", "+998711000002", "--provider", "b-pstn", "--country", "UZ")
	ok(t, "trunk", "add", "b-alpha", "--address", "192.0.2.20:5060")
	ok(t, "phone", "add", "+998901234568", "--account", "b-anna")
	ok(t, "carrier", "invoice", "add", "b-bill", "--carrier", "b-alpha", "--amount", "1000000.00", "--period", "2027-06")
	rates := file(t, "good.csv", "prefix,rate_per_minute\n998,0.05\n")
	dear := file(t, "dear.csv", "prefix,rate_per_minute\n998,0.07\n")
	format := file(t, "format.toml", "file = \"csv\"\nencoding = \"utf-8\"\ndelimiter = \",\"\nheader = true\ncurrency = \"EUR\"\n[columns]\nprefix = \"Code\"\nrate = \"Rate\"\n")
	ok(t, "trunk", "add", "b-both", "--address", "192.0.2.20:5060")
	ok(t, "deck", "import", file(t, "both.csv", "prefix,rate_per_minute\n5,1\n"), "--trunk", "b-both")
	ok(t, "deck", "import", rates, "--retail", "b-both")
	ok(t, "deck", "import", dear, "--retail", "b-both", "--draft")
	ok(t, "deck", "format", "add", "b-format", format)
	spent := spentVoucher(t)
	before := snapshot(t)

	deck := file(t, "bad.csv", "prefix,rate_per_minute\n998,0.05\n99871,0.0512345\n99890,-1\n998,0.07\n9989012345678901,1\n7,1e3\n")
	column := file(t, "column.csv", "prefix,rate_per_minute,colour\n998,0.05,red\n")
	grace := file(t, "grace.csv", "prefix,rate_per_minute,grace_seconds\n998,0.05,3\n")
	windows := file(t, "windows.csv",
		"prefix,rate_per_minute,window\n998,0.05,fri-sun\n998,0.06,sat 09:00-18:00\n999,1,sat 25:00-26:00\n")
	holidays := file(t, "holidays.csv", "date,counts_as\n2027-02-29,sun\n2027-12-25,xmas\n")
	secret := file(t, "short", "seven77\n")
	for _, tt := range []struct {
		line  string
		words string
	}{
		{"route policy set 0380 --strategy cheapest", "policy prefix 15 digits"},
		{"route policy set 380 --strategy cheapest --band 10", "policy band quality"},
		{"route policy set 380 --strategy quality --band 1001", "policy band 1000"},
		{"route policy remove 380", "no such policy"},
		{"trunk add b-heavy --address 192.0.2.20:5060 --weight 1001", "trunk weight 1 to 1000"},
		{"account topup b-anna 0.001", "whole cents"},
		{"account topup b-anna 0", "not a positive amount"},
		{"account topup b-anna 6.00 --key b-1", "idempotency_conflict --key"},
		{"account topup b-nobody 1.00", "b-nobody not found"},
		{"account topup -- b-anna -1.00", "not a positive amount"},
		{"account refund b-anna 5.01", "5.00 of its own is free insufficient_credit"},
		{"account refund b-anna 0.001", "whole cents"},
		{"account refund b-nobody 1.00", "b-nobody not found"},
		{"account debit b-anna 5.01 --text x", "insufficient_credit"},
		{"account expire b-anna 5.01 --text x", "insufficient_credit"},
		{"account write-off b-anna 0.01 --text x", "it owes 0.00 more than"},
		{"account transfer b-anna b-anna 1.00", "another account"},
		{"account transfer b-anna b-nobody 1.00", "b-nobody not found"},
		{"account transfer b-anna b-giver 5.01", "insufficient_credit"},
		{"voucher batch --account b-anna --count 6 --amount 1.00", "insufficient_credit"},
		{"voucher batch --account b-anna --count 10001 --amount 0.01", "1 to 10000"},
		{"voucher batch --account b-anna --count 2 --amount 0.01 --expires 2020-01-01", "2020-01-01 is over expired"},
		{"voucher void 01987a3c-5f2e-7c1d-8a4b-0123456789ab --text x", "not found"},
		{"carrier invoice add 1 --carrier b-nobody --amount 1.00", "b-nobody carrier not found"},
		{"carrier invoice add 1 --carrier b-alpha --amount 0.001", "whole cents"},
		{"carrier invoice pay 1 --carrier b-alpha", "b-alpha not found list"},
		{"carrier invoice pay b-bill --carrier b-alpha", "insufficient_funds bank"},
		{"carrier invoice add b-bill --carrier b-alpha --amount 999999.00", "idempotency_conflict"},
		{"carrier invoice add b-2 --carrier b-alpha --amount 1.00 --period 2027-06-30/2027-07-01", "b-bill these days --period"},
		{"enterprise vat due b-nobody", "not found"},
		{"enterprise vat pay CALL 1000.00", "due vat due"},
		{"account add b-anna", "b-anna exists already"},
		{"account add b/anna", "letters, digits"},
		{"account add " + strings.Repeat("x", 33), "1 to 32"},
		{"account show b-nobody", "b-nobody not found list"},
		{"account set b-nobody --name X", "b-nobody not found"},
		{"account block b-nobody", "not found"},
		{"phone add +998901234568 --account b-anna", "exists already"},
		{"phone add +998901234569 --account b-nobody", "account not found"},
		{"phone remove +998901234569", "not found"},
		{"pin issue --account b-nobody", "not found"},
		{"pin revoke --account b-nobody", "not found"},
		{"contact add --account b-anna --access-number +4930555 --to +380441234567", "access number not found"},
		{"contact remove --account b-anna --access-number +998711000002", "not found"},
		{"voucher issue 100.00 --account b-anna", "insufficient_credit topup"},
		{"voucher issue 0 --account b-anna", "not positive"},
		{"voucher issue -- -5", "account"},
		{"voucher redeem 123451234512345 --account b-anna", "not a voucher number"},
		{"voucher redeem " + spent + " --account b-anna", "redeemed before"},
		{"route rule remove 7701", "no such rule route rule list"},
		{"route rule set 7701 block --text " + strings.Repeat("x", 201), "200 characters"},
		{"trunk quality b-nobody", "no such trunk"},
		{"provider add b-pstn --address 203.0.113.16/28", "b-pstn exists already"},
		{"provider add b-other --address 203.0.113.0/28", "address exists already"},
		{"provider add b-other --user u --password-file " + secret, "at least 8"},
		{"provider add b-other --user u --password-file /nonexistent", "/nonexistent"},
		{"provider set b-pstn --password-file " + file(t, "long", "long enough\n"), "known by address"},
		{"provider remove b-pstn", "still in use"},
		{"provider show b-nobody", "not found"},
		{"access-number add +998711000002 --provider b-pstn --country UZ", "exists already"},
		{"access-number add +998711000003 --provider b-nobody --country UZ", "b-nobody not found"},
		{"access-number add +998711000003 --provider b-pstn --country XX", "XX ISO 3166"},
		{"access-number add +998711000003 --provider b-pstn --country UZ --language xx", "xx"},
		{"trunk add b-alpha --address 192.0.2.21:5060", "b-alpha already"},
		{"trunk add b-beta --address 192.0.2.21", "host:port"},
		{"trunk set b-alpha --channels -1", "channels"},
		{"trunk add b-gamma --address 192.0.2.21 --transport tls", "host:port SRV"},
		{"trunk set b-alpha --rewrite (=>1", "rewrite regular expression"},
		{"trunk set b-alpha --rewrite ^49=>$3", "rewrite group $3"},
		{"trunk set b-alpha --caller-id fixed", "caller_number fixed"},
		{"trunk set b-alpha --codecs G729", "codecs PCMA"},
		{"trunk set b-alpha --prepaid-floor 5", "prepaid_floor balance"},
		{"trunk set b-alpha --hours sat --zone Mars/Olympus", "zone Europe/Berlin"},
		{"trunk set b-alpha --tls-ca /nonexistent.pem", "/nonexistent.pem"},
		{"trunk set b-alpha --transport tls --tls-ca " + rates, "tls_ca PEM"},
		{"trunk set b-alpha --probe 1", "probe_seconds 5"},
		{"trunk show b-nobody", "b-nobody no such trunk"},
		{"trunk remove b-nobody", "no such trunk"},
		{"deck import --trunk b-alpha " + deck, "line 3 line 4 line 5 line 6 line 7"},
		{"deck import --trunk b-alpha --dry-run " + deck, "line 3"},
		{"deck import --trunk b-alpha " + column, "line 1 colour"},
		{"deck import --trunk b-alpha " + grace, "line 2 grace_seconds"},
		{"deck import --trunk b-nobody " + rates, "b-nobody no such trunk trunk add"},
		{"deck import --retail b-retail --currency USD " + rates, "USD EUR cost-plus"},
		{"deck import --trunk b-alpha " + windows, "line 3 line 2 sat 09:00 line 4 window"},
		{"deck import --trunk b-alpha --holidays " + holidays + " " + rates, "line 2 line 3 counts_as"},
		{"deck import --trunk b-alpha --holidays /nonexistent.csv " + rates, "/nonexistent.csv"},
		{"deck import --trunk b-alpha --format b-nobody " + rates, "b-nobody no such deck format list"},
		{"deck import --trunk b-alpha --format b-format --currency USD " + rates, "EUR --currency USD"},
		{"deck import --trunk b-alpha --format b-format " + rates, "good.csv line 1 no column \"Code\""},
		{"deck import --trunk b-alpha --changes " + rates, "changes whole deck"},
		{"deck format add b-format " + format, "b-format exists remove"},
		{"deck format add b-other " + rates, "b-other line 1"},
		{"deck format add b/other " + format, "letters, digits"},
		{"deck format add b-other /nonexistent.toml", "/nonexistent.toml"},
		{"deck format show b-nobody", "b-nobody no such deck format list"},
		{"deck format remove b-nobody", "b-nobody no such deck format"},
		{"deck diff b-nobody b-nobody@2", "b-nobody no such deck list"},
		{"deck activate b-nobody@2", "b-nobody no such deck list"},
		{"deck rollback b-nobody", "b-nobody no such deck list"},
		{"deck export trunk/b-nobody", "b-nobody no such deck list"},
		{"deck rollback b-both", "trunk retail trunk/b-both retail/b-both"},
		{"deck import --retail b-both --from 2027-07-01 " + dear, "998 from 0.05 to 0.07 30 % --dry-run --accept"},
		{"deck activate retail/b-both@2", "998 from 0.05 to 0.07 --accept"},
		{"deck activate retail/b-both@1", "active rollback"},
		{"deck activate retail/b-both@2 --at 2020-01-01", "past"},
		{"deck rollback retail/b-both", "no version before"},
		{"deck rollback retail/b-both@2", "draft list"},
		{"deck cost-plus --retail b-retail --trunks b-nobody", "b-nobody no such deck list"},
		{"deck cost-plus --retail b-retail --trunks b-alpha,b-nobody --from 2027-01-01", "b-alpha no such deck"},
		{"exchange-rate set EUR 1", "EUR own currency"},
		{"deck import --trunk b-alpha --zone Mars/Olympus " + rates, "Mars/Olympus"},
		{"deck import --trunk b-alpha /nonexistent.csv", "/nonexistent.csv"},
		{"deck export --trunk b-alpha", "no such deck"},
		{"rate explain +8821 --seconds 60", "no rate"},
		{"rate explain +380441234567 --seconds 60 --account b-nobody", "b-nobody not found"},
		{"call show 01987a3c-5f2e-7c1d-8a4b-0123456789ab", "not found"},
		{"call list --account b-nobody", "b-nobody not found"},
		{"statement b-nobody", "not found"},
		{"commune set --currency PLN --zone Asia/Tashkent", "currency entries decks"}, // the zone isn't set either
		{"enterprise set b-nobody --vat 19", "not found"},
		{"books replay /nonexistent.json", "/nonexistent.json"},
		{"books export --format hledger --book b-nobody", "b-nobody no such account"},
		{"books export --format hledger --file /nonexistent/books.journal", "/nonexistent"},
		{"restore /nonexistent.dump", "nonexistent"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			code := exitFailed
			if strings.HasPrefix(tt.line, "voucher issue --") {
				code = exitUsage // the required flag is missing
			}
			args := strings.Fields(tt.line)
			if i := strings.Index(tt.line, " -- "); i >= 0 { // --state must stand before it
				args = append(strings.Fields(tt.line[:i]), append([]string{"--state", state}, strings.Fields(tt.line[i:])...)...)
				checkRefusal(t, tcWith(t, "", args...), code, strings.Fields(tt.words), args)
				return
			}
			refused(t, code, strings.Fields(tt.words), args...)
		})
	}
	if after := snapshot(t); after != before {
		t.Errorf("something changed:\n%s\nwas:\n%s", after, before)
	}
}

// snapshot is what the refused commands could have changed.
func snapshot(t *testing.T) string {
	t.Helper()
	return ok(t, "commune", "show") + ok(t, "account", "show", "b-anna", "-o", "csv") + ok(t, "provider", "list", "-o", "csv") +
		ok(t, "access-number", "list", "-o", "csv") + ok(t, "trunk", "list", "-o", "csv") +
		ok(t, "phone", "list", "-o", "csv") + ok(t, "contact", "list", "-o", "csv") +
		ok(t, "carrier", "invoice", "list", "-o", "csv") + ok(t, "voucher", "batches", "-o", "csv") +
		ok(t, "deck", "list", "--trunk", "b-alpha", "-o", "csv") + ok(t, "deck", "list", "--retail", "b-both", "-o", "csv") +
		ok(t, "deck", "format", "list", "-o", "csv")
}

// spentVoucher is a voucher that somebody redeemed.
func spentVoucher(t *testing.T) string {
	t.Helper()
	ok(t, "account", "add", "b-giver", "--limit", "1.00")
	ok(t, "account", "add", "b-taker")
	code := strings.ReplaceAll(object(t, "voucher", "issue", "1.00", "--account", "b-giver")["code"].(string), " ", "-")
	ok(t, "voucher", "redeem", code, "--account", "b-taker")
	return code
}

func TestNoDatabase(t *testing.T) {
	for what, args := range map[string][]string{
		"no server":           {"account", "list", "--db", "host=" + t.TempDir() + " dbname=x"},
		"no such folder":      {"account", "list", "--state", "/proc/nowhere"},
		"a file for a folder": {"account", "list", "--state", file(t, "f", "")},
	} {
		t.Run(what, func(t *testing.T) { checkRefusal(t, tcWith(t, "", args...), exitFailed, nil, args) })
	}
}
