package sipua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"telecommune/pbx"
)

// dialog is the peer-to-peer relation of RFC 3261 section 12 that a leg lives in, the same for calls in and out.
type dialog struct {
	e         *Engine
	id        string // Call-ID
	localTag  string
	local     sip.Uri    // our From
	remote    sip.Uri    // its To
	transport string     // UDP or TCP
	ours      netip.Addr // our own address towards it
	name      string     // the host name that it was dialled by, whose address is known already
	addr      netip.Addr // of name
	user      string     // credentials for a challenge by the other side
	password  string

	mu        sync.Mutex
	remoteTag string
	seq       uint32 // CSeq of our newest request
	remoteSeq int64  // CSeq of its newest request; -1: none yet
	target    sip.Uri
	routes    []sip.Uri
	heard     netip.Addr // where its signalling comes from
	source    string     // host:port that a peer without proxies is reached at, whatever its Contact says; "" by the book
	update    bool       // it takes UPDATE
	info      bool       // it takes INFO
}

// key names a dialog among those of the engine.
func key(id, localTag string) string { return id + "\x00" + localTag }

func tag(params sip.HeaderParams) string {
	t, _ := params.Get("tag")
	return t
}

// acceptDialog starts the dialog of an INVITE received (12.1.1).
func acceptDialog(e *Engine, req *sip.Request) (*dialog, error) {
	ours, err := e.towards(sourceAddr(req.Source()))
	if err != nil {
		return nil, err
	}
	d := &dialog{
		e: e, ours: ours, id: string(*req.CallID()), localTag: sip.GenerateTagN(20), transport: req.Transport(),
		local: *req.To().Address.Clone(), remote: *req.From().Address.Clone(), remoteTag: tag(req.From().Params),
		seq: rand.Uint32N(1 << 16), remoteSeq: int64(req.CSeq().SeqNo), target: *req.Contact().Address.Clone(),
	}
	for _, h := range req.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *r.Address.Clone())
		}
	}
	// A lone Via means that no proxy stands between. Such a peer is answered where it was heard from: its Contact may be
	// an address behind NAT, or a TCP port that nobody listens on (RFC 5626 in spirit).
	if len(d.routes) == 0 && len(req.GetHeaders("Via")) == 1 {
		d.source = req.Source()
	}
	d.heard = sourceAddr(req.Source())
	d.allows(req)
	return d, nil
}

// confirm takes what a response to our INVITE says of the other side (12.1.2).
func (d *dialog) confirm(res *sip.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to := res.To(); to != nil {
		d.remoteTag = tag(to.Params)
	}
	if c := res.Contact(); c != nil {
		d.target = *c.Address.Clone()
	}
	d.routes = nil
	for _, h := range res.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append([]sip.Uri{*r.Address.Clone()}, d.routes...)
		}
	}
	d.heard = sourceAddr(res.Source())
	d.allows(res)
}

// sourceAddr is the address of host:port.
func sourceAddr(source string) netip.Addr {
	src, err := netip.ParseAddrPort(source)
	if err != nil {
		return netip.Addr{}
	}
	return src.Addr().Unmap()
}

// follow notes where a request that changes the session comes from: a phone may have moved to another network.
func (d *dialog) follow(req *sip.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heard = sourceAddr(req.Source()); d.source != "" && req.Transport() == d.transport {
		d.source = req.Source()
	}
}

// retarget follows a Contact of a later request or response (12.2.1.2).
func (d *dialog) retarget(c *sip.ContactHeader) {
	if c == nil || c.Address.Wildcard {
		return
	}
	d.mu.Lock()
	d.target = *c.Address.Clone()
	d.mu.Unlock()
}

func (d *dialog) allows(msg interface{ GetHeaders(string) []sip.Header }) {
	for _, h := range msg.GetHeaders("Allow") {
		methods := strings.ToUpper(h.Value())
		d.update = d.update || strings.Contains(methods, "UPDATE")
		d.info = d.info || strings.Contains(methods, "INFO")
	}
}

// newer takes the CSeq of a request received; one that is not newer than the last is out of order (12.2.2).
func (d *dialog) newer(seq uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if int64(seq) <= d.remoteSeq {
		return false
	}
	d.remoteSeq = int64(seq)
	return true
}

// nextSeq gives the number of the next request of ours.
func (d *dialog) nextSeq() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	return d.seq
}

// hear notes where its signalling comes from.
func (d *dialog) hear(res *sip.Response) {
	d.mu.Lock()
	d.heard = sourceAddr(res.Source())
	d.mu.Unlock()
}

// request builds the next request within the dialog (12.2.1.1).
func (d *dialog) request(method sip.RequestMethod) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	return d.build(method, d.seq)
}

// ack builds the ACK of a 2xx to our INVITE (13.2.2.4).
func (d *dialog) ack(invite *sip.Request) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	ack := d.build(sip.ACK, invite.CSeq().SeqNo)
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		if h := invite.GetHeader(name); h != nil {
			ack.AppendHeader(sip.HeaderClone(h))
		}
	}
	return ack
}

