package sipua

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/diago"
	diagomedia "github.com/emiago/diago/media"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"telecommune/pbx"
)

// TestPanic: a script that panics ends its own call, before the answer with 500, after it with BYE; the others go on.
func TestPanic(t *testing.T) {
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		switch in.Inbound().Name {
		case "before":
			panic("before the answer")
		case "after":
			_ = in.Answer(ctx)
			panic("after the answer")
		}
		_ = in.Answer(ctx)
		<-ctx.Done()
	})
	steady := phone(r)
	steady.call(steady.sdp("8"))
	p := phone(r)
	p.newCall("+491711234567")
	p.from = `"before" ` + p.from
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.status(500)
	p.newCall("+491711234567")
	p.from = `"after" ` + p.from
	p.send(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.established(p.receive("200", func(m message) bool { return m.status() == 200 }))
	p.ack("")
	p.respond(p.request("BYE"), 200, "")
	steady.bye()
}

// TestPanicWithin: a panic in the handling of a request within a dialog, or in a goroutine of a leg, ends that leg.
func TestPanicWithin(t *testing.T) {
	ends := make(report[pbx.End], 2)
	legs := make(report[*leg], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		legs <- in.(*leg)
		<-in.Done()
		ends <- in.End()
	})
	p := phone(r)
	p.call(p.sdp("8"))
	broken := legs.get(t)
	m := broken.media
	broken.mu.Lock()
	broken.media = nil // what no bug should do
	broken.mu.Unlock()
	p.reinvite(p.sdp("8"))
	p.status(500)
	p.respond(p.request("BYE"), 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure || end.SIP != 500 {
		t.Errorf("ended %+v", end)
	}
	m.close()

	p.call(p.sdp("8"))
	r.spawn(legs.get(t), func() { panic("in a goroutine") })
	p.respond(p.request("BYE"), 200, "")
	if end := ends.get(t); end.By != pbx.ByFailure {
		t.Errorf("ended %+v", end)
	}
}

// TestHandlerReturns: what the script leaves up is hung up, the legs that it dialled as well.
func TestHandlerReturns(t *testing.T) {
	carrier := newPeer(t)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		_, _ = in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(carrier), Number: "+380441234567"})
	})
	p := phone(r)
	p.call(p.sdp("8"))
	m := carrier.request("INVITE")
	carrier.respond(m, 200, carrier.sdp("8"))
	carrier.respond(carrier.request("BYE"), 200, "")
	p.respond(p.request("BYE"), 200, "")
}

// TestShutdown: new calls get 503, those there are get BYE, and Run ends though one side never answers that.
func TestShutdown(t *testing.T) {
	up := make(chan struct{}, 2)
	var waiting sync.WaitGroup
	waiting.Add(2)
	r := start(t, setup{tweak: func(e *Engine) { e.stopTime = time.Second }}, func(ctx context.Context, in pbx.Leg) {
		defer waiting.Done()
		_ = in.Answer(ctx)
		up <- struct{}{}
		<-ctx.Done()
	})
	polite, mute, late := phone(r), phone(r), phone(r)
	polite.call(polite.sdp("8"))
	mute.call(mute.sdp("8"))
	<-up
	<-up
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	bye := polite.request("BYE")
	polite.respond(bye, 200, "")
	late.dial(late.sdp("8"))
	late.status(503)
	<-stopped
	waiting.Wait()
	if conn, err := net.ListenUDP("udp", r.udp.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		conn.Close()
	}
}

