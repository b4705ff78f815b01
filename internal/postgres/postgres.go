// Package postgres opens the program's database: a server named by a DSN, or a private cluster in the state folder that
// the program starts itself. It brings the schema up and hands out a pool that works as the role telecommune_app.
//
// Programs on one state folder share the cluster. Three lock files in it settle who does what:
//
//   - owner.lock: its holder runs the server and stops it at the end.
//   - users.lock: held shared by every other program that is connected. The owner takes it exclusively before it stops
//     the server, so that none loses the database beneath it. A serve waits for that 10 s at most; a command that came
//     to be the owner has time, and waits until the last is gone, or the context of its Open ends.
//   - serve.lock: held by the one `serve` or `demo` of the folder, also while that still waits to be the owner.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres/cluster"
)

const (
	// AppRole is the role that the program works as. It can't change the books or the schema.
	AppRole = "telecommune_app"

	poolSize       = 20
	usersWait      = 10 * time.Second // serve's wait for the others at the end
	noticeWait     = 2 * time.Second  // waiting longer than this at the end is worth a warning
	noticeInterval = 5 * time.Second  // between words about a wait that goes on
	joinWait       = 2 * time.Minute  // the others' wait for the owner's server, which may have to recover first
	pollInterval   = 20 * time.Millisecond
	connectTimeout = 5 * time.Second
)

// ErrInUse is returned by Open to a second serve or demo on a state folder.
var ErrInUse = errors.New("in use")

// Options say which database to open and how.
type Options struct {
	State string // state folder; "" is DefaultState()
	DSN   string // connection string or URL of a server to use instead of the private cluster
	Owner bool   // serve and demo: wait to be the one that runs the private cluster
	Log   *slog.Logger
}

// DB is the open database: a pool of warm connections as AppRole. As owner of the private cluster it also has its
// server.
type DB struct {
	*sqlx.DB

	config  pq.Config // as the login role
	log     *slog.Logger
	cluster *cluster.Cluster // nil unless this program is the owner
	folder  string           // the state folder; with a DSN only the owner's
	asked   bool             // Options.Owner
	ended   <-chan struct{}  // closed when the context of Open has ended

	usersWait time.Duration
	locks     []*fileLock // let go of in reverse order

	close func() error
}

// DefaultState is the state folder when none is given: /var/lib/telecommune for root, else telecommune under
// $XDG_STATE_HOME or ~/.local/state.
func DefaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/telecommune"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "telecommune")
	}
	home := os.Getenv("HOME")
	if home == "" {
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	return filepath.Join(home, ".local", "state", "telecommune")
}

// Open connects to the database of the options. It returns ErrInUse to a second serve on the state folder, ErrNewer
// when the schema is of a newer program, and the errors of package cluster.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &DB{log: o.Log, asked: o.Owner, ended: ctx.Done(), usersWait: usersWait}
	d.close = sync.OnceValue(d.shut)
	open := d.openPrivate
	if o.DSN != "" {
		open = d.openDSN
	}
	if err := open(ctx, o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Run keeps the private cluster's server up as its owner; for everybody else it waits. It ends with ctx.
func (d *DB) Run(ctx context.Context) error {
	if d.cluster != nil {
		return d.cluster.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

// Close ends the pool and, for the owner, the server, and can be called twice. It takes at most 40 s, but for a command
// on whose server others depend.
func (d *DB) Close() error { return d.close() }

func (d *DB) shut() error {
	var errs []error
	if d.DB != nil {
		if err := d.DB.Close(); err != nil { // a connection that had died already; nothing is lost by it
			d.log.Debug("close the pool", "error", err)
		}
	}
	if d.cluster != nil {
		errs = append(errs, d.awaitUsers(), d.cluster.Stop())
	}
	for i := len(d.locks) - 1; i >= 0; i-- {
		errs = append(errs, d.locks[i].release())
	}
	return errors.Join(errs...)
}

// openDSN connects to somebody else's server. A serve still has its state folder to itself: its spool and keys.
func (d *DB) openDSN(ctx context.Context, o Options) error {
	var err error
	if o.Owner {
		if err = d.enterState(o); err != nil {
			return err
		}
	}
	if d.config, err = parseDSN(o.DSN); err != nil {
		return err
	}
	return d.connect(ctx)
}

// parseDSN reads a connection string or URL and adds what lib/pq would leave open: a time-out, UTC, and TLS unless
// the string or $PGSSLMODE says otherwise (lib/pq itself drops TLS on a socket).
func parseDSN(dsn string) (pq.Config, error) {
	c, err := pq.NewConfig(dsn)
	if err != nil {
		return c, fmt.Errorf("connection string: %w", err)
	}
	if c.SSLMode == "" {
		c.SSLMode = pq.SSLModeRequire
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = connectTimeout
	}
	c = c.Clone()
	c.Runtime["timezone"] = "UTC"
	return c, nil
}

// connect brings the schema up as the login role and opens the pool as AppRole.
func (d *DB) connect(ctx context.Context) error {
	if err := Migrate(ctx, d.config, d.log); err != nil {
		return err
	}
	app, err := AsApp(d.config)
	if err != nil {
		return err
	}
	if err := app.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("connect as %s: %w", AppRole, err), app.Close())
	}
	d.DB = app
	return nil
}

// AsApp makes a pool on the database of a configuration that works as AppRole. Waiting for a row has an end, and a
// transaction that its program forgot too.
func AsApp(c pq.Config) (*sqlx.DB, error) {
	settings := maps.Clone(peerSettings)
	maps.Copy(settings, map[string]string{
		"role":                                AppRole,
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "60s",
	})
	return pool(c, settings)
}

// AsLogin makes a pool that works as the role of the configuration itself, which owns the schema.
func AsLogin(c pq.Config) (*sqlx.DB, error) { return pool(c, nil) }

func pool(c pq.Config, settings map[string]string) (*sqlx.DB, error) {
	c = c.Clone()
	for name, value := range settings {
		c.Runtime[name] = value
	}
	if c.ApplicationName == "" {
		c.ApplicationName = "telecommune"
	}
	made, err := pq.NewConnectorConfig(c)
	if err != nil {
		return nil, fmt.Errorf("connection: %w", err)
	}
	made.Dialer(dialer{})
	db := sqlx.NewDb(sql.OpenDB(connector{made}), "postgres")
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	return db, nil
}
