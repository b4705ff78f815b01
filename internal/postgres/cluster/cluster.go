// Package cluster runs a private PostgreSQL server: its own data folder, its own socket, no TCP. It lives as a child of
// the program and ends with it, also when the program is killed.
//
// One process at a time may use a Cluster on a folder; internal/postgres holds the lock that sees to it.
package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const (
	// Superuser is the cluster's first role, which owns the database. Only the socket's folder keeps others out.
	Superuser = "telecommune"
	// Database is the name of the program's database in the cluster.
	Database = "telecommune"

	port          = 5432 // names the socket; nothing listens on TCP
	maxSocketPath = 107  // sun_path of unix(7) without its closing NUL
)

// ErrFolder is returned by New and Start when the folder can't be used; the message says what to do.
var ErrFolder = errors.New("unusable folder")

// Config says where a cluster is and how its server runs.
type Config struct {
	Folder   string            // made when missing, parents excepted; holds data and the socket
	Settings map[string]string // further server settings, such as fsync=off in tests
	Log      *slog.Logger
}

// Cluster is a private PostgreSQL cluster.
type Cluster struct {
	config  Config
	install Installation
	runAs   *syscall.Credential // nil: as the program itself

	mu      sync.Mutex
	server  *server // the last one started
	stopped bool    // by Stop: not to be started again
}

// New looks at folder and machine and changes nothing. It returns ErrMissing without PostgreSQL, ErrVersion when the
// data is of a major version that is not installed, and ErrFolder when the socket's path would be too long.
func New(c Config) (*Cluster, error) {
	cl := &Cluster{config: c}
	if n := len(socketFile(c.Folder)); n > maxSocketPath {
		return nil, fmt.Errorf("%w: the path of the socket in %s has %d bytes, the system allows %d: choose a shorter --state",
			ErrFolder, c.Folder, n, maxSocketPath)
	}
	major, err := dataVersion(cl.data())
	if err != nil {
		return nil, err
	}
	cl.install, err = Find(major)
	if major != 0 && errors.Is(err, ErrMissing) {
		return nil, fmt.Errorf("%w: %s was made by PostgreSQL %d, which is not installed; to upgrade, install postgresql-%d, "+
			"run `telecommune backup FILE`, move that folder away, remove postgresql-%d, run `telecommune restore FILE`",
			ErrVersion, cl.data(), major, major, major)
	}
	if err != nil {
		return nil, err
	}
	if cl.runAs, err = serverUser(cl.data()); err != nil {
		return nil, err
	}
	return cl, nil
}

// Connection describes how to reach a database of the cluster in folder as its superuser. The environment's PG*
// variables have no part in it.
func Connection(folder, database string) pq.Config {
	return pq.Config{
		Host: folder, Port: port, User: Superuser, Database: database,
		SSLMode: pq.SSLModeDisable, ConnectTimeout: 5 * time.Second,
		ClientEncoding: "UTF8", Datestyle: "ISO, MDY",
		MinProtocolVersion: pq.ProtocolVersion30, MaxProtocolVersion: pq.ProtocolVersion30,
		Runtime: map[string]string{"timezone": "UTC"},
	}
}

// Start makes the data folder when there is none, starts the server and waits until it takes connections to Database.
// It ends early when ctx does; a crash recovery may take minutes.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.makeFolder(ctx); err != nil {
		return err
	}
	if err := c.awaitLeftovers(ctx); err != nil {
		return err
	}
	if err := c.initialise(ctx); err != nil {
		return err
	}
	s, err := c.launch()
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	err = c.awaitReady(ctx, s)
	if err == nil {
		err = c.makeDatabase(ctx)
	}
	if err != nil {
		return errors.Join(err, s.stop())
	}
	c.config.Log.Debug("PostgreSQL is up", "pid", s.cmd.Process.Pid, "version", c.install.Major, "data", c.data())
	return nil
}

// Stop ends the server and keeps Run from starting it again. It takes at most half a minute and can be called twice.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	s := c.server
	c.stopped = true
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.stop()
}

// Kill ends the server at once, as a crash would. It is for tests of what follows a crash.
func (c *Cluster) Kill() {
	c.mu.Lock()
	s := c.server
	c.mu.Unlock()
	if s != nil {
		s.kill()
	}
}

func (c *Cluster) data() string { return filepath.Join(c.config.Folder, "data") }

