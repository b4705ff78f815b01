package replay_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/billing/replay"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func file(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestScenarios(t *testing.T) {
	db := pgtest.New(t)
	for _, tt := range []struct {
		name, until string
		entries     int
	}{
		{"01-first-call.json", "", 2},
		{"02-golden-june.json", "", 48},
		{"03-net-zero.json", "", 51},
		{"06-arrears.json", "", 41},
		{"07-letting.json", "", 51},
		{"08-host.json", "", 26},
		{"09-members.json", "", 34},
		{"10-solvency.json", "", 19},
		{"04-pricing.json", "", 52},
		{"04-pricing.json", "close-2027-06", 51},
		{"05-errors-duplicate-event-id.json", "", 3},
		{"05-errors-insufficient-credit.json", "", 5},
		{"05-errors-unbalanced-opening.json", "", 0},
		{"05-errors-period-closed.json", "", 3},
		{"05-errors-period-closed.json", "e02", 2},
	} {
		t.Run(tt.name+" "+tt.until, func(t *testing.T) {
			result, differences, err := replay.Run(t.Context(), db, file(t, tt.name), replay.Options{Until: tt.until})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				t.Error(d)
			}
			if len(result.Journal) != tt.entries {
				t.Errorf("%d entries, want %d", len(result.Journal), tt.entries)
			}
		})
	}
	var left int
	if err := db.Get(&left, `SELECT (SELECT count(*) FROM entry) + (SELECT count(*) FROM balance) + (SELECT count(*) - 2 FROM book)`); err != nil || left != 0 {
		t.Errorf("%d rows left in the database, %v", left, err)
	}
}

