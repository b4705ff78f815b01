package postgres_test

import (
	"errors"
	"testing"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestClaim(t *testing.T) {
	s := pgtest.NewServer(t)
	first, second := postgres.NewClaim(s.DB, "a"), postgres.NewClaim(s.DB, "a")
	other := postgres.NewClaim(s.DB, "b")
	defer other.Release()
	for range 2 {
		if err := first.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Hold(t.Context()); !errors.Is(err, postgres.ErrClaimed) {
		t.Errorf("a second one: %v", err)
	}
	if err := other.Hold(t.Context()); err != nil {
		t.Errorf("another name: %v", err)
	}
	first.Release()
	first.Release()
	if err := second.Hold(t.Context()); err != nil {
		t.Errorf("after the release: %v", err)
	}

	// The lock goes with the server. It is noticed and taken again, but not by two.
	s.Kill()
	if err := second.Hold(t.Context()); err == nil || errors.Is(err, postgres.ErrClaimed) {
		t.Errorf("without a server: %v", err)
	}
	s.Start()
	if err := second.Hold(t.Context()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := first.Hold(t.Context()); !errors.Is(err, postgres.ErrClaimed) {
		t.Errorf("the other after a restart: %v", err)
	}
	second.Release()
}

// A name is taken from who loses its connection without knowing.
func TestClaimBroken(t *testing.T) {
	db := pgtest.New(t)
	first, second := postgres.NewClaim(db, "a"), postgres.NewClaim(db, "a")
	if err := first.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pgtest.Owner(t, db).Exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'`); err != nil {
		t.Fatal(err)
	}
	await(t, "the lock of the broken connection is gone", func() bool {
		return second.Hold(t.Context()) == nil
	})
	defer second.Release()
	if err := first.Hold(t.Context()); !errors.Is(err, postgres.ErrClaimed) {
		t.Errorf("%v, want ErrClaimed", err)
	}
}
