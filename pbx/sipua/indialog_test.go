package sipua

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
)

// answering is a script that answers and waits for the end, which it reports.
func answering(t *testing.T, ends report[pbx.End]) func(context.Context, pbx.Leg) {
	return func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("Answer: %v", err)
		}
		<-in.Done()
		if ends != nil {
			ends <- in.End()
		}
	}
}

func (p *peer) reinvite(body string, extra ...string) {
	p.t.Helper()
	p.send(p.build("INVITE", p.contact, body, extra...))
}

// TestAnswerAsOffered: our answer has the payload types of the offer, its first codec, and its event type.
func TestAnswerAsOffered(t *testing.T) {
	for _, tt := range []struct{ offer, event, want string }{
		{"0 8 101", eventLine(101), "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"},
		{"18 8 0 97", eventLine(97), "RTP/AVP 8 97\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 telephone-event/8000\r\n"},
		{"8", "a=ptime:30", "RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"},
	} {
		r := start(t, setup{}, answering(t, nil))
		p := phone(r)
		ok := p.call(p.sdp(tt.offer, tt.event))
		if !strings.Contains(ok.body, tt.want) {
			t.Errorf("%s is answered with\n%s", tt.offer, ok.body)
		}
		p.bye()
	}
}

// TestDelayedOffer: an INVITE without SDP gets our offer in the 200, and its answer is in the ACK.
func TestDelayedOffer(t *testing.T) {
	hello := wav(t, 100*time.Millisecond, 1000)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
		}
		_ = in.Play(ctx, []string{hello})
		<-in.Done()
	})
	p := phone(r)
	p.dial("")
	ok := p.status(200)
	if !strings.Contains(ok.body, "RTP/AVP 8 0 101\r\n") {
		t.Fatalf("the offer is\n%s", ok.body)
	}
	p.established(ok)
	p.ack(p.sdp("0 101", eventLine(101)))
	p.heard(2, ofType(0))
	p.bye()
}

// TestDelayedOfferRefused: an answer in the ACK that can't be ends the call.
func TestDelayedOfferRefused(t *testing.T) {
	for _, answer := range []string{"", "v=0\r\nm=audio 4000 RTP/AVP 18\r\n"} {
		ends := make(report[pbx.End], 1)
		r := start(t, setup{}, answering(t, ends))
		p := phone(r)
		p.dial("")
		p.established(p.status(200))
		p.ack(answer)
		p.respond(p.request("BYE"), 200, "")
		if end := ends.get(t); end.By != pbx.ByFailure || end.SIP != 488 {
			t.Errorf("%q ended the leg %+v", answer, end)
		}
	}
}

// TestHold: what may flow is answered as RFC 3264 section 8.4 has it, the codec stays, and our audio stops and goes on.
func TestHold(t *testing.T) {
	long := wav(t, 30*time.Second, 1000)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		_ = in.Play(ctx, []string{long})
	})
	p := phone(r)
	first := p.call(p.sdp("8 0"))
	p.heard(2, ofType(8))
	body := p.sdp("0 8")
	zero := strings.Replace(body, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1)
	for _, tt := range []struct {
		why, body, want string
		flows           bool
	}{
		{"sendonly", body + "a=sendonly\r\n", "a=recvonly", false},
		{"back", body, "a=sendrecv", true},
		{"inactive", body + "a=inactive\r\n", "a=inactive", false},
		{"recvonly", body + "a=recvonly\r\n", "a=sendonly", true},
		{"0.0.0.0", zero, "a=recvonly", false},
		{"back again", body, "a=sendrecv", true},
	} {
		p.reinvite(tt.body)
		ok := p.status(200)
		p.ack("")
		if !strings.Contains(ok.body, tt.want+"\r\n") || !strings.Contains(ok.body, "RTP/AVP 8\r\n") {
			t.Errorf("%s is answered with\n%s", tt.why, ok.body)
		}
		if ok.port() != first.port() {
			t.Errorf("%s: our port changed", tt.why)
		}
		if tt.flows {
			p.heard(2, ofType(8))
		} else {
			p.quiet()
		}
	}
	p.reinvite(p.sdp("0")) // without the codec that runs
	p.status(488)
	p.reinvite("v=0\r\nm=audio x\r\n")
	p.status(400)
	p.heard(2, ofType(8))
	p.bye()
}

