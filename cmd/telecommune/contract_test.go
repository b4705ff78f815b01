package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/postgres"
	"telecommune/routing"
)

// accessCost are the fields of an access number that say what its provider charges.
const accessCost = "cost_per_minute cost_connect_fee cost_interval_first cost_interval_next"

// TestContract holds the names of all JSON fields: others read them. It builds a small service by commands, makes one
// call in it, and looks at every object there is.
func TestContract(t *testing.T) {
	deck := file(t, "deck.csv", "prefix,destination,rate_per_minute\n998,Uzbekistan,0.12\n")
	cost := file(t, "cost.csv", "prefix,rate_per_minute\n998,0.05\n")
	version := "kind name version state currency zone active_from ended_at source imported_at rows holidays in_force"
	diff := "kind before after currency at new gone dearer cheaper same over_30_percent over_5x_median no_margin differences effect"
	format := file(t, "format.toml", "file = \"csv\"\nencoding = \"utf-8\"\ndelimiter = \";\"\n[columns]\nprefix = \"A\"\nrate = \"B\"\n")
	row := "prefix destination rate_per_minute connect_fee interval_first interval_next grace_seconds minimum_charge " +
		"rounding_unit rounding_mode"
	voucher := "id batch serial amount currency expires_on state enterprise issued_by issued_at redeemed_by redeemed_at"
	batch := "id key issued_by issued_at amount currency expires_on enterprise count open redeemed void expired"
	invoice := "enterprise carrier number from to amount accrued difference currency received_at paid_at entry payment"
	account := "code name balance held free limit currency blocked enterprise tariff call_limit"
	limited := account + " max_calls max_rate max_per_hour max_per_day countries"
	trunks := "code carrier deck asset address transport tls_ca tls_name user register probe_seconds prefix strip rewrite codecs " +
		"caller_id caller_number trusted channels cps minutes_day minutes_month spend_day spend_month prepaid prepaid_floor " +
		"priority weight prepaid_at hours zone failover ring_seconds enabled health why since refuses calls used_day used_month spent_day " +
		"spent_month balance"
	trunks += " attempts answered asr ner acd pdd_ms answered_seconds cost margin"
	trunk := trunks + " answers suspect"

	steps := []struct{ command, fields string }{
		{"provider add c-pstn --address 198.51.100.0/28", "code address trust_caller_id"},
		{"provider add c-phone --user c-phone", "code user trust_caller_id password"},
		{"provider set c-pstn --trust-caller-id=false", "code address trust_caller_id"},
		{"provider show c-phone", "code user trust_caller_id"},
		{"access-number add +998711000001 --provider c-pstn --country UZ", "number provider country language service " + accessCost},
		{"access-number show 00998711000001", "number provider country language service " + accessCost},
		{"trunk add c-alpha --address 192.0.2.20:5060 --channels 30", trunk},
		{"trunk show c-alpha", trunk},
		{"trunk set c-alpha --cps 5", trunk},
		{"trunk disable c-alpha", trunk},
		{"trunk enable c-alpha", trunk},
		{"deck import --retail c-retail --dry-run " + deck, version + " dry_run rates diff"},
		{"deck import --retail c-retail " + deck, version},
		{"deck import --trunk c-alpha " + cost, version},
		{"deck import --trunk c-alpha --draft " + cost, version},
		{"deck diff c-alpha c-alpha@2", diff},
		{"deck activate c-alpha@2", version},
		{"deck rollback c-alpha", "rolled_back state in_force"},
		{"deck format add c-format " + format, "name added_at"},
		{"deck format show c-format", "name text added_at"},
		{"account add c-anna --tariff c-retail --limit 1.50 --call-limit 600", account},
		{"account show c-anna", account},
		{"account set c-anna --name Anna", account},
		{"account topup c-anna 10.00", account},
		{"account refund c-anna 1.00", account},
		{"account credit c-anna 1.00 --text x", account},
		{"account debit c-anna 1.00 --text x", account},
		{"account expire c-anna 1.00 --text x", account},
		{"account set c-anna --max-calls 2 --max-rate 0.20 --max-per-hour 5.00 --max-per-day 20.00 --countries uz,DE", limited},
		{"account show c-anna", limited},
		{"account block c-anna", limited},
		{"account unblock c-anna", limited},
		{"account set c-anna --max-calls none --max-rate none --max-per-hour none --max-per-day none --countries none", account},
		{"phone add +998901234567 --account c-anna", "number account"},
		{
			"contact add --account c-anna --access-number +998711000001 --to +380441234567 --label Oksana",
			"account access_number number label",
		},
		{"pin issue --account c-anna", "account pin"},
		{"pin revoke --account c-anna", "account revoked"},
		{"voucher issue 1.00 --account c-anna", voucher + " code"},
		{"carrier invoice add c-1 --carrier c-alpha --amount 1.00 --period 2027-06", invoice},
		{"carrier invoice pay c-1 --carrier c-alpha", invoice},
		{"route explain +998711234567 --account c-anna", "number at denied policy candidates skipped"},
		{"route policy set 998 --strategy quality --band 15", "prefix strategy band"},
		{"route rule set 99890 allow --max-rate 1.50 --text why", "prefix action max_rate text"},
		{"route limit show", "max_rate countries"},
		{"route limit set --max-rate 1.00", "max_rate countries"},
		{"rate explain +998711234567 --seconds 125 --account c-anna", "number at prefix destination deck " +
			"effective_from effective_to window currency rate_per_minute connect_fee interval_first interval_next grace_seconds minimum_charge rounding_unit rounding_mode " +
			"exchange_rate billed_seconds price vat"},
		{"exchange-rate set USD 1.0856 --from 2027-01-01", "currency from rate"},
		{"deck cost-plus --retail c-plus --trunks c-alpha --percent 25 --dry-run", version + " dry_run rates diff"},
		{"commune show", "currency zone"},
		{"commune policy vote idle-months 4 --text x", "policy value from text"},
		{"enterprise show CALL", "code name vat_percent currency"},
		{"tariff set c-retail --access-cost caller", "name passes_access"},
		{"statement c-anna", "account name enterprise period zone currency as_of numbers_shortened opening_balance bookings " +
			"destinations calls attempts totals closing_balance"},
		{"period close " + time.Now().UTC().Format("2006-01") + " --dry-run", "period state entries closed_at closed_by seal posted figures"},
		{"books verify", "entries lines found findings"},
		{"version", "version revision go platform"},
	}
	for _, s := range steps {
		checkFields(t, s.command, object(t, strings.Fields(s.command)...), s.fields)
	}

	bought := decode[[]map[string]any](t, ok(t, strings.Fields("voucher batch --account c-anna --count 2 --amount 0.50 --expires 2099-12-31 -o json")...))
	checkFields(t, "voucher batch", bought[1], voucher+" code")
	checkFields(t, "voucher void", object(t, "voucher", "void", bought[0]["batch"].(string), "--text", "x"), batch)

	id := oneCall(t, "c")
	call := "id account access_number caller number destination trunk started_at answered_at ended_at answered_seconds " +
		"billed_seconds price vat carrier_cost access_price access_cost currency outcome sip q850 attempts entry"
	shown := object(t, "call", "show", id.String())
	checkFields(t, "call show", shown, call+" route")
	checkFields(t, "route of a call", shown["route"].(map[string]any), "number at denied policy candidates skipped")
	attempts := shown["attempts"].([]any)
	if len(attempts) != 1 {
		t.Fatalf("attempts: %v", attempts)
	}
	checkFields(t, "attempt", attempts[0].(map[string]any), "trunk started_at pdd_ms sip q850 outcome suspect")

	lists := []struct{ command, fields string }{
		{"provider list", "code address|user trust_caller_id"},
		{"access-number list", "number provider country language service " + accessCost},
		{"trunk list", trunks},
		{"commune policy list", "policy number unit usual says value from text"},
		{"commune policy votes", "policy value from text recorded_by recorded_at"},
		{"enterprise list", "code name owned_bp state overdue wages retained"},
		{"trunk quality --by prefix", "from trunk country prefix attempts answered asr ner acd pdd_ms answered_seconds price vat cost margin failures"},
		{"route rule list", "prefix action max_rate text"},
		{"deck list --retail c-retail", version},
		{"deck export --retail c-retail", row},
		{"deck export c-retail@1", row},
		{"deck format list", "name text added_at"},
		{"exchange-rate list", "currency from rate"},
		{"route policy list", "prefix strategy band"},
		{"bench verify --entries 100", "measured entries lines seconds entries_per_second megabytes"},
		{
			"bench ledger --rounds 1 --entries 20 --posters 4",
			"measured posters entries_per_second against ratio_min ratio ratio_max p99_us p99_wait_us",
		},
		{"bench route --prefixes 1000 --carriers 3 --rows 10", "measured figure unit"},
		{"bench deck --rows 10", "measured rows seconds rows_per_second megabytes"},
		{"bench rate --rows 10", "rows measured ns_per_call allocations_per_call ratio"},
		{"bench statement --calls 3", "calls measured ms bytes ratio"},
		{"bench close --members 3 --calls 20", "measured members calls assets seconds megabytes"},
		{"account list", account},
		{"phone list --account c-anna", "number account"},
		{"contact list --account c-anna", "account access_number number label"},
		{"voucher list --account c-anna", voucher},
		{"voucher batches --account c-anna", batch},
		{"carrier invoice list --carrier c-alpha", invoice},
		{"call list --account c-anna", call},
		{"enterprise vat due CALL", "month vat paid due currency"},
		{"books trial", "book account debit credit balance"},
		{"period list", "period state entries closed_at closed_by seal"},
		{"books journal", "id key kind text actor at date zone posted_at lines"},
		{"doctor", "check status detail fix"},
	}
	for _, l := range lists {
		r := tc(t, append(strings.Fields(l.command), "-o", "json")...)
		rows := decode[[]map[string]any](t, r.out)
		if len(rows) == 0 {
			t.Errorf("%s: nothing listed", l.command)
			continue
		}
		one := rows[0]
		if i := slices.IndexFunc(rows, func(r map[string]any) bool { return r["code"] == "c-anna" }); i >= 0 {
			one = rows[i] // other tests have accounts too
		}
		checkFields(t, l.command, one, l.fields)
		// Doctor and bench look anew; the journal has a row for each line of an entry.
		if l.command != "doctor" && l.command != "books journal" && !strings.HasPrefix(l.command, "bench") {
			checkCSV(t, l.command, ok(t, append(strings.Fields(l.command), "-o", "csv")...), rows)
		}
	}

	route := object(t, "route", "explain", "+998711234567", "--account", "c-anna")
	checkFields(t, "candidate", route["candidates"].([]any)[0].(map[string]any),
		"rank trunk prefix rate_per_minute currency exchange_rate cost deck capacity")
	ok(t, "trunk", "disable", "c-alpha")
	route = object(t, "route", "explain", "+998711234567", "--account", "c-anna")
	if candidates := route["candidates"].([]any); len(candidates) != 0 {
		t.Errorf("a disabled trunk is a candidate: %v", candidates)
	}
	for _, skipped := range route["skipped"].([]any) {
		skip := skipped.(map[string]any)
		checkFields(t, "skip", skip, "trunk reason")
		if skip["trunk"] == "c-alpha" && skip["reason"] == "disabled" {
			return
		}
	}
	t.Errorf("c-alpha is not skipped as disabled: %v", route)
}

