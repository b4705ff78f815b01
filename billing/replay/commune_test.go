package replay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/replay"
	"telecommune/internal/postgres/pgtest"
)

// village is a commune with something of everything: asset A is let to CALL, D to M2, B is vacant.
const village = `{
 "format": 1, "name": "village", "description": "", "currency": "EUR", "zone": "UTC", "first_period": "2027-06",
 "policies": {"vat_percent": "0"},
 "opening": {
  "COM": {"1000": "10.00", "1300:CALL": "1.00", "1500:A": "12.00", "1500:B": "12.00", "1500:D": "12.00", "2000:M1": "-3.00", "2050:CALL": "-2.00",
   "3100:A": "-12.00", "3100:B": "-12.00", "3100:D": "-12.00", "3100:general": "-6.00"},
  "CALL": {"1000": "20.00", "1400": "2.00", "2100:C1": "-9.00", "2400:M1": "-4.00", "3000": "-1.00", "3900": "-8.00"}},
 "members": [{"id": "M1", "joined": "2026-01-01"}, {"id": "M2", "joined": "2026-01-01"}, {"id": "M9", "joined": "2026-01-01", "left": "2027-01-01"}],
 "enterprises": [{"id": "CALL"}, {"id": "HOST"}],
 "accounts": [{"id": "C1", "enterprise": "CALL", "member": "M1"}, {"id": "H1", "enterprise": "HOST"}],
 "assets": [
  {"id": "A", "kind": "trunk", "cost": "12.00", "life_months": 12, "months_depreciated": 0, "meter": "seconds",
   "agreement": {"id": "RA", "lessee": "CALL", "fixed": "4.00", "start": "2027-01-01"}},
  {"id": "B", "kind": "trunk", "cost": "12.00", "life_months": 12, "months_depreciated": 0, "meter": "seconds"},
  {"id": "D", "kind": "disk", "cost": "12.00", "life_months": 12, "months_depreciated": 0, "meter": "quantity",
   "agreement": {"id": "RD", "lessee": "M2", "rate": "0.10", "start": "2027-01-01"}}],
 "trunks": [{"id": "TA", "carrier": "K1", "asset": "A"}, {"id": "TB", "carrier": "K1", "asset": "B"}, {"id": "TZ", "carrier": "K1", "asset": "Z"}],
 "tariffs": {"retail": {"UA": {"rate_per_minute": "0.20"}}, "carrier": {"K1": {"UA": {"rate_per_minute": "0.10"}}}},
 "events": [%s]}`

// Events by short names, so that a row says what happens and not how it is written.
var short = map[string]string{
	"request":   `"asset_request","at":"2027-06-02","member":"M1","asset":"N","kind":"server","price":"60.00","life_months":12,"meter":"none","agreement":{"id":"RN","lessee":"CALL","fixed":"12.00"}`,
	"bonds":     `"bond_auction","at":"2027-06-03","series":"S","asset":"N","offer":"60.00","cap_bps":600,"unit":"1.00","term_months":6,"bids":[{"bidder":"X","rate_bps":300,"amount":"60.00"}]`,
	"no bonds":  `"bond_auction","at":"2027-06-03","series":"S0","asset":"N","offer":"60.00","cap_bps":600,"unit":"1.00","term_months":6,"bids":[]`,
	"acquire":   `"acquisition","at":"2027-06-04","asset":"N"`,
	"gift":      `"gift_asset","at":"2027-06-04","asset":"G","kind":"phone","value":"5.00","life_months":5,"meter":"none"`,
	"deposit":   `"deposit_paid","at":"2027-06-05","agreement":"RA","amount":"5.00"`,
	"notice":    `"notice","at":"2027-06-06","agreement":"RA","end":"2027-06-11"`,
	"no demand": `"rental_auction","at":"2027-06-06","asset":"B","agreement":"RB","bids":[]`,
	"let B":     `"rental_auction","at":"2027-06-06","asset":"B","agreement":"RB","bids":[{"bidder":"M1","enterprise":"HOST","amount":"1.00"}]`,
	"sell B":    `"liquidation","at":"2027-06-07","asset":"B","price":"7.00"`,
	"join":      `"member_join","at":"2027-06-08","member":"M3","contribution":{"enterprise":"CALL","attested_by":"M1"}`,
	"call A":    `"call","at":"2027-06-09","account":"C1","destination":"UA","trunk":"TA","answered_seconds":60`,
	"close":     `"close","period":"2027-06"`,
}

