package sipua

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
	"telecommune/routing"
)

// unreached is a script that must not be reached.
func unreached(t *testing.T) func(context.Context, pbx.Leg) {
	return func(_ context.Context, in pbx.Leg) { t.Errorf("a call got through: %+v", in.Inbound()) }
}

// without drops a header line of a request.
func without(raw, name string) string {
	return regexp.MustCompile(`(?m)^`+name+`:.*\r\n`).ReplaceAllString(raw, "")
}

// TestBadInvites: each is refused with a status that tells why, and the engine goes on.
func TestBadInvites(t *testing.T) {
	answered := make(report[pbx.Inbound], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		answered <- in.Inbound()
	})
	p := phone(r)
	good := p.sdp("8 0 101", eventLine(101))
	replace := func(old, new string) func(string) string {
		return func(raw string) string { return strings.Replace(raw, old, new, 1) }
	}
	for _, tt := range []struct {
		why    string
		body   string
		extra  string
		change func(string) string
		status int
	}{
		{"no From", good, "", func(s string) string { return without(s, "From") }, 400},
		{"no To", good, "", func(s string) string { return without(s, "To") }, 400},
		{"no Call-ID", good, "", func(s string) string { return without(s, "Call-ID") }, 400},
		{"no CSeq", good, "", func(s string) string { return without(s, "CSeq") }, 400},
		{"no Max-Forwards", good, "", func(s string) string { return without(s, "Max-Forwards") }, 400},
		{"no Contact", good, "", func(s string) string { return without(s, "Contact") }, 400},
		{"no tag in From", good, "", func(s string) string { return regexp.MustCompile(`;tag=from\d+`).ReplaceAllString(s, "") }, 400},
		{"CSeq of another method", good, "", replace("1 INVITE", "1 OPTIONS"), 400},
		{"no hops left", good, "", replace("Max-Forwards: 70", "Max-Forwards: 0"), 483},
		{"a tag that we never gave", good, "", replace("To: <sip:"+string(access)+"@127.0.0.1>", "To: <sip:x@127.0.0.1>;tag=nobody"), 481},
		{"unknown access number", good, "", func(s string) string { return strings.ReplaceAll(s, string(access), "+441619999999") }, 404},
		{"no number", good, "", func(s string) string { return strings.ReplaceAll(s, string(access)+"@", "a;b&c%40d@") }, 404},
		{"an extension that we lack", good, "Require: 100rel", nil, 420},
		{"a body that is no SDP", "<xml/>", "Content-Type: text/xml", nil, 415},
		{"broken SDP", "v=0\r\nm=audio\r\n", "", nil, 400},
		{"SDP without audio", sdpHead + "m=video 4000 RTP/AVP 31\r\n", "", nil, 488},
		{"unknown codec only", p.sdp("18"), "", nil, 488},
		{"SRTP", strings.Replace(good, "RTP/AVP", "RTP/SAVP", 1), "", nil, 488},
		{"session interval too small", good, "Session-Expires: 30", nil, 422},
	} {
		t.Run(tt.why, func(t *testing.T) {
			p.t = t
			p.newCall("+491711234567")
			var extra []string
			if tt.extra != "" {
				extra = append(extra, tt.extra)
			}
			raw := p.build("INVITE", p.accessURI(), tt.body, extra...)
			if tt.change != nil {
				raw = tt.change(raw)
			}
			p.send(raw)
			got := p.status(tt.status)
			if tt.status == 422 && got.get("min-se") != "90" {
				t.Errorf("Min-SE is %q", got.get("min-se"))
			}
			if tt.status == 420 && got.get("unsupported") != "100rel" {
				t.Errorf("Unsupported is %q", got.get("unsupported"))
			}
			if !strings.Contains(got.get("to"), "tag=") && got.get("to") != "" {
				t.Errorf("no tag in %q", got.get("to"))
			}
			if strings.HasPrefix(raw, "INVITE") && got.get("call-id") != "" {
				branch := regexp.MustCompile(`branch=[^;]+`).FindString(got.get("via"))
				p.send(strings.Replace(p.build("ACK", p.accessURI(), ""), fmt.Sprintf("branch=z9hG4bK%d", branches), branch, 1))
			}
		})
	}
	p.t = t
	p.call(good)
	if in := answered.get(t); in.Called != access || in.Provider != "loop" || in.Caller != "+491711234567" || !in.Trusted {
		t.Errorf("the good call is %+v", in)
	}
}

// TestLongName: a caller name of 10 kB with everything in it is bounded, and its echo in our answer does not fail.
func TestLongName(t *testing.T) {
	names := make(report[string], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) { names <- in.Inbound().Name })
	p := phone(r)
	p.newCall("+491711234567")
	p.from = `"'; DROP TABLE call; -- <b>` + "\x00\x01" + strings.Repeat("x", 10_000) + `" ` + p.from
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8")))
	name := names.get(t)
	if len(name) != pbx.MaxForeign || !strings.HasPrefix(name, "'; DROP TABLE call; -- <b>xxx") {
		t.Errorf("the name is %d bytes: %q", len(name), name)
	}
	p.status(480)
}

