package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

// A child is another program on a state folder: this test binary, started with the folder in childState.
const (
	childState = "POSTGRES_TEST_STATE"
	childOwner = "POSTGRES_TEST_OWNER"
)

// child opens the state folder, stores a book under its process number, says so, and ends with its standard input.
func child() error {
	ctx := context.Background()
	owner := os.Getenv(childOwner) != ""
	db, err := postgres.Open(ctx, postgres.Options{State: os.Getenv(childState), Owner: owner, Log: quiet()})
	if err != nil {
		return err
	}
	if _, err := db.Exec(`INSERT INTO book VALUES ($1, 'child', 'EUR')`, strconv.Itoa(os.Getpid())); err != nil {
		return errors.Join(err, db.Close())
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return errors.Join(err, db.Close())
	}
	_, err = db.Exec(`SELECT`) // an error when the database is gone before its user
	return errors.Join(err, db.Close())
}

type program struct {
	*exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

func startProgram(t *testing.T, state string, env ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childState+"="+state), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill() //nolint:errcheck // it may just have ended
			cmd.Wait()         //nolint:errcheck // killed
		}
	})
	return &program{cmd, in, bufio.NewReader(out)}
}

func (p *program) awaitReady(t *testing.T) {
	t.Helper()
	if line, err := p.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the other program said %q: %v", line, err)
	}
}

// end lets the program come to its end.
func (p *program) end(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.in.Close(), p.Wait()); err != nil {
		t.Errorf("the other program: %v", err)
	}
}

func books(t *testing.T, db *postgres.DB) int {
	t.Helper()
	var n int
	if err := db.Get(&n, `SELECT count(*) FROM book WHERE name = 'child'`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSeveralProgramsAtOnce(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)
	const programs = 5
	var all []*program
	for range programs {
		all = append(all, startProgram(t, state)) // one of them makes the cluster and owns it
	}
	for _, p := range all {
		p.awaitReady(t)
	}
	for _, p := range all {
		// The owner stops only when the last has gone: each finds its database there to the end.
		if err := p.in.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			t.Errorf("a program: %v", err)
		}
	}
	if n := books(t, open(t, postgres.Options{State: state})); n != programs {
		t.Errorf("%d books, want %d", n, programs)
	}
}

func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	serve := startProgram(t, state, childOwner+"=yes")
	serve.awaitReady(t)
	joined := open(t, postgres.Options{State: state})
	if n := books(t, joined); n != 1 {
		t.Errorf("%d books beside serve, want 1", n)
	}
	if err := joined.Close(); err != nil {
		t.Error(err)
	}
	if err := serve.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Its server may still be ending; who comes now waits for that and owns the next one.
	next := open(t, postgres.Options{State: state})
	if n := books(t, next); n != 1 {
		t.Errorf("%d books after a crash, want 1", n)
	}
}

func TestKilledWhileMakingTheCluster(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)
	half := filepath.Join(state, "postgres", "data-new-*", "PG_VERSION")
	victim := startProgram(t, state)
	await(t, "initdb is at work", func() bool {
		found, err := filepath.Glob(half)
		return err == nil && len(found) == 1
	})
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, postgres.Options{State: state}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := filepath.Glob(half); err != nil || len(found) > 0 {
		t.Errorf("left behind: %v, %v", found, err)
	}
}

func TestServeWaitsForCommand(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	command := startProgram(t, state)
	command.awaitReady(t)
	waiting, log := watch("waiting for another program")
	opened := make(chan error, 1)
	var serve *postgres.DB
	go func() {
		var err error
		serve, err = postgres.Open(context.Background(), postgres.Options{State: state, Owner: true, Log: log})
		opened <- err
	}()
	<-waiting
	command.end(t)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if n := books(t, serve); n != 1 {
		t.Errorf("%d books, want 1", n)
	}
	if err := serve.Close(); err != nil {
		t.Error(err)
	}
}

func TestOwnerWaitsForUsers(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	waiting, log := watch("other programs still use the database")
	owner, err := postgres.Open(context.Background(), postgres.Options{State: state, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	postgres.SetUsersWait(owner, 0) // which is for serve
	joined := startProgram(t, state)
	joined.awaitReady(t)
	closed := make(chan error, 1)
	go func() { closed <- owner.Close() }()
	select {
	case err := <-closed:
		t.Errorf("the owner ended before its user: %v", err)
	case <-waiting:
		defer func() {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}()
	}
	joined.end(t) // it uses the database once more
}

// A serve that ends does not wait for ever, and nobody else does who is told to end.
func TestOwnerDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	for _, serve := range []bool{true, false} {
		state := preparedState(t)
		stopping, log := watch("stopping the database though")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		owner, err := postgres.Open(ctx, postgres.Options{State: state, Log: log, Owner: serve})
		if err != nil {
			t.Fatal(err)
		}
		joined := startProgram(t, state)
		joined.awaitReady(t)
		if serve {
			postgres.SetUsersWait(owner, 0)
		} else {
			cancel()
		}
		if err := owner.Close(); err != nil {
			t.Error(err)
		}
		<-stopping
		if err := errors.Join(joined.in.Close(), joined.Wait()); err == nil {
			t.Error("the database was there without its owner")
		}
	}
}

// Who waits for a command to end is told again and again for what.
func TestServeTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	command := startProgram(t, state)
	command.awaitReady(t)
	waiting, log := watch(fmt.Sprintf("by=\"process %d\"", command.Process.Pid))
	ctx, cancel := context.WithCancel(context.Background())
	opened := make(chan error, 1)
	go func() {
		_, err := postgres.Open(ctx, postgres.Options{State: state, Owner: true, Log: log})
		opened <- err
	}()
	for range 2 {
		<-waiting
	}
	cancel()
	if err := <-opened; !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	command.end(t)
}

