// Package pgtest gives tests a real PostgreSQL: one private cluster a test process, in a folder of its own that goes at
// the end, and a fresh migrated database a test.
package pgtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

// process is the cluster that the tests of this process share; it is started by the first New.
var process struct {
	start func() (*cluster.Cluster, error) // nil before Main
	outer string                           // temporary folder, removed at the end
	last  atomic.Int64                     // number of the last database
}

// configs remembers how to reach each test's database as its owner, by its pool.
var configs sync.Map

// Main runs the tests of a package and stops the process's cluster after them:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	var started *cluster.Cluster
	process.start = sync.OnceValues(func() (*cluster.Cluster, error) {
		var err error
		if process.outer, err = tempFolder(); err != nil {
			return nil, err
		}
		started, err = start(inner(process.outer))
		return started, err
	})
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	if process.outer != "" {
		if err := os.RemoveAll(process.outer); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	return code
}

// New makes a database with the program's schema and connects to it as the app's role, by a pool as the program's own.
// The database is dropped when the test ends.
func New(t testing.TB) *sqlx.DB {
	t.Helper()
	if process.start == nil {
		t.Fatal("pgtest: the package needs func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }")
	}
	if _, err := process.start(); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("test_%d", process.last.Add(1))
	admin := login(t, cluster.Connection(inner(process.outer), "postgres"))
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + cluster.Database); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	config := cluster.Connection(inner(process.outer), name)
	db, err := postgres.AsApp(config)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	configs.Store(db, config)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
		configs.Delete(db)
		if _, err := admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return db
}

// Owner connects to the same database as its owner, who may do what the app's role may not.
func Owner(t testing.TB, db *sqlx.DB) *sqlx.DB {
	t.Helper()
	config, ok := configs.Load(db)
	if !ok {
		t.Fatal("pgtest: Owner of a database that New did not make")
	}
	return login(t, config.(pq.Config))
}

func login(t testing.TB, config pq.Config) *sqlx.DB {
	t.Helper()
	db, err := postgres.AsLogin(config)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return db
}

// start makes a cluster whose database `telecommune` is the template of the others. It forgets commits in a power cut,
// which no test process survives.
func start(folder string) (*cluster.Cluster, error) {
	cl, err := cluster.New(cluster.Config{
		Folder:   folder,
		Settings: map[string]string{"fsync": "off", "full_page_writes": "off", "max_connections": "300"},
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if err := cl.Start(context.Background()); err != nil {
		return nil, err
	}
	template := cluster.Connection(folder, cluster.Database)
	return cl, postgres.Migrate(context.Background(), template, slog.New(slog.DiscardHandler))
}

// tempFolder makes a folder that also user postgres can enter.
func tempFolder() (string, error) {
	folder, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return "", err
	}
	return folder, os.Chmod(folder, 0o711)
}

// inner is the cluster's own folder in the temporary one.
func inner(outer string) string { return filepath.Join(outer, "pg") }
