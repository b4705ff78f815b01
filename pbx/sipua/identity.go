package sipua

import (
	"mime"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"

	"telecommune/internal/e164"
	"telecommune/pbx"
)

// identity reads who calls. A provider that vouches for its callers is believed its P-Asserted-Identity (RFC 3325), else
// its From; of others the From is noted and not trusted.
func identity(req *sip.Request, p pbx.Provider) pbx.Inbound {
	in := pbx.Inbound{
		Provider: p.Code,
		Name:     pbx.Printable(strings.ReplaceAll(req.From().DisplayName, `\`, "")),
		Caller:   pbx.CallerNumber(userPart(req.From().Address), p.TrustCallerID),
		Withheld: withheld(req),
	}
	if p.TrustCallerID {
		for _, h := range req.GetHeaders("P-Asserted-Identity") {
			var uri sip.Uri
			if _, err := sip.ParseAddressValue(h.Value(), &uri, nil); err != nil {
				continue
			}
			if n := pbx.CallerNumber(userPart(uri), true); n != "" {
				in.Caller = n
				break
			}
		}
		in.Trusted = in.Caller != ""
	}
	return in
}

// withheld tells whether the caller asked for privacy (RFC 3323 section 4.2), or is called anonymous by his network.
func withheld(req *sip.Request) bool {
	for _, h := range req.GetHeaders("Privacy") {
		for _, v := range strings.FieldsFunc(h.Value(), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
			if v = strings.ToLower(v); v == "id" || v == "user" || v == "header" {
				return true
			}
		}
	}
	from := req.From().Address
	return strings.EqualFold(from.User, "anonymous") || strings.EqualFold(from.Host, "anonymous.invalid")
}

// userPart is the number in sip:+4930123456;npdi@host or tel:+49-30-123456.
func userPart(u sip.Uri) string {
	user := u.User
	if u.Scheme == "tel" {
		user = u.Raw()
	}
	user, _, _ = strings.Cut(user, ";")
	if len(user) > 4*pbx.MaxForeign {
		return ""
	}
	if plain, err := url.PathUnescape(user); err == nil {
		return plain
	}
	return user
}

// called finds the access number in the Request-URI, or else, for networks that put the address of a registration there,
// in To. Providers write it with + or 00 or bare.
func (e *Engine) called(req *sip.Request) (e164.Number, bool) {
	admission := e.conf.Admission()
	for _, uri := range []sip.Uri{req.Recipient, req.To().Address} {
		if n, ok := admission.Find(userPart(uri)); ok {
			return n, true
		}
	}
	return "", false
}

// required gives the option tags that a request demands and we don't have (RFC 3261 section 8.2.2.3).
func required(req *sip.Request) string {
	var unknown []string
	for _, h := range req.GetHeaders("Require") {
		for _, option := range strings.Split(h.Value(), ",") {
			if option = strings.TrimSpace(option); option != "" && !strings.EqualFold(option, "timer") {
				unknown = append(unknown, pbx.Printable(option))
			}
		}
	}
	return strings.Join(unknown, ", ")
}

// isSDP tells whether the body says that it is a session description. Without a Content-Type it is given the benefit of
// the doubt.
func isSDP(req *sip.Request) bool {
	h := req.ContentType()
	if h == nil {
		return true
	}
	kind, _, err := mime.ParseMediaType(h.Value())
	return err == nil && kind == "application/sdp"
}