// TestPhoneMoves: who sends a re-INVITE from another address is reached there from then on, and its RTP is taken from
// there.
func TestPhoneMoves(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		_, _ = in.Collect(ctx, pbx.Collect{Max: 1, First: wait})
	})
	p := phone(r)
	p.call(p.sdp("8 101", eventLine(101)))
	moved, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Skip("skipped: no second loopback address here")
	}
	defer moved.Close()
	media, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	p.conn = moved
	p.reinvite(p.sdp("8 101", eventLine(101))) // behind NAT: its SDP has an address that it is not heard from
	port := p.status(200).port()
	p.ack("")
	p.media = media
	p.digits(port, 101, "1")
	p.respond(p.request("BYE"), 200, "") // the digit was taken, and the script is at its end
}

// quiet empties the socket and sees that nothing more comes for a few frames.
func (p *peer) quiet() {
	p.t.Helper()
	buf := make([]byte, 2048)
	until := time.Now().Add(5 * frameDuration) // what was on its way
	for {
		_ = p.media.SetReadDeadline(until)
		if _, _, err := p.media.ReadFromUDP(buf); err != nil {
			break
		}
	}
	_ = p.media.SetReadDeadline(time.Now().Add(5 * frameDuration))
	if n, _, err := p.media.ReadFromUDP(buf); err == nil {
		p.t.Errorf("%d bytes came while nothing should", n)
	}
}

// TestReinviteWithoutOffer: we offer what runs; and an offer that comes meanwhile is glare.
func TestReinviteWithoutOffer(t *testing.T) {
	r := start(t, setup{}, answering(t, nil))
	p := phone(r)
	p.call(p.sdp("8 97", eventLine(97)))
	p.reinvite("")
	ok := p.status(200)
	if !strings.Contains(ok.body, "RTP/AVP 8 97\r\n") || !strings.Contains(ok.body, "a=sendrecv") {
		t.Errorf("the offer is\n%s", ok.body)
	}
	seq := p.seq
	p.send(p.build("UPDATE", p.contact, p.sdp("8")))
	p.receive("491", func(m message) bool { return m.status() == 491 })
	after := p.seq
	p.seq = seq
	p.ack(p.sdp("8 97", eventLine(97)))
	p.seq = after
	for status := 491; status != 200; { // until the answer in the ACK is taken
		p.send(p.build("UPDATE", p.contact, p.sdp("8")))
		status = p.receive("answer to UPDATE", func(m message) bool {
			return m.status() >= 200 && m.get("cseq") == fmt.Sprintf("%d UPDATE", p.seq)
		}).status()
	}
	p.bye()
}

func TestInfo(t *testing.T) {
	typed := make(report[string], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		got, err := in.Collect(ctx, pbx.Collect{Max: 10, Terminator: '#', First: wait, Next: wait})
		if err != nil {
			t.Errorf("Collect: %v", err)
		}
		typed <- got
		<-in.Done()
	})
	p := phone(r)
	p.call(p.sdp("8"))
	info := func(contentType, body string, status int) {
		t.Helper()
		var extra []string
		if contentType != "" {
			extra = append(extra, "Content-Type: "+contentType)
		}
		raw := p.build("INFO", p.contact, body, extra...)
		if contentType == "" {
			raw = without(raw, "Content-Type")
		}
		p.send(raw)
		p.status(status)
	}
	info("application/dtmf-relay", "Signal=4\r\nDuration=100\r\n", 200)
	info("", "Signal=5", 415)
	info("", "", 415)
	info("application/sdp", "v=0", 415)
	info("application/dtmf-relay", "Signal=??", 400)
	info("application/dtmf", "2", 200)
	info("application/dtmf-relay", "Signal=#\r\n", 200)
	if got := typed.get(t); got != "42" {
		t.Errorf("collected %q", got)
	}
	p.bye()
}

// TestOutOfDialog: requests to no dialog, and out of order.
func TestOutOfDialog(t *testing.T) {
	r := start(t, setup{}, answering(t, nil))
	p := phone(r)
	p.call(p.sdp("8"))
	good := p.from
	p.from = "<sip:x@127.0.0.1>;tag=somebody"
	for _, method := range []string{"BYE", "INFO", "UPDATE", "INVITE", "OPTIONS"} {
		p.send(p.build(method, p.contact, ""))
		p.status(481)
	}
	p.send(p.build("CANCEL", p.contact, ""))
	p.status(481)
	p.from = good
	seq := p.seq
	p.seq = 0
	p.send(p.build("INFO", p.contact, ""))
	p.status(500)
	p.seq = seq
	p.bye()
}

