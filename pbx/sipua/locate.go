package sipua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"telecommune/routing"
)

// server is where a trunk's requests go.
type server struct {
	host      string // as the trunk names it, for URIs
	addr      netip.AddrPort
	port      int    // for URIs; 0: the host's records tell it
	transport string // UDP, TCP or TLS
	ca, name  string // what it has to prove by TLS, see vow
}

// maxServers bounds those of one trunk, so that a call does not wait for many that are dead.
const maxServers = 4

const (
	sipPort  = 5060
	sipsPort = 5061
)

// locate finds the servers of a trunk, the one to be tried first first (RFC 3263, without NAPTR: the trunk says which
// transport it takes). A host with a port is that one server. A domain without has those of its SRV records (RFC 2782), by
// priority, and among equals at random by their weights; one without such records is itself the server, at the usual port.
func (e *Engine) locate(ctx context.Context, t routing.Trunk) ([]server, error) {
	servers, err := e.locateAll(ctx, t)
	for i := range servers {
		// A server of a domain proves to be the domain's, whatever its own name is (RFC 5922 section 7.1).
		servers[i].ca, servers[i].name = t.TLSCA, cmp.Or(t.TLSName, servers[i].host)
	}
	return servers, err
}

func (e *Engine) locateAll(ctx context.Context, t routing.Trunk) ([]server, error) {
	transport := strings.ToUpper(cmp.Or(t.Transport, "udp"))
	host, port, err := net.SplitHostPort(t.Address)
	if err == nil {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("port %q of its address: %w", port, err)
		}
		addr, err := e.resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		return []server{{host: host, addr: netip.AddrPortFrom(addr, uint16(number)), port: int(number), transport: transport}}, nil
	}
	return e.locateDomain(ctx, t.Address, transport)
}

// locateDomain finds the servers of a domain. One that can't be resolved is left out, if there are others.
func (e *Engine) locateDomain(ctx context.Context, domain, transport string) ([]server, error) {
	service, proto, usual := "sip", strings.ToLower(transport), uint16(sipPort)
	if transport == "TLS" {
		service, proto, usual = "sips", "tcp", sipsPort
	}
	records, err := e.records(ctx, service, proto, domain)
	var missing *net.DNSError
	if err != nil && !(errors.As(err, &missing) && missing.IsNotFound) {
		return nil, err
	}
	if len(records) == 0 {
		records = []*net.SRV{{Target: domain, Port: usual}}
	}
	var servers []server
	var failed error
	for _, r := range records[:min(len(records), maxServers)] {
		addr, err := e.resolve(ctx, strings.TrimSuffix(r.Target, "."))
		if err != nil {
			failed = err
			continue
		}
		servers = append(servers, server{host: domain, addr: netip.AddrPortFrom(addr, r.Port), transport: transport})
	}
	if len(servers) == 0 {
		return nil, failed
	}
	return servers, nil
}

// records asks for SRV records, for no longer than a server that is there takes to answer.
func (e *Engine) records(ctx context.Context, service, proto, domain string) ([]*net.SRV, error) {
	ctx, cancel := context.WithTimeout(ctx, e.firstResponse)
	defer cancel()
	_, records, err := e.lookupSRV(ctx, service, proto, domain)
	return records, err
}

// uri is what a request to the server asks for.
func (s server) uri(user string) sip.Uri {
	uri := sip.Uri{Scheme: "sip", User: user, Host: s.host, Port: s.port}
	if addr := s.addr.Addr(); addr.Is6() && s.host == addr.String() {
		uri.Host = uriHost(addr)
	}
	if s.transport != "UDP" {
		uri.UriParams = sip.HeaderParams{{K: "transport", V: strings.ToLower(s.transport)}}
	}
	return uri
}
