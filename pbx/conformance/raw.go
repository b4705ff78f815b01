package conformance

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rawPeer sends SIP letter by letter, right or wrong: one request, from a socket of its own, so that late answers to
// another one are not taken for its own.
type rawPeer struct {
	t     *testing.T
	conn  *net.UDPConn
	media *net.UDPConn
}

func newRawPeer(t *testing.T, engine string) *rawPeer {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp", engine)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	media, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { media.Close() })
	return &rawPeer{t: t, conn: conn, media: media}
}

// raw sends an INVITE from a new peer and gives the status of the final answer.
func (r *rig) raw(number, sdp string, lines map[string]string) int {
	r.t.Helper()
	p := newRawPeer(r.t, r.address)
	return p.final(p.invite(number, sdp, lines))
}

const goodSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio PORT RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"

// invite makes an INVITE to number with a header's line in place of the usual one; an empty line leaves the header out.
func (p *rawPeer) invite(number, sdp string, lines map[string]string) string {
	us := p.conn.LocalAddr().String()
	tag := strconv.FormatInt(time.Now().UnixNano(), 36)
	sdp = strings.ReplaceAll(sdp, "PORT", strconv.Itoa(p.media.LocalAddr().(*net.UDPAddr).Port))
	headers := []struct{ name, value string }{
		{"Via", "SIP/2.0/UDP " + us + ";rport;branch=z9hG4bK" + tag},
		{"From", `"Raw" <sip:` + mobile.String() + "@" + us + ">;tag=" + tag},
		{"To", "<sip:" + number + "@127.0.0.1>"},
		{"Call-ID", tag},
		{"CSeq", "1 INVITE"},
		{"Max-Forwards", "70"},
		{"Contact", "<sip:raw@" + us + ">"},
		{"Content-Type", "application/sdp"},
		{"Content-Length", strconv.Itoa(len(sdp))},
	}
	var b strings.Builder
	b.WriteString("INVITE sip:" + number + "@127.0.0.1 SIP/2.0\r\n")
	for _, h := range headers {
		line, other := lines[h.name]
		switch {
		case !other:
			b.WriteString(h.name + ": " + h.value + "\r\n")
		case line != "":
			b.WriteString(h.name + ": " + strings.ReplaceAll(line, "TAG", tag) + "\r\n")
		}
	}
	return b.String() + "\r\n" + sdp
}

// final sends a request and gives the status of its final answer, which is acknowledged; an answered call is hung up when
// something was heard of it. 0: no answer came within two seconds.
func (p *rawPeer) final(request string) int {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(request)); err != nil {
		p.t.Fatal(err)
	}
	buf := make([]byte, 65535)
	for deadline := time.Now().Add(2 * time.Second); ; {
		_ = p.conn.SetReadDeadline(deadline)
		n, err := p.conn.Read(buf)
		if err != nil {
			return 0
		}
		answer := string(buf[:n])
		if len(answer) < 12 || !strings.HasPrefix(answer, "SIP/2.0 ") {
			continue // a request of the engine's
		}
		status, err := strconv.Atoi(answer[8:11])
		if err != nil {
			p.t.Fatalf("answer %q", answer)
		}
		if status < 200 {
			continue
		}
		if strings.HasPrefix(request, "INVITE") {
			p.follow(request, answer, "ACK", 1)
			if status == 200 {
				_ = p.media.SetReadDeadline(time.Now().Add(2 * time.Second))
				_, _ = p.media.Read(buf) // a call on hold hears nothing
				p.follow(request, answer, "BYE", 2)
			}
		}
		return status
	}
}

var toLine = regexp.MustCompile(`(?m)^To:.*\r\n`)

// follow sends what follows an answer to an INVITE: the INVITE's own headers with the answer's To.
func (p *rawPeer) follow(invite, answer, method string, cseq int) {
	head, _, _ := strings.Cut(invite, "\r\n\r\n")
	head = strings.Replace(head, "INVITE ", method+" ", 1) + "\r\n"
	head = toLine.ReplaceAllLiteralString(head, toLine.FindString(answer))
	head = regexp.MustCompile(`(?m)^CSeq:.*\r\n`).ReplaceAllLiteralString(head, fmt.Sprintf("CSeq: %d %s\r\n", cseq, method))
	head = regexp.MustCompile(`(?m)^Content-.*\r\n`).ReplaceAllLiteralString(head, "")
	if answer[8:11] == "200" {
		head = strings.Replace(head, "branch=z9hG4bK", "branch=z9hG4bK"+method, 1)
	}
	if _, err := p.conn.Write([]byte(head + "Content-Length: 0\r\n\r\n")); err != nil {
		p.t.Fatal(err)
	}
}
