package pgtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

// Server is a cluster of one test's own, as durable as the program's, to be crashed and started again.
type Server struct {
	DB *sqlx.DB // as the app's role; its connections come back by themselves after a Start

	t       testing.TB
	cluster *cluster.Cluster
}

// NewServer makes a cluster with the program's schema in its database. It is removed when the test ends.
func NewServer(t testing.TB) *Server {
	t.Helper()
	outer, err := tempFolder(os.TempDir()) // on a disk, as the program's
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := outer.remove(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	s := &Server{t: t}
	if s.cluster, err = start(outer.cluster(), map[string]string{}); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.cluster.Stop(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	own := cluster.Connection(outer.cluster(), cluster.Database)
	if s.DB, err = postgres.AsApp(own); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	configs.Store(s.DB, own)
	t.Cleanup(func() {
		configs.Delete(s.DB)
		s.DB.Close() //nolint:errcheck // it says that a connection died with the server, which the test wanted
	})
	return s
}

// Kill ends the server as kill -9 does, and returns when it is dead.
func (s *Server) Kill() { s.cluster.Kill() }

// Start starts the server again after Kill and returns when it has recovered.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.cluster.Start(context.Background()); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// DSN gives a connection string for the database of New or NewServer, as its owner: what `--db` takes.
func DSN(t testing.TB, db *sqlx.DB) string {
	t.Helper()
	c := config(t, db)
	return fmt.Sprintf("host='%s' port=%d user=%s dbname=%s sslmode=disable", c.Host, c.Port, c.User, c.Database)
}