// checkFields compares the names of an object's fields with a list; `a|b` is either.
func checkFields(t *testing.T, what string, o map[string]any, fields string) {
	t.Helper()
	var want []string
	for _, f := range strings.Fields(fields) {
		one, other, either := strings.Cut(f, "|")
		if _, there := o[one]; either && !there {
			one = other
		}
		want = append(want, one)
	}
	checkValues(t, what, o)
	got := slices.Sorted(maps.Keys(o))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: fields\n%v, want\n%v", what, got, want)
	}
}

// oneCall makes a call of two minutes in the books, as the exchange would: of the account, the tariff and the trunk whose
// codes begin so.
func oneCall(t *testing.T, begin string) billing.CallID {
	t.Helper()
	return callOver(t, begin+"-alpha", begin+"-retail", begin+"-anna")
}

// callOver settles a call of two minutes to +998711234567 over a trunk, for an account that pays by a retail deck.
func callOver(t *testing.T, trunk, deck, account string) billing.CallID {
	t.Helper()
	bank, db := bankOf(t)
	id := uuid.Must(uuid.NewV7())
	snapshot, err := routing.NewStore(db.DB).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	retail, _ := snapshot.Decks().Retail(deck, "+998711234567", now)
	cost, _ := snapshot.Decks().Trunk(trunk, "+998711234567", now)
	_, err = bank.Authorise(t.Context(), billing.Request{
		Origin: billing.Origin{
			Call: id, AccessCall: id, Provider: "c-pstn", AccessNumber: "+998711000001", Caller: "+998901234567", Started: now,
		},
		Account: account, Number: "+998711234567", Rate: retail, VAT: 19_000_000, CallLimit: 600,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = bank.Settle(t.Context(), billing.Settlement{
		Call: id, Trunk: trunk, Carrier: trunk, Cost: cost, AnsweredAt: now, Answered: 2 * time.Minute,
		Ended: now.Add(2 * time.Minute), Outcome: billing.Answered, SIP: 200, Q850: 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := snapshot.Plan(now, "+998711234567", retail, 0, 0)
	attempt := routing.Attempt{Trunk: trunk, Prefix: cost.Prefix, Started: now, PDD: 80 * time.Millisecond, SIP: 200, Outcome: "answered"}
	if err := routing.NewStore(db.DB).RecordAttempts(t.Context(), id, plan, []routing.Attempt{attempt}); err != nil {
		t.Fatal(err)
	}
	return id
}

// bankOf opens the billing service on the state folder of the tests, as a command does.
func bankOf(t *testing.T) (*billing.Service, *postgres.DB) {
	t.Helper()
	c := defaultConfig()
	c.State = state
	db, err := openDB(t.Context(), c, false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	bank, err := newBilling(t.Context(), db, nil, c, nil, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return bank, db
}
