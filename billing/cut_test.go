package billing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// A line stands between a pool and its server, and is cut at commits: of three in turn the first before it is sent, the
// second after it was sent, the third goes through. Down, it takes no connections.
type line struct {
	server   string
	listener net.Listener
	commits  atomic.Int64
	cutting  atomic.Bool
	down     atomic.Bool
	cuts     [2]atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

// throughLine gives a pool on the same database, through a line.
func throughLine(t *testing.T, db *sqlx.DB) (*sqlx.DB, *line) {
	t.Helper()
	dsn := pgtest.DSN(t, db)
	_, host, _ := strings.Cut(dsn, "host='")
	host, rest, _ := strings.Cut(host, "'")
	folder := t.TempDir()
	l := &line{server: filepath.Join(host, ".s.PGSQL.5432")}
	var err error
	if l.listener, err = net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { l.serve(client) })
		}
	})
	pool, err := postgres.Open(t.Context(), postgres.Options{DSN: fmt.Sprintf("host='%s'%s", folder, rest)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close() //nolint:errcheck // it says that connections were cut, which the test did
		l.listener.Close()
		l.cut()
		serving.Wait()
	})
	return pool.DB, l
}

// cut ends all connections.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func (l *line) serve(client net.Conn) {
	defer client.Close()
	if l.down.Load() {
		return
	}
	server, err := net.Dial("unix", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	l.mu.Lock()
	l.conns = append(l.conns, client, server)
	l.mu.Unlock()
	go func() {
		io.Copy(client, server) //nolint:errcheck // a cut ends it
		client.Close()
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if l.cutting.Load() && bytes.Contains(buffer[:n], []byte("COMMIT\x00")) {
			switch l.commits.Add(1) % 3 {
			case 1:
				l.cuts[0].Add(1)
				return
			case 2:
				l.cuts[1].Add(1)
				client.Close()                                 // nobody hears the answer
				server.Write(buffer[:n])                       //nolint:errcheck // as far as it comes
				io.Copy(io.Discard, io.LimitReader(server, 1)) //nolint:errcheck // it was carried out
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// The connection is cut at commits of groups, before and after they were sent, and is away for a while: no end of a call
// is lost, none is charged twice, and what had to wait is stored within seconds of its return.
func TestCutAtCommit(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	pool, line := throughLine(t, h.db)
	s := onDatabase(t, pool, h.spool, "node-1")
	const calls = 60
	requests := authorised(t, h, "ana", calls)
	line.cutting.Store(true)
	var settling sync.WaitGroup
	for i, r := range requests {
		settling.Go(func() {
			if i >= calls/2 { // these find no database at all
				for !line.down.Load() {
					time.Sleep(time.Millisecond)
				}
			}
			if err := s.Settle(t.Context(), settlement(r.Call, 10*time.Second)); err != nil {
				t.Error(err)
			}
			if i < calls/2 && i%10 == 0 {
				line.down.Store(true)
				line.cut()
			}
		})
	}
	settling.Wait()
	if line.cuts[0].Load() == 0 {
		t.Error("nothing was cut")
	}
	line.down.Store(false)
	line.cutting.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := make(chan error)
	go func() { running <- s.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); h.count(t, `SELECT count(*) FROM hold`) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("calls are not settled")
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

// Entries whose commit was cut are posted again under their keys, and stand in the books once.
func TestWriterCutAtCommit(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	pool, line := throughLine(t, h.db)
	w := postgres.NewGroup(pool, new(postgres.Guard), 0, time.Minute, ledger.PostAll)
	line.cutting.Store(true)
	const entries = 60
	var posting sync.WaitGroup
	for i := range entries {
		posting.Go(func() {
			e := ledger.Entry{Key: fmt.Sprint("cut-", i), Kind: "gift", Text: "Gift", Actor: "test", At: time.Now(), Lines: []ledger.Line{
				ledger.Debit("CALL", "5900", money.Cent), ledger.Credit("CALL", "2100:ana", money.Cent),
			}}
			for range 1000 {
				_, err := w.Do(t.Context(), e)
				if err == nil {
					return
				}
				if errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrOverdrawn) {
					t.Error(err)
				}
			}
			t.Errorf("entry %d can't be posted", i)
		})
	}
	posting.Wait()
	if line.cuts[0].Load() == 0 || line.cuts[1].Load() == 0 {
		t.Errorf("cut %d times before a commit, %d times after one", line.cuts[0].Load(), line.cuts[1].Load())
	}
	h.wantAccount(t, "ana", money.Unit+entries*money.Cent, 0)
	h.wantBooks(t)
}
