package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sys/unix"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// Who waits for a server that hangs leaves when the time is up, also while BEGIN is under way.
func TestAwaitHungServer(t *testing.T) {
	db := pgtest.New(t)
	db.SetMaxOpenConns(1)
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		do   func(context.Context) (int, error)
	}{
		{"a statement", func(ctx context.Context) (n int, err error) { return n, db.GetContext(ctx, &n, `SELECT 1`) }},
		{"a transaction", func(ctx context.Context) (int, error) {
			return 0, postgres.InTx(ctx, db, func(*sqlx.Tx) error { return nil })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := db.Ping(); err != nil {
				t.Fatal(err)
			}
			thaw := pgtest.Freeze(t, db)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			ended := make(chan error, 1)
			left := make(chan error, 1)
			go func() {
				_, err := postgres.Await(ctx, new(postgres.Guard), tc.do, func(_ int, err error) { left <- err })
				ended <- err
			}()
			select {
			case err := <-ended:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Await: %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Error("Await waits for a server that hangs")
			}
			select {
			case err := <-left:
				t.Errorf("the work ended before the server went on: %v", err)
			default:
			}
			thaw()
			<-left
		})
	}
}

func TestAwait(t *testing.T) {
	var g postgres.Guard
	broken := errors.New("broken")
	n, err := postgres.Await(t.Context(), &g, func(context.Context) (int, error) { return 7, broken }, nil)
	if n != 7 || !errors.Is(err, broken) {
		t.Errorf("%d, %v", n, err)
	}
	_, err = postgres.Await(t.Context(), &g, func(context.Context) (int, error) { panic("oops") }, nil)
	if err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a panic: %v", err)
	}

	// What is left behind has a bound, and counts until it ends.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	goOn, late := make(chan struct{}), make(chan int)
	for range postgres.MaxLeft {
		_, err := postgres.Await(gone, &g, func(context.Context) (int, error) { <-goOn; return 1, nil }, func(n int, _ error) { late <- n })
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	one := func(context.Context) (int, error) { return 1, nil }
	if _, err := postgres.Await(t.Context(), &g, one, nil); !errors.Is(err, postgres.ErrHangs) {
		t.Errorf("beyond the bound: %v, want ErrHangs", err)
	}
	close(goOn)
	for range postgres.MaxLeft {
		<-late
	}
	if n, err := postgres.Await(t.Context(), &g, one, nil); n != 1 || err != nil {
		t.Errorf("after all have ended: %d, %v", n, err)
	}
}

// A connection over TCP gives up on a machine that is gone.
func TestDialSetsTimeouts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := postgres.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tcp := conn.(*net.TCPConn)
	defer tcp.Close()
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, option, want int }{
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(postgres.PeerTimeout.Milliseconds())},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 10},
		} {
			if got, err := syscall.GetsockoptInt(int(fd), o.level, o.option); err != nil || got != o.want {
				t.Errorf("option %d is %d, want %d: %v", o.option, got, o.want, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}