// A cluster that was stopped is not started again, and nothing of the attempt stays behind.
func TestStartAfterStop(t *testing.T) {
	state := preparedState(t)
	leaks := goleak.IgnoreCurrent()
	cl, err := cluster.New(cluster.Config{Folder: filepath.Join(state, "postgres"), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.Stop(); err != nil {
		t.Error(err)
	}
	if err := cl.Start(t.Context()); err == nil {
		t.Error("it started")
	}
	goleak.VerifyNone(t, leaks)
}

// watch gives a log, and a channel that tells when a line with the words came.
func watch(words string) (<-chan struct{}, *slog.Logger) {
	seen := make(chan struct{}, 1)
	return seen, slog.New(slog.NewTextHandler(lineFunc(func(line string) {
		if strings.Contains(line, words) {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
	}), nil))
}

type lineFunc func(line string)

func (f lineFunc) Write(b []byte) (int, error) {
	f(string(b))
	return len(b), nil
}

func TestOpenEndsWithContext(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	command := startProgram(t, state)
	command.awaitReady(t)
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(lineFunc(func(string) { cancel() }), nil))
	if _, err := postgres.Open(ctx, postgres.Options{State: state, Owner: true, Log: log}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v, want context.Canceled", err)
	}
	// It let go of everything: a serve is admitted.
	command.end(t)
	open(t, postgres.Options{State: state, Owner: true})
}

// postmaster reads the server's process number.
func postmaster(t *testing.T, state string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(state, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestServerComesBack(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	db := open(t, postgres.Options{State: state, Owner: true})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	for range 2 {
		old := postmaster(t, state)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "the server is back", func() bool {
			_, err := db.Exec(`SELECT 1`)
			return err == nil && postmaster(t, state) != old
		})
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for: %s", what)
		}
	}
}

// A postmaster.pid may name a process that has nothing to do with it by now.
func TestStalePostmasterFile(t *testing.T) {
	t.Parallel()
	state := preparedState(t)
	data := filepath.Join(state, "postgres", "data")
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	bystander := exec.Command("sleep", "600")
	bystander.Dir = data
	if owner := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		bystander.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	pidFile := fmt.Sprintf("%d\n%s\n1700000000\n5432\n%s\n\n    123 456\nready\n", bystander.Process.Pid, data, filepath.Dir(data))
	if err := os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(pidFile), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, postgres.Options{State: state})
	if err := bystander.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the bystander is gone: %v", err)
	}
	var exit *exec.ExitError
	if err := bystander.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the bystander ended otherwise than by this test: %v", err)
	}
}

func TestUnusableFolders(t *testing.T) {
	for _, tc := range []struct {
		name     string
		rootOnly bool
		state    func(t *testing.T, dir string) string
		want     error
		says     string
	}{
		{
			"data of another major version", false,
			func(t *testing.T, dir string) string {
				data := filepath.Join(dir, "postgres", "data")
				if err := os.MkdirAll(data, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return dir
			},
			cluster.ErrVersion, "telecommune restore",
		},
		{
			"a path too long for a socket", false,
			func(_ *testing.T, dir string) string { return filepath.Join(dir, strings.Repeat("x", 100)) },
			cluster.ErrFolder, "shorter",
		},
		{
			"below a home that is closed to user postgres", true,
			func(t *testing.T, dir string) string {
				home := filepath.Join(dir, "home")
				if err := os.Mkdir(home, 0o700); err != nil {
					t.Fatal(err)
				}
				return filepath.Join(home, "state")
			},
			cluster.ErrFolder, "--state",
		},
		{
			"a folder below a file", false,
			func(t *testing.T, dir string) string {
				if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				return filepath.Join(dir, "file", "state")
			},
			syscall.ENOTDIR, "state folder",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.rootOnly && os.Geteuid() != 0 {
				t.Skip("only as root does the server run as another user")
			}
			state := tc.state(t, stateFolder(t))
			before := list(t, filepath.Join(state, "postgres"))
			_, err := postgres.Open(context.Background(), postgres.Options{State: state, Log: quiet()})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Open: %v, want %v that says %q", err, tc.want, tc.says)
			}
			if after := list(t, filepath.Join(state, "postgres", "data")); len(before) > 0 && len(after) != 1 {
				t.Errorf("the data folder was touched: %v", after)
			}
		})
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
