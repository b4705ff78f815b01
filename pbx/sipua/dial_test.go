package sipua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// dialled is what came of a Dial.
type dialled struct {
	far pbx.Leg
	err *pbx.DialError
}

// dialRig is a caller whose call is answered, and whose script dials a carrier once.
type dialRig struct {
	*rig
	caller, carrier *peer
	callerPort      int // of the engine's RTP to the caller
	out             report[dialled]
	hangup          context.CancelFunc // ends the Dial's context
}

func dialing(t *testing.T, codecs string, target func(*pbx.Target)) *dialRig {
	t.Helper()
	d := &dialRig{carrier: newPeer(t), out: make(report[dialled], 1)}
	to := pbx.Target{Trunk: trunkTo(d.carrier), Number: "+380441234567", CallerID: "+491711234567", Asserted: "+491711234567", RingTimeout: wait}
	if target != nil {
		target(&to)
	}
	dialCtx, cancel := context.WithCancel(t.Context())
	d.hangup = cancel
	d.rig = start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
			return
		}
		ctx, stop := context.WithCancel(ctx)
		defer context.AfterFunc(dialCtx, stop)()
		far, err := in.(*leg).e.Dial(ctx, in, to)
		var failed *pbx.DialError
		if err != nil && !errors.As(err, &failed) {
			t.Errorf("Dial failed with %T %v", err, err)
		}
		d.out <- dialled{far, failed}
		<-in.Done()
	})
	d.caller = phone(d.rig)
	d.callerPort = d.caller.call(d.caller.sdp(codecs)).port()
	return d
}

func (d *dialRig) failure() *pbx.DialError {
	d.t.Helper()
	got := d.out.get(d.t)
	if got.err == nil {
		d.t.Fatal("the dial succeeded")
	}
	return got.err
}

func TestDialRequest(t *testing.T) {
	d := dialing(t, "0 8", func(to *pbx.Target) { to.Trunk.Prefix, to.Trunk.Strip = "99", 2 })
	m := d.carrier.request("INVITE")
	if want := "INVITE sip:990441234567@" + d.carrier.addr() + " SIP/2.0"; m.first != want {
		t.Errorf("got %q, want %q", m.first, want)
	}
	for header, want := range map[string]string{
		"from":                `^<sip:\+491711234567@127\.0\.0\.1>;tag=.+`,
		"to":                  `^<sip:990441234567@127\.0\.0\.1>$`,
		"p-asserted-identity": `^<sip:\+491711234567@127\.0\.0\.1>$`,
		"max-forwards":        `^70$`,
		"supported":           `^timer$`,
		"contact":             fmt.Sprintf(`^<sip:telecommune@127\.0\.0\.1:%d>$`, d.port()),
		"via":                 fmt.Sprintf(`^SIP/2\.0/UDP 127\.0\.0\.1:%d;branch=z9hG4bK.+;rport$`, d.port()),
	} {
		if !regexp.MustCompile(want).MatchString(m.get(header)) {
			t.Errorf("%s is %q", header, m.get(header))
		}
	}
	if !strings.Contains(m.body, " RTP/AVP 0 101\r\n") || strings.Contains(m.body, "PCMA") {
		t.Errorf("the offer is not the caller's codec alone:\n%s", m.body)
	}
	d.carrier.respond(m, 486, "")
	d.carrier.request("ACK")
	d.failure()
}

func TestDialAnonymous(t *testing.T) {
	d := dialing(t, "8", func(to *pbx.Target) { to.CallerID = "" })
	m := d.carrier.request("INVITE")
	// The carrier may be told all the same (RFC 3325 section 7).
	if m.get("privacy") != "id" || !strings.HasPrefix(m.get("p-asserted-identity"), "<sip:+491711234567@") || !strings.Contains(m.get("from"), "<sip:anonymous@anonymous.invalid>") {
		t.Errorf("From %q, Privacy %q, P-Asserted-Identity %q", m.get("from"), m.get("privacy"), m.get("p-asserted-identity"))
	}
	d.carrier.respond(m, 503, "")
	d.failure()
}

