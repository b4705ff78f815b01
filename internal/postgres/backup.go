package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres/cluster"
)

var (
	// ErrNotEmpty is returned by Restore when the database already holds something and force was not given.
	ErrNotEmpty = errors.New("the database is not empty")
	// ErrBusy is returned by Restore while another program is connected to the database.
	ErrBusy = errors.New("another program is connected to the database")
	// ErrBackup is returned by Restore for a file that is not a whole backup.
	ErrBackup = errors.New("not a usable backup")
)

// Backup writes the whole database into a file in pg_dump's custom format. The file appears when it is complete, and
// only its owner can read it. Other programs may work on meanwhile.
func Backup(ctx context.Context, o Options, file string) (err error) {
	db, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	out, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer os.Remove(out.Name()) //nolint:errcheck // it was renamed, or the error that matters is another
	tools, err := db.tools(ctx)
	if err == nil {
		dump := tools.command(ctx, "pg_dump", "--format=custom", "--schema=public", "--no-owner", "--lock-wait-timeout=60s")
		dump.Stdout = out
		err = run(dump)
	}
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err = os.Rename(out.Name(), file)
	if err == nil {
		err = cluster.SyncFolder(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// Restore puts the content of a backup into the database, in one transaction: it is all there afterwards, or nothing
// changed. A database that holds more than the migrations put there is ErrNotEmpty unless force is given; then it is
// replaced. It returns ErrBusy while another program, such as serve, is connected, and ErrBackup for a broken file.
func Restore(ctx context.Context, o Options, file string, force bool) (err error) {
	db, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tools, err := db.tools(ctx)
	if err != nil {
		return err
	}
	if err := db.DB.Close(); err != nil { // its own pool would count as somebody else's
		return err
	}
	login, err := AsLogin(db.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, login.Close()) }()
	if !force {
		if table, err := filledTable(ctx, login); err != nil {
			return err
		} else if table != "" {
			return fmt.Errorf("%w: table %s has rows; --force replaces everything", ErrNotEmpty, table)
		}
	}
	if err := awaitAlone(ctx, login); err != nil {
		return err
	}
	if err := load(ctx, tools, file); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	return Migrate(ctx, db.config, db.log) // an older backup
}

// filledByMigrations are the tables that have rows in a new database.
var filledByMigrations = []string{"goose_db_version", "commune", "book", "enterprise", "revision", "route_limit"}

// filledTable gives the name of a table with rows of somebody's making, or "".
func filledTable(ctx context.Context, db *sqlx.DB) (string, error) {
	var tables []string
	err := db.SelectContext(ctx, &tables, `
		SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> ALL ($1)
		ORDER BY relname`, pq.Array(filledByMigrations))
	if err != nil {
		return "", fmt.Errorf("look into the database: %w", err)
	}
	for _, table := range tables {
		var filled bool
		err := db.GetContext(ctx, &filled, `SELECT EXISTS (SELECT FROM public.`+pq.QuoteIdentifier(table)+`)`)
		if err != nil || filled {
			return table, err
		}
	}
	return "", nil
}

// awaitAlone makes sure that nobody else is connected. A connection that was just closed takes a moment to go.
func awaitAlone(ctx context.Context, db *sqlx.DB) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Second); ; {
		var others []string
		err := db.SelectContext(ctx, &others, `
			SELECT DISTINCT coalesce(nullif(application_name, ''), usename, 'unknown') FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
		if err != nil {
			return fmt.Errorf("look for other connections: %w", err)
		}
		if len(others) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w (%s): stop it first, serve in particular", ErrBusy, strings.Join(others, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// The backup's own statements come between these two.
const (
	restoreBegin = `
		BEGIN;
		SET LOCAL client_min_messages = warning;
		SET LOCAL lock_timeout = '30s';
		SELECT pg_advisory_xact_lock(%d);
		DROP SCHEMA public CASCADE;
		DROP SCHEMA IF EXISTS replay CASCADE; -- made of what is in the other
		CREATE SCHEMA public;
		ALTER SCHEMA public OWNER TO pg_database_owner;
		GRANT USAGE ON SCHEMA public TO PUBLIC;
		COMMENT ON SCHEMA public IS 'standard public schema';
`
	restoreEnd = `
		DO $$ BEGIN
			IF (SELECT max(version_id) FROM public.goose_db_version) > %d THEN
				RAISE EXCEPTION '%v';
			END IF;
			IF to_regprocedure('public.make_replay()') IS NOT NULL THEN
				SET LOCAL search_path = public;
				PERFORM public.make_replay();
			END IF;
		END $$;
		COMMIT;
`
)

// load pipes the backup as SQL into psql and writes the COMMIT only when pg_restore has ended well. Without it psql
// ends, and undoes everything.
func load(ctx context.Context, tools toolbox, file string) error {
	known, err := knownVersion()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	psql := tools.command(ctx, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
	in, err := psql.StdinPipe()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- run(psql) }()

	readErr := func() error {
		if _, err := fmt.Fprintf(in, restoreBegin, migrationLock); err != nil {
			return err
		}
		restore := tools.command(ctx, "pg_restore", "--schema=public", "--no-owner", "--file=-", file)
		restore.Stdout = in
		if err := run(restore); err != nil {
			return err
		}
		_, err := fmt.Fprintf(in, restoreEnd, known, ErrNewer)
		return err
	}()
	closeErr := in.Close()
	writeErr := <-ended
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case writeErr != nil && strings.Contains(writeErr.Error(), ErrNewer.Error()):
		return fmt.Errorf("%w; restore it with the program that made it, or a newer one", ErrNewer)
	case writeErr != nil: // before readErr, which then is but a broken pipe
		return fmt.Errorf("%w: %w", ErrBackup, writeErr)
	case readErr != nil:
		return fmt.Errorf("%w: %w", ErrBackup, readErr)
	}
	return closeErr
}
