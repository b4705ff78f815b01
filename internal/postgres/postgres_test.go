package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childState) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := pgtest.Main(m)
	if prepared.path != "" {
		os.RemoveAll(prepared.path) //nolint:errcheck // a temporary folder
	}
	os.Exit(code)
}

// prepared is a state folder with a cluster in it, made once and copied: making one takes seconds on a busy disk.
var prepared struct {
	once sync.Once
	path string
	err  error
}

// preparedState gives a state folder whose database is there and stopped.
func preparedState(t *testing.T) string {
	t.Helper()
	prepared.once.Do(func() {
		if prepared.path, prepared.err = os.MkdirTemp("", "state-"); prepared.err != nil {
			return
		}
		var db *postgres.DB
		db, prepared.err = postgres.Open(context.Background(), postgres.Options{State: prepared.path, Log: quiet()})
		if prepared.err == nil {
			prepared.err = db.Close()
		}
	})
	if prepared.err != nil {
		t.Fatal(prepared.err)
	}
	state := stateFolder(t)
	if out, err := exec.Command("cp", "-a", prepared.path+"/.", state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return state
}

// stateFolder makes a state folder with a path short enough for a socket.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, o postgres.Options) *postgres.DB {
	t.Helper()
	o.Log = quiet()
	db, err := postgres.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestOpenPrivate(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) }) // after the last Close
	state := stateFolder(t)
	serve := open(t, postgres.Options{State: state, Owner: true})
	serve.MustExec(`INSERT INTO book VALUES ('X', 'Kept', 'EUR')`)

	if _, err := postgres.Open(context.Background(), postgres.Options{State: state, Owner: true, Log: quiet()}); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("a second serve: %v, want ErrInUse", err)
	}
	command := open(t, postgres.Options{State: state})
	var n int
	if err := command.Get(&n, `SELECT count(*) FROM book WHERE code = 'X'`); err != nil || n != 1 {
		t.Errorf("a command beside serve sees %d rows: %v", n, err)
	}
	if err := errors.Join(command.Close(), command.Close(), serve.Close(), serve.Close()); err != nil {
		t.Error(err)
	}
	if err := command.Ping(); err == nil {
		t.Error("the pool works after Close")
	}
	if _, err := os.Stat(state + "/postgres/.s.PGSQL.5432"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the server's socket after the owner's Close: %v", err)
	}

	alone := open(t, postgres.Options{State: state})
	if err := alone.Get(&n, `SELECT count(*) FROM book WHERE code = 'X'`); err != nil || n != 1 {
		t.Errorf("a command alone sees %d rows: %v", n, err)
	}
}