// TestDialFailures: the error bears status and cause, and whether it rang.
func TestDialFailures(t *testing.T) {
	for _, tt := range []struct {
		why    string
		status int
		rang   int
		header string
		want   pbx.DialError
	}{
		{"busy", 486, 180, "X: y", pbx.DialError{SIP: 486, Q850: 17, Rang: true}},
		{"no circuit, the cause is told", 503, 0, "Reason: SIP;cause=503, Q.850;cause=34;text=\"no circuit\"", pbx.DialError{SIP: 503, Q850: 34}},
		{"unallocated", 404, 100, "X: y", pbx.DialError{SIP: 404, Q850: 1}},
		{"moved", 302, 0, "X: y", pbx.DialError{SIP: 302, Q850: 23}},
		{"declined after progress", 603, 183, "X: y", pbx.DialError{SIP: 603, Q850: 21, Rang: true}},
		{"a challenge without credentials", 407, 0, `Proxy-Authenticate: Digest realm="x", nonce="y"`, pbx.DialError{SIP: 407, Q850: 21}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			rang := make(chan struct{}, 2)
			d := dialing(t, "8", func(to *pbx.Target) { to.Ringing = func() { rang <- struct{}{} } })
			m := d.carrier.request("INVITE")
			if tt.rang != 0 {
				d.carrier.respond(m, tt.rang, "")
				d.carrier.respond(m, tt.rang, "")
			}
			d.carrier.respond(m, tt.status, "", tt.header)
			d.carrier.request("ACK")
			got := d.failure()
			if got.SIP != tt.want.SIP || got.Q850 != tt.want.Q850 || got.Rang != tt.want.Rang || got.Err == nil {
				t.Errorf("got %+v", got)
			}
			if tt.want.Rang != (len(rang) == 1) {
				t.Errorf("Ringing was called %d times", len(rang))
			}
		})
	}
}

func TestDialRingTimeout(t *testing.T) {
	d := dialing(t, "8", func(to *pbx.Target) { to.RingTimeout = 150 * time.Millisecond })
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 180, "")
	cancel := d.carrier.request("CANCEL")
	if cancel.get("via") != m.get("via") || cancel.get("cseq") != "1 CANCEL" || cancel.get("to") != m.get("to") {
		t.Errorf("CANCEL has Via %q, CSeq %q, To %q", cancel.get("via"), cancel.get("cseq"), cancel.get("to"))
	}
	d.carrier.respond(cancel, 200, "")
	d.carrier.respond(m, 487, "")
	d.carrier.request("ACK")
	if err := d.failure(); !errors.Is(err, pbx.ErrRingTimeout) || err.SIP != 0 || !err.Rang {
		t.Errorf("got %+v", err)
	}
}

func TestDialCallerGivesUp(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 180, "")
	d.caller.bye()
	cancel := d.carrier.request("CANCEL")
	d.carrier.respond(cancel, 200, "")
	d.carrier.respond(m, 487, "")
	if err := d.failure(); !errors.Is(err, pbx.ErrEnded) {
		t.Errorf("got %+v", err)
	}
}

// TestDialCancelWaits: no CANCEL before the first provisional response (9.1), however long that takes; and a 200 that
// crosses it is acknowledged and hung up.
func TestDialCancelWaits(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	d.hangup()
	if err := d.failure(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v", err)
	}
	again := d.carrier.receive("any request", func(m message) bool { return m.method() != "" })
	if again.method() != "INVITE" {
		t.Fatalf("%s before a provisional response", again.method())
	}
	d.carrier.respond(m, 100, "")
	cancel := d.carrier.request("CANCEL")
	d.carrier.respond(m, 200, d.carrier.sdp("8"))
	d.carrier.respond(cancel, 481, "")
	d.carrier.request("ACK")
	bye := d.carrier.request("BYE")
	if bye.get("to") != m.get("to")+";tag=carrier" {
		t.Errorf("BYE goes to %q", bye.get("to"))
	}
	d.carrier.respond(bye, 200, "")
}

// TestDialManyRinging: more provisional responses than the library's own dialogs would take.
func TestDialManyRinging(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	for range 40 {
		d.carrier.respond(m, 180, "")
	}
	d.carrier.respond(m, 200, d.carrier.sdp("8"))
	d.carrier.request("ACK")
	if got := d.out.get(t); got.err != nil {
		t.Errorf("got %+v", got.err)
	}
}