// TestNoAck: a 200 is repeated until its ACK comes; when none comes the call is ended, and hung up.
func TestNoAck(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err == nil {
			t.Error("answered without ACK")
		}
		ends <- in.End()
	})
	p := phone(r)
	p.dial(p.sdp("8"))
	for range 4 {
		p.established(p.status(200))
	}
	bye := p.request("BYE")
	p.respond(bye, 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure || end.SIP != 408 {
		t.Errorf("ended %+v", end)
	}
}

// TestHangupBeforeAck: BYE waits for the ACK (RFC 3261 section 15).
func TestHangupBeforeAck(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		go func() { _ = in.Answer(ctx) }()
		for in.AnsweredAt().IsZero() {
			time.Sleep(time.Millisecond)
		}
		in.Hangup(pbx.Cause{SIP: 480, Q850: 31})
	})
	p := phone(r)
	p.dial(p.sdp("8"))
	p.established(p.status(200))
	again := p.receive("another message", func(message) bool { return true })
	if again.status() != 200 {
		t.Fatalf("before its ACK comes %q", again.first)
	}
	p.ack("")
	bye := p.request("BYE")
	if bye.get("reason") != "Q.850;cause=31" {
		t.Errorf("Reason is %q", bye.get("reason"))
	}
	p.respond(bye, 200, "")
}

// TestCrossingBye: both hang up at once; both get a 200.
func TestCrossingBye(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) { _ = in.Answer(ctx) })
	p := phone(r)
	p.call(p.sdp("8"))
	ours := p.request("BYE")
	p.bye()
	p.respond(ours, 200, "")
}

// TestSessionTimer: who refreshes, and that nothing is agreed that was not asked for.
func TestSessionTimer(t *testing.T) {
	for _, tt := range []struct {
		why           string
		extra         []string
		want, require string
	}{
		{"no timers", nil, "", ""},
		{"able, not asking", []string{"Supported: 100rel, timer"}, "1800;refresher=uac", "timer"},
		{"asking", []string{"Supported: timer", "Session-Expires: 600"}, "600;refresher=uac", "timer"},
		{"compact forms", []string{"k: timer", "x: 600"}, "600;refresher=uac", "timer"},
		{"asking us", []string{"Supported: timer", "Session-Expires: 600;refresher=uas"}, "600;refresher=uas", ""},
		{"a proxy asks", []string{"Session-Expires: 600"}, "600;refresher=uas", ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			r := start(t, setup{}, answering(t, nil))
			p := phone(r)
			ok := p.call(p.sdp("8"), tt.extra...)
			if ok.get("session-expires") != tt.want || ok.get("require") != tt.require {
				t.Errorf("Session-Expires %q, Require %q", ok.get("session-expires"), ok.get("require"))
			}
			p.bye()
		})
	}
}

func quick(e *Engine) { e.minExpires = time.Second }

// TestSessionExpires: a caller who does not refresh as agreed is gone.
func TestSessionExpires(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{tweak: quick}, answering(t, ends))
	p := phone(r)
	began := time.Now()
	p.call(p.sdp("8"), "Supported: timer", "Session-Expires: 1")
	p.send(p.build("UPDATE", p.contact, "", "Supported: timer", "Session-Expires: 1;refresher=uac"))
	p.status(200)
	p.respond(p.request("BYE"), 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure || time.Since(began) < 500*time.Millisecond {
		t.Errorf("ended %+v", end)
	}
}

