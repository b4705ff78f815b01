package postgres_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// A database has one name, and another one on the same server has another.
func TestIdentity(t *testing.T) {
	name := func(db *sqlx.DB) string {
		name, err := postgres.Identity(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	one, two := pgtest.New(t), pgtest.New(t)
	first, again, other := name(one), name(one), name(two)
	if again != first || other == first {
		t.Errorf("named %s, then %s; another one %s", first, again, other)
	}
}