func TestDialDigest(t *testing.T) {
	d := dialing(t, "8", func(to *pbx.Target) { to.Trunk.User, to.Trunk.Password = "us", "secret" })
	challenge := `Proxy-Authenticate: Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth"`
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 407, "", challenge)
	second := d.carrier.receive("second INVITE", func(m message) bool { return m.get("proxy-authorization") != "" })
	if second.get("cseq") != "2 INVITE" || second.get("call-id") != m.get("call-id") || second.get("via") == m.get("via") {
		t.Errorf("CSeq %q, Via %q", second.get("cseq"), second.get("via"))
	}
	if !strings.Contains(second.get("proxy-authorization"), `username="us"`) || !strings.Contains(second.get("proxy-authorization"), `qop=auth`) {
		t.Errorf("credentials are %q", second.get("proxy-authorization"))
	}
	d.carrier.respond(second, 200, d.carrier.sdp("8"))
	ack := d.carrier.receive("ACK of the 200", func(m message) bool { return m.get("cseq") == "2 ACK" })
	if ack.get("proxy-authorization") == "" {
		t.Error("the ACK lacks the credentials of its INVITE (22.1)")
	}
	if got := d.out.get(t); got.err != nil {
		t.Errorf("got %+v", got.err)
	}
	d.caller.bye()
	bye := d.carrier.request("BYE")
	d.carrier.respond(bye, 407, "", challenge)
	bye = d.carrier.receive("second BYE", func(m message) bool { return m.get("proxy-authorization") != "" })
	d.carrier.respond(bye, 200, "")
}

func TestDialDigestRefused(t *testing.T) {
	d := dialing(t, "8", func(to *pbx.Target) { to.Trunk.User, to.Trunk.Password = "us", "wrong" })
	for range 2 {
		m := d.carrier.request("INVITE")
		d.carrier.respond(m, 401, "", `WWW-Authenticate: Digest realm="carrier", nonce="n1", qop="auth"`)
		d.carrier.request("ACK")
	}
	if err := d.failure(); err.SIP != 401 || err.Q850 != 21 {
		t.Errorf("got %+v", err)
	}
}

func TestDialIntervalTooSmall(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 422, "", "Min-SE: 3600")
	second := d.carrier.receive("second INVITE", func(m message) bool { return m.get("cseq") == "2 INVITE" })
	if second.get("session-expires") != "3600" || second.get("min-se") != "3600" {
		t.Errorf("Session-Expires %q, Min-SE %q", second.get("session-expires"), second.get("min-se"))
	}
	d.carrier.respond(second, 200, d.carrier.sdp("8"))
	if got := d.out.get(t); got.err != nil {
		t.Errorf("got %+v", got.err)
	}
}

// TestDialEarlyMedia: before the answer both hear each other; without early media there is a ring tone.
func TestDialEarlyMedia(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 180, "")
	tone := d.caller.heard(10, ofType(8))
	if tone[0][1]&0x80 == 0 || tone[1][1]&0x80 != 0 {
		t.Error("the marker bit is not at the start of the tone alone")
	}
	if tone[3][12] == pcma.silence() && tone[3][13] == pcma.silence() && tone[3][14] == pcma.silence() {
		t.Error("the tone is silent")
	}
	d.carrier.respond(m, 183, d.carrier.sdp("8"))
	voice := make([]byte, 160)
	for i := range voice {
		voice[i] = 0x2A
	}
	stop := d.carrier.talk(m.port(), voice)
	early := d.caller.heard(3, func(b []byte) bool { return b[12] == 0x2A })
	stop()
	if early[0][1]&0x80 == 0 {
		t.Error("the voice after the tone begins without marker")
	}
	checkContinuous(t, append(tone[9:10], early...))
	stop = d.caller.talk(d.callerPort, voice)
	d.carrier.heard(3, ofType(8))
	stop()
	d.carrier.respond(m, 200, "") // the description of the 183 holds
	if got := d.out.get(t); got.err != nil {
		t.Errorf("got %+v", got.err)
	}
}

// talk sends voice every 20 ms until stopped.
func (p *peer) talk(port int, voice []byte) (stop func()) { return p.talkIn(8, port, voice) }

