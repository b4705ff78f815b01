package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestWrongUsageIsTwo(t *testing.T) {
	for what, tt := range map[string]struct{ line, says string }{
		"unknown command":           {"frobnicate", "frobnicate"},
		"unknown subcommand":        {"account frobnicate", "add, block, credit"},
		"no subcommand":             {"account", "needs one of its commands"},
		"unknown flag":              {"account list --frob", "--frob"},
		"too few arguments":         {"account topup anna", "topup CODE AMOUNT"},
		"too many arguments":        {"account show anna bert", "show CODE"},
		"missing flag":              {"phone add +380441234567", "account"},
		"format":                    {"account list -o xml", "table, json, csv"},
		"format of a bill":          {"statement anna -o table", "text, html, pdf, csv, json"},
		"export without format":     {"books export", "format"},
		"format of an export":       {"books export --format ledger", "hledger, beancount"},
		"amount":                    {"account set anna --limit 1e3", "not an amount"},
		"amount of seven decimals":  {"account add x --limit 0.1234567", "at most 6 decimals"},
		"negative limit":            {"account add x --limit -1", "not negative"},
		"amount to pay in":          {"account topup anna 1e3", "1e3"},
		"amount with a comma":       {"account topup anna 1,50", "AMOUNT"},
		"amount of parts":           {"account topup anna 1.0000001", "at most 6 decimals"},
		"amount beyond all":         {"account topup anna 99999999999999999999", "out of range"},
		"refund of words":           {"account refund anna ten", "AMOUNT"},
		"gift without reason":       {"account credit anna 1.00", "text"},
		"loss without reason":       {"account write-off anna 1.00", "text"},
		"transfer to nobody":        {"account transfer anna 1.00", "FROM TO AMOUNT"},
		"batch of none":             {"voucher batch --account a --amount 1.00 --count 0", "at least 1"},
		"batch of nobody":           {"voucher batch --amount 1.00 --count 1", "account"},
		"last day of a voucher":     {"voucher issue 1.00 --account a --expires June", "2027-06-30"},
		"batch to void":             {"voucher void 5 --text x", "not the id of a batch"},
		"void without reason":       {"voucher void 019f8a4c-7c1e-7b52-9d0a-3f2b8c6d1e90", "text"},
		"days of an invoice":        {"carrier invoice add 1 --carrier a --amount 1.00 --period 2027-06-02/2027-06-01", "2027-06-01/2027-06-15"},
		"invoice of nobody":         {"carrier invoice add 1 --amount 1.00", "carrier"},
		"carrier of what":           {"carrier", "invoice"},
		"VAT of what":               {"enterprise vat pay CALL", "CODE AMOUNT"},
		"amount of a voucher":       {"voucher issue x --account anna", "not an amount"},
		"national phone":            {"phone add 0901234568 --account anna", "international"},
		"phone to remove":           {"phone remove 1", "international"},
		"access number":             {"access-number show x", "NUMBER"},
		"number to route":           {"route explain 38044", "international"},
		"strategy":                  {"route policy set 380 --strategy dearest", "cheapest, priority, weighted, quality"},
		"no strategy":               {"route policy set 380", "strategy"},
		"a weight that is none":     {"trunk set alpha --weight 0", "at least 1"},
		"number with letters":       {"route explain +1800FLOWERS", "letters"},
		"number of another script":  {"route explain +٣٨٠٤٤١٢٣٤٥٦٧", "another script"},
		"number that is too long":   {"route explain +1234567890123456", "at most 15 digits"},
		"number with two plus":      {"route explain ++380441234567", "one +"},
		"number that begins with 0": {"route explain +0441234567", "begins with 0"},
		"prefix of a rule":          {"route rule set 49x block", "PREFIX"},
		"what a rule does":          {"route rule set 49 forbid", "allow or block"},
		"price cap of a block":      {"route rule set 49 block --max-rate 1", "--max-rate goes with allow"},
		"no limit":                  {"route limit set", "at least one"},
		"countries":                 {"route limit set --countries Germany", "ISO 3166"},
		"grain of figures":          {"trunk quality --by carrier", "trunk, country, prefix"},
		"window of figures":         {"trunk quality --window week", "15m, day, month"},
		"number to rate":            {"rate explain 38044 --seconds 1", "international"},
		"id of a call":              {"call show 5", "not the id of a call"},
		"call to hang up":           {"call hangup 5", "not the id of a call"},
		"seconds":                   {"account add x --call-limit 0", "at least 1"},
		"seconds of a rate":         {"rate explain +380441234567 --seconds 1.5", "whole number"},
		"calls at once":             {"account set anna --max-calls 0", "at least 1, or none"},
		"calls of parts":            {"account add x --max-calls 1.5", "whole number"},
		"rate of nothing":           {"account set anna --max-rate 0.00", "above 0, or none"},
		"negative rate":             {"account add x --max-rate -1", "above 0, or none"},
		"spent in an hour":          {"account set anna --max-per-hour 5,00", "not an amount"},
		"spent in a day":            {"account set anna --max-per-day all", "such as 12.50, or none"},
		"country":                   {"account add x --countries DE,UK", "\"UK\" is not a country"},
		"no country":                {"account set anna --countries=", "ISO 3166, such as DE, or none"},
		"countries by name":         {"account set anna --countries Germany", "two letters"},
		"no change of an account":   {"account set anna", "max-per-day"},
		"time":                      {"call list --from yesterday", "2027-06-30"},
		"day that there is not":     {"books trial --at 2027-02-30", "2027-06-30"},
		"period":                    {"statement anna --period 2027-13", "2027-06"},
		"month to close":            {"period close June", "2027-06"},
		"seal":                      {"books verify --seal 2027-06=x", "64 hexadecimal digits"},
		"seal of no month":          {"books verify --seal abc", "2027-06"},
		"entry to reverse":          {"books reverse 5 --text x", "not the id of an entry"},
		"reversal without reason":   {"books reverse 019f8a4c-7c1e-7b52-9d0a-3f2b8c6d1e90", "text"},
		"percent":                   {"enterprise set CALL --vat 101", "0 to 100"},
		"zone":                      {"commune set --zone Mars/Olympus", "Europe/Berlin"},
		"no zone":                   {"commune set --zone=", "Europe/Berlin"},
		"currency":                  {"commune set --currency eur", "EUR"},
		"currency of a deck":        {"deck import f --trunk a --currency dollars", "EUR"},
		"currency to exchange":      {"exchange-rate set usd 1", "CURRENCY"},
		"exchange rate":             {"exchange-rate set USD 0", "1.0856"},
		"exchange rate below zero":  {"exchange-rate set USD 1e3", "1.0856"},
		"percent on top":            {"deck cost-plus --retail a --trunks b --percent ten", "12.5"},
		"nothing to put it on":      {"deck cost-plus --retail a", "trunks"},
		"nothing of the commune":    {"commune set", "at least one"},
		"a key lost in passing":     {"commune forget-key", "--force"},
		"number":                    {"contact add --account a --access-number 030 --to +380441234567", "international"},
		"address":                   {"provider add x --address 192.0.2.1/24", "192.0.2.0/24"},
		"two ways to be known":      {"provider add x --address 192.0.2.1 --user u", "address user"},
		"password of an address":    {"provider add x --address 192.0.2.1 --password-file f", "address password-file"},
		"no way to be known":        {"provider add x", "address user"},
		"two owners of a deck":      {"deck import f --trunk a --retail b", "retail trunk"},
		"nobody's deck":             {"deck import f", "trunk retail"},
		"hours of a trunk":          {"trunk set a --hours 9to5", "mon-fri 08:00-18:00"},
		"transport of a trunk":      {"trunk set a --transport sctp", "udp, tcp, tls"},
		"caller ID of a trunk":      {"trunk set a --caller-id lie", "pass, fixed, verified, withheld"},
		"number of a trunk":         {"trunk set a --caller-number 030", "international"},
		"failover of a trunk":       {"trunk set a --failover 503", "503=next,count"},
		"failover after an answer":  {"trunk set a --failover 200=next", "300 to 699"},
		"spend of a trunk":          {"trunk set a --spend-day 1e3", "not an amount"},
		"balance of a trunk":        {"trunk set a --prepaid-balance much", "not an amount"},
		"time of no balance":        {"trunk set a --prepaid-at 2027-06-30", "prepaid-balance"},
		"channels of a trunk":       {"trunk set a --channels many", "channels"},
		"a draft in force":          {"deck import f --trunk a --draft --from 2027-01-01", "draft from"},
		"no version to activate":    {"deck activate alpha", "alpha@3"},
		"version of a deck":         {"deck diff alpha@x alpha", "alpha@3"},
		"kind of a deck":            {"deck rollback carrier/alpha", "alpha@3"},
		"nothing to export":         {"deck export", "alpha@3"},
		"two decks to export":       {"deck export alpha --trunk alpha", "alpha@3"},
		"differences to show":       {"deck diff alpha beta --worst 0", "at least 1"},
		"nothing to set":            {"trunk set alpha", "at least one"},
		"no work":                   {"member join anna", "enterprise"},
		"a member's bank":           {"member set anna --iban DE00", "IBAN"},
		"nothing of a member":       {"member set anna", "at least one"},
		"price of an asset":         {"asset request a --member m --kind k --life 1 --agreement r --lessee CALL --price 1.001", "whole cents"},
		"meter":                     {"asset gift a --value 1.00 --kind k --life 1 --meter litres", "seconds, quantity, none"},
		"life":                      {"asset gift a --value 1.00 --kind k --life 0", "at least 1"},
		"two lessees":               {"asset request a --member m --kind k --life 1 --agreement r --lessee CALL --lessee-member m --price 1.00", "lessee lessee-member"},
		"no lessee":                 {"asset request a --member m --kind k --life 1 --agreement r --price 1.00", "at least one"},
		"quantity":                  {"asset use a much", "quantity"},
		"auction without bids":      {"bond auction s --asset a --offer 1.00 --cap-bps 1 --term 1", "bids"},
		"rate in percent":           {"bond auction s --asset a --offer 1.00 --cap-bps 1.5 --term 1 --bids f", "whole number"},
		"end of an agreement":       {"agreement notice r --end soon", "2027-06-30"},
		"month of a rent":           {"rent pay r June", "2027-06"},
		"levy of two kinds":         {"period levy 2027-06 --amount 1.00 --bps 1", "amount bps"},
		"who pays the dividends":    {"period payments 2027-07-01 --iban DE02120300000000202051", "payer"},
		"service":                   {"access-number add +4930555 --provider p --country DE --service fax", "gateway, contact, echo"},
		"password without its user": {"provider set u-nobody", "at least one"},
	} {
		t.Run(what, func(t *testing.T) {
			refused(t, exitUsage, []string{tt.says, "--help"}, strings.Fields(tt.line)...)
		})
	}
}

