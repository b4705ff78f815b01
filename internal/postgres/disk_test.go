package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"

	"telecommune/internal/postgres"
)

// A full disk takes the server down; when there is room again it comes back by itself, with all that was committed.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	state := smallDisk(t)
	failed, log := watch("PostgreSQL does not start; trying again")
	ctx, cancel := context.WithCancel(context.Background())
	db, err := postgres.Open(ctx, postgres.Options{State: state, Owner: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	db.MustExec(`INSERT INTO book VALUES ('X', 'child', 'EUR')`)

	filler := filepath.Join(state, "filler")
	if err := fill(filler); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	await(t, "the write-ahead log needs more room than there is", func() bool {
		_, err := db.Exec(`SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))`)
		return err != nil
	})
	<-failed // at least one start without room
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	await(t, "the server is back", func() bool { return db.Ping() == nil })
	if n := books(t, db); n != 1 {
		t.Errorf("%d of the committed row, want 1", n)
	}
	cancel()
	if err := errors.Join(<-ended, db.Close()); err != nil {
		t.Error(err)
	}
}

func smallDisk(t *testing.T) string {
	t.Helper()
	dir := stateFolder(t)
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=100m,mode=755")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("mounting a small disk takes the right to mount")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(make([]byte, 1<<16))
	}
	return errors.Join(err, f.Close())
}

// With the disk of the data full, and room for the write-ahead log elsewhere, what needs room is refused (disk_full, 53100)
// and nothing of it stays; the server goes on, reads, and writes again when there is room.
func TestDataDiskFull(t *testing.T) {
	t.Parallel()
	state := smallDisk(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()}) // makes the cluster
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	log, here := filepath.Join(stateFolder(t), "pg_wal"), filepath.Join(state, "postgres", "data", "pg_wal")
	if err := os.Chmod(filepath.Dir(log), 0o755); err != nil { // the server may run as another user
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", here, log).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.RemoveAll(here), os.Symlink(log, here)); err != nil {
		t.Fatal(err)
	}
	if db, err = postgres.Open(t.Context(), postgres.Options{State: state, Log: quiet()}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.MustExec(`INSERT INTO book VALUES ('X', 'child', 'EUR')`)
	var started time.Time
	if err := db.Get(&started, `SELECT pg_postmaster_start_time()`); err != nil {
		t.Fatal(err)
	}

	filler := filepath.Join(state, "filler")
	if err := fill(filler); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	// Random text, which does not shrink, in rows of two tables: all of a statement or nothing.
	const write = `
		WITH large AS (
		    INSERT INTO deck (id, kind, name, version, currency, zone, active_from, source)
		    SELECT gen_random_uuid(), 'retail', 'large', 1, 'EUR', 'UTC', now(), string_agg(md5(random()::text), '')
		    FROM generate_series(1, 20000)
		)
		INSERT INTO book VALUES ('Y', 'child', 'EUR')`
	_, err = db.Exec(write)
	if refused := pq.As(err); refused == nil || refused.Code != "53100" {
		t.Errorf("without room: %v, want disk_full", err)
	}
	if n := books(t, db); n != 1 {
		t.Errorf("%d rows, want the one from before", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(write); err != nil {
		t.Errorf("with room again: %v", err)
	}
	var now time.Time
	if err := db.Get(&now, `SELECT pg_postmaster_start_time()`); err != nil || !now.Equal(started) {
		t.Errorf("the server was started at %s and again at %s, %v", started, now, err)
	}
	if n := books(t, db); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
