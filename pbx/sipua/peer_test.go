package sipua

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"telecommune/internal/e164"
	"telecommune/pbx"
	"telecommune/routing"
)

// wait bounds every wait of the tests; none is expected to come near it.
const wait = 20 * time.Second

// access is the access number of all tests.
const access = e164.Number("+441610000001")

// rig is a running engine.
type rig struct {
	*Engine
	t    *testing.T
	stop func()
}

// setup tells what differs from an engine that knows all of loopback as a trusted provider.
type setup struct {
	providers []pbx.Provider
	trunks    []routing.Trunk
	config    func(*Config)
	tweak     func(*Engine)
}

// start runs an engine with handle as its script and stops it at the end of the test.
func start(t *testing.T, s setup, handle func(ctx context.Context, in pbx.Leg)) *rig {
	t.Helper()
	if s.providers == nil {
		s.providers = []pbx.Provider{{Code: "loop", Address: netip.MustParsePrefix("127.0.0.0/8"), TrustCallerID: true}}
	}
	admission := &pbx.Admission{
		Providers: s.providers,
		Numbers:   map[e164.Number]pbx.AccessNumber{access: {Number: access, Country: "GB", Service: pbx.Gateway}},
	}
	c := Config{
		Listen: "127.0.0.1:0", Admission: func() *pbx.Admission { return admission },
		Trunks: func() []routing.Trunk { return s.trunks },
	}
	if s.config != nil {
		s.config(&c)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	e.stopTime = 200 * time.Millisecond
	if s.tweak != nil {
		s.tweak(e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, handle) }()
	r := &rig{Engine: e, t: t}
	r.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(wait):
			t.Error("Run does not end")
		}
		r.stop = func() {}
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// message is a SIP message as text, taken apart by hand: the peers of these tests share no code with the engine.
type message struct {
	first  string
	header map[string][]string
	body   string
	from   *net.UDPAddr
}

func parse(raw string) message {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	m := message{first: lines[0], header: map[string][]string{}, body: body}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		m.header[name] = append(m.header[name], strings.TrimSpace(value))
	}
	return m
}

func (m message) get(name string) string {
	if v := m.header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (m message) method() string { method, _, _ := strings.Cut(m.first, " "); return method }

func (m message) status() int {
	if !strings.HasPrefix(m.first, "SIP/2.0 ") {
		return 0
	}
	n, _ := strconv.Atoi(strings.Fields(m.first)[1])
	return n
}

// port is that of the audio line of the body.
func (m message) port() int {
	_, rest, _ := strings.Cut(m.body, "m=audio ")
	n, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return n
}

// peer is a scripted phone or carrier on one UDP socket.
type peer struct {
	t      *testing.T
	conn   *net.UDPConn
	engine *net.UDPAddr
	media  *net.UDPConn

	id, from, to string // of the call: Call-ID, From and To with tags
	seq          int
	invite       message // received or sent
	contact      string  // of the engine

	eventSeq  uint16 // of the RTP stream of its digits
	eventTime uint32
}

// newPeer opens its sockets. A peer that is called learns the engine's address from what it receives.
func newPeer(t *testing.T) *peer {
	t.Helper()
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	return &peer{t: t, conn: listen(), media: listen()}
}

// phone is a peer that calls r.
func phone(r *rig) *peer {
	p := newPeer(r.t)
	p.engine = r.Addr().(*net.UDPAddr)
	return p
}

func (p *peer) addr() string   { return p.conn.LocalAddr().String() }
func (p *peer) mediaPort() int { return p.media.LocalAddr().(*net.UDPAddr).Port }

func (p *peer) send(raw string) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDP([]byte(raw), p.engine); err != nil {
		p.t.Fatal(err)
	}
}

// receive gives the next message for which want is true; others are skipped.
func (p *peer) receive(what string, want func(message) bool) message {
	p.t.Helper()
	deadline := time.Now().Add(wait)
	buf := make([]byte, 65536)
	for {
		_ = p.conn.SetReadDeadline(deadline)
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			p.t.Fatalf("no %s: %v", what, err)
		}
		m := parse(string(buf[:n]))
		m.from = from
		if p.engine == nil {
			p.engine = from
		}
		if want(m) {
			return m
		}
	}
}

func (p *peer) final() message {
	p.t.Helper()
	return p.receive("final response", func(m message) bool { return m.status() >= 200 })
}

