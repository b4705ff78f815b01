package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the key of the advisory lock under which one program at a time changes a database's schema.
const migrationLock = 0x74656c65 // "tele"

// ErrNewer is returned when a database was migrated by a newer program than this one.
var ErrNewer = errors.New("the database is newer than this program")

// Migrate brings a database's schema to what this program knows, as the login role. It is safe with several programs at
// once and changes nothing when there is nothing to do. It returns ErrNewer when it knows less than the database.
func Migrate(ctx context.Context, c pq.Config, log *slog.Logger) (err error) {
	db, err := AsLogin(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The lock is the connection's: it ends with it, also when the program is killed.
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}

	provider, err := newProvider(db.DB)
	if err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("version of the schema: %w", err)
	}
	if current > known {
		return fmt.Errorf("%w: its schema is at version %d, this program knows versions up to %d; use the newer program",
			ErrNewer, current, known)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	for _, m := range done {
		log.Info("migrated the database", "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}

// knownVersion is the schema's version that this program brings a database to.
func knownVersion() (int64, error) {
	provider, err := newProvider(new(sql.DB)) // lists files, connects to nothing
	if err != nil {
		return 0, err
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version, nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}
