package asterisk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"telecommune/internal/ports"
	"telecommune/routing"
)

// PJSIP knows authorities by transport, and holds a certificate against the host that a request is for. So there is a
// transport for each list of authorities that trunks name. One that is there stays as it is, and does not go before
// Asterisk does, for running calls may have it; but others may come at any time.

// way is how a trunk over TLS is carried.
type way struct {
	transport string // of PJSIP
	address   string // of the trunk, with the host that its certificate must bear
	why       string // it can't be carried; empty when it can
}

// ways are those of the trunks over TLS, by code.
type ways map[string]way

// tlsTransport is one that Asterisk has. PJSIP has it listen, too; having no certificate it takes no calls there.
type tlsTransport struct {
	ID   string `json:"id"`
	CA   string `json:"ca"` // file of the authorities
	Port int    `json:"port"`
}

const (
	systemTransport = "tls~system"   // has the system's authorities
	transportsFile  = "run/tls.json" // keeps those of the running Asterisk for a later run of ours
)

// transportName is that of the transport which has a trunk's authorities.
func transportName(t routing.Trunk) string {
	if t.TLSCA == "" {
		return systemTransport
	}
	return "tls~" + digestOf(t.TLSCA)
}

// digestOf names a content.
func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:8])
}

// systemAuthorities are the files where systems keep theirs; the first that is there counts. Go's and OpenSSL's own
// variable comes before.
var systemAuthorities = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

func systemCA() (string, error) {
	for _, file := range append([]string{os.Getenv("SSL_CERT_FILE")}, systemAuthorities...) {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errors.New("this system has no certificates of authorities (package ca-certificates)")
}

// secure sees to it that Asterisk will have what each trunk over TLS needs, and tells how these are carried. The system's
// transport is there from the start: PJSIP looks up no hosts for a kind of transport of which it had none by then.
func (p *private) secure(trunks []routing.Trunk) (ways, error) {
	_, _ = p.transport(routing.Trunk{}) // a trunk that wants it is told why it is not there
	asked, found := aliasesOf(trunks), ways{}
	hosts := p.hosts(asked)
	for _, t := range trunks {
		if t.Transport != "tls" {
			continue
		}
		transport, err := p.transport(t)
		w := way{transport: transport.ID, address: t.Address}
		if a, is := asked[t.Code]; is {
			w.address = net.JoinHostPort(a.name, a.port)
			if err == nil {
				err = p.barredAlias(a, hosts)
			}
		}
		if err != nil {
			w.why = "TLS: " + err.Error()
		}
		found[t.Code] = w
	}
	return found, p.writeHosts(hosts)
}

// transport finds the transport of a trunk, or makes one.
func (p *private) transport(t routing.Trunk) (tlsTransport, error) {
	id := transportName(t)
	if i := slices.IndexFunc(p.transports, func(has tlsTransport) bool { return has.ID == id }); i >= 0 {
		return p.transports[i], nil
	}
	made := tlsTransport{ID: id, CA: filepath.Join(p.dir, "etc", id+".pem")}
	var err error
	if t.TLSCA == "" {
		made.CA, err = systemCA()
	} else {
		err = p.write("etc/"+id+".pem", []byte(t.TLSCA))
	}
	sip, err2 := netip.ParseAddrPort(p.reach.SIP)
	if err = errors.Join(err, err2); err != nil {
		return made, err
	}
	if made.Port, err = ports.Free(sip.Addr().AsSlice(), 1); err != nil {
		return made, err
	}
	all := append(slices.Clone(p.transports), made)
	kept, err := json.Marshal(all)
	if err == nil {
		err = p.write(transportsFile, kept)
	}
	if err == nil {
		p.transports = all
	}
	return made, err
}

// recallTransports finds those that an Asterisk of an earlier run may have, and whether it was told of hosts.
func (p *private) recallTransports() {
	kept, err := os.ReadFile(filepath.Join(p.dir, transportsFile))
	if err != nil || json.Unmarshal(kept, &p.transports) != nil {
		p.transports = nil
	}
	told, err := os.ReadFile(filepath.Join(p.dir, "etc", moreModules))
	p.resolves = err == nil && len(told) > 0
}

// anew gives an Asterisk that is about to start the transports that trunks want by now, at ports that are free.
func (p *private) anew() error {
	p.peering.Lock()
	p.transports, p.written, p.hostsFile, p.resolves = nil, nil, "", false
	p.peering.Unlock()
	_, err := p.peers(p.conf.Admission(), p.conf.Trunks())
	return err
}

// transportObjects are the transports as PJSIP has them. Its usual method is TLS 1.0 alone, which OpenSSL refuses today;
// this one is all that OpenSSL takes, from 1.2 on.
func (p *private) transportObjects() []object {
	var all []object
	for _, t := range p.transports {
		host, _, _ := net.SplitHostPort(p.reach.SIP)
		o := made("transport", t.ID, "protocol", "tls", "bind", net.JoinHostPort(host, strconv.Itoa(t.Port)), "method", "sslv23",
			"ca_list_file", t.CA, "verify_server", "yes", "allow_wildcard_certs", "yes")
		if p.conf.Public.IsValid() {
			o.set("external_media_address", p.conf.Public.String())
			o.set("external_signaling_address", p.conf.Public.String())
		}
		all = append(all, o)
	}
	return all
}

// hostOf is the host of an address, which may be a domain.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return strings.ToLower(host)
}

// securedThere tells how an Asterisk that runs elsewhere carries trunks over TLS. Its transports are its operator's: one for
// the system's authorities, and one of its own for each trunk that names others.
func securedThere(ctx context.Context, a *ari, trunks []routing.Trunk) (ways, error) {
	found := ways{}
	for _, t := range trunks {
		if t.Transport != "tls" {
			continue
		}
		w := way{transport: systemTransport, address: t.Address}
		if t.TLSCA != "" {
			w.transport = "tls~" + t.Code
		}
		var fields []field
		status, err := a.send(ctx, http.MethodGet, made("transport", w.transport).path(), nil, &fields)
		switch {
		case status == http.StatusNotFound:
			w.why = "TLS: Asterisk has no transport " + w.transport
		case err != nil:
			return nil, fmt.Errorf("ask Asterisk of its transports: %w", err)
		case !slices.Contains(fields, field{"protocol", "tls"}) || !slices.Contains(fields, field{"verify_server", "Yes"}):
			w.why = "TLS: the transport " + w.transport + " of Asterisk verifies no server"
		case renamed(t):
			w.why = "TLS: Asterisk holds a certificate against the host of the address, not against " + t.TLSName
		}
		found[t.Code] = w
	}
	return found, nil
}