func TestOutput(t *testing.T) {
	db := pgtest.New(t)
	result, _, err := replay.Run(t.Context(), db, file(t, "05-errors-insufficient-credit.json"), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"error":{"event":4,"code":"insufficient_credit"}`, `"periods":{}`, `"auctions":{}`,
		`"K00":{"billed":120,"price":"0.38","vat":"0.00","cost":"0.21"}`,
		`{"event":"e01","date":"2027-06-01","text":"Top-up C1","lines":[{"book":"CALL","account":"1000","debit":"1.00"},{"book":"CALL","account":"2100:C1","credit":"1.00"}]}`,
		`"2100:C1":"-0.62"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}

// edit replaces text in the first scenario, each old by its new once.
func edit(t *testing.T, oldNew ...string) []byte {
	t.Helper()
	s := string(file(t, "01-first-call.json"))
	for pair := range slices.Chunk(oldNew, 2) {
		if !strings.Contains(s, pair[0]) {
			t.Fatalf("no %q in the scenario", pair[0])
		}
		s = strings.Replace(s, pair[0], pair[1], 1)
	}
	return []byte(s)
}

func TestRefusals(t *testing.T) {
	const (
		topUp = `"account": "C1", "amount": "10.00"}`
		call  = `{"id": "K01", "type": "call"`
	)
	db := pgtest.New(t)
	event := func(e string) string { return e + `, ` + call }
	for _, tt := range []struct {
		name     string
		old, new string
		event    int
		code     string
	}{
		{"not JSON", `{`, ``, -1, "bad_scenario"},
		{"something after the object", "{\n \"format\"", "{} {\n \"format\"", -1, "bad_scenario"},
		{"another format", `"format": 1`, `"format": 2`, -1, "bad_scenario"},
		{"unknown field of the world", `"members": []`, `"members": [], "weather": "fine"`, -1, "bad_scenario"},
		{"missing field of the world", `"members": [],`, ``, -1, "bad_scenario"},
		{"a field in other letters", `"members": []`, `"Members": []`, -1, "bad_scenario"},
		{"a field twice", `"members": []`, `"members": [], "members": []`, -1, "bad_scenario"},
		{"null for a list", `"members": []`, `"members": null`, -1, "bad_scenario"},
		{"unknown zone", `"zone": "UTC"`, `"zone": "Mars/Olympus"`, -1, "bad_scenario"},
		{"malformed period", `"first_period": "2027-06"`, `"first_period": "June"`, -1, "bad_scenario"},
		{"a rate as number", `"rate_per_minute": "0.19"`, `"rate_per_minute": 0.19`, -1, "amount_precision"},
		{"a negative rate", `"rate_per_minute": "0.19"`, `"rate_per_minute": "-0.19"`, -1, "amount_precision"},
		{"grace in a carrier row", `{"rate_per_minute": "0.105"}`, `{"rate_per_minute": "0.105", "grace_seconds": 1}`, -1, "bad_scenario"},
		{"an interval of nothing", `"interval_first": 60`, `"interval_first": 0`, -1, "bad_scenario"},
		{"an account of nobody", `{"id": "C1", "enterprise": "CALL"}`, `{"id": "C1", "enterprise": "HOST"}`, -1, "unknown_reference"},
		{"two accounts of one id", `{"id": "C1", "enterprise": "CALL"}`, `{"id": "C1", "enterprise": "CALL"}, {"id": "C1", "enterprise": "CALL"}`, -1, "bad_scenario"},
		{"opening credit of an unknown account", `"opening": {}`, `"opening": {"CALL": {"1000": "1.00", "2100:C9": "-1.00"}}`, -1, "unknown_account"},
		{"opening of an account that has none", `"opening": {}`, `"opening": {"CALL": {"1000": "1.00", "4000:T1": "-1.00"}}`, -1, "bad_scenario"},
		{"shares without a mirror", `"opening": {}`, `"opening": {"CALL": {"1000": "1.00", "3000": "-1.00"}}`, -1, "unbalanced_opening"},
		{"a bank of parts of cents", `"opening": {}`, `"opening": {"CALL": {"1000": "1.001", "2100:C1": "-1.001"}}`, -1, "amount_precision"},
		{"an opening beyond 64 bits", `"opening": {}`, `"opening": {"CALL": {"1000": "9223372036854.775807", "1400": "9223372036854.775807"}}`, -1, "amount_precision"},
		{"unknown field of an event", topUp, `"account": "C1", "amount": "10.00", "note": "x"}`, 0, "bad_scenario"},
		{"missing field of an event", topUp, `"account": "C1"}`, 0, "bad_scenario"},
		{"unknown type", `"type": "topup"`, `"type": "refund"`, 0, "bad_scenario"},
		{"malformed date", `"at": "2027-06-01", `, `"at": "2027-06-31", `, 0, "bad_scenario"},
		{"a time without offset", `"at": "2027-06-01", `, `"at": "2027-06-01T10:00:00", `, 0, "bad_scenario"},
		{"seven decimals", topUp, `"account": "C1", "amount": "10.0000000"}`, 0, "amount_precision"},
		{"parts of a cent", topUp, `"account": "C1", "amount": "10.001"}`, 0, "amount_precision"},
		{"an exponent", topUp, `"account": "C1", "amount": "1e1"}`, 0, "amount_precision"},
		{"a number", topUp, `"account": "C1", "amount": 10}`, 0, "amount_precision"},
		{"zero", topUp, `"account": "C1", "amount": "0.00"}`, 0, "amount_precision"},
		{"negative", topUp, `"account": "C1", "amount": "-10.00"}`, 0, "amount_precision"},
		{"beyond 64 bits", topUp, `"account": "C1", "amount": "9223372036854.780000"}`, 0, "amount_precision"},
		{"a balance beyond 64 bits", call, event(`{"id": "e02", "type": "topup", "at": "2027-06-01", "account": "C1", "amount": "9223372036854.77"}`), 1, "amount_precision"},
		{"unknown account", topUp, `"account": "C2", "amount": "10.00"}`, 0, "unknown_account"},
		{"an id again", `"id": "K01", "type"`, `"id": "e01", "type"`, 1, "duplicate_event_id"},
		{"the id of the opening", `"id": "e01", "type"`, `"id": "opening", "type"`, 0, "duplicate_event_id"},
		{"unknown destination", `"destination": "UA-mobile"`, `"destination": "MD-mobile"`, 1, "unknown_reference"},
		{"unknown trunk", `"trunk": "T1"`, `"trunk": "T2"`, 1, "unknown_reference"},
		{"negative seconds", `"answered_seconds": 125`, `"answered_seconds": -1`, 1, "bad_scenario"},
		{"seconds as a fraction", `"answered_seconds": 125`, `"answered_seconds": 125.0`, 1, "bad_scenario"},
		{"a price beyond the credit", `"answered_seconds": 125`, `"answered_seconds": 3159`, 1, "insufficient_credit"},
		{"a price beyond 64 bits", `"answered_seconds": 125`, `"answered_seconds": 9223372036854775807`, 1, "amount_precision"},
		{"a closed period", `"at": "2027-06-01", `, `"at": "2027-05-31", `, 0, "period_closed"},
		{"a close too early", call, event(`{"id": "c", "type": "close", "period": "2027-07"}`), 1, "period_open"},
		{"a close of no month", call, event(`{"id": "c", "type": "close", "period": "2027-13"}`), 1, "bad_scenario"},
		{"a close with a day", call, event(`{"id": "c", "type": "close", "at": "2027-07-01", "period": "2027-06"}`), 1, "bad_scenario"},
		{"a voucher beyond the credit", call, event(`{"id": "v", "type": "voucher_issue", "at": "2027-06-01", "voucher": "V", "account": "C1", "amount": "10.000001"}`), 1, "insufficient_credit"},
		{"a voucher nobody issued", call, event(`{"id": "v", "type": "voucher_redeem", "at": "2027-06-01", "voucher": "V", "account": "C1"}`), 1, "unknown_reference"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, _, err := replay.Run(t.Context(), db, edit(t, tt.old, tt.new), replay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if result.Error == nil || result.Error.Event != tt.event || result.Error.Code != tt.code {
				t.Fatalf("%+v, want event %d: %s", result.Error, tt.event, tt.code)
			}
			if len(result.Journal) != max(tt.event, 0) {
				t.Errorf("%d entries before event %d", len(result.Journal), tt.event)
			}
		})
	}
}

// A comparison that finds nothing must be able to find something.
func TestDifferences(t *testing.T) {
	db := pgtest.New(t)
	for _, tt := range []struct{ name, old, new, want string }{
		{"a balance", `"1000": "10.00", "2100`, `"1000": "10.01", "2100`, "balance of CALL 1000 is 10.00, expected 10.01"},
		{"an account more", `"1000": "10.00", "2100`, `"2500": "1.00", "1000": "10.00", "2100`, "balance of CALL 2500 is 0.00, expected 1.00"},
		{"a line", `"debit": "0.21875"`, `"debit": "0.2"`, "journal: event K01 (2027-06-01): CALL 5000:T1 debit is 0.21875, expected 0.20"},
		{"a date", `"K01", "date": "2027-06-01"`, `"K01", "date": "2027-06-02"`, "journal: event K01 (2027-06-02)"},
		{"a period", `"expect": {`, `"expect": {"periods": {"2027-06": {"pool": "0.01", "dividends": {}}},`, "period 2027-06 pool is 0.00, expected 0.01"},
		{"a price", `"price": "0.399"`, `"price": "0.4"`, "call K01 is"},
		{"an error that does not come", `"expect": {`, `"expect_error": {"event": 1, "code": "wrong_state"}, "expect": {`, "nothing was refused"},
		{"an error that nobody expects", `"answered_seconds": 125`, `"answered_seconds": 3159`, "event 1 is refused: insufficient_credit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, differences, err := replay.Run(t.Context(), db, edit(t, tt.old, tt.new), replay.Options{})
			if err != nil || !strings.Contains(strings.Join(differences, "\n"), tt.want) {
				t.Errorf("%q, %v; want %q", differences, err, tt.want)
			}
		})
	}
}