// TestSessionRefresh: we refresh when that is ours to do, by UPDATE or else by re-INVITE, and end what is unknown.
func TestSessionRefresh(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{tweak: quick}, answering(t, ends))
	p := phone(r)
	ok := p.call(p.sdp("8"), "Supported: timer", "Session-Expires: 1;refresher=uas", "Allow: INVITE, UPDATE")
	refreshed := "Session-Expires: 1;refresher=uac"
	update := p.request("UPDATE")
	if update.get("session-expires") != "1;refresher=uac" || update.body != "" {
		t.Errorf("Session-Expires %q, body %q", update.get("session-expires"), update.body)
	}
	p.respond(update, 405, "")
	reinvite := p.request("INVITE")
	if ok.body != reinvite.body {
		t.Errorf("the refresh changes the session from\n%s\nto\n%s", ok.body, reinvite.body)
	}
	p.respond(reinvite, 200, p.sdp("8"), refreshed)
	p.request("ACK")
	p.respond(p.receive("next INVITE", func(m message) bool {
		return m.method() == "INVITE" && m.get("cseq") != reinvite.get("cseq")
	}), 481, "")
	p.request("ACK")
	p.respond(p.request("BYE"), 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure || end.SIP != 481 {
		t.Errorf("ended %+v", end)
	}
}

// TestRefreshOnHold: a refresh says what holds, and an answer to it that can't be taken is none.
func TestRefreshOnHold(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{tweak: quick}, answering(t, ends))
	p := phone(r)
	p.call(p.sdp("8", "a=sendonly"), "Supported: timer", "Session-Expires: 1;refresher=uas")
	ours := p.request("INVITE")
	if !strings.Contains(ours.body, "a=recvonly") {
		t.Errorf("the refresh says\n%s", ours.body)
	}
	for bye := false; !bye; { // each refresh is answered with another codec
		p.respond(ours, 200, p.sdp("0"), "Session-Expires: 1;refresher=uac")
		p.request("ACK")
		ours = p.receive("INVITE or BYE", func(m message) bool { return m.method() == "INVITE" || m.method() == "BYE" })
		bye = ours.method() == "BYE"
	}
	p.respond(ours, 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure || end.SIP != 408 {
		t.Errorf("ended %+v", end)
	}
}

// TestRefreshRefused: a refused re-INVITE is not followed by the next at once.
func TestRefreshRefused(t *testing.T) {
	r := start(t, setup{tweak: quick}, answering(t, nil))
	p := phone(r)
	p.call(p.sdp("8"), "Supported: timer", "Session-Expires: 2;refresher=uas")
	p.respond(p.request("INVITE"), 405, "")
	p.request("ACK")
	p.hearsNothing(100 * time.Millisecond)
	p.bye()
}

// TestGlare: an offer of the other side while ours is open.
func TestGlare(t *testing.T) {
	r := start(t, setup{tweak: quick}, answering(t, nil))
	p := phone(r)
	p.call(p.sdp("8"), "Supported: timer", "Session-Expires: 1;refresher=uas")
	ours := p.request("INVITE")
	p.reinvite(p.sdp("8"))
	p.receive("491", func(m message) bool { return m.status() == 491 })
	p.respond(ours, 491, "")
	p.request("ACK")
	p.bye()
}

// TestCarrierHangsUp: End of the far leg bears the cause of the Reason header.
func TestCarrierHangsUp(t *testing.T) {
	d := dialing(t, "8", nil)
	m := d.carrier.request("INVITE")
	d.carrier.respond(m, 200, d.carrier.sdp("8"))
	d.carrier.request("ACK")
	got := d.out.get(t)
	if got.err != nil {
		t.Fatal(got.err)
	}
	d.carrier.answered(m)
	d.carrier.send(d.carrier.build("BYE", d.carrier.contact, "", `Reason: Q.850 ;cause=38;text="out of order"`))
	d.carrier.status(200)
	<-got.far.Done()
	if end := got.far.End(); end.By != pbx.ByPeer || end.SIP != 200 || end.Q850 != 38 || end.At.Before(got.far.AnsweredAt()) {
		t.Errorf("ended %+v", end)
	}
	d.caller.bye()
}

// TestTransportTCP: a call in over TCP, and its BYE back by the same connection.
func TestTransportTCP(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) { _ = in.Answer(ctx) })
	p := tcpPhone(t, r)
	p.write(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.read("100")
	ok := p.read("200")
	p.established(ok)
	if !strings.Contains(ok.get("contact"), ";transport=tcp") {
		t.Errorf("Contact is %q", ok.get("contact"))
	}
	p.write(p.build("ACK", p.contact, ""))
	bye := p.read("BYE")
	if via := fmt.Sprintf("SIP/2.0/TCP 127.0.0.1:%d", r.port()); !strings.HasPrefix(bye.get("via"), via) {
		t.Errorf("Via is %q", bye.get("via"))
	}
}
