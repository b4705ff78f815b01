package sipua

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

func TestIdentity(t *testing.T) {
	trusted := pbx.Provider{Code: "carrier", TrustCallerID: true}
	stranger := pbx.Provider{Code: "phone"}
	for _, tt := range []struct {
		why      string
		provider pbx.Provider
		headers  string
		want     pbx.Inbound
	}{
		{
			"From of a trusted provider", trusted, "From: \"Ann\" <sip:+441234567890@x>;tag=1",
			pbx.Inbound{Provider: "carrier", Caller: "+441234567890", Name: "Ann", Trusted: true},
		},
		{
			"P-Asserted-Identity goes before From", trusted,
			"From: <sip:+441234567890@x>;tag=1\r\nP-Asserted-Identity: \"A, B\" <sip:+4930123456@x>, <tel:+4930123456>",
			pbx.Inbound{Provider: "carrier", Caller: "+4930123456", Trusted: true},
		},
		{
			"P-Asserted-Identity of a stranger is a claim", stranger,
			"From: <sip:+441234567890@x>;tag=1\r\nP-Asserted-Identity: <sip:+4930123456@x>",
			pbx.Inbound{Provider: "phone", Caller: "+441234567890"},
		},
		{
			"privacy: known and withheld", trusted,
			"From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\nPrivacy: user; id\r\nP-Asserted-Identity: <tel:+49-30-123456>",
			pbx.Inbound{Provider: "carrier", Caller: "+4930123456", Name: "Anonymous", Withheld: true, Trusted: true},
		},
		{"Privacy: none", trusted, "From: <sip:+441234567890@x>;tag=1\r\nPrivacy: none", pbx.Inbound{Provider: "carrier", Caller: "+441234567890", Trusted: true}},
		{"00 in front", stranger, "From: <sip:00441234567890@x>;tag=1", pbx.Inbound{Provider: "phone", Caller: "+441234567890"}},
		{"bare digits of a carrier", trusted, "From: <sip:441234567890@x>;tag=1", pbx.Inbound{Provider: "carrier", Caller: "+441234567890", Trusted: true}},
		{"bare digits of a stranger", stranger, "From: <sip:441234567890@x>;tag=1", pbx.Inbound{Provider: "phone"}},
		{"national", trusted, "From: <sip:01234567890@x>;tag=1", pbx.Inbound{Provider: "carrier"}},
		{"an extension", trusted, "From: <sip:1001@x>;tag=1", pbx.Inbound{Provider: "carrier"}},
		{"parameters and escapes", stranger, "From: <sip:%2B441234567890;npdi@x;user=phone>;tag=1", pbx.Inbound{Provider: "phone", Caller: "+441234567890"}},
		{"a name", stranger, "From: \"Robert'); DROP TABLE call;--\" <sip:bob@x>;tag=1", pbx.Inbound{Provider: "phone", Name: "Robert'); DROP TABLE call;--"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			raw := "INVITE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n" + tt.headers + "\r\nContent-Length: 0\r\n\r\n"
			msg, err := sip.ParseMessage([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			if got := identity(msg.(*sip.Request), tt.provider); got != tt.want {
				t.Fatalf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestUserPart(t *testing.T) {
	for in, want := range map[string]string{
		"sip:+4930123456@x":                      "+4930123456",
		"sip:+4930123456;npdi;rn=1@x":            "+4930123456",
		"sip:%2B4930123456@x":                    "+4930123456",
		"tel:+49-30-123456;isub=1":               "+49-30-123456",
		"sip:1;drop%20table&x=y@host":            "1",
		"sip:" + strings.Repeat("1", 300) + "@x": "",
	} {
		var u sip.Uri
		if err := sip.ParseUri(in, &u); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := userPart(u); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}