func TestVouchersAndLateCalls(t *testing.T) {
	db := pgtest.New(t)
	s := string(edit(t, `"events": [`, `"events": [
  {"id": "t", "type": "topup", "at": "2027-06-01", "account": "C1", "amount": "1.00"},
  {"id": "v", "type": "voucher_issue", "at": "2027-06-01", "voucher": "V", "account": "C1", "amount": "0.123456"},
  {"id": "w", "type": "voucher_redeem", "at": "2027-07-01", "voucher": "V", "account": "C1"},
  {"id": "late", "type": "call", "at": "2027-05-31T23:00:00Z", "account": "C1", "destination": "UA-mobile", "trunk": "T1", "answered_seconds": 6},
  {"id": "again", "type": "voucher_redeem", "at": "2027-07-02", "voucher": "V", "account": "C1"},`))
	result, _, err := replay.Run(t.Context(), db, []byte(s), replay.Options{})
	if err != nil || result.Error == nil || result.Error.Event != 4 || result.Error.Code != "wrong_state" {
		t.Fatalf("%+v, %v", result.Error, err)
	}
	if got := result.Balances["CALL"]["2100:C1"].String(); got != "-0.81" {
		t.Errorf("credit %s", got)
	}
	if late := result.Journal[len(result.Journal)-1]; late.Event != "late" || late.Date != "2027-06-01" {
		t.Errorf("%+v; want the late call on the first open day", late)
	}
}

// events puts events before the first scenario's own, which happen in June.
func events(t *testing.T, more string) []byte {
	t.Helper()
	return edit(t, `"events": [`, `"events": [`+more+",")
}

