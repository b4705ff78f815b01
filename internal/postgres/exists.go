package postgres

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres/cluster"
)

// Identity names a database among those of all servers, such as "7563401947325100001.16384". One that was made from a dump has
// another name, a physical copy or a standby the same.
func Identity(ctx context.Context, db *sqlx.DB) (name string, err error) {
	if err = db.GetContext(ctx, &name, `SELECT s.system_identifier || '.' || d.oid
		FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()`); err != nil {
		return "", fmt.Errorf("name of the database: %w", err)
	}
	return name, nil
}

// Exists tells whether Open would find a database or make one. A server that a DSN names is taken to be there.
func Exists(o Options) bool {
	return o.DSN != "" || cluster.Exists(filepath.Join(cmp.Or(o.State, DefaultState()), "postgres"))
}
