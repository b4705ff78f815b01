// Package pgtest gives tests a real PostgreSQL: one private cluster a test process, in a folder of its own that goes at
// the end, and a fresh migrated database a test.
package pgtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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
	outer *folder                          // removed at the end
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
		if process.outer, err = tempFolder(inMemory()); err != nil {
			return nil, err
		}
		// A power cut would lose commits, but no test process survives one.
		started, err = start(process.outer.cluster(), map[string]string{
			"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB",
		})
		return started, err
	})
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	if process.outer != nil {
		if err := process.outer.remove(); err != nil {
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
	admin := login(t, cluster.Connection(process.outer.cluster(), "postgres"))
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + cluster.Database + ` STRATEGY FILE_COPY`); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	own := cluster.Connection(process.outer.cluster(), name)
	db, err := postgres.AsApp(own)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	configs.Store(db, own)
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
	return login(t, config(t, db))
}

func config(t testing.TB, db *sqlx.DB) pq.Config {
	t.Helper()
	c, ok := configs.Load(db)
	if !ok {
		t.Fatal("pgtest: a database that neither New nor NewServer made")
	}
	return c.(pq.Config)
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

// start starts a cluster and brings up its database, which New copies.
func start(folder string, settings map[string]string) (*cluster.Cluster, error) {
	log := slog.New(slog.DiscardHandler)
	settings["max_connections"] = "300" // packages test with many pools at once
	cl, err := cluster.New(cluster.Config{Folder: folder, Settings: settings, Log: log})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := cl.Start(ctx); err != nil {
		return nil, err
	}
	return cl, postgres.Migrate(ctx, cluster.Connection(folder, cluster.Database), log)
}