// TestCalledNumber: with and without plus, and from To when the Request-URI has our own name.
func TestCalledNumber(t *testing.T) {
	for _, user := range []string{string(access), string(access[1:]), "00" + string(access[1:]), "%2B" + string(access[1:]), "telecommune"} {
		called := make(report[pbx.Inbound], 1)
		r := start(t, setup{}, func(_ context.Context, in pbx.Leg) { called <- in.Inbound() })
		p := phone(r)
		p.newCall("anonymous")
		p.send(p.build("INVITE", fmt.Sprintf("sip:%s@%s", user, p.engine), p.sdp("8")))
		if in := called.get(t); in.Called != access || !in.Withheld {
			t.Errorf("%s: %+v", user, in)
		}
		p.status(480)
	}
}

// TestStrangers get no answer where nobody logs in, whatever they send.
func TestStrangers(t *testing.T) {
	none := []pbx.Provider{{Code: "elsewhere", Address: netip.MustParsePrefix("192.0.2.0/24")}}
	r := start(t, setup{providers: none}, unreached(t))
	p := phone(r)
	for _, method := range []string{"OPTIONS", "SUBSCRIBE", "INVITE", "BYE", "CANCEL", "REGISTER"} {
		p.newCall("+491711234567")
		p.send(p.build(method, p.accessURI(), ""))
		p.send(without(p.build(method, p.accessURI(), ""), "Max-Forwards"))
	}
	p.hearsNothing(5 * sip.T1)
}

// hearsNothing sees that no message comes for a while.
func (p *peer) hearsNothing(d time.Duration) {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 65536)
	if n, _, err := p.conn.ReadFromUDP(buf); err == nil {
		p.t.Errorf("got %q", parse(string(buf[:n])).first)
	}
}

// TestNothingIsKeptOfStrangers: each answer is sent once, and again only to who asks again.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	r := start(t, setup{providers: []pbx.Provider{{Code: "soft", User: "ann", Password: "secret"}}}, unreached(t))
	p := phone(r)
	p.newCall("+491711234567")
	invite := p.build("INVITE", p.accessURI(), p.sdp("8"))
	p.send(invite)
	first := p.status(401)
	p.hearsNothing(5 * sip.T1)
	p.send(invite)
	if again := p.status(401); again.get("to") != first.get("to") || again.get("www-authenticate") == first.get("www-authenticate") {
		t.Errorf("the answer to the repeated INVITE is that of before, or of another: %v", again.header)
	}
	p.to += ";tag=ours"
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.status(481)
	p.send(without(p.build("INVITE", p.accessURI(), p.sdp("8")), "Max-Forwards"))
	p.status(400)
	p.hearsNothing(5 * sip.T1)
}

func TestOptions(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		<-ctx.Done()
	})
	p := phone(r)
	p.newCall("x")
	p.send(p.build("OPTIONS", p.accessURI(), ""))
	if m := p.status(200); !strings.Contains(m.get("allow"), "UPDATE") {
		t.Errorf("Allow is %q", m.get("allow"))
	}
	p.send(p.build("SUBSCRIBE", p.accessURI(), ""))
	p.status(405)
	p.call(p.sdp("8"))
	p.send(p.build("OPTIONS", p.contact, ""))
	p.status(200)
	p.bye()
}

// TestOptionsByName: a trunk that is configured by its host name may ask as well, and a softphone when it logs in.
func TestOptionsByName(t *testing.T) {
	s := softphones()
	s.trunks = []routing.Trunk{{Code: "t", Address: "sip.example:5060"}}
	s.tweak = func(e *Engine) {
		e.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
		}
	}
	r := start(t, s, unreached(t))
	p := phone(r)
	p.newCall("x")
	for status := 401; status != 200; status = p.final().status() { // until the name is looked up
		p.send(p.build("OPTIONS", p.accessURI(), ""))
	}

	r = start(t, softphones(), unreached(t))
	p = phone(r)
	p.newCall("x")
	p.send(p.build("OPTIONS", p.accessURI(), ""))
	challenge := p.status(401)
	p.send(p.build("OPTIONS", p.accessURI(), "", credentials(challenge, "OPTIONS", p.accessURI(), "ann", "secret", 1)))
	p.status(200)
}