func (d *dialog) build(method sip.RequestMethod, seq uint32) *sip.Request {
	target, routes := d.target, d.routes
	hop := target
	if len(routes) > 0 {
		hop = routes[0]
		if !hop.UriParams.Has("lr") { // a strict router of RFC 2543
			target, routes = hop, append(routes[1:len(routes):len(routes)], target)
		}
	}
	target.Headers = nil
	req := sip.NewRequest(method, target)
	transport := d.transport
	if t, ok := hop.UriParams.Get("transport"); ok && (strings.EqualFold(t, "tcp") || strings.EqualFold(t, "udp")) {
		transport = strings.ToUpper(t)
	}
	to := hostPort(hop)
	switch {
	case d.source != "":
		to, transport = d.source, d.transport
	case d.name != "" && hop.Host == d.name:
		_, port, _ := net.SplitHostPort(to)
		to = net.JoinHostPort(d.addr.String(), port)
	}
	d.e.route(req, transport, to, d.ours)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	req.AppendHeader(&sip.FromHeader{Address: *d.local.Clone(), Params: sip.HeaderParams{{K: "tag", V: d.localTag}}})
	toHeader := &sip.ToHeader{Address: *d.remote.Clone()}
	if d.remoteTag != "" {
		toHeader.Params = sip.HeaderParams{{K: "tag", V: d.remoteTag}}
	}
	req.AppendHeader(toHeader)
	callID := sip.CallIDHeader(d.id)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	d.e.sign(req)
	return req
}

// hostPort is where a URI points.
func hostPort(u sip.Uri) string {
	port := u.Port
	if port == 0 {
		port = sip.DefaultUdpPort
	}
	return net.JoinHostPort(strings.Trim(u.Host, "[]"), strconv.Itoa(port))
}

// do sends a request and waits for its final response; a challenge is met once.
func (d *dialog) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	res, err := d.e.roundTrip(ctx, req)
	if err != nil || (res.StatusCode != 401 && res.StatusCode != 407) || d.user == "" {
		return res, err
	}
	again, err := authorise(req, res, d.nextSeq(), d.user, d.password)
	if err != nil {
		return res, nil
	}
	return d.e.roundTrip(ctx, again)
}

// bye ends the dialog. One that was answered by us may not be sent BYE before its ACK, or the end of the wait for that
// (RFC 3261 section 15).
func (d *dialog) bye(cause pbx.Cause, acked <-chan struct{}) {
	if acked != nil {
		select {
		case <-acked:
		case <-d.e.stopped:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), ackWait())
	defer cancel()
	req := d.request(sip.BYE)
	req.AppendHeader(reasonHeader(cause.Q850))
	if _, err := d.do(ctx, req); err != nil {
		d.e.log.Debug("BYE not answered", "call_id", d.id, "err", err)
	}
}

// roundTrip sends a request other than an initial INVITE and waits for its final response.
func (e *Engine) roundTrip(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if e.isStopped() {
		return nil, errDraining
	}
	if err := e.again(ctx, req); err != nil {
		return nil, err
	}
	e.note("out", req)
	tx, err := e.client.TransactionRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("%s: %w", req.Method, tx.Err())
		case <-ctx.Done():
			tx.Terminate()
			return nil, ctx.Err()
		}
	}
}

var errDigest = errors.New("a challenge that can't be met")

// authorise answers the challenge in res: it gives req once more, as a new transaction with CSeq seq (RFC 3261
// section 22). req itself still belongs to the old one.
func authorise(req *sip.Request, res *sip.Response, seq uint32, user, password string) (*sip.Request, error) {
	challenge, credentials := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		challenge, credentials = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(challenge) {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(c) {
			continue
		}
		answer, err := digest.Digest(c, digest.Options{
			Method: req.Method.String(), URI: req.Recipient.String(), Username: user, Password: password,
		})
		if err != nil {
			continue
		}
		again := req.Clone()
		again.RemoveHeader(credentials)
		again.AppendHeader(sip.NewHeader(credentials, answer.String()))
		again.CSeq().SeqNo = seq
		again.Via().Params.Add("branch", sip.GenerateBranch())
		return again, nil
	}
	return nil, errDigest
}

// route addresses a request: its Via, and the socket and peer that the transport uses. ours is our address towards that.
func (e *Engine) route(req *sip.Request, transport, to string, ours netip.Addr) {
	req.SetTransport(transport)
	req.SetDestination(to)
	if transport == "UDP" {
		// Else the library opens another socket for a peer not heard from before.
		bound := e.udp.LocalAddr().(*net.UDPAddr)
		req.Laddr = sip.Addr{IP: bound.IP, Port: bound.Port}
	}
	req.AppendHeader(&sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport, Host: uriHost(ours), Port: e.port(),
		Params: sip.HeaderParams{{K: "branch", V: sip.GenerateBranch()}, {K: "rport"}},
	})
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
}

// contact is where a peer reaches us.
func (e *Engine) contact(transport string, ours netip.Addr) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: "telecommune", Host: uriHost(e.told(ours)), Port: e.port()}
	if transport != "UDP" {
		uri.UriParams = sip.HeaderParams{{K: "transport", V: strings.ToLower(transport)}}
	}
	return &sip.ContactHeader{Address: uri}
}

// uriHost is an address as URIs and Via have it.
func uriHost(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