func (p *peer) talkIn(pt uint8, port int, voice []byte) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(frameDuration)
		defer tick.Stop()
		for i := 0; ; i++ {
			packet := rtpPacket(pt, i == 0, uint16(i), uint32(i*160), 99, voice)
			_, _ = p.media.WriteToUDP(packet, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// checkContinuous wants one SSRC, and numbers and timestamps that only rise.
func checkContinuous(t *testing.T, packets [][]byte) {
	t.Helper()
	for i, b := range packets[1:] {
		a := packets[i]
		seq := func(b []byte) uint16 { return uint16(b[2])<<8 | uint16(b[3]) }
		ts := func(b []byte) uint32 { return uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7]) }
		if string(a[8:12]) != string(b[8:12]) {
			t.Errorf("packet %d has another SSRC", i+1)
		}
		if d := int16(seq(b) - seq(a)); d < 1 || d > 50 {
			t.Errorf("packet %d: sequence number %d after %d", i+1, seq(b), seq(a))
		}
		if d := int32(ts(b) - ts(a)); d < 160 {
			t.Errorf("packet %d: timestamp %d after %d", i+1, ts(b), ts(a))
		}
	}
}

// TestDialCodecMismatch: voice is not transcoded, so an answer with another codec only is a failure after a 200, and the
// far side is hung up.
func TestDialCodecMismatch(t *testing.T) {
	for _, answer := range []string{"0", "18"} {
		d := dialing(t, "8", nil)
		m := d.carrier.request("INVITE")
		d.carrier.respond(m, 200, d.carrier.sdp(answer))
		d.carrier.request("ACK")
		bye := d.carrier.request("BYE")
		d.carrier.respond(bye, 200, "")
		if err := d.failure(); !errors.Is(err, pbx.ErrCodec) || err.SIP != 200 || err.Q850 != 88 {
			t.Errorf("got %+v", err)
		}
	}
}

// TestDialHungUpAtOnce: a far side that answers and hangs up in one breath has answered.
func TestDialHungUpAtOnce(t *testing.T) {
	hungUp := make(chan struct{})
	d := dialing(t, "8", func(to *pbx.Target) { to.Ringing = func() { <-hungUp } }) // holds the dial up meanwhile
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 180, "")
	d.carrier.answered(m)
	d.carrier.respond(m, 200, d.carrier.sdp("8"))
	d.carrier.bye()
	close(hungUp)
	got := d.out.get(t)
	if got.err != nil {
		t.Fatalf("got %+v", got.err)
	}
	<-got.far.Done()
	if end := got.far.End(); end.By != pbx.ByPeer || got.far.AnsweredAt().IsZero() {
		t.Errorf("ended %+v", end)
	}
}

// TestDialAgain200: a repeated 200 is acknowledged again; one of another branch of a fork is hung up.
func TestDialAgain200(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	for range 2 {
		d.carrier.respond(m, 200, d.carrier.sdp("8"))
		if ack := d.carrier.request("ACK"); ack.get("to") != m.get("to")+";tag=carrier" {
			t.Errorf("ACK goes to %q", ack.get("to"))
		}
	}
	fork := m
	fork.header = map[string][]string{}
	for k, v := range m.header {
		fork.header[k] = v
	}
	fork.header["to"] = []string{m.get("to") + ";tag=fork"}
	d.carrier.respond(fork, 200, d.carrier.sdp("8"))
	bye := d.carrier.request("BYE")
	if !strings.HasSuffix(bye.get("to"), ";tag=fork") {
		t.Errorf("BYE goes to %q", bye.get("to"))
	}
	d.carrier.respond(bye, 200, "")
	got := d.out.get(t)
	if got.err != nil || got.far.End().By != "" {
		t.Errorf("got %+v, the leg ended %+v", got.err, got.far.End())
	}
	d.carrier.answered(m)
	d.carrier.bye() // the branch that answered is still known
}

// TestDialRoutes: requests within the dialog go by the recorded route, in reverse (12.1.2).
func TestDialRoutes(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	near := "<sip:" + d.carrier.addr() + ";lr>"
	d.carrier.respond(m, 200, d.carrier.sdp("8"), "Record-Route: <sip:far.invalid;lr>", "Record-Route: "+near)
	ack := d.carrier.request("ACK")
	if got := strings.Join(ack.header["route"], ","); got != near+",<sip:far.invalid;lr>" {
		t.Errorf("Route is %q", got)
	}
	if want := "ACK sip:carrier@" + d.carrier.addr() + " SIP/2.0"; ack.first != want {
		t.Errorf("got %q", ack.first)
	}
	d.out.get(t)
}

