package sipua

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// certified makes an authority, and a certificate of it for a name.
func certified(t *testing.T, name string) (authority string, server tls.Certificate) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, serverKey := key(), key()
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER := sign(ca, ca, caKey, caKey)
	der := sign(&x509.Certificate{DNSNames: []string{name}}, ca, serverKey, caKey)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})), tls.Certificate{
		Certificate: [][]byte{der}, PrivateKey: serverKey,
	}
}

func (s *secured) connected(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[addr] != nil
}

// TestTrunkTLS: a carrier is called by TLS when its certificate bears the right name and is vouched for as the trunk says,
// and else not at all; the requests of a call take its one connection.
func TestTrunkTLS(t *testing.T) {
	authority, certificate := certified(t, "carrier.example")
	stranger, _ := certified(t, "carrier.example")
	listen, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	right := routing.Trunk{Code: "t", Address: listen.Addr().String(), Transport: "tls", TLSName: "carrier.example", TLSCA: authority}
	unknown, system, renamed := right, right, right
	unknown.TLSCA, system.TLSCA, renamed.TLSName = stranger, "", "other.example"

	trunks := make(chan routing.Trunk)
	results := make(report[error], 1)
	r := start(t, setup{}, func(ctx context.Context, in pbx.Leg) {
		_ = in.Answer(ctx)
		for trunk := range trunks {
			_, err := in.(*leg).e.Dial(ctx, in, pbx.Target{Trunk: trunk, Number: "+380441234567"})
			results <- err
		}
	})
	caller := phone(r)
	caller.call(caller.sdp("8"))
	refused := func(proves string, trunk routing.Trunk, accept bool) {
		t.Helper()
		if accept {
			go func() {
				conn, err := listen.Accept()
				if err == nil {
					_ = conn.(*tls.Conn).Handshake() // which the engine breaks off
					conn.Close()
				}
			}()
		}
		trunks <- trunk
		if err := results.get(t); err == nil || !strings.Contains(err.Error(), "TLS with") {
			t.Errorf("%s: %v", proves, err)
		}
	}
	refused("an authority that the trunk does not name", unknown, true)
	refused("one that the system does not know", system, true)
	refused("another name", renamed, true)

	trunks <- right
	conn, err := listen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	carrier := &tcpPeer{peer: newPeer(t), conn: conn, in: bufio.NewReader(conn)}
	invite := carrier.read("INVITE")
	if want := "INVITE sip:380441234567@" + listen.Addr().String() + ";transport=tls SIP/2.0"; invite.first != want ||
		!strings.HasPrefix(invite.get("via"), "SIP/2.0/TLS ") || !strings.Contains(invite.get("contact"), ";transport=tls") {
		t.Errorf("got %q, Via %q, Contact %q", invite.first, invite.get("via"), invite.get("contact"))
	}
	body := carrier.sdp("8")
	carrier.write(strings.Join([]string{
		"SIP/2.0 200 OK", "Via: " + invite.get("via"), "From: " + invite.get("from"), "To: " + invite.get("to") + ";tag=carrier",
		"Call-ID: " + invite.get("call-id"), "CSeq: " + invite.get("cseq"), "Contact: <sip:x@192.0.2.1:5061;transport=tcp>",
		"Content-Type: application/sdp", "Content-Length: " + strconv.Itoa(len(body)), "", body,
	}, "\r\n"))
	carrier.read("ACK") // whatever the Contact says
	if err := results.get(t); err != nil {
		t.Errorf("Dial: %v", err)
	}
	refused("a connection that stands, for another name", renamed, false)
	conn.Close()
	for deadline := time.Now().Add(wait); r.tls.connected(listen.Addr().String()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a connection that is closed is kept")
		}
	}
	close(trunks) // the script is at its end: the call is hung up by a new connection
	if conn, err = listen.Accept(); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	again := &tcpPeer{peer: carrier.peer, conn: conn, in: bufio.NewReader(conn)}
	again.read("BYE")
	caller.respond(caller.request("BYE"), 200, "")
}