// credentials answers the challenge of m by RFC 2617 section 3.2.2, with a digest made by hand.
func credentials(m message, method, uri, user, password string, nc int) string {
	field := func(name string) string {
		return regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(m.get("www-authenticate"))[1]
	}
	hash := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	count := fmt.Sprintf("%08x", nc)
	response := hash(hash(user, field("realm"), password), field("nonce"), count, "abc", "auth", hash(method, uri))
	return fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, cnonce="abc", qop=auth, nc=%s`,
		user, field("realm"), field("nonce"), uri, response, count)
}

// TestDigest: a softphone registers and calls; wrong and repeated credentials get nowhere.
func TestDigest(t *testing.T) {
	callers := make(report[pbx.Inbound], 1)
	r := start(t, setup{providers: []pbx.Provider{{Code: "soft", User: "ann", Password: "secret"}}}, func(ctx context.Context, in pbx.Leg) {
		callers <- in.Inbound()
		in.Hangup(pbx.UserBusy)
	})
	p := phone(r)
	uri := "sip:" + p.engine.String()
	p.newCall("ann")
	p.to = "<sip:ann@127.0.0.1>"
	p.send(p.build("REGISTER", uri, ""))
	challenge := p.status(401)
	good := credentials(challenge, "REGISTER", uri, "ann", "secret", 1)

	p.send(p.build("REGISTER", uri, "", good, "Expires: 600"))
	if ok := p.status(200); !strings.Contains(ok.get("contact"), "expires=600") || !strings.Contains(ok.get("contact"), p.addr()) {
		t.Errorf("Contact is %q", ok.get("contact"))
	}
	p.send(p.build("REGISTER", uri, "", good)) // recorded and played again
	if again := p.status(401); !strings.Contains(again.get("www-authenticate"), "stale=true") {
		t.Errorf("repeated count: %q", again.get("www-authenticate"))
	}
	p.send(p.build("REGISTER", uri, "", credentials(challenge, "REGISTER", uri, "ann", "secret", 2), "Expires: 0"))
	if ok := p.status(200); ok.get("contact") != "" {
		t.Errorf("still bound: %q", ok.get("contact"))
	}
	for why, header := range map[string]string{
		"wrong password":  credentials(challenge, "REGISTER", uri, "ann", "guess", 3),
		"unknown user":    credentials(challenge, "REGISTER", uri, "bob", "secret", 3),
		"no password":     credentials(challenge, "REGISTER", uri, "", "", 3),
		"another method":  credentials(challenge, "INVITE", uri, "ann", "secret", 3),
		"no digest":       "Authorization: Basic YW5uOnNlY3JldA==",
		"without a count": strings.Replace(credentials(challenge, "REGISTER", uri, "ann", "secret", 3), "qop=auth, nc=00000003", "x=y", 1),
	} {
		p.send(p.build("REGISTER", uri, "", header))
		if m := p.final(); m.status() != 403 {
			t.Errorf("%s: %q", why, m.first)
		}
	}
	forged := strings.Replace(good, `nonce="`, `nonce="AAAA`, 1)
	p.send(p.build("REGISTER", uri, "", forged))
	p.status(401)

	p.dial(p.sdp("8"))
	challenge = p.status(401)
	ack := strings.Replace(p.build("ACK", p.accessURI(), ""), fmt.Sprintf("z9hG4bK%d", branches), fmt.Sprintf("z9hG4bK%d", branches-1), 1)
	p.send(ack)
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8"), credentials(challenge, "INVITE", p.accessURI(), "ann", "secret", 1)))
	if in := callers.get(t); in.Provider != "soft" || in.Trusted {
		t.Errorf("the caller is %+v", in)
	}
	if busy := p.status(486); busy.get("reason") != "Q.850;cause=17" {
		t.Errorf("Reason is %q", busy.get("reason"))
	}
}

// TestNonceExpiry needs no engine: the clock is given.
func TestNonceExpiry(t *testing.T) {
	n := newNonces()
	now := time.Unix(1_000_000, 0)
	nonce := n.make(now)
	fresh := func(n *nonces, nonce string, now time.Time) bool {
		_, ok := n.fresh(nonce, now)
		return ok
	}
	if !fresh(n, nonce, now.Add(nonceLife-time.Second)) || fresh(n, nonce, now.Add(nonceLife)) {
		t.Error("a nonce does not live for nonceLife")
	}
	if fresh(newNonces(), nonce, now) {
		t.Error("a nonce of another engine counts")
	}
	if !n.count(nonce, now, 1) || n.count(nonce, now, 1) || !n.count(nonce, now, 2) {
		t.Error("a count is not taken, or taken twice")
	}
}

// TestNoncesOfOneUser: who uses up more nonces than are kept locks nobody out, and none can be used twice.
func TestNoncesOfOneUser(t *testing.T) {
	n := newNonces()
	start := time.Unix(1_000_000, 0)
	var nonces []string
	for i := range 3 * maxNonces {
		now := start.Add(time.Duration(i) * time.Millisecond)
		nonces = append(nonces, n.make(now))
		made, ok := n.fresh(nonces[i], now)
		if !ok || !n.count(nonces[i], made, 1) {
			t.Fatalf("answer %d is refused", i)
		}
	}
	if len(n.used) > maxNonces {
		t.Errorf("%d are kept", len(n.used))
	}
	for i, nonce := range nonces {
		if made, ok := n.fresh(nonce, start.Add(time.Minute)); ok && n.count(nonce, made, 1) {
			t.Fatalf("answer %d counts twice", i)
		}
	}
}

// TestGuessing: after so many wrong passwords a host gets no answer for a while, be it right then; others do.
func TestGuessing(t *testing.T) {
	var log logBuffer
	r := start(t, setup{
		providers: []pbx.Provider{{Code: "soft", User: "ann", Password: "secret"}},
		config:    func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) },
	}, unreached(t))
	p := phone(r)
	uri := "sip:" + p.engine.String()
	p.newCall("ann")
	p.send(p.build("REGISTER", uri, ""))
	challenge := p.status(401)
	for range maxGuesses {
		p.send(p.build("REGISTER", uri, "", credentials(challenge, "REGISTER", uri, "ann", "guess", 1)))
		p.status(403)
	}
	p.send(p.build("REGISTER", uri, "", credentials(challenge, "REGISTER", uri, "ann", "secret", 1)))
	p.hearsNothing(100 * time.Millisecond)
	if n := strings.Count(log.String(), "wrong credentials"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, log.String())
	}

	host := hostOf(netip.MustParseAddr("127.0.0.1"))
	if r.guesses.tooMany(host, time.Now().Add(guessTime)) || !r.guesses.tooMany(host, time.Now()) ||
		r.guesses.tooMany(hostOf(netip.MustParseAddr("127.0.0.2")), time.Now()) {
		t.Error("not for a minute, or not for that host alone")
	}
	if hostOf(netip.MustParseAddr("2001:db8::1")) != hostOf(netip.MustParseAddr("2001:db8::2:1")) {
		t.Error("a /64 is not one host")
	}
	for i := range 2 * maxGuesser {
		r.guesses.wrong(hostOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), time.Now())
	}
	if n := len(r.guesses.made); n > maxGuesser {
		t.Errorf("%d hosts are remembered", n)
	}
}

// logBuffer is a log that a test reads.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestMerged: the same call that came twice by different ways is taken once (8.2.2.2).
func TestMerged(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) { <-ctx.Done() })
	p := phone(r)
	p.dial(p.sdp("8"))
	p.receive("100", func(m message) bool { return m.status() == 100 })
	p.seq--
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.status(482)
}

// TestCancel: the caller gives up before the answer.
func TestCancel(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Ring(ctx)
		<-ctx.Done()
		if err := in.Answer(context.Background()); err == nil {
			t.Error("an ended leg was answered")
		}
		ends <- in.End()
	})
	p := phone(r)
	p.dial(p.sdp("8"))
	ringing := p.receive("180", func(m message) bool { return m.status() == 180 })
	cancel := strings.Replace(p.build("CANCEL", p.accessURI(), "", "Reason: Q.850;cause=31"), fmt.Sprintf("z9hG4bK%d", branches), fmt.Sprintf("z9hG4bK%d", branches-1), 1)
	p.send(cancel)
	terminated := p.receive("487", func(m message) bool { return m.status() == 487 })
	if terminated.get("to") != ringing.get("to") {
		t.Errorf("180 has To %q, 487 %q", ringing.get("to"), terminated.get("to"))
	}
	if end := ends.get(t); end.By != pbx.ByPeer || end.SIP != 487 || end.Q850 != 31 {
		t.Errorf("ended %+v", end)
	}
}

// cancelledTx is the transaction of an INVITE that was cancelled just now.
type cancelledTx struct {
	sip.ServerTransaction
	t *testing.T
}

func (tx cancelledTx) Err() error { return sip.ErrTransactionCanceled }

func (tx cancelledTx) Respond(res *sip.Response) error {
	tx.t.Errorf("answered with %d", res.StatusCode)
	return nil
}

// TestAnswerCrossesCancel: the leg of a call that is cancelled as it is answered ends, and nothing of it is left.
func TestAnswerCrossesCancel(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		l := in.(*leg)
		l.tx = cancelledTx{l.tx, t}
		if err := in.Answer(ctx); !errors.Is(err, pbx.ErrEnded) {
			t.Errorf("Answer: %v", err)
		}
		ends <- in.End()
	})
	p := phone(r)
	p.dial(p.sdp("8"))
	if end := ends.get(t); end.By != pbx.ByPeer || end.SIP != 487 {
		t.Errorf("ended %+v", end)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.dialogs); n != 0 {
		t.Errorf("%d dialogs are left", n)
	}
}
