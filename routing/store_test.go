package routing_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/routing"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// testCA is a certificate that vouches for nobody.
const testCA = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUaHmj5LDDytJBr4c8u4lwD1kQgd8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjgwMDA3NDNaGA8yMTI2MTEwNDAwMDc0
M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJr2
dW2AwEPixMV73RjIJbtBCzWUgX4PbFrJuhe4Aa/QsKLrAWj36jVQB4JdeSbn/cAa
GCH06URpsDx293r0AMWjUzBRMB0GA1UdDgQWBBTs+S0XZYfx7unkd+DBqdBQK6ay
ejAfBgNVHSMEGDAWgBTs+S0XZYfx7unkd+DBqdBQK6ayejAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIGhc1p6R2BKoo6C2hJB982gVCkazoDkd6gCJ
5AFjOuBlAiEApUq9OV+EjkDfpte1oS0w6rCA20jvan6MsBtDczREbZc=
-----END CERTIFICATE-----`

func TestStoreTrunks(t *testing.T) {
	store, ctx := routing.NewStore(pgtest.New(t)), t.Context()
	if list, err := store.Trunks(ctx); err != nil || list == nil || len(list) > 0 {
		t.Fatalf("no trunks yet: %v, %v", list, err)
	}
	paidAt := time.Date(2027, 6, 30, 10, 0, 0, 0, time.UTC)
	full := routing.Trunk{
		Code: "T2", Carrier: "K", Address: "[2001:db8::1]:5061", Transport: "tcp", User: "me", Password: `p "w' ü`, Register: true,
		Channels: 30, CPS: 5, Prefix: "+00*#", Strip: 15, Enabled: true,
		Deck: "T1", Asset: "gateway-1", Probe: 30, Rewrite: "^\\+00=>0", Codecs: "PCMU,PCMA", CallerID: routing.FixedCaller,
		CallerNumber: "+4930123456", Trusted: true, Hours: "mon-fri 08:00-18:00; sat", Zone: "Europe/Berlin", MinutesDay: 1000,
		MinutesMonth: 20_000, SpendDay: 50 * money.Unit, SpendMonth: 1000 * money.Unit, Prepaid: 100 * money.Unit,
		PrepaidFloor: 5 * money.Unit, PrepaidAt: &paidAt, Failover: "503=stop; q34=next,count", RingSeconds: 40,
		Priority: 1, Weight: 1000,
	}
	if got, err := store.AddTrunk(ctx, full); err != nil || !same(got, full) {
		t.Fatalf("%+v, %v", got, err)
	}
	plain, err := store.AddTrunk(ctx, routing.Trunk{Code: "T1", Address: "sip.example.net:5060", Enabled: true})
	if want := (routing.Trunk{
		Code: "T1", Carrier: "T1", Deck: "T1", Address: "sip.example.net:5060", Transport: "udp", CallerID: "pass", Enabled: true,
		Priority: 100, Weight: 100,
	}); err != nil || plain != want {
		t.Fatalf("%+v, %v; want the defaults", plain, err)
	}
	if _, err := store.AddTrunk(ctx, plain); !errors.Is(err, routing.ErrExists) {
		t.Errorf("the same code again: %v", err)
	}
	if got, err := store.Trunks(ctx); err != nil || len(got) != 2 || !same(got[0], plain) || !same(got[1], full) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := store.Trunk(ctx, "T2"); err != nil || !same(got, full) {
		t.Errorf("%+v, %v", got, err)
	}
	before, err := store.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := full
	want.Enabled, want.Channels = false, 0
	got, err := store.SetTrunk(ctx, "T2", func(t *routing.Trunk) { t.Enabled, t.Channels, t.Code = false, 0, "T9" })
	if err != nil || !same(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if stored, err := store.Trunk(ctx, "T2"); err != nil || !same(stored, want) {
		t.Errorf("%+v, %v; want %+v", stored, err, want)
	}
	var field *routing.FieldError
	if _, err := store.SetTrunk(ctx, "T2", func(t *routing.Trunk) { t.CPS, t.Enabled = -1, true }); !errors.As(err, &field) || field.Field != "cps" {
		t.Errorf("%v, want a FieldError of cps", err)
	}
	if stored, err := store.Trunk(ctx, "T2"); err != nil || !same(stored, want) {
		t.Errorf("a refused change was stored: %+v, %v", stored, err)
	}
	if after, err := store.Revision(ctx); err != nil || after <= before {
		t.Errorf("revision %d, then %d, %v", before, after, err)
	}
	if err := store.RemoveTrunk(ctx, "T2"); err != nil {
		t.Error(err)
	}
	_, getErr := store.Trunk(ctx, "T2")
	_, setErr := store.SetTrunk(ctx, "T2", func(*routing.Trunk) {})
	for _, err := range []error{getErr, setErr, store.RemoveTrunk(ctx, "T2"), store.RemoveTrunk(ctx, "no such 'code")} {
		if !errors.Is(err, routing.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	}
}

// same compares trunks; the instants in them are the same in any zone.
func same(a, b routing.Trunk) bool {
	if a.PrepaidAt != nil && b.PrepaidAt != nil && a.PrepaidAt.Equal(*b.PrepaidAt) {
		a.PrepaidAt, b.PrepaidAt = nil, nil
	}
	return a == b
}

func TestStoreChangesAtOnceAllCount(t *testing.T) {
	store := routing.NewStore(pgtest.New(t))
	if _, err := store.AddTrunk(t.Context(), routing.Trunk{Code: "T1", Address: "127.0.0.1:5060"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := store.SetTrunk(context.Background(), "T1", func(t *routing.Trunk) { t.Channels++ }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := store.Trunk(t.Context(), "T1"); err != nil || got.Channels != 10 {
		t.Errorf("%d of 10 changes, %v", got.Channels, err)
	}
}

func TestStoreRefusesTrunks(t *testing.T) {
	store := routing.NewStore(pgtest.New(t))
	for _, c := range []struct {
		proves string
		field  string
		change func(t *routing.Trunk)
	}{
		{"no code", "code", func(t *routing.Trunk) { t.Code, t.Carrier = "", "K" }},
		{"a code with a colon, which would make another ledger account", "code", func(t *routing.Trunk) { t.Code = "a:b" }},
		{"a long code", "code", func(t *routing.Trunk) { t.Code = strings.Repeat("a", 33) }},
		{"a carrier with a space", "carrier", func(t *routing.Trunk) { t.Carrier = "a b" }},
		{"no address", "address", func(t *routing.Trunk) { t.Address = "" }},
		{"an address without port", "address", func(t *routing.Trunk) { t.Address = "127.0.0.1" }},
		{"a colon and no port", "address", func(t *routing.Trunk) { t.Address = "sip.example.net:" }},
		{"no host", "address", func(t *routing.Trunk) { t.Address = ":5060" }},
		{"port 0", "address", func(t *routing.Trunk) { t.Address = "127.0.0.1:0" }},
		{"port 65536", "address", func(t *routing.Trunk) { t.Address = "127.0.0.1:65536" }},
		{"a port by name", "address", func(t *routing.Trunk) { t.Address = "127.0.0.1:sip" }},
		{"a URI", "address", func(t *routing.Trunk) { t.Address = "sip:127.0.0.1:5060" }},
		{"IPv6 without brackets", "address", func(t *routing.Trunk) { t.Address = "2001:db8::1:5060" }},
		{"a header in the host", "address", func(t *routing.Trunk) { t.Address = "a\r\nVia: b:5060" }},
		{"a parameter in the host", "address", func(t *routing.Trunk) { t.Address = "a;maddr=b:5060" }},
		{"an unknown transport", "transport", func(t *routing.Trunk) { t.Transport = "sctp" }},
		{"a CA for what is not encrypted", "tls_ca", func(t *routing.Trunk) { t.TLSCA = testCA }},
		{"a CA that is none", "tls_ca", func(t *routing.Trunk) { t.Transport, t.TLSCA = "tls", "secret" }},
		{"a TLS name with a wildcard", "tls_name", func(t *routing.Trunk) { t.Transport, t.TLSName = "tls", "*.example.net" }},
		{"a probe each second", "probe_seconds", func(t *routing.Trunk) { t.Probe = 1 }},
		{"a deck with a space", "deck", func(t *routing.Trunk) { t.Deck = "a b" }},
		{"an asset with a space", "asset", func(t *routing.Trunk) { t.Asset = "a b" }},
		{"a user with a quote", "user", func(t *routing.Trunk) { t.User = `a"b` }},
		{"a user with a line break", "user", func(t *routing.Trunk) { t.User = "a\nb" }},
		{"a long user", "user", func(t *routing.Trunk) { t.User = strings.Repeat("a", 65) }},
		{"a password without user", "user", func(t *routing.Trunk) { t.Password = "secret" }},
		{"a password of two lines", "password", func(t *routing.Trunk) { t.User, t.Password = "a", "a\nb" }},
		{"register without user", "register", func(t *routing.Trunk) { t.Register = true }},
		{"negative channels", "channels", func(t *routing.Trunk) { t.Channels = -1 }},
		{"a million channels", "channels", func(t *routing.Trunk) { t.Channels = 1_000_000 }},
		{"negative cps", "cps", func(t *routing.Trunk) { t.CPS = -1 }},
		{"letters in the prefix", "prefix", func(t *routing.Trunk) { t.Prefix = "tech" }},
		{"a semicolon in the prefix", "prefix", func(t *routing.Trunk) { t.Prefix = "1;a" }},
		{"a long prefix", "prefix", func(t *routing.Trunk) { t.Prefix = strings.Repeat("1", 17) }},
		{"negative strip", "strip", func(t *routing.Trunk) { t.Strip = -1 }},
		{"strip 16", "strip", func(t *routing.Trunk) { t.Strip = 16 }},
		{"negative priority", "priority", func(t *routing.Trunk) { t.Priority = -1 }},
		{"priority 1001", "priority", func(t *routing.Trunk) { t.Priority = 1001 }},
		{"negative weight", "weight", func(t *routing.Trunk) { t.Weight = -1 }},
		{"weight 1001", "weight", func(t *routing.Trunk) { t.Weight = 1001 }},
		{"a pattern alone", "rewrite", func(t *routing.Trunk) { t.Rewrite = "^49" }},
		{"a pattern that does not compile", "rewrite", func(t *routing.Trunk) { t.Rewrite = "(=>1" }},
		{"a back reference, which RE2 has none of", "rewrite", func(t *routing.Trunk) { t.Rewrite = `(.)\1=>1` }},
		{"letters to dial", "rewrite", func(t *routing.Trunk) { t.Rewrite = "^49=>a@b" }},
		{"a group that is not there", "rewrite", func(t *routing.Trunk) { t.Rewrite = "^(49)=>$2" }},
		{"nothing left to dial", "rewrite", func(t *routing.Trunk) { t.Rewrite = ".*=>" }},
		{"too much to dial", "rewrite", func(t *routing.Trunk) { t.Rewrite = "(.*)=>$1$1$1$1$1" }},
		{"a long rewrite", "rewrite", func(t *routing.Trunk) { t.Rewrite = routing.Rewrite(strings.Repeat("1", 300)) + "=>1" }},
		{"a codec that is not relayed", "codecs", func(t *routing.Trunk) { t.Codecs = "G729" }},
		{"a codec twice", "codecs", func(t *routing.Trunk) { t.Codecs = "PCMA,PCMA" }},
		{"an unknown policy", "caller_id", func(t *routing.Trunk) { t.CallerID = "lie" }},
		{"a fixed number that is none", "caller_number", func(t *routing.Trunk) { t.CallerID = routing.FixedCaller }},
		{"a national number", "caller_number", func(t *routing.Trunk) { t.CallerNumber = "030123456" }},
		{"negative minutes", "minutes_day", func(t *routing.Trunk) { t.MinutesDay = -1 }},
		{"negative spend", "spend_month", func(t *routing.Trunk) { t.SpendMonth = -1 }},
		{"a floor without a balance", "prepaid_floor", func(t *routing.Trunk) { t.PrepaidFloor = 1 }},
		{"hours that are none", "hours", func(t *routing.Trunk) { t.Hours = "weekdays" }},
		{"an unknown zone", "zone", func(t *routing.Trunk) { t.Hours, t.Zone = "sat", "Mars/Olympus" }},
		{"a failover row that is none", "failover", func(t *routing.Trunk) { t.Failover = "503" }},
		{"a long ring time", "ring_seconds", func(t *routing.Trunk) { t.RingSeconds = 121 }},
	} {
		trunk := routing.Trunk{Code: "T1", Address: "127.0.0.1:5060"}
		c.change(&trunk)
		var field *routing.FieldError
		if _, err := store.AddTrunk(t.Context(), trunk); !errors.As(err, &field) || field.Field != c.field {
			t.Errorf("%s: %v, want a FieldError of %s", c.proves, err, c.field)
		} else if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: the error is not one line: %q", c.proves, err)
		}
	}
	if list, err := store.Trunks(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestStoreLoad(t *testing.T) {
	db := pgtest.New(t)
	store, decks, ctx := routing.NewStore(db), tariff.NewStore(db), t.Context()
	for _, code := range []string{"T2", "T1"} {
		if _, err := store.AddTrunk(ctx, routing.Trunk{Code: code, Address: "127.0.0.1:5060", Enabled: true}); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().Truncate(time.Microsecond)
	for i, from := range []time.Time{now.Add(-48 * time.Hour), now.Add(-24 * time.Hour)} {
		csv := strings.NewReader("prefix,rate_per_minute\n380,0.00" + string(rune('8'+i)))
		d, err := tariff.ParseDeck(csv, tariff.Spec{Kind: tariff.Trunk, Name: "T1", Currency: "EUR", ActiveFrom: from})
		if err != nil {
			t.Fatal(err)
		}
		before, err := store.Revision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decks.Import(ctx, d); err != nil {
			t.Fatal(err)
		}
		if after, err := store.Revision(ctx); err != nil || after <= before {
			t.Errorf("an import leaves the revision at %d, %v", after, err)
		}
	}
	live, err := store.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brief(live.Plan(now, kyiv, paid(19_000), vat, 1)), "T1 380 0.027 | T2 no_rate"; got != want {
		t.Errorf("now: %s, want %s", got, want)
	}
	yesterday := now.Add(-25 * time.Hour)
	then, err := store.LoadAt(ctx, yesterday)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brief(then.Plan(yesterday, kyiv, paid(19_000), vat, 1)), "T1 380 0.024 | T2 no_rate"; got != want {
		t.Errorf("then: %s, want %s", got, want)
	}
}

func TestStoreAttempts(t *testing.T) {
	db := pgtest.New(t)
	store, ctx := routing.NewStore(db), t.Context()
	call := uuid.Must(uuid.NewV7())
	if got, err := store.Attempts(ctx, call); err != nil || got == nil || len(got) > 0 {
		t.Errorf("of no call: %v, %v", got, err)
	}
	plan := routing.Plan{
		Number: "+380441234567", At: noon, Denied: "", Skipped: []routing.Skip{{Trunk: "T3", Reason: routing.NoRate}},
		Candidates: []routing.Candidate{{Rank: 1, Trunk: routing.Trunk{Code: "T1"}, Row: tariff.Row{Prefix: "380", RatePerMinute: 8000, Deck: "T1 v3"}, Cost: 24_000}},
	}
	if got, err := store.Route(ctx, call); err != nil || got != nil {
		t.Errorf("plan of no call: %v, %v", got, err)
	}
	want := []routing.Attempt{
		{Trunk: "T1", Prefix: "380", Started: noon, SIP: 503, Q850: 34, Outcome: "failed"},
		{Trunk: "T2", Started: noon.Add(time.Second), PDD: 1234 * time.Millisecond, SIP: 200, Q850: 16, Outcome: "answered, 'quoted' {\"\\", Suspect: "fast short"},
	}
	if err := store.RecordAttempts(ctx, call, plan, want); err == nil {
		t.Error("attempts of a call that is not there were stored")
	}
	_, err := db.Exec(`INSERT INTO call (id, access_call, node, provider, access_number, started_at) VALUES ($1, $1, 'n', 'p', '+4930', now())`, call)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time as after an answer that was lost
		if err := store.RecordAttempts(ctx, call, plan, want); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Attempts(ctx, call); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
	if err := store.RecordAttempts(ctx, call, plan, nil); err != nil {
		t.Errorf("no attempts: %v", err)
	}
	if got, err := store.Route(ctx, call); err != nil || !reflect.DeepEqual(*got, plan.Explain()) {
		t.Errorf("plan: %+v, %v; want %+v", got, err, plan.Explain())
	}
	found := uuid.Must(uuid.NewV7())
	if _, err := db.Exec(`INSERT INTO call (id, access_call, node, provider, access_number, started_at) VALUES ($1, $1, 'n', 'p', '+4930', now())`, found); err != nil {
		t.Fatal(err)
	}
	for _, attempts := range [][]routing.Attempt{want[1:], want[1:], want[:1]} { // what is known of it after a crash, again and again
		if err := store.RecordAttempts(ctx, found, routing.Plan{Number: plan.Number}, attempts); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Attempts(ctx, found); err != nil || !reflect.DeepEqual(got, want[1:]) {
			t.Errorf("without a plan: %v\n got %+v\nwant %+v", err, got, want[1:])
		}
	}
	if got, err := store.Route(ctx, found); err != nil || got != nil {
		t.Errorf("a plan that nobody knows: %+v, %v", got, err)
	}
	got, err := json.Marshal(want[1:])
	if err != nil || string(got) != `[{"trunk":"T2","started_at":"2027-06-01T12:00:01Z","pdd_ms":1234,"sip":200,"q850":16,"outcome":"answered, 'quoted' {\"\\","suspect":"fast short"}]` {
		t.Errorf("%s, %v", got, err)
	}
}
