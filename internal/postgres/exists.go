package postgres

import (
	"cmp"
	"path/filepath"

	"telecommune/internal/postgres/cluster"
)

// Exists tells whether Open would find a database or make one. A server that a DSN names is taken to be there.
func Exists(o Options) bool {
	return o.DSN != "" || cluster.Exists(filepath.Join(cmp.Or(o.State, DefaultState()), "postgres"))
}