// TestDialNobodyThere: no answer at all is a failure without status.
func TestDialNobodyThere(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		nobody, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := nobody.Addr().String()
		nobody.Close()
		d := dialing(t, "8", func(to *pbx.Target) {
			to.Trunk = routing.Trunk{Code: "dead", Address: address, Transport: transport}
		})
		if err := d.failure(); err.SIP != 0 || err.Q850 != 0 || err.Rang || errors.Is(err, pbx.ErrRingTimeout) {
			t.Errorf("%s: got %+v", transport, err)
		}
	}
}

// TestDigitsWhileItRings are not meant for what is asked after a dial that failed.
func TestDigitsWhileItRings(t *testing.T) {
	carrier := newPeer(t)
	typed := make(report[string], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		if _, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567"}); err == nil {
			t.Error("the dial succeeded")
		}
		got, err := in.Collect(ctx, pbx.Collect{Max: 1, First: 200 * time.Millisecond})
		if !errors.Is(err, pbx.ErrNoDigits) {
			t.Errorf("Collect: %v", err)
		}
		typed <- got
	})
	p := phone(r)
	p.call(p.sdp("8"))
	m := carrier.request("INVITE")
	carrier.respond(m, 180, "")
	p.send(p.build("INFO", p.contact, "Signal=7\r\n", "Content-Type: application/dtmf-relay"))
	p.status(200)
	carrier.respond(m, 486, "")
	if got := typed.get(t); got != "" {
		t.Errorf("collected %q", got)
	}
	p.respond(p.request("BYE"), 200, "")
}

// TestDialSilentTrunk: a trunk without any response is given up soon, and what it answers late is taken back.
func TestDialSilentTrunk(t *testing.T) {
	carrier := newPeer(t)
	failures := make(report[error], 1)
	r := start(t, setup{tweak: func(e *Engine) { e.firstResponse = 200 * time.Millisecond }}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		_, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567"})
		failures <- err
		<-in.Done()
	})
	p := phone(r)
	p.call(p.sdp("8"))
	m := carrier.request("INVITE")
	var err *pbx.DialError
	if !errors.As(failures.get(t), &err) || err.SIP != 0 || err.Q850 != 0 || !errors.Is(err, errSilent) {
		t.Errorf("got %+v", err)
	}
	carrier.respond(m, 200, carrier.sdp("8"))
	carrier.request("ACK")
	carrier.respond(carrier.request("BYE"), 200, "")
	p.bye()
}

// TestDialByName: the name of a trunk is looked up once for all of a call, IPv4 before IPv6, and one that can't be looked
// up is a trunk that can't be reached.
func TestDialByName(t *testing.T) {
	carrier := newPeer(t)
	_, port, _ := net.SplitHostPort(carrier.addr())
	asked := make(chan string, 10)
	failed := make(report[error], 1)
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		asked <- host
		if host != "sip.example" {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	listen := func(c *Config) { c.Listen = ":0" }
	r := start(t, setup{config: listen, tweak: func(e *Engine) { e.lookup = lookup }}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		e := in.(*leg).e
		to := pbx.Target{Trunk: routing.Trunk{Code: "dead", Address: "nobody.example:5060"}, Number: "+380441234567"}
		_, err := e.Dial(ctx, in, to)
		failed <- err
		to.Trunk.Address = "sip.example:" + port
		if _, err := e.Dial(ctx, in, to); err != nil {
			t.Errorf("Dial: %v", err)
		}
	})
	p := newPeer(t)
	p.engine = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.port()}
	p.call(p.sdp("8"))
	var err *pbx.DialError
	if !errors.As(failed.get(t), &err) || err.SIP != 0 || err.Q850 != 0 {
		t.Errorf("a name that is not known: %+v", err)
	}
	m := carrier.request("INVITE")
	if want := "INVITE sip:380441234567@sip.example:" + port + " SIP/2.0"; m.first != want {
		t.Errorf("got %q", m.first)
	}
	if !strings.Contains(m.body, "c=IN IP4 127.0.0.1\r\n") || !strings.Contains(m.get("via"), "127.0.0.1") {
		t.Errorf("we are at %s\n%s", m.get("via"), m.body)
	}
	carrier.respond(m, 200, carrier.sdp("8"), "Record-Route: <sip:sip.example:"+port+";lr>")
	carrier.request("ACK")
	carrier.respond(carrier.request("BYE"), 200, "") // the script is at its end
	p.respond(p.request("BYE"), 200, "")
	if len(asked) != 2 {
		t.Errorf("%d names were looked up, want one an attempt", len(asked))
	}
}