// TestHelp holds that each command says in one sentence what it does, has an example that could be run, and that all its
// flags are explained.
func TestHelp(t *testing.T) {
	root := newRoot()
	eachCommand(root, func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" || c.HasParent() && c.Parent().Name() == "completion" {
			return
		}
		if !strings.HasSuffix(c.Short, ".") || strings.Contains(c.Short, "\n") {
			t.Errorf("%s: want one sentence, got %q", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s: no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			found, _, err := root.Find(exampleWords(line))
			if err != nil || found != c {
				t.Errorf("%s: the example %q is of another command", c.CommandPath(), line)
			}
		}
		r := tcWith(t, "", append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if r.code != 0 || r.err != "" || !strings.Contains(r.out, "Usage:") {
			t.Errorf("%s --help: exit %d, %s%s", c.CommandPath(), r.code, r.out, r.err)
		}
	})
}

// exampleWords splits an example into words, without the program's name and what a shell would take for itself.
func exampleWords(line string) []string {
	line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
	return strings.Fields(line)[1:]
}

func TestCompletion(t *testing.T) {
	if r := tcWith(t, "", "completion", "bash"); r.code != 0 || !strings.Contains(r.out, "__start_telecommune") {
		t.Errorf("completion bash: exit %d, %s", r.code, r.err)
	}
	ok(t, "account", "add", "u-completed")
	if r := tcWith(t, "", "__complete", "--state", state, "account", "show", ""); !strings.Contains(r.out, "u-completed\n") {
		t.Errorf("accounts are not completed: %s%s", r.out, r.err)
	}
	if r := tcWith(t, "", "__complete", "--state", state, "phone", "list", "--account", ""); !strings.Contains(r.out, "u-completed\n") {
		t.Errorf("the flag is not completed: %s%s", r.out, r.err)
	}
}
