package routing

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

var (
	codeSyntax   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	hostSyntax   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	userSyntax   = regexp.MustCompile(`^[!#-\[\]-~]{0,64}$`) // it is quoted in an Authorization header (RFC 3261 section 25.1)
	prefixSyntax = regexp.MustCompile(`^[0-9+*#]{0,16}$`)
	codecsSyntax = regexp.MustCompile(`^(PCMA|PCMU|PCMA,PCMU|PCMU,PCMA)?$`)
)

const (
	most       = 100_000       // calls at once, or a second, than any trunk carries; a greater number is a slip
	mostMinute = 1_000_000_000 // likewise of minutes
	mostMoney  = 1_000_000_000 * money.Unit
	maxTLSCA   = 1 << 16 // bytes
	maxRing    = 120     // seconds; callers don't wait longer for all attempts together
	maxProbe   = 3600    // seconds
)

// demand is what a field of a trunk must be.
type demand struct {
	field string
	ok    bool
	want  string
}

// check returns a *FieldError for the first field that can't be.
func (t Trunk) check() error {
	for _, demands := range [][]demand{t.wayDemands(), t.callDemands(), t.limitDemands()} {
		for _, d := range demands {
			if !d.ok {
				return &FieldError{Field: d.field, Want: d.want}
			}
		}
	}
	if err := t.Rewrite.check(t); err != nil {
		return &FieldError{Field: "rewrite", Want: err.Error()}
	}
	if _, err := ParseFailover(string(t.Failover)); err != nil {
		return &FieldError{Field: "failover", Want: err.Error()}
	}
	return nil
}

// wayDemands are those on the way to the carrier.
func (t Trunk) wayDemands() []demand {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil { // a domain alone
		host, port = t.Address, ""
	}
	_, ipErr := netip.ParseAddr(host)
	number, portErr := strconv.ParseUint(port, 10, 16)
	named := ipErr != nil && hostSyntax.MatchString(host)
	return []demand{
		{"code", codeSyntax.MatchString(t.Code), code},
		{"carrier", codeSyntax.MatchString(t.Carrier), code},
		{"deck", codeSyntax.MatchString(t.Deck), code},
		{"asset", t.Asset == "" || codeSyntax.MatchString(t.Asset), code},
		{
			"address", ipErr == nil && err == nil || named,
			"host:port, such as sip.example.net:5060 or [2001:db8::1]:5060, or a domain with SRV records",
		},
		{"address", port == "" && err != nil && named || portErr == nil && number > 0, "a port from 1 to 65535"},
		{"transport", t.Transport == "udp" || t.Transport == "tcp" || t.Transport == "tls", "udp, tcp or tls"},
		{"tls_ca", t.TLSCA == "" || t.Transport == "tls", "transport tls for it"},
		{"tls_ca", t.TLSCA == "" || len(t.TLSCA) <= maxTLSCA && x509.NewCertPool().AppendCertsFromPEM([]byte(t.TLSCA)), "certificates in PEM, up to 64 KiB"},
		{"tls_name", t.TLSName == "" || t.Transport == "tls", "transport tls for it"},
		{"tls_name", t.TLSName == "" || hostSyntax.MatchString(t.TLSName), "a host name such as sip.example.net"},
		{"user", userSyntax.MatchString(t.User), "up to 64 printable characters without spaces, quotes and backslashes"},
		{"user", t.User != "" || t.Password == "", "a user for the password"},
		{"password", len(t.Password) <= 128 && !strings.ContainsFunc(t.Password, unicode.IsControl), "up to 128 characters on one line"},
		{"register", t.User != "" || !t.Register, "a user to register with"},
		{"probe_seconds", t.Probe == 0 || t.Probe >= 5 && t.Probe <= maxProbe, fmt.Sprintf("0 (none) or 5 to %d seconds", maxProbe)},
	}
}

const code = "1 to 32 letters, digits, - or _"

// callDemands are those on how a call is handed over.
func (t Trunk) callDemands() []demand {
	_, numberErr := e164.Parse(string(t.CallerNumber))
	return []demand{
		{"prefix", prefixSyntax.MatchString(t.Prefix), "up to 16 digits, +, * or #"},
		{"strip", t.Strip >= 0 && t.Strip <= e164.MaxDigits, fmt.Sprintf("0 to %d digits", e164.MaxDigits)},
		{"codecs", codecsSyntax.MatchString(t.Codecs), "PCMA, PCMU, or both with a comma between, the better one first"},
		{"caller_id", t.CallerID.known(), "pass, fixed, verified or withheld"},
		{"caller_number", t.CallerNumber == "" || numberErr == nil, "an international number such as +4930123456"},
		{"caller_number", t.CallerNumber != "" || t.CallerID != FixedCaller, "a number of ours for caller_id fixed"},
		{"ring_seconds", t.RingSeconds >= 0 && t.RingSeconds <= maxRing, fmt.Sprintf("0 (%d) to %d seconds", UsualRing, maxRing)},
	}
}

// limitDemands are those on how much it carries, and when.
func (t Trunk) limitDemands() []demand {
	hours, hoursErr := tariff.ParseWindow(string(t.Hours))
	_, zoneErr := time.LoadLocation(t.Zone)
	count := func(field string, n, most int) demand {
		return demand{field, n >= 0 && n <= most, fmt.Sprintf("0 (no limit) to %d", most)}
	}
	spend := func(field string, a money.Amount) demand {
		return demand{field, a >= 0 && a <= mostMoney, fmt.Sprintf("0 (no limit) to %s", mostMoney)}
	}
	balance := func(field string, a money.Amount) demand {
		return demand{field, a >= -mostMoney && a <= mostMoney, fmt.Sprintf("-%s to %s", mostMoney, mostMoney)}
	}
	return []demand{
		{"priority", t.Priority > 0 && t.Priority <= greatest, fmt.Sprintf("1 to %d, lower is tried first", greatest)},
		{"weight", t.Weight > 0 && t.Weight <= greatest, fmt.Sprintf("1 to %d", greatest)},
		count("channels", t.Channels, most), count("cps", t.CPS, most),
		count("minutes_day", t.MinutesDay, mostMinute), count("minutes_month", t.MinutesMonth, mostMinute),
		spend("spend_day", t.SpendDay), spend("spend_month", t.SpendMonth),
		balance("prepaid", t.Prepaid), balance("prepaid_floor", t.PrepaidFloor),
		{"prepaid_floor", t.PrepaidAt != nil || t.PrepaidFloor == 0 && t.Prepaid == 0, "a prepaid balance for it"},
		{"hours", t.Hours == "" || hoursErr == nil && hours == t.Hours, "days and hours such as mon-fri 08:00-18:00; sat"},
		{"zone", zoneErr == nil, "a time zone such as Europe/Berlin"},
		{"zone", t.Hours == "" || t.Zone != "", "a time zone for the hours"},
	}
}