// TestPublic: behind NAT others are told the public address, in Contact and SDP; Via bears our own, to which the NAT's
// is added by rport.
func TestPublic(t *testing.T) {
	carrier := newPeer(t)
	public := func(c *Config) { c.Public = netip.MustParseAddr("192.0.2.9") }
	r := start(t, setup{config: public}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		_, _ = in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567", CallerID: "+4930123456"})
		<-in.Done()
	})
	p := phone(r)
	ok := p.call(p.sdp("8"))
	m := carrier.request("INVITE")
	for _, m := range []message{ok, m} {
		if !strings.Contains(m.get("contact"), "@192.0.2.9:") || !strings.Contains(m.body, "c=IN IP4 192.0.2.9\r\n") {
			t.Errorf("%s: Contact %q\n%s", m.first, m.get("contact"), m.body)
		}
	}
	if !strings.HasPrefix(m.get("via"), "SIP/2.0/UDP 127.0.0.1:") || !strings.Contains(m.get("from"), "@192.0.2.9>") {
		t.Errorf("Via %q, From %q", m.get("via"), m.get("from"))
	}
	carrier.respond(m, 486, "")
	p.contact = "sip:" + r.Addr().String()
	p.bye()
}

// TestFreshDialog: each attempt has a Call-ID of its own.
func TestFreshDialog(t *testing.T) {
	carrier := newPeer(t)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		for range 2 {
			_, _ = in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567"})
		}
	})
	p := phone(r)
	p.call(p.sdp("8"))
	ids := map[string]bool{}
	for range 2 {
		m := carrier.request("INVITE")
		ids[m.get("call-id")] = true
		carrier.respond(m, 503, "")
		carrier.request("ACK")
	}
	if len(ids) != 2 {
		t.Error("both attempts have one Call-ID")
	}
	bye := p.request("BYE") // the script ended
	p.respond(bye, 200, "")
}

// TestToneAfterProgress: a 183 that brings no media, with or without a description, is heard as ringing.
func TestToneAfterProgress(t *testing.T) {
	for _, described := range []bool{false, true} {
		d := dialing(t, "8", nil)
		m := d.carrier.request("INVITE")
		body := ""
		if described {
			body = d.carrier.sdp("8")
		}
		d.carrier.respond(m, 183, body)
		d.caller.heard(10, ofType(8))
		d.carrier.respond(m, 486, "")
		d.failure()
	}
}

// TestDigitsAsInfo: a far side without telephone-event gets the digits as SIP INFO, if it takes that.
func TestDigitsAsInfo(t *testing.T) {
	carrier := newPeer(t)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		far, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567"})
		if err != nil {
			t.Errorf("Dial: %v", err)
			return
		}
		b, err := in.(*leg).e.Bridge(in, far)
		if err != nil {
			t.Errorf("Bridge: %v", err)
			return
		}
		<-b.Digits() // both are there once it is told
		<-in.Done()
	})
	caller := phone(r)
	port := caller.call(caller.sdp("8 101", eventLine(101))).port()
	m := carrier.request("INVITE")
	carrier.respond(m, 200, carrier.sdp("8"), "Allow: INVITE, INFO")
	carrier.request("ACK")
	for in := 0; in == 0; { // until the legs are bridged
		r.mu.Lock()
		for _, l := range r.dialogs {
			if l.bridge.Load() != nil {
				in++
			}
		}
		r.mu.Unlock()
	}
	caller.digits(port, 101, "4711")
	for _, digit := range "4711" { // one after the other, in their order
		info := carrier.request("INFO")
		if info.get("content-type") != "application/dtmf-relay" || !strings.HasPrefix(info.body, "Signal="+string(digit)+"\r\n") {
			t.Errorf("%s: %q, want %c", info.get("content-type"), info.body, digit)
		}
		carrier.respond(info, 200, "")
	}
	caller.bye()
}
