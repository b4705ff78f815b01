package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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

// TestTrunkProperties sets each property of a trunk, looks at it, and takes it back.
func TestTrunkProperties(t *testing.T) {
	ok(t, "trunk", "add", "p-alpha", "--address", "192.0.2.20:5060")
	ok(t, "commune", "set", "--zone", "Europe/Berlin")
	defer ok(t, "commune", "set", "--zone", "UTC")
	dir := t.TempDir()
	secret, ca := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem")
	for name, text := range map[string]string{secret: "open sesame\n", ca: testCA} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		set, cleared []string // arguments
		field        string
		is, then     any
	}{
		{[]string{"--address", "sip.example.net"}, []string{"--address", "192.0.2.20:5060"}, "address", "sip.example.net", "192.0.2.20:5060"},
		{[]string{"--transport", "tls", "--tls-ca", ca}, []string{"--transport", "udp", "--tls-ca="}, "tls_ca", testCA, ""},
		{[]string{"--transport", "tls", "--tls-name", "sip.example.net"}, []string{"--transport", "udp", "--tls-name="}, "tls_name", "sip.example.net", ""},
		{[]string{"--user", "u", "--password-file", secret, "--register"}, []string{"--user=", "--password-file=", "--register=false"}, "register", true, false},
		{[]string{"--probe", "60"}, []string{"--probe", "0"}, "probe_seconds", 60, 0},
		{[]string{"--carrier", "k"}, []string{"--carrier="}, "carrier", "k", "p-alpha"},
		{[]string{"--deck", "other"}, []string{"--deck="}, "deck", "other", "p-alpha"},
		{[]string{"--asset", "gateway-1"}, []string{"--asset="}, "asset", "gateway-1", ""},
		{[]string{"--strip", "2"}, []string{"--strip", "0"}, "strip", 2, 0},
		{[]string{"--prefix", "+"}, []string{"--prefix="}, "prefix", "+", ""},
		{[]string{"--rewrite", "^49=>0"}, []string{"--rewrite="}, "rewrite", "^49=>0", ""},
		{[]string{"--codecs", "pcmu, pcma"}, []string{"--codecs="}, "codecs", "PCMU,PCMA", ""},
		{[]string{"--caller-id", "fixed", "--caller-number", "+4930123456"}, []string{"--caller-id", "pass", "--caller-number="}, "caller_number", "+4930123456", ""},
		{[]string{"--caller-id", "verified"}, []string{"--caller-id", "pass"}, "caller_id", "verified", "pass"},
		{[]string{"--trusted"}, []string{"--trusted=false"}, "trusted", true, false},
		{[]string{"--failover", "503=STOP;q34=next,count"}, []string{"--failover="}, "failover", "503=stop; q34=next,count", ""},
		{[]string{"--ring", "40"}, []string{"--ring", "0"}, "ring_seconds", 40, 0},
		{[]string{"--channels", "5"}, []string{"--channels", "0"}, "channels", 5, 0},
		{[]string{"--cps", "5"}, []string{"--cps", "0"}, "cps", 5, 0},
		{[]string{"--minutes-day", "5"}, []string{"--minutes-day", "0"}, "minutes_day", 5, 0},
		{[]string{"--minutes-month", "5"}, []string{"--minutes-month", "0"}, "minutes_month", 5, 0},
		{[]string{"--spend-day", "5.00"}, []string{"--spend-day", "0"}, "spend_day", "5.00", "0.00"},
		{[]string{"--spend-month", "5.00"}, []string{"--spend-month", "0"}, "spend_month", "5.00", "0.00"},
		{[]string{"--prepaid-balance", "50", "--prepaid-at", "2026-06-30"}, []string{"--prepaid-balance="}, "prepaid_at", "2026-06-29T22:00:00Z", nil},
		{[]string{"--prepaid-balance", "50", "--prepaid-floor", "5"}, []string{"--prepaid-balance="}, "prepaid_floor", "5.00", "0.00"},
		{[]string{"--hours", "MON-FRI 8:00-18:00"}, nil, "", nil, nil}, // no such hours
		{[]string{"--hours", "Mon-Fri 08:00-18:00"}, []string{"--hours="}, "hours", "mon-fri 08:00-18:00", ""},
		{[]string{"--hours", "sat"}, []string{"--hours="}, "zone", "Europe/Berlin", ""},
		{[]string{"--hours", "sat", "--zone", "Asia/Tokyo"}, []string{"--hours="}, "zone", "Asia/Tokyo", ""},
	} {
		if c.field == "" {
			refused(t, exitUsage, []string{"hours"}, append([]string{"trunk", "set", "p-alpha"}, c.set...)...)
			continue
		}
		for _, step := range []struct {
			args []string
			want any
		}{{c.set, c.is}, {c.cleared, c.then}} {
			ok(t, append([]string{"trunk", "set", "p-alpha"}, step.args...)...)
			shown := ok(t, "trunk", "show", "p-alpha", "-o", "json")
			if got := decode[map[string]any](t, shown)[c.field]; fmt.Sprint(got) != fmt.Sprint(step.want) {
				t.Errorf("%s: %s is %v, want %v", strings.Join(step.args, " "), c.field, got, step.want)
			}
			if strings.Contains(shown, "sesame") {
				t.Errorf("the password is shown:\n%s", shown)
			}
		}
	}
	ok(t, "trunk", "set", "p-alpha", "--rewrite", "^380=>0")
	if sent := decode[map[string]any](t, ok(t, "trunk", "show", "p-alpha", "--number", "+380441234567", "-o", "json"))["sent"]; sent != "0441234567" {
		t.Errorf("sent %v", sent)
	}
}
