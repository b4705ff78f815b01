package sipua

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"telecommune/pbx"
	"telecommune/routing"
)

const (
	realm      = "telecommune"
	nonceLife  = 5 * time.Minute
	maxNonces  = 10000
	nonceBytes = 8 + 8 // time, random
)

// nonces makes and checks nonces (RFC 7616 section 5.4). One that was only handed out costs no memory: it is its own
// proof. Of one that was used, the count is kept for as long as it lives, so that nothing recorded can be sent again.
type nonces struct {
	key [32]byte

	mu    sync.Mutex
	used  map[string]use
	floor time.Time // nonces made before are stale, whether they were used or not
}

type use struct {
	count int
	made  time.Time
}

func newNonces() *nonces {
	n := &nonces{used: map[string]use{}}
	_, _ = rand.Read(n.key[:]) // never fails
	return n
}

func (n *nonces) make(now time.Time) string {
	b := make([]byte, nonceBytes, nonceBytes+sha256.Size)
	binary.BigEndian.PutUint64(b, uint64(now.UnixNano()))
	_, _ = rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b, n.proof(b)...))
}

func (n *nonces) proof(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b)
	return h.Sum(nil)
}

// fresh tells whether a nonce is ours and not too old, and when it was made.
func (n *nonces) fresh(nonce string, now time.Time) (made time.Time, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceBytes+sha256.Size || !hmac.Equal(b[nonceBytes:], n.proof(b[:nonceBytes])) {
		return time.Time{}, false
	}
	made = time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	n.mu.Lock()
	defer n.mu.Unlock()
	return made, now.Sub(made) < nonceLife && !made.Before(n.floor)
}

// count takes the nonce count of an answer that was right; false for one that was there already. made is from fresh.
func (n *nonces) count(nonce string, made time.Time, nc int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	u, known := n.used[nonce]
	if nc <= u.count || made.Before(n.floor) {
		return false
	}
	if !known && len(n.used) >= maxNonces {
		n.forget()
	}
	n.used[nonce] = use{nc, made}
	return true
}

// forget makes room: the older half of what was used goes, and nothing as old as that counts any more. One who is right
// but too late for it is challenged again, so that no user can lock the others out by many answers.
func (n *nonces) forget() {
	ages := make([]time.Time, 0, len(n.used))
	for _, u := range n.used {
		ages = append(ages, u.made)
	}
	slices.SortFunc(ages, time.Time.Compare)
	n.floor = ages[len(ages)/2]
	for k, u := range n.used {
		if u.made.Before(n.floor) {
			delete(n.used, k)
		}
	}
}

// admit finds who sent a request: by source address, else by digest (RFC 3261 section 22). When it is false the request
// is answered.
func (e *Engine) admit(req *sip.Request, tx sip.ServerTransaction) (pbx.Provider, bool) {
	admission := e.conf.Admission()
	if p, ok := admission.ByAddress(sourceAddr(req.Source())); ok {
		e.tcp.admitted(req.Source())
		return p, true
	}
	if !logsIn(admission) {
		e.dismiss(req, tx, 403)
		return pbx.Provider{}, false
	}
	source := hostOf(sourceAddr(req.Source()))
	if e.guesses.tooMany(source, time.Now()) {
		tx.Terminate()
		return pbx.Provider{}, false
	}
	p, verdict := e.authenticate(req, admission)
	switch verdict {
	case right:
		e.tcp.admitted(req.Source())
		return p, true
	case wrong:
		if e.guesses.wrong(source, time.Now()) {
			e.log.Warn("wrong credentials", "source", req.Source(), "method", req.Method)
		}
		e.dismiss(req, tx, 403)
	case missing, stale:
		challenge := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"`, realm, e.nonces.make(time.Now()))
		if verdict == stale {
			challenge += ", stale=true"
		}
		e.dismiss(req, tx, 401, sip.NewHeader("WWW-Authenticate", challenge))
	}
	return pbx.Provider{}, false
}

// logsIn tells whether anybody is known by digest.
func logsIn(admission *pbx.Admission) bool {
	return slices.ContainsFunc(admission.Providers, func(p pbx.Provider) bool { return p.User != "" })
}

// reject refuses a request that may be anybody's.
func (e *Engine) reject(req *sip.Request, tx sip.ServerTransaction, status int) {
	if e.known(req) {
		e.respond(req, tx, status)
		return
	}
	e.dismiss(req, tx, status)
}

// dismiss refuses a request of somebody who is not admitted. Nothing is kept of it and nothing is sent twice: whoever
// missed the answer asks again, and gets the same To tag (RFC 3261 section 8.2.7). Where nobody logs in by digest, no
// stranger has a reason to ask, and none gets an answer.
func (e *Engine) dismiss(req *sip.Request, tx sip.ServerTransaction, status int, headers ...sip.Header) {
	e.log.Debug("refused", "method", req.Method, "status", status, "source", req.Source())
	if logsIn(e.conf.Admission()) {
		if to := req.To(); to != nil && tag(to.Params) == "" {
			to.Params.Add("tag", hex.EncodeToString(e.nonces.proof([]byte(branchOf(req)))[:10]))
		}
		e.respond(req, tx, status, headers...)
	}
	tx.Terminate()
}