func TestPeriods(t *testing.T) {
	const (
		may   = `{"id": "m", "type": "topup", "at": "2027-05-31T21:59:59Z", "account": "C1", "amount": "1.00"}`
		early = `{"id": "t", "type": "topup", "at": "2027-07-31T22:00:00Z", "account": "C1", "amount": "1.00"}`
		june  = `{"id": "c6", "type": "close", "period": "2027-06"}`
		july  = `{"id": "c7", "type": "close", "period": "2027-07"}`
		late  = `{"id": "late", "type": "call", "at": "2027-06-01T12:00:00Z", "account": "C1", "destination": "UA-mobile", "trunk": "T1", "answered_seconds": 6}`
	)
	db := pgtest.New(t)
	for _, tt := range []struct {
		name   string
		events []string
		event  int
		code   string
	}{
		{"the last second of a closed month, by the zone", []string{may}, 0, "period_closed"},
		{"a later month first", []string{july}, 0, "period_open"},
		{"two months, out of order", []string{june, `{"id": "c8", "type": "close", "period": "2027-08"}`}, 1, "period_open"},
		{"closed again, then a top-up of June", []string{june, `{"id": "again", "type": "close", "period": "2027-06"}`}, 2, "period_closed"},
		{"a voucher of a closed month", []string{june, `{"id": "v", "type": "voucher_issue", "at": "2027-06-30", "voucher": "V", "account": "C1", "amount": "1.00"}`}, 1, "period_closed"},
		{"a late call, of August by then", []string{early, june, july, late}, 4, "period_closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := strings.Replace(string(events(t, strings.Join(tt.events, ","))), `"zone": "UTC"`, `"zone": "Europe/Berlin"`, 1)
			result, _, err := replay.Run(t.Context(), db, []byte(s), replay.Options{})
			if err != nil || result.Error == nil || result.Error.Event != tt.event || result.Error.Code != tt.code {
				t.Fatalf("%+v, %v; want event %d: %s", result.Error, err, tt.event, tt.code)
			}
			for _, e := range result.Journal {
				if e.Event == "late" && e.Date != "2027-08-01" {
					t.Errorf("%+v; want it on the first open day", e)
				}
			}
		})
	}
}

// A close takes what is dated up to its last day, and leaves the result of the next month alone.
func TestClose(t *testing.T) {
	db := pgtest.New(t)
	s := edit(t, `"members": []`, `"members": [{"id": "M1", "joined": "2027-06-30"}, {"id": "M2", "joined": "2027-07-01"}, {"id": "M3", "joined": "2026-01-01", "left": "2027-06-01"}]`,
		`"answered_seconds": 125}`, `"answered_seconds": 125},
  {"id": "K02", "type": "call", "at": "2027-07-01", "account": "C1", "destination": "UA-mobile", "trunk": "T1", "answered_seconds": 60},
  {"id": "c", "type": "close", "period": "2027-06"},
  {"id": "K03", "type": "call", "at": "2027-06-30", "account": "C1", "destination": "UA-mobile", "trunk": "T1", "answered_seconds": 60}`)
	result, _, err := replay.Run(t.Context(), db, s, replay.Options{})
	if err != nil || result.Error != nil {
		t.Fatalf("%+v, %v", result.Error, err)
	}
	for account, want := range map[string]string{"3900": "-0.18025", "4000:T1": "-0.38", "5000:T1": "0.21"} {
		if got := result.Balances["CALL"][account].String(); got != want {
			t.Errorf("%s is %s, want %s", account, got, want)
		}
	}
	if period := result.Periods["2027-06"]; len(result.Periods) != 1 || len(period.Dividends) != 1 || period.Rents == nil {
		t.Errorf("%+v; want June, with nothing for M1 alone", result.Periods)
	}
	if _, has := result.Periods["2027-06"].Dividends["M1"]; !has {
		t.Errorf("%+v; want M1", result.Periods)
	}
}

// Ids are any text; nothing of it is changed on the way through the books.
func TestOpaqueIds(t *testing.T) {
	db := pgtest.New(t)
	for _, id := range []string{"C 1", "é", strings.Repeat("long", 700), "a:b", "n0", `\u0000`, "COM", "👋🏽"} {
		s := string(file(t, "01-first-call.json"))
		for _, name := range []string{"C1", "T1", "K1", "CALL", "e01", "UA-mobile"} {
			s = strings.ReplaceAll(s, `"`+name+`"`, `"`+name+id+`"`)
			s = strings.ReplaceAll(s, `:`+name+`"`, `:`+name+id+`"`)
		}
		result, differences, err := replay.Run(t.Context(), db, []byte(s), replay.Options{})
		if err != nil || result.Error != nil || len(differences) > 0 || len(result.Journal) != 2 {
			t.Errorf("%.20q: %q, %+v, %v", id, differences, result.Error, err)
		}
	}
}

// Two runs at once, and a posting beside them, don't meet.
func TestRunsAtOnce(t *testing.T) {
	db := pgtest.New(t)
	scenario := file(t, "05-errors-period-closed.json")
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			if _, differences, err := replay.Run(t.Context(), db, scenario, replay.Options{}); err != nil || len(differences) > 0 {
				t.Errorf("%q, %v", differences, err)
			}
		})
	}
	running.Go(func() {
		err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
			_, err := ledger.Post(t.Context(), tx, ledger.Entry{
				Key: "k", Kind: "topup", At: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
				Lines: []ledger.Line{ledger.Debit("CALL", "1000", 1), ledger.Credit("CALL", "2100", 1)},
			})
			return err
		})
		if err != nil {
			t.Errorf("a posting of 2020 in a database without closed periods: %v", err)
		}
	})
	running.Wait()
}
