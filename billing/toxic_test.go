package billing_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// commitLost lets a connection end in place of the answer to every second COMMIT: it was carried out, and nobody knows.
type commitLost struct{}

var commits, commitsLost atomic.Int64

func (*commitLost) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if bytes.Contains(c.Data, []byte("COMMIT\x00")) && commits.Add(1)%2 == 0 {
				commitsLost.Add(1)
				stub.Close()
				return
			}
			stub.Output <- c
		}
	}
}

func init() { toxics.Register("commit_lost", new(commitLost)) }

// overTCP gives a pool on the same database, reached over TCP through a proxy.
func overTCP(t *testing.T, db *sqlx.DB) (*sqlx.DB, *toxiproxy.Proxy) {
	t.Helper()
	_, server := throughLine(t, db)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := tcp.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { server.serve(client) })
		}
	})
	toxic := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(toxic, "postgres", "127.0.0.1:0", tcp.Addr().String())
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	_, user, _ := strings.Cut(pgtest.DSN(t, db), " user=")
	pool, err := postgres.Open(t.Context(), postgres.Options{DSN: fmt.Sprintf("host=127.0.0.1 port=%s user=%s", port, user)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close() //nolint:errcheck // it says that connections were cut, which the test did
		proxy.Stop()
		tcp.Close()
		server.cut()
		serving.Wait()
	})
	return pool.DB, proxy
}

// Over TCP: answers to commits get lost, then the database is away. No end of a call is lost, none is charged twice, and
// what had to wait is stored within 5 s of the return.
func TestCommitLostOverTCP(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	pool, proxy := overTCP(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	const calls = 60
	requests := authorised(t, h, "ana", calls)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"type": "commit_lost", "stream": "downstream"}`)); err != nil {
		t.Fatal(err)
	}
	settle := func(some []billing.Request) {
		var settling sync.WaitGroup
		for _, r := range some {
			settling.Go(func() {
				if err := s.Settle(t.Context(), settlement(r.Call, 10*time.Second)); err != nil {
					t.Error(err)
				}
			})
		}
		settling.Wait()
	}
	settle(requests[:calls/2])
	if commitsLost.Load() == 0 {
		t.Error("no answer was lost")
	}
	proxy.Stop()
	proxy.Toxics.ResetToxics(t.Context())
	settle(requests[calls/2:])
	if h.count(t, `SELECT count(*) FROM hold`) < calls/2 {
		t.Error("calls were settled without a database")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := make(chan error)
	go func() { running <- s.Run(ctx) }()
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	for back := time.Now(); h.count(t, `SELECT count(*) FROM hold`) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(back) > 5*time.Second {
			t.Fatal("calls are not settled 5 s after the return")
		}
	}
	cancel()
	if err := <-running; err != nil {
		t.Error(err)
	}
	h.wantAccount(t, "ana", 100*money.Unit-calls*10_000, 0)
	h.wantBooks(t)
	if n := h.count(t, `SELECT count(*) FROM entry WHERE kind = 'call'`); n != calls {
		t.Errorf("%d entries of %d calls", n, calls)
	}
}
