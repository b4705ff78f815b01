package sipua

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// tcpPeer is a peer that speaks SIP over one TCP connection.
type tcpPeer struct {
	*peer
	conn net.Conn
	in   *bufio.Reader
}

func tcpPhone(t *testing.T, r *rig) *tcpPeer {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &tcpPeer{peer: phone(r), conn: conn, in: bufio.NewReader(conn)}
	p.newCall("+491711234567")
	return p
}

func (s *tcpPeer) write(raw string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, strings.ReplaceAll(raw, "SIP/2.0/UDP", "SIP/2.0/TCP")); err != nil {
		s.t.Fatal(err)
	}
}

// read gives the next message, which must begin with want, a method or a status.
func (s *tcpPeer) read(want string) message {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(wait))
	var head strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.t.Fatalf("no %s: %v", want, err)
		}
		if line == "\r\n" && head.Len() > 0 {
			break
		}
		head.WriteString(line)
	}
	m := parse(head.String() + "\r\n")
	length, _ := strconv.Atoi(m.get("content-length"))
	body := make([]byte, length)
	if _, err := io.ReadFull(s.in, body); err != nil {
		s.t.Fatal(err)
	}
	m.body = string(body)
	if m.method() != want && strconv.Itoa(m.status()) != want {
		s.t.Fatalf("got %q, want %s", m.first, want)
	}
	return m
}

// TestTrunkTCP: a call out over TCP, all of its requests by one connection.
func TestTrunkTCP(t *testing.T) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	trunk := routing.Trunk{Code: "t", Address: listen.Addr().String(), Transport: "tcp"}
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		if _, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunk, Number: "+380441234567"}); err != nil {
			t.Errorf("Dial: %v", err)
		}
	})
	caller := phone(r)
	caller.call(caller.sdp("8"))
	conn, err := listen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	carrier := &tcpPeer{peer: newPeer(t), conn: conn, in: bufio.NewReader(conn)}
	invite := carrier.read("INVITE")
	if want := "INVITE sip:380441234567@" + listen.Addr().String() + ";transport=tcp SIP/2.0"; invite.first != want {
		t.Errorf("got %q", invite.first)
	}
	body := carrier.sdp("8")
	carrier.write(fmt.Sprintf("SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=c\r\nCall-ID: %s\r\nCSeq: %s\r\n"+
		"Contact: <sip:c@%s;transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		invite.get("via"), invite.get("from"), invite.get("to"), invite.get("call-id"), invite.get("cseq"),
		listen.Addr(), len(body), body))
	carrier.read("ACK")
	carrier.read("BYE") // the script is at its end
}

// TestBrokenConnection: a caller whose connection breaks before the answer is gone.
func TestBrokenConnection(t *testing.T) {
	ends := make(report[pbx.End], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Ring(ctx)
		<-ctx.Done()
		ends <- in.End()
	})
	p := tcpPhone(t, r)
	p.write(p.build("INVITE", p.accessURI(), p.sdp("8")))
	p.read("100")
	p.read("180")
	p.conn.Close()
	if end := ends.get(t); end.By != pbx.ByFailure {
		t.Errorf("ended %+v", end)
	}
}

// softphones is a setup in which nobody is known by address.
func softphones() setup {
	return setup{providers: []pbx.Provider{{Code: "soft", User: "ann", Password: "secret"}}}
}

// connect opens n connections.
func connect(t *testing.T, r *rig, n int) (open []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		open = append(open, c)
	}
	return open
}

// isClosed tells whether the engine closes a connection within a time.
func isClosed(c net.Conn, within time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestConnectionsBounded: one host can't take all connections, and what it gives back is free again.
func TestConnectionsBounded(t *testing.T) {
	r := start(t, softphones(), unreached(t))
	open := connect(t, r, maxConnsHost)
	if !isClosed(connect(t, r, 1)[0], firstMessage/2) { // before it is closed for its silence
		t.Fatal("a connection over the bound stays")
	}
	for _, c := range open {
		c.Close()
	}
	for {
		p := tcpPhone(t, r)
		p.write(p.build("OPTIONS", p.accessURI(), ""))
		_ = p.conn.SetReadDeadline(time.Now().Add(wait))
		if _, err := p.in.Peek(1); err == nil {
			p.read("401")
			return
		}
		p.conn.Close() // the engine has not seen the others close yet
	}
}

// TestConnectionsOfProviders are not counted.
func TestConnectionsOfProviders(t *testing.T) {
	r := start(t, setup{}, unreached(t))
	open := connect(t, r, maxConnsHost+1)
	if isClosed(open[maxConnsHost], 200*time.Millisecond) {
		t.Error("a provider's connection is closed")
	}
}

// TestConnectionsIdle: who has not been admitted may not keep a connection, whatever he says; who has may.
func TestConnectionsIdle(t *testing.T) {
	s := softphones()
	s.tweak = func(e *Engine) { e.tcp.first = 200 * time.Millisecond }
	r := start(t, s, unreached(t))
	stranger, phone := tcpPhone(t, r), tcpPhone(t, r)
	uri := "sip:" + phone.engine.String()
	for _, p := range []*tcpPeer{stranger, phone} {
		p.write(p.build("REGISTER", uri, ""))
		challenge := p.read("401")
		if p == phone {
			p.write(p.build("REGISTER", uri, "", credentials(challenge, "REGISTER", uri, "ann", "secret", 1)))
			p.read("200")
		}
	}
	if !isClosed(stranger.conn, wait) {
		t.Error("the stranger's connection stays")
	}
	if isClosed(phone.conn, 400*time.Millisecond) {
		t.Error("the phone's connection is closed")
	}
}
