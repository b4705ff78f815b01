package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
