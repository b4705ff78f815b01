package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is one run of the PostgreSQL server.
type server struct {
	cmd  *exec.Cmd
	log  *serverLog
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

var errStopped = errors.New("the cluster was stopped")

// launch starts the server in the foreground, as a child of this program.
func (c *Cluster) launch() (*server, error) {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": `"` + strings.ReplaceAll(c.config.Folder, `"`, `""`) + `"`,
		"unix_socket_permissions": "0700",
		"cluster_name":            "telecommune",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		"log_line_prefix":         "",
		"log_checkpoints":         "off",
		// A refused statement is the program's to report; the server would add its text, with members' numbers in it.
		"log_min_messages":        "log",
		"log_min_error_statement": "panic",
	}
	maps.Copy(settings, c.config.Settings)
	args := []string{"-D", c.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	s := &server{
		cmd:  c.command(c.install.Tool("postgres"), args...),
		log:  &serverLog{to: c.config.Log},
		done: make(chan struct{}),
	}
	stderr, stderrEnd := io.Pipe()
	s.cmd.Stderr = stderrEnd
	s.cmd.WaitDelay = time.Second // its own children hold the pipe open a little longer after a crash

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, errStopped
	}
	go s.log.copy(stderr) // ends with the process
	if err := s.start(stderrEnd); err != nil {
		return nil, err
	}
	c.server = s
	return s, nil
}

// start starts the process on a thread that is kept until the process ends: the kernel sends Pdeathsig when the
// *thread* that started a child ends, not its process.
func (s *server) start(stderr io.Closer) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			if s.err == nil || errors.Is(s.err, exec.ErrWaitDelay) {
				s.err = errors.New("it was shut down")
			}
			close(s.done)
		}
		stderr.Close() //nolint:errcheck // an io.PipeWriter never fails to close
	}()
	return <-started
}

// stop asks for a fast shutdown, then an immediate one, then kills.
func (s *server) stop() error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		s.cmd.Process.Signal(step.signal) //nolint:errcheck // fails when it has ended, which done tells
		select {
		case <-s.done:
			return nil
		case <-time.After(step.wait):
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end", s.cmd.Process.Pid)
}

func (s *server) kill() {
	s.cmd.Process.Kill() //nolint:errcheck // fails when it has ended already
	<-s.done
}

// runUnder runs a short-lived program that ends with the context, on a kept thread as start does.
func runUnder(ctx context.Context, cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // fails when it has ended already
		<-ended
		return ctx.Err()
	}
}

// serverLog hands the server's lines on to the program's log and remembers the last ones for error messages.
type serverLog struct {
	to    *slog.Logger
	mu    sync.Mutex
	lines []string
}

const remembered = 5

func (l *serverLog) copy(r io.Reader) {
	for scanner := bufio.NewScanner(r); ; {
		if !scanner.Scan() {
			if scanner.Err() == nil {
				return
			}
			scanner = bufio.NewScanner(r) // a line over 64 KiB; go on behind it
			continue
		}
		line := scanner.Text()
		l.mu.Lock()
		l.lines = append(l.lines, line)
		l.lines = l.lines[max(0, len(l.lines)-remembered):]
		l.mu.Unlock()
		level := slog.LevelDebug // a FATAL ends one connection, and its program reports it
		if strings.HasPrefix(line, "PANIC:") {
			level = slog.LevelError
		}
		l.to.Log(context.Background(), level, "PostgreSQL: "+line)
	}
}

func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "; ")
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
