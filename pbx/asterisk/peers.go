package asterisk

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// A provider that logs in is an endpoint of its user name, as the digest of a request names it. All other endpoints have
// names with a sign that no user name has.
func providerEndpoint(p pbx.Provider) string {
	if p.User != "" {
		return p.User
	}
	return fromEndpoint(p.Code)
}

func fromEndpoint(code string) string { return "from~" + code }

func trunkEndpoint(code string) string { return "trunk~" + code }

// object is one of PJSIP's configuration: a section of pjsip.conf, and what ARI takes as dynamic configuration.
type object struct {
	class, id string
	fields    []field
}

type field struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
}

func (o *object) set(attribute, value string) {
	o.fields = append(o.fields, field{attribute, value})
}

func made(class, id string, pairs ...string) object {
	o := object{class: class, id: id}
	for i := 0; i < len(pairs); i += 2 {
		o.set(pairs[i], pairs[i+1])
	}
	return o
}

// endpoint makes one of ours. What Asterisk does by default and must not: pass calls on because a party asks for it (REFER),
// have the parties exchange voice without us, keep a call whose voice is lost, tell a carrier by re-INVITE who answered.
func endpoint(id, context, codecs string, silence time.Duration) object {
	return made("endpoint", id, "context", context, "aors", id, "allow", "!all,"+codecs, "direct_media", "no",
		"allow_transfer", "no", "allow_subscribe", "no", "allow_overlap", "no", "send_connected_line", "no",
		"dtmf_mode", "auto_info", "rtp_timeout", strconv.Itoa(seconds(silence)), "rtp_timeout_hold", "0",
		"rtp_symmetric", "yes", "rewrite_contact", "yes", "timers", "yes")
}

// peerObjects are providers and trunks, each object behind those that it names. Trunks over TLS that can't be carried are left
// out: calls go to the next.
func peerObjects(providers []pbx.Provider, trunks []routing.Trunk, secured ways, silence time.Duration) []object {
	var all []object
	for _, p := range providers {
		all = append(all, providerObjects(p, silence)...)
	}
	for _, t := range trunks {
		switch w, is := secured[t.Code]; {
		case t.Transport != "tls":
			all = append(all, trunkObjects(t, way{address: t.Address}, silence)...)
		case is && w.why == "":
			all = append(all, trunkObjects(t, w, silence)...)
		}
	}
	return all
}

func providerObjects(p pbx.Provider, silence time.Duration) []object {
	id := providerEndpoint(p)
	e := endpoint(id, location, usualCodecs, silence)
	e.set("set_var", "PROVIDER="+p.Code)
	e.set("trust_id_inbound", yes(p.TrustCallerID))
	if p.User == "" {
		e.set("identify_by", "ip")
		return []object{
			made("aor", id), e,
			made("identify", "identify~"+identifyOrder(p.Address)+"~"+p.Code, "endpoint", id, "match", p.Address.String()),
		}
	}
	e.set("identify_by", "auth_username")
	e.set("auth", id)
	return []object{
		made("auth", id, "auth_type", "userpass", "username", p.User, "password", p.Password),
		made("aor", id, "max_contacts", "5", "remove_existing", "yes"), e,
	}
}

func trunkObjects(t routing.Trunk, w way, silence time.Duration) []object {
	id, uri := trunkEndpoint(t.Code), "sip:"+w.address
	if t.Transport != "udp" && t.Transport != "" {
		uri += ";transport=" + t.Transport
	}
	probe := t.Probe
	if !t.Enabled {
		probe = 0
	}
	e := endpoint(id, location+"-trunk", cmp.Or(codecs(t.Codecs), usualCodecs), silence)
	e.set("trust_id_outbound", "no")
	if w.transport != "" {
		e.set("transport", w.transport)
	}
	all := []object{made("aor", id, "contact", uri, "qualify_frequency", strconv.Itoa(probe))}
	if t.User != "" {
		all = append(all, made("auth", id, "auth_type", "userpass", "username", t.User, "password", t.Password))
		e.set("outbound_auth", id)
	}
	all = append(all, e)
	if t.Register && t.Enabled {
		r := made("registration", id, "outbound_auth", id, "server_uri", uri,
			"client_uri", "sip:"+t.User+"@"+t.Address, "contact_user", t.User, "retry_interval", "30",
			"forbidden_retry_interval", "300", "max_retries", "1000000")
		if w.transport != "" {
			r.set("transport", w.transport)
		}
		all = append(all, r)
	}
	return all
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// section writes an object as one of pjsip.conf.
func (o object) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[%s]\ntype = %s\n", o.id, o.class)
	for _, f := range o.fields {
		fmt.Fprintf(&b, "%s = %s\n", f.Attribute, confValue(f.Value))
	}
	return b.String()
}

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

// peers writes providers and trunks, and tells whether anything has changed.
func (p *private) peers(admission *pbx.Admission, trunks []routing.Trunk) (changed bool, err error) {
	if p == nil {
		return false, nil // who runs it elsewhere has configured it
	}
	p.peering.Lock()
	defer p.peering.Unlock()
	secured, err := p.secure(trunks)
	p.secured.Store(&secured)
	if err != nil {
		return false, err
	}
	var b strings.Builder
	fmt.Fprintln(&b, "; with", p.hostsFile)
	for _, o := range append(p.transportObjects(), peerObjects(admission.Providers, trunks, secured, p.conf.MediaTimeout)...) {
		b.WriteString(o.section())
	}
	content := []byte(b.String())
	if p.written != nil && bytes.Equal(content, p.written) {
		return false, nil
	}
	if err := p.write("etc/peers.conf", content); err != nil {
		return false, err
	}
	p.written = content
	return true, nil
}
