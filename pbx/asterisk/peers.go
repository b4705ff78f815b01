package asterisk

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"telecommune/pbx"
	"telecommune/routing"
)

// A provider that logs in is an endpoint of its user name, as the digest of a request names it. All other endpoints have
// names with a sign that no user name has.
func providerEndpoint(p pbx.Provider) string {
	if p.User != "" {
		return p.User
	}
	return "from~" + p.Code
}

func trunkEndpoint(code string) string { return "trunk~" + code }

// peersConf is a part of pjsip.conf. What Asterisk does by default and must not: pass calls on because a party asks for
// it (REFER), have the parties exchange voice without us, keep a call whose voice is lost, tell a carrier by re-INVITE who
// answered.
var peersConf = template.Must(template.New("peers").Funcs(template.FuncMap{
	"value": confValue, "provider": providerEndpoint, "trunk": trunkEndpoint, "order": identifyOrder, "codecs": codecs,
}).Parse(`
[ours](!)
type = endpoint
disallow = all
allow = {{.Usual}}
direct_media = no
allow_transfer = no
allow_subscribe = no
allow_overlap = no
send_connected_line = no
dtmf_mode = auto_info
rtp_timeout = {{.Silence}}
rtp_timeout_hold = 0
rtp_symmetric = yes
rewrite_contact = yes
timers = yes
{{range .Providers}}{{$name := provider .}}
[{{$name}}](ours)
context = {{$.Context}}
set_var = PROVIDER={{.Code}}
aors = {{$name}}
trust_id_inbound = {{if .TrustCallerID}}yes{{else}}no{{end}}
{{- if .User}}
identify_by = auth_username
auth = {{$name}}

[{{$name}}]
type = auth
auth_type = userpass
username = {{.User}}
password = {{value .Password}}

[{{$name}}]
type = aor
max_contacts = 5
remove_existing = yes
{{else}}
identify_by = ip

[{{$name}}]
type = aor

[identify~{{order .Address}}~{{.Code}}]
type = identify
endpoint = {{$name}}
match = {{.Address}}
{{end}}{{end}}
{{- range .Trunks}}{{$name := trunk .Code}}
[{{$name}}](ours)
context = {{$.Context}}-trunk
aors = {{$name}}
trust_id_outbound = no
{{- with codecs .Codecs}}
allow = !all,{{.}}
{{- end}}
{{- if .User}}
outbound_auth = {{$name}}

[{{$name}}]
type = auth
auth_type = userpass
username = {{value .User}}
password = {{value .Password}}
{{- end}}

[{{$name}}]
type = aor
contact = sip:{{.Address}}{{if eq .Transport "tcp"}}\;transport=tcp{{end}}
qualify_frequency = {{if .Enabled}}{{.Probe}}{{else}}0{{end}}
{{if and .Register .Enabled}}
[{{$name}}]
type = registration
outbound_auth = {{$name}}
server_uri = sip:{{.Address}}{{if eq .Transport "tcp"}}\;transport=tcp{{end}}
client_uri = sip:{{value .User}}@{{.Address}}
contact_user = {{value .User}}
retry_interval = 30
forbidden_retry_interval = 300
max_retries = 1000000
{{end}}{{end}}`))

// confValue writes a foreign value so that it is one: a semicolon begins a comment. Control characters are refused
// where trunks and providers are made.
func confValue(s string) string { return strings.ReplaceAll(s, ";", `\;`) }

// usualCodecs are offered to a trunk that is given none.
const usualCodecs = "alaw,ulaw"

// codecs gives those that a trunk is offered in Asterisk's words; "" for the usual.
func codecs(list string) string {
	return strings.NewReplacer("PCMA", "alaw", "PCMU", "ulaw", " ", "").Replace(list)
}

// identifyOrder sorts the longest prefix first: Asterisk takes the first that matches.
func identifyOrder(p netip.Prefix) string { return fmt.Sprintf("%03d", p.Addr().BitLen()-p.Bits()) }

// peers writes providers and trunks, and tells whether anything has changed. Trunks over TLS are left out: calls go to the
// next.
func (p *private) peers(admission *pbx.Admission, trunks []routing.Trunk) (changed bool, err error) {
	if p == nil {
		return false, nil // who runs it elsewhere has configured it
	}
	var b bytes.Buffer
	plain := slices.DeleteFunc(slices.Clone(trunks), func(t routing.Trunk) bool { return t.Transport == "tls" })
	err = peersConf.Execute(&b, map[string]any{
		"Context": location, "Usual": usualCodecs, "Silence": seconds(p.conf.MediaTimeout), "Providers": admission.Providers, "Trunks": plain,
	})
	if err != nil || bytes.Equal(b.Bytes(), p.written) {
		return false, err
	}
	if err := p.write("peers.conf", b.Bytes()); err != nil {
		return false, err
	}
	p.written = b.Bytes()
	return true, nil
}