type verdict int

const (
	missing verdict = iota // no credentials
	right
	wrong
	stale // a nonce too old or used up
)

// authenticate checks credentials: MD5 with qop=auth, which every phone has and which alone counts its uses. Their uri
// is not held against the Request-URI, which a proxy may have changed; what was recorded fails by its count.
func (e *Engine) authenticate(req *sip.Request, admission *pbx.Admission) (pbx.Provider, verdict) {
	h := req.GetHeader("Authorization")
	if h == nil {
		return pbx.Provider{}, missing
	}
	c, err := digest.ParseCredentials(h.Value())
	if err != nil || c.QOP != "auth" || c.Realm != realm || c.Nc <= 0 {
		return pbx.Provider{}, wrong
	}
	now := time.Now()
	made, ok := e.nonces.fresh(c.Nonce, now)
	if !ok {
		return pbx.Provider{}, stale
	}
	p, known := admission.ByUser(c.Username)
	expected, err := digest.Digest(
		&digest.Challenge{Realm: realm, Nonce: c.Nonce, Algorithm: "MD5", QOP: []string{"auth"}},
		digest.Options{
			Method: req.Method.String(), URI: c.URI, Count: c.Nc, Cnonce: c.Cnonce, Username: c.Username, Password: p.Password,
		},
	)
	if err != nil || !known || p.Password == "" ||
		subtle.ConstantTimeCompare([]byte(expected.Response), []byte(c.Response)) != 1 {
		return pbx.Provider{}, wrong
	}
	if !e.nonces.count(c.Nonce, made, c.Nc) {
		return pbx.Provider{}, stale
	}
	return p, right
}

// known tells whether a request comes from an address that we deal with.
func (e *Engine) known(req *sip.Request) bool { return e.knows(sourceAddr(req.Source())) }

// knows tells whether an address is that of a provider or a trunk.
func (e *Engine) knows(src netip.Addr) bool {
	if _, ok := e.conf.Admission().ByAddress(src); ok {
		return true
	}
	named := e.named.Load()
	for _, t := range e.conf.Trunks() {
		host := hostName(t.Address)
		if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap() == src {
			return true
		}
		if named != nil && slices.Contains((*named)[host], src) {
			return true
		}
	}
	return false
}

const (
	nameTime     = time.Minute // after which the name of a trunk is looked up again
	nameInterval = 2 * time.Second
)

// nameTrunks keeps the addresses of the trunks that are configured by name, so that they are known by them, too. One that
// can't be looked up keeps those it had.
func (e *Engine) nameTrunks(ctx context.Context) {
	next := map[string]time.Time{}
	for {
		named := map[string][]netip.Addr{}
		if old := e.named.Load(); old != nil {
			named = maps.Clone(*old)
		}
		wanted := map[string]bool{}
		for _, t := range e.conf.Trunks() {
			host := hostName(t.Address)
			if _, literal := netip.ParseAddr(host); literal == nil {
				continue
			}
			wanted[host] = true
			if time.Now().Before(next[host]) {
				continue
			}
			next[host] = time.Now().Add(nameTime)
			if addrs := e.addresses(ctx, t); len(addrs) > 0 {
				named[host] = addrs
			}
		}
		maps.DeleteFunc(next, func(host string, _ time.Time) bool { return !wanted[host] })
		maps.DeleteFunc(named, func(host string, _ []netip.Addr) bool { return !wanted[host] })
		e.named.Store(&named)
		select {
		case <-time.After(nameInterval):
		case <-ctx.Done():
			return
		}
	}
}

// hostName is the host of a trunk's address, which may be a domain alone.
func hostName(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// addresses are those of a trunk that is configured by name: of the host, or of the servers of the domain.
func (e *Engine) addresses(ctx context.Context, t routing.Trunk) (addrs []netip.Addr) {
	host := hostName(t.Address)
	if host == t.Address {
		servers, _ := e.locate(ctx, t) // none when it fails
		for _, at := range servers {
			addrs = append(addrs, at.addr.Addr())
		}
		return addrs
	}
	ctx, cancel := context.WithTimeout(ctx, e.firstResponse)
	defer cancel()
	addrs, _ = e.lookup(ctx, "ip", host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}

// onRegister takes the registration of a softphone. Nobody is called at it, so nothing is stored: the phone is only told
// that it may call.
func (e *Engine) onRegister(req *sip.Request, tx sip.ServerTransaction) {
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		e.reject(req, tx, 400)
		return
	}
	if _, ok := e.admit(req, tx); !ok {
		return
	}
	var bound []sip.Header
	for _, h := range req.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.Wildcard {
			continue
		}
		if expires := registerExpires(req, c); expires > 0 {
			c = c.Clone()
			c.Params.Add("expires", seconds(expires))
			bound = append(bound, c)
		}
	}
	e.respond(req, tx, 200, append(bound, sip.NewHeader("Date", time.Now().UTC().Format(dateFormat)))...)
}