func socketFile(folder string) string {
	return filepath.Join(folder, ".s.PGSQL."+strconv.Itoa(port))
}

// dataVersion gives the major version that made a data folder, 0 when there is none.
func dataVersion(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("version of the data folder: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%w: %s holds %q", ErrVersion, filepath.Join(data, "PG_VERSION"), text)
	}
	return major, nil
}

// serverUser decides whom the server runs as. PostgreSQL refuses to run as root: then it is the owner of the data, or
// user postgres for data yet to be made.
func serverUser(data string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(data); err == nil {
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 {
			return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}, nil
		}
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: as root the server runs as user postgres: %w", ErrMissing, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// makeFolder makes the cluster's folder, closed to all but the server's user, and checks that this user gets there.
func (c *Cluster) makeFolder(ctx context.Context) error {
	folder := c.config.Folder
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	if c.runAs == nil {
		return nil
	}
	if err := os.Chown(folder, int(c.runAs.Uid), int(c.runAs.Gid)); err != nil {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	probe := c.command(c.install.Tool("postgres"), "--version")
	if err := runUnder(ctx, probe); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: user id %d, whom the server runs as, can't enter %s: put it elsewhere with --state, such as "+
			"/var/lib/telecommune, or open its parent folders with chmod o+x", ErrFolder, c.runAs.Uid, folder)
	} else if err != nil {
		return fmt.Errorf("run the PostgreSQL server: %w", err)
	}
	return nil
}

// initialise makes the data folder under another name and renames it when it is whole, so that a program killed
// meanwhile leaves no half-made cluster. The name is new each time: the initdb of such a program may still be busy
// removing its own.
func (c *Cluster) initialise(ctx context.Context) error {
	const pattern = "data-new-"
	halves, err := filepath.Glob(filepath.Join(c.config.Folder, pattern+"*"))
	if err != nil {
		return err
	}
	for _, half := range halves {
		if err := os.RemoveAll(half); err != nil {
			c.config.Log.Debug("a half-made data folder stays", "error", err)
		}
	}
	if _, err := os.Stat(c.data()); err == nil {
		return nil
	}
	fresh, err := os.MkdirTemp(c.config.Folder, pattern)
	if err == nil && c.runAs != nil {
		err = os.Chown(fresh, int(c.runAs.Uid), int(c.runAs.Gid))
	}
	if err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	c.config.Log.Info("making the database", "folder", c.data(), "version", c.install.Major)
	cmd := c.command(c.install.Tool("initdb"), "--pgdata="+fresh, "--username="+Superuser,
		"--locale=C", "--encoding=UTF8", "--data-checksums", "--auth-local=trust", "--auth-host=reject")
	if c.config.Settings["fsync"] == "off" {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := runUnder(ctx, cmd); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(out.String(), 5))
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	return SyncFolder(c.config.Folder)
}

// awaitReady waits until the server takes connections.
func (c *Cluster) awaitReady(ctx context.Context, s *server) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !c.isReady(s.cmd.Process.Pid) {
		select {
		case <-s.done:
			return fmt.Errorf("PostgreSQL ended while starting: %w: %s", s.err, s.log.last())
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// isReady reads what the server says of itself: its process number in the first line of postmaster.pid, its state in
// the eighth.
func (c *Cluster) isReady(pid int) bool {
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) >= 8 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// makeDatabase makes the program's database in a new cluster.
func (c *Cluster) makeDatabase(ctx context.Context) error {
	connector, err := pq.NewConnectorConfig(Connection(c.config.Folder, "postgres"))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close() //nolint:errcheck // nothing was written that Close could lose
	var exists bool
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, Database).Scan(&exists)
	if err == nil && !exists {
		_, err = db.ExecContext(ctx, `CREATE DATABASE `+pq.QuoteIdentifier(Database)+` TEMPLATE template0`)
	}
	if err != nil {
		return fmt.Errorf("make database %s: %w", Database, err)
	}
	return nil
}

// command prepares a PostgreSQL program: as the server's user, away from the terminal's signals, ended by the kernel
// when the program dies, and without the caller's PG* variables and locale.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = c.config.Folder
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.runAs, Setpgid: true, Pdeathsig: syscall.SIGINT}
	return cmd
}

// SyncFolder brings to disk which files a folder has, such as after a rename.
func SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