func (p *peer) status(code int) message {
	p.t.Helper()
	m := p.final()
	if m.status() != code {
		p.t.Fatalf("got %q, want %d", m.first, code)
	}
	return m
}

func (p *peer) request(method string) message {
	p.t.Helper()
	return p.receive(method, func(m message) bool { return m.method() == method })
}

var branches int

// build makes a request of the peer's call; extra are whole header lines.
func (p *peer) build(method, uri, body string, extra ...string) string {
	if method != "ACK" && method != "CANCEL" {
		p.seq++
	}
	branches++
	lines := []string{
		method + " " + uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport", p.addr(), branches),
		"Max-Forwards: 70", "From: " + p.from, "To: " + p.to, "Call-ID: " + p.id,
		fmt.Sprintf("CSeq: %d %s", p.seq, method), "Contact: <sip:peer@" + p.addr() + ">",
	}
	lines = append(lines, extra...)
	if body != "" && !strings.Contains(strings.Join(extra, "\n"), "Content-Type") {
		lines = append(lines, "Content-Type: application/sdp")
	}
	return strings.Join(append(lines, fmt.Sprintf("Content-Length: %d", len(body))), "\r\n") + "\r\n\r\n" + body
}

// sdp is a description of the peer's audio. codecs is such as "8 0 101".
func (p *peer) sdp(codecs string, lines ...string) string {
	s := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
		fmt.Sprintf("m=audio %d RTP/AVP %s\r\n", p.mediaPort(), codecs)
	for _, l := range lines {
		s += l + "\r\n"
	}
	return s
}

func eventLine(pt int) string { return fmt.Sprintf("a=rtpmap:%d telephone-event/8000", pt) }

// newCall makes ready to call the access number.
func (p *peer) newCall(caller string) {
	branches++
	p.id = fmt.Sprintf("call-%d-%s", branches, p.addr())
	p.from = fmt.Sprintf("<sip:%s@127.0.0.1>;tag=from%d", caller, branches)
	p.to = fmt.Sprintf("<sip:%s@127.0.0.1>", access)
	p.seq = 0
}

func (p *peer) accessURI() string { return fmt.Sprintf("sip:%s@%s", access, p.engine) }

// dial sends an INVITE to the access number.
func (p *peer) dial(body string, extra ...string) {
	p.t.Helper()
	p.newCall("+491711234567")
	raw := p.build("INVITE", p.accessURI(), body, extra...)
	p.invite = parse(raw)
	p.send(raw)
}

// call dials and waits for the answer, and acknowledges it.
func (p *peer) call(body string, extra ...string) message {
	p.t.Helper()
	p.dial(body, extra...)
	ok := p.status(200)
	p.established(ok)
	p.ack("")
	return ok
}

// established takes the engine's tag and contact from its 200.
func (p *peer) established(ok message) {
	p.to = ok.get("to")
	p.contact = strings.Trim(ok.get("contact"), "<>")
}

func (p *peer) ack(body string) { p.send(p.build("ACK", p.contact, body)) }

// bye hangs up.
func (p *peer) bye() {
	p.t.Helper()
	p.send(p.build("BYE", p.contact, ""))
	p.receive("200 to BYE", func(m message) bool { return m.status() == 200 && strings.HasSuffix(m.get("cseq"), "BYE") })
}

// respond answers a request of the engine.
func (p *peer) respond(req message, status int, body string, extra ...string) {
	p.t.Helper()
	to := req.get("to")
	if !strings.Contains(to, ";tag=") && status != 100 {
		to += ";tag=carrier"
	}
	lines := []string{fmt.Sprintf("SIP/2.0 %d Some Reason", status)}
	for _, v := range req.header["via"] {
		lines = append(lines, "Via: "+v)
	}
	lines = append(lines, "From: "+req.get("from"), "To: "+to, "Call-ID: "+req.get("call-id"), "CSeq: "+req.get("cseq"),
		"Contact: <sip:carrier@"+p.addr()+">")
	lines = append(lines, extra...)
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	p.send(strings.Join(append(lines, fmt.Sprintf("Content-Length: %d", len(body))), "\r\n") + "\r\n\r\n" + body)
}

// answered is what the carrier side of a call needs for requests of its own.
func (p *peer) answered(invite message) {
	p.id, p.from, p.to = invite.get("call-id"), invite.get("to")+";tag=carrier", invite.get("from")
	p.contact = strings.Trim(invite.get("contact"), "<>")
	p.invite = invite
}
