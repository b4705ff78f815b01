package asterisk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// proofTime bounds the look at a carrier's certificate.
const proofTime = time.Second

// unproved tells what the server of a trunk over TLS fails to prove, once a call to it has come to nothing: Asterisk only
// says that it did. nil when it proves all, or can't be asked. An Asterisk that runs elsewhere may see another server.
func (e *Engine) unproved(t routing.Trunk, failed *pbx.DialError) error {
	if e.private == nil || t.Transport != "tls" || failed.Rang || failed.SIP != 0 && failed.SIP != 503 {
		return nil
	}
	if why := e.barred(t.Code); why != "" {
		return errors.New(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), proofTime)
	defer cancel()
	return proof(ctx, t)
}

// proof asks for the certificate of a trunk's server, and holds it against what the trunk wants.
func proof(ctx context.Context, t routing.Trunk) error {
	if _, _, err := net.SplitHostPort(t.Address); err != nil {
		return nil //nolint:nilerr // servers of a domain are looked up by Asterisk alone
	}
	wants := &tls.Config{ServerName: hostOf(t.Address), MinVersion: tls.VersionTLS12}
	if t.TLSName != "" {
		wants.ServerName = t.TLSName
	}
	if t.TLSCA != "" {
		wants.RootCAs = x509.NewCertPool()
		wants.RootCAs.AppendCertsFromPEM([]byte(t.TLSCA))
	}
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil //nolint:nilerr // that is not about a certificate
	}
	defer plain.Close()
	if err := tls.Client(plain, wants).HandshakeContext(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("TLS with %s: %w", wants.ServerName, err)
	}
	return nil
}