// story is the village with events, each under its short name or whole; " | " changes text of a named one.
func story(t *testing.T, events ...string) []byte {
	t.Helper()
	var all []string
	for i, e := range events {
		name, edits, _ := strings.Cut(e, " | ")
		text, named := short[name]
		if !named {
			text = e
		}
		for _, change := range strings.Split(edits, " | ") {
			if old, fresh, has := strings.Cut(change, " => "); has && named {
				if !strings.Contains(text, old) {
					t.Fatalf("no %s in %s", old, text)
				}
				text = strings.ReplaceAll(text, old, fresh)
			}
		}
		all = append(all, fmt.Sprintf(`{"id": "e%d", "type": %s}`, i, text))
	}
	return fmt.Appendf(nil, village, strings.Join(all, ",\n"))
}

// TestCommuneRefuses: the last event of each row is refused, for its reason alone, and leaves no trace.
func TestCommuneRefuses(t *testing.T) {
	db := pgtest.New(t)
	for _, tt := range []struct {
		name, code string
		events     []string
	}{
		{"a request of nobody", "unknown_reference", []string{`request | "M1" => "M7"`}},
		{"a request of a former member", "not_a_member", []string{`request | "M1" => "M9"`}},
		{"a request for nobody", "unknown_reference", []string{`request | "CALL" => "POST"`}},
		{"a request for an asset there is", "wrong_state", []string{`request | "N" => "A"`}},
		{"a request twice", "wrong_state", []string{"request", `request | "RN" => "RM"`}},
		{"a request with a used agreement", "wrong_state", []string{`request | "RN" => "RA"`}},
		{"a request with an offered agreement", "wrong_state", []string{"request", `request | "asset":"N" => "asset":"P"`}},
		{"a request for parts of a cent", "amount_precision", []string{`request | "60.00" => "60.001"`}},
		{"a request without price", "bad_scenario", []string{`request | "price":"60.00", => `}},
		{"a request with a strange meter", "bad_scenario", []string{`request | "meter":"none" => "meter":"litres"`}},
		{"a request of July", "period_open", []string{`request | 2027-06-02 => 2027-07-01`}},
		{"a request of May", "period_closed", []string{`request | 2027-06-02 => 2027-05-31`}},

		{"bonds for what nobody asked for", "unknown_reference", []string{"bonds"}},
		{"bonds for an asset there is", "wrong_state", []string{`bonds | "N" => "A"`}},
		{"bonds twice", "wrong_state", []string{"request", "bonds", `bonds | "S" => "S2"`}},
		{"bonds after a failed auction, not asked for again", "wrong_state", []string{"request", "no bonds", "bonds"}},
		{"a series that there is", "wrong_state", []string{"request", "no bonds", "request", `bonds | "S" => "S0"`}},
		{"bonds that the rent does not carry", "coverage_test_failed", []string{`request | "12.00" => "10.29"`, "bonds"}},
		{"bonds longer than the asset's life", "coverage_test_failed", []string{`request | "life_months":12 => "life_months":5`, "bonds"}},
		{"a bid above the cap", "bid_above_cap", []string{"request", `bonds | "rate_bps":300 => "rate_bps":601`}},
		{"two bids of one", "duplicate_bid", []string{"request", `bonds | [{ => [{"bidder":"X","rate_bps":1,"amount":"1.00"},{`}},
		{"a bid of parts of a unit", "amount_precision", []string{"request", `bonds | "amount":"60.00" => "amount":"59.50"`}},
		{"an offer of parts of a unit", "amount_precision", []string{"request", `bonds | "offer":"60.00" => "offer":"60.50"`}},
		{"a unit of parts of a cent", "amount_precision", []string{"request", `bonds | "unit":"1.00" => "unit":"0.001"`}},
		{"a term of nothing", "bad_scenario", []string{"request", `bonds | "term_months":6 => "term_months":0`}},
		{"bids beyond 64 bits", "amount_precision", []string{"request", `bonds | [{ => [{"bidder":"Y","rate_bps":300,"amount":"9223372036854.00"},{"bidder":"Z","rate_bps":300,"amount":"9223372036854.00"},{`}},

		{"buying what nobody asked for", "unknown_reference", []string{"acquire"}},
		{"buying without money", "wrong_state", []string{"request", "acquire"}},
		{"buying twice", "wrong_state", []string{"request", "bonds", "acquire", "acquire"}},
		{"buying for more than the bonds brought", "insufficient_funds", []string{"request", "bonds", `acquire | "N" => "N","cost":"60.01"`}},
		{"a gift there is", "wrong_state", []string{`gift | "G" => "A"`}},
		{"a gift that was asked for", "wrong_state", []string{"request", `gift | "G" => "N"`}},
		{"a gift with a used agreement", "wrong_state", []string{`gift | "G" => "G","agreement":{"id":"RA","lessee":"CALL"}`}},
		{"a gift worth nothing", "amount_precision", []string{`gift | 5.00 => 0.00`}},

		{"a call over a vacant asset", "no_active_agreement", []string{`call A | TA => TB`}},
		{"a call over another's asset", "no_active_agreement", []string{"let B", `call A | TA => TB`}},
		{"a call over an asset there is not", "no_active_agreement", []string{`call A | TA => TZ`}},
		{"a call after the end", "no_active_agreement", []string{"notice", `call A | 06-09 => 06-11`}},
		{"a late call after the end", "no_active_agreement", []string{`notice | 06-11 => 07-01`, "close", "call A"}},
		{"usage of nothing", "unknown_reference", []string{`"usage","at":"2027-06-01","asset":"Z","quantity":"1"`}},
		{"usage that is metered otherwise", "wrong_state", []string{`"usage","at":"2027-06-01","asset":"A","quantity":"1"`}},
		{"usage on a day after the end", "no_active_agreement", []string{`notice | RA => RD`, `"usage","at":"2027-06-11","asset":"D","quantity":"1"`}},
		{"usage of nothing at all", "amount_precision", []string{`"usage","at":"2027-06-01","asset":"D","quantity":"0"`}},

		{"wages of a stranger", "unknown_reference", []string{`"remuneration","at":"2027-06-01","enterprise":"CALL","member":"M7","amount":"1.00"`}},
		{"wages in no enterprise", "unknown_reference", []string{`"remuneration","at":"2027-06-01","enterprise":"POST","member":"M1","amount":"1.00"`}},
		{"wages in the commune's own book", "unknown_reference", []string{`"remuneration","at":"2027-06-01","enterprise":"COM","member":"M1","amount":"1.00"`}},
		{"wages that nobody earned", "wrong_state", []string{`"remuneration_paid","at":"2027-06-01","enterprise":"CALL","member":"M2"`}},
		{"more wages than earned", "wrong_state", []string{`"remuneration_paid","at":"2027-06-01","enterprise":"CALL","member":"M1","amount":"4.01"`}},
		{"wages without money", "insufficient_funds", []string{`"remuneration","at":"2027-06-01","enterprise":"HOST","member":"M1","amount":"1.00"`, `"remuneration_paid","at":"2027-06-01","enterprise":"HOST","member":"M1"`}},

		{"rent of no agreement", "unknown_reference", []string{`"rent_paid","at":"2027-06-01","agreement":"RZ","period":"2027-06"`}},
		{"rent of an offered agreement", "wrong_state", []string{"request", `"rent_paid","at":"2027-06-03","agreement":"RN","period":"2027-06"`}},
		{"rent of a month before the books", "wrong_state", []string{`"rent_paid","at":"2027-06-01","agreement":"RA","period":"2027-05"`}},
		{"rent of a month to come", "period_open", []string{`"rent_paid","at":"2027-06-01","agreement":"RA","period":"2027-07"`}},
		{"rent paid twice", "wrong_state", []string{`"rent_paid","at":"2027-06-01","agreement":"RA","period":"2027-06"`, "close", `"rent_paid","at":"2027-07-01","agreement":"RA","period":"2027-06"`}},
		{"more rent than is open", "wrong_state", []string{"close", `"rent_paid","at":"2027-07-01","agreement":"RA","period":"2027-06","amount":"4.01"`}},
		{"more netted than the commune owes", "wrong_state", []string{"close", `"rent_paid","at":"2027-07-01","agreement":"RA","period":"2027-06","offset":"2.01"`}},
		{"more netted than paid", "wrong_state", []string{"close", `"rent_paid","at":"2027-07-01","agreement":"RA","period":"2027-06","amount":"1.00","offset":"1.50"`}},
		{"netted with a member", "wrong_state", []string{`"rent_paid","at":"2027-06-01","agreement":"RD","period":"2027-06","offset":"1.00"`}},
		{"rent without money", "insufficient_funds", []string{`"rent_paid","at":"2027-06-01","agreement":"RA","period":"2027-06"`, `"deposit_paid","at":"2027-06-05","agreement":"RA","amount":"17.00"`, "close"}},
		{"rent taken back after it was posted", "wrong_state", []string{"close", `"rent_unpaid","at":"2027-07-01","agreement":"RA","period":"2027-06"`}},
		{"nothing to write off", "wrong_state", []string{`"rent_write_off","at":"2027-06-01","agreement":"RA","period":"2027-06"`}},

		{"a deposit after the end", "wrong_state", []string{"notice", `deposit | 06-05 => 06-11`}},
		{"a deposit without money", "insufficient_funds", []string{`deposit | 5.00 => 20.01`}},
		{"no deposit to apply", "wrong_state", []string{"close", `"deposit_applied","at":"2027-07-01","agreement":"RA"`}},
		{"nothing to apply it to", "wrong_state", []string{"deposit", `"deposit_applied","at":"2027-06-05","agreement":"RA"`}},
		{"a deposit back while it runs", "wrong_state", []string{"deposit", `"deposit_refund","at":"2027-06-05","agreement":"RA"`}},
		{"a deposit back before the last rent", "wrong_state", []string{"deposit", "notice", `"deposit_refund","at":"2027-06-12","agreement":"RA"`}},
		{"a deposit back while rent is open", "wrong_state", []string{"deposit", "notice", "close", `"deposit_refund","at":"2027-07-12","agreement":"RA"`}},

		{"notice to nothing", "unknown_reference", []string{`notice | RA => RZ`}},
		{"notice twice", "wrong_state", []string{"notice", "notice"}},
		{"notice for yesterday", "wrong_state", []string{`notice | 06-11 => 06-05`}},
		{"letting what is let", "agreement_active", []string{`no demand | "B" => "A"`}},
		{"letting before it is vacant", "agreement_active", []string{"notice", `no demand | "B" => "A","start":"2027-06-10"`}},
		{"letting before another comes", "agreement_active", []string{`let B | "RB" => "RB","start":"2027-06-20"`, `no demand | "RB" => "RB2"`}},
		{"letting nothing", "unknown_reference", []string{`no demand | "B" => "Z"`}},
		{"letting what is only wanted", "wrong_state", []string{"request", `no demand | "B" => "N"`}},
		{"letting by a used agreement", "wrong_state", []string{`no demand | "RB" => "RA"`}},
		{"a bid of a former member", "not_a_member", []string{`let B | M1 => M9`}},
		{"a bid of nobody", "unknown_reference", []string{`let B | M1 => M7`}},
		{"a bid for no enterprise", "unknown_reference", []string{`let B | HOST => POST`}},
		{"two rental bids of one", "duplicate_bid", []string{`let B | [{ => [{"bidder":"M1","enterprise":"CALL","amount":"2.00"},{`}},
		{"a negative reserve", "amount_precision", []string{`no demand | "RB" => "RB","reserve":"-0.01"`}},

		{"selling what was not auctioned", "wrong_state", []string{"sell B"}},
		{"selling what is let", "wrong_state", []string{"no demand", `let B | "RB" => "RB2"`, "sell B"}},
		{"selling twice", "wrong_state", []string{"no demand", "sell B", "sell B"}},
		{"selling nothing", "unknown_reference", []string{`sell B | "B" => "Z"`}},
		{"selling for nothing", "amount_precision", []string{"no demand", `sell B | 7.00 => 0.00`}},
		{"selling before the last rent", "wrong_state", []string{"notice", `no demand | "B" => "A" | 06-06 => 06-11`, `sell B | "B" => "A" | 06-07 => 06-12`}},
		{"selling while rent is open", "wrong_state", []string{"notice", "close", `no demand | "B" => "A" | 06-06 => 07-01`, `sell B | "B" => "A" | 06-07 => 07-12`}},

		{"a second share", "second_share", []string{`join | M3 => M2`}},
		{"a second share before the first", "second_share", []string{"join", `join | 06-08 => 06-07`}},
		{"no work", "no_contribution", []string{`join | ,"contribution":{"enterprise":"CALL","attested_by":"M1"} => `}},
		{"work that nobody saw", "no_contribution", []string{`join | ,"attested_by":"M1" => `}},
		{"work that only he saw", "no_contribution", []string{`join | M1 => M3`}},
		{"work that a former member saw", "no_contribution", []string{`join | M1 => M9`}},
		{"work in no enterprise", "unknown_reference", []string{`join | CALL => POST`}},
		{"a stranger leaves", "unknown_reference", []string{`"member_leave","at":"2027-06-01","member":"M7"`}},
		{"a former member leaves", "wrong_state", []string{`"member_leave","at":"2027-06-01","member":"M9"`}},

		{"a levy on a closed month", "period_closed", []string{`"vote_levy","at":"2027-06-01","period":"2027-05","amount":"1.00"`}},
		{"a levy of two kinds", "bad_scenario", []string{`"vote_levy","at":"2027-06-01","period":"2027-06","amount":"1.00","bps":1`}},
		{"a levy of more than all", "bad_scenario", []string{`"vote_levy","at":"2027-06-01","period":"2027-06","bps":10001`}},
		{"a dividend for nobody", "unknown_reference", []string{`"dividend_election","at":"2027-06-01","member":"M7","to":"bank"`}},
		{"no dividend", "wrong_state", []string{`"dividend_election","at":"2027-06-01","member":"M2","to":"bank"`}},
		{"a dividend twice", "wrong_state", []string{`"dividend_election","at":"2027-06-01","member":"M1","to":"bank"`, `"dividend_election","at":"2027-06-01","member":"M1","to":"bank"`}},
		{"a dividend to no account", "unknown_account", []string{`"dividend_election","at":"2027-06-01","member":"M1","to":"credit","account":"C7"`}},
		{"a dividend to nowhere", "bad_scenario", []string{`"dividend_election","at":"2027-06-01","member":"M1","to":"heirs"`}},
		{"settling more than is owed", "wrong_state", []string{`"settlement","at":"2027-06-01","enterprise":"CALL","amount":"2.01"`}},
		{"expenses without money", "insufficient_funds", []string{`"mutual_expense","at":"2027-06-01","amount":"10.01"`, "close"}},
		{"closing July first", "period_open", []string{`close | 06 => 07`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, _, err := replay.Run(t.Context(), db, story(t, tt.events...), replay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if result.Error == nil || result.Error.Event != len(tt.events)-1 || result.Error.Code != tt.code {
				t.Fatalf("%v, want event %d: %s", result.Error, len(tt.events)-1, tt.code)
			}
			for _, e := range result.Journal {
				if e.Event == fmt.Sprint("e", len(tt.events)-1) {
					t.Errorf("it left an entry: %+v", e)
				}
			}
		})
	}
}

// TestCommuneAllows: what is next to a refusal, and goes well.
func TestCommuneAllows(t *testing.T) {
	db := pgtest.New(t)
	for name, events := range map[string][]string{
		"rent that nobody said would be paid is taken back":  {`"rent_unpaid","at":"2027-06-01","agreement":"RA","period":"2027-06"`},
		"the same request after a failed auction":            {"request", "no bonds", "request", "bonds", "acquire"},
		"a used agreement of a failed auction":               {"request", "no bonds", `request | "N" => "P"`},
		"joining and leaving in July":                        {`join | 06-08 => 07-08`, `"member_leave","at":"2027-07-09","member":"M3"`},
		"renting to who has just joined":                     {"join", `gift | "G" => "G","agreement":{"id":"RG","lessee":"M3","fixed":"1.00"}`, "close"},
		"use before a notice that ends earlier":              {`"usage","at":"2027-07-05","asset":"D","quantity":"1"`, `notice | RA => RD | 06-11 => 07-01`, "close", `close | 06 => 07`},
		"joining on the day of leaving":                      {"join", `"member_leave","at":"2027-06-20","member":"M3"`, `join | 06-08 => 06-20`},
		"a former member comes back":                         {`join | M3 => M9`},
		"usage in July":                                      {`"usage","at":"2027-07-01","asset":"D","quantity":"1"`, "close"},
		"letting from the last day on":                       {"notice", `no demand | "B" => "A","start":"2027-06-11"`},
		"letting what nobody wanted":                         {"no demand", `let B | "RB" => "RB2"`},
		"the first member of an empty commune needs nobody":  {`"member_leave","at":"2027-06-01","member":"M1"`, `"member_leave","at":"2027-06-01","member":"M2"`, `join | ,"attested_by":"M1" => `},
		"an agreement that ends on the day it begins":        {`let B | "RB" => "RB","start":"2027-06-06"`, `notice | RA => RB | 06-11 => 06-06`, `let B | "RB" => "RB2"`},
		"a call over what is let, on the last day":           {"notice", `call A | 06-09 => 06-10`},
		"the very amount that is owed":                       {`"settlement","at":"2027-06-01","enterprise":"CALL","amount":"2.00"`},
		"a levy on next month":                               {`"vote_levy","at":"2027-06-01","period":"2027-07","bps":10000`, "close", `close | 06 => 07`},
		"a dividend as credit of another enterprise's calls": {`"dividend_election","at":"2027-06-01","member":"M1","to":"credit","account":"H1"`},
	} {
		t.Run(name, func(t *testing.T) {
			result, _, err := replay.Run(t.Context(), db, story(t, events...), replay.Options{})
			if err != nil || result.Error != nil {
				t.Errorf("%v, %v", result.Error, err)
			}
		})
	}
}

// TestRealCommuneIsNotMet: a scenario neither sees nor changes what is really there.
func TestRealCommuneIsNotMet(t *testing.T) {
	db := pgtest.New(t)
	if _, err := db.Exec(`INSERT INTO member (code) VALUES ('real')`); err != nil {
		t.Fatal(err)
	}
	_, _, err := replay.Run(t.Context(), db, story(t, "join", "close"), replay.Options{
		Inspect: func(_ context.Context, tx *sqlx.Tx, _ map[string]string) error {
			var n int
			if err := tx.Get(&n, `SELECT count(*) FROM member`); err != nil || n != 4 {
				t.Errorf("%d members, %v; want the village's", n, err)
			}
			return nil
		},
	})
	var n int
	if dbErr := db.Get(&n, `SELECT count(*) FROM member`); err != nil || dbErr != nil || n != 1 {
		t.Errorf("%d members left, %v, %v", n, err, dbErr)
	}
}