// TestNothingLeft: after 50 calls no goroutine, no socket and no entry in a table is left.
func TestNothingLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var carriers sync.Map
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		v, _ := carriers.Load(in.Inbound().Name)
		far, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunkTo(v.(*peer)), Number: "+380441234567"})
		if err != nil {
			return
		}
		if b, err := in.(*leg).e.Bridge(in, far); err == nil {
			<-far.Done()
			b.Close()
		}
	})
	var calls sync.WaitGroup
	for i := range 50 {
		p, carrier := phone(r), newPeer(t)
		carriers.Store(p.addr(), carrier)
		p.newCall("+491711234567")
		p.from = `"` + p.addr() + `" ` + p.from
		invite := p.build("INVITE", p.accessURI(), p.sdp("8"))
		ack := strings.Replace(p.build("ACK", p.accessURI(), ""), "To: "+p.to, "To: %to", 1)
		calls.Go(func() {
			p.send(invite)
			p.established(p.status(200))
			p.send(strings.Replace(ack, "%to", p.to, 1))
			m := carrier.request("INVITE")
			if i%2 == 0 {
				carrier.respond(m, 486, "")
			} else {
				carrier.respond(m, 200, carrier.sdp("8"))
				carrier.request("ACK")
				carrier.answered(m)
				carrier.send("BYE " + carrier.contact + " SIP/2.0\r\nVia: SIP/2.0/UDP " + carrier.addr() + ";branch=z9hG4bKbye" + carrier.id +
					"\r\nMax-Forwards: 70\r\nFrom: " + carrier.from + "\r\nTo: " + carrier.to + "\r\nCall-ID: " + carrier.id +
					"\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n")
				carrier.status(200)
			}
			p.respond(p.request("BYE"), 200, "")
		})
	}
	calls.Wait()
	r.stop()
	r.mu.Lock()
	if len(r.dialogs) != 0 || len(r.invites) != 0 || len(r.outgoing) != 0 {
		t.Errorf("left: %d dialogs, %d INVITEs, %d outgoing", len(r.dialogs), len(r.invites), len(r.outgoing))
	}
	r.mu.Unlock()
	goleak.VerifyNone(t, before)
}

// TestPortTaken: an address in use is a clear error, and nothing is left open.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	if _, err := New(Config{Listen: address}); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
	free, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Errorf("UDP is still held: %v", err)
	} else {
		free.Close()
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", RTPPorts: "nonsense"}); err == nil {
		t.Error("nonsense for RTP ports is taken")
	}
}

// TestManySources: the library forgets the sources that it has seen, and what is in progress goes on over that.
func TestManySources(t *testing.T) {
	r := start(t, setup{tweak: func(e *Engine) { e.udp.most = 10 }}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		<-ctx.Done()
	})
	p := phone(r)
	p.call(p.sdp("8"))
	for range 30 {
		other := phone(r)
		other.newCall("x")
		other.send(other.build("OPTIONS", other.accessURI(), ""))
		_ = other.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // the one that filled the table is lost
		_, _, _ = other.conn.ReadFromUDP(make([]byte, 2048))
	}
	if n := r.ua.TransportLayer().Pool("udp").Size(); n > 15 {
		t.Errorf("%d sources are kept", n)
	}
	p.bye()
}

// TestDiagoPhone: a phone that we did not write calls, types a PIN and hears the prompt.
func TestDiagoPhone(t *testing.T) {
	hello := wav(t, 200*time.Millisecond, 1000)
	typed := make(report[string], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		if err := in.Answer(ctx); err != nil {
			t.Errorf("Answer: %v", err)
		}
		pin, err := in.Collect(ctx, pbx.Collect{Prompt: []string{hello}, Max: 12, First: wait, Next: wait})
		if err != nil {
			t.Errorf("Collect: %v", err)
		}
		typed <- pin
		<-in.Done()
	})
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("diago"), sipgo.WithUserAgentHostname("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer ua.Close()
	quiet := slog.New(slog.DiscardHandler)
	phone := diago.NewDiago(ua, diago.WithLogger(quiet), diago.WithMediaConfig(diago.MediaConfig{
		Codecs: []diagomedia.Codec{diagomedia.CodecAudioAlaw, diagomedia.CodecTelephoneEvent8000},
	}))
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	call, err := phone.Invite(ctx, sip.Uri{Scheme: "sip", User: string(access), Host: "127.0.0.1", Port: r.port()}, diago.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer call.Close()
	audio, err := call.AudioReader()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(audio, make([]byte, 2*frameSamples)); err != nil {
		t.Errorf("the prompt: %v", err)
	}
	dtmf, err := call.AudioWriterDTMF()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range "123456789012" {
		if err := dtmf.WriteDTMF(d); err != nil {
			t.Fatal(err)
		}
	}
	if pin := typed.get(t); pin != "123456789012" {
		t.Errorf("collected %q", pin)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Errorf("hang-up: %v", err)
	}
}
