package asterisk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"telecommune/routing"
)

// A trunk may want another name in its carrier's certificate than the host of its address. To PJSIP these are one. So
// its requests are for that name, and Asterisk's resolver is told that it is at the address: by a file of hosts, which
// res_resolver_unbound alone reads. That takes the place of Asterisk's usual resolver, so it is loaded when there is need.

// alias is a name that a carrier's certificate has to bear, and the host that has it.
type alias struct {
	name, host, port string
	err              error // it can't be had
}

const (
	resolverModule = "res_resolver_unbound.so"
	moreModules    = "more_modules.conf" // has it, when there is need
	lookupTime     = 2 * time.Second
	lookupEvery    = time.Minute
)

// aliasesOf are those of trunks, by code.
func aliasesOf(trunks []routing.Trunk) map[string]alias {
	found, users := map[string]alias{}, map[string]string{}
	for _, t := range trunks {
		if host := hostOf(t.Address); !renamed(t) {
			users[host] = t.Code
		}
	}
	hosts := map[string]string{}
	for _, t := range trunks {
		if !renamed(t) {
			continue
		}
		a := alias{name: strings.ToLower(t.TLSName)}
		var err error
		a.host, a.port, err = net.SplitHostPort(t.Address)
		other, is := users[a.name]
		switch {
		case err != nil:
			a.err = fmt.Errorf("an address without port can't have the other name %s", a.name)
		case is:
			a.err = fmt.Errorf("%s is where trunk %s goes, too", a.name, other)
		case hosts[a.name] != "" && hosts[a.name] != a.host:
			a.err = fmt.Errorf("%s is at %s for another trunk", a.name, hosts[a.name])
		default:
			hosts[a.name] = a.host
		}
		found[t.Code] = a
	}
	return found
}

// renamed tells whether a trunk wants another name than the host of its address.
func renamed(t routing.Trunk) bool {
	return t.Transport == "tls" && t.TLSName != "" && !strings.EqualFold(t.TLSName, hostOf(t.Address))
}

// canAlias tells why Asterisk can't be told where a name is.
func (p *private) canAlias() error {
	if _, err := os.Stat(filepath.Join(p.folder, "modules", resolverModule)); err != nil {
		return errors.New("another name than the host's needs " + resolverModule + ", which this Asterisk has not")
	}
	return nil
}

// barredAlias tells why a trunk can't have its alias.
func (p *private) barredAlias(a alias, hosts map[string]netip.Addr) error {
	if a.err != nil {
		return a.err
	}
	if err := p.canAlias(); err != nil {
		return err
	}
	if !hosts[a.name].IsValid() {
		return fmt.Errorf("%s is not found", a.host)
	}
	return nil
}

// known is where a host was found.
type known struct {
	addr netip.Addr // zero: nowhere
	next time.Time  // when it is looked up again
}

// hosts finds the addresses of the names that are asked for, and has them ready for Asterisk's resolver.
func (p *private) hosts(asked map[string]alias) map[string]netip.Addr {
	found, lookedUp := map[string]netip.Addr{}, map[string]known{}
	for _, a := range asked {
		if a.err != nil || p.canAlias() != nil {
			continue
		}
		k := p.lookedUp[a.host]
		if now := time.Now(); !now.Before(k.next) {
			k.next = now.Add(lookupEvery)
			if addr, err := lookUp(a.host); err == nil { // else it stays where it was
				k.addr = addr
			}
		}
		lookedUp[a.host] = k
		if k.addr.IsValid() {
			found[a.name] = k.addr
		}
	}
	p.lookedUp = lookedUp
	return found
}

func lookUp(host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	if len(all) == 0 {
		return netip.Addr{}, errors.New("it has no address")
	}
	return all[0].Unmap(), nil
}

// writeHosts writes what Asterisk's resolver has to know. It reads a file again when that has another name.
func (p *private) writeHosts(hosts map[string]netip.Addr) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		fmt.Fprintf(&b, "%s %s\n", hosts[name], name)
	}
	file := "hosts-" + digestOf(b.String())
	if file == p.hostsFile {
		return nil
	}
	modules := ""
	if p.resolves = p.resolves || len(hosts) > 0; p.resolves {
		modules = "load = " + resolverModule + "\n"
	}
	err := errors.Join(
		p.write("etc/"+file, []byte(b.String())),
		p.write("etc/resolver_unbound.conf", []byte("[general]\nhosts = "+filepath.Join(p.dir, "etc", file)+"\n")),
		p.write("etc/"+moreModules, []byte(modules)),
	)
	if err != nil {
		return err
	}
	p.hostsFile = file
	earlier, err := filepath.Glob(filepath.Join(p.dir, "etc", "hosts-*"))
	for _, path := range earlier {
		if filepath.Base(path) != file {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// reloadPeers has a private Asterisk read peers again, and where hosts are, if that was ever asked for.
func (e *Engine) reloadPeers(ctx context.Context) error {
	e.private.peering.Lock()
	resolves := e.private.resolves
	e.private.peering.Unlock()
	if resolves {
		status, err := e.ari.send(ctx, http.MethodPut, "/asterisk/modules/"+resolverModule, nil, nil)
		if status == http.StatusNotFound { // it is not loaded yet
			_, err = e.ari.send(ctx, http.MethodPost, "/asterisk/modules/"+resolverModule, nil, nil)
		}
		if err != nil {
			return fmt.Errorf("tell Asterisk of hosts: %w", err)
		}
	}
	return e.ari.reload(ctx)
}
