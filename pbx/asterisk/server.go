package asterisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// private is an Asterisk that we start and supervise.
type private struct {
	conf     Config
	dir      string // of its configuration and all that it writes
	program  string
	http     string // where it takes ARI
	password string // of ARI
	sip      *net.UDPAddr
	written  []byte // the newest peers.conf
}

const (
	steady     = time.Minute // an Asterisk that ran for so long is started again at once
	slowest    = 30 * time.Second
	attempts   = 5                // that end soon, after which there is no sense in another
	finishTime = 10 * time.Second // that it is given to end
)

// run keeps Asterisk running until ctx ends. One that ends by itself is started again; one that can't be started is an
// error. No private one is none that has to be run.
func (p *private) run(ctx context.Context, log *slog.Logger) error {
	if p == nil {
		<-ctx.Done()
		return nil
	}
	wait, short := time.Duration(0), 0
	for {
		began := time.Now()
		err := p.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if short++; time.Since(began) >= steady {
			wait, short = 0, 0
		}
		if short >= attempts {
			return fmt.Errorf("the private Asterisk ended %d times soon after its start; see %s: %w", short, filepath.Join(p.dir, "log"), err)
		}
		log.Error("Asterisk ended, and is started again", "err", err, "in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait+time.Second, slowest)
	}
}

// runOnce runs Asterisk once. It dies with us: then its calls end as well, but nobody pays for calls that nobody leads.
func (p *private) runOnce(ctx context.Context) error {
	// Its death signal comes when the thread that started it ends, so that thread stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := os.OpenFile(filepath.Join(p.dir, "log", "console"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, p.program, "-C", filepath.Join(p.dir, "etc", "asterisk.conf"), "-f")
	// It hangs up its calls when it is asked to end, and is killed when it takes too long for that.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = finishTime
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := filepath.Join(p.dir, "run", "pid")
	if err := os.WriteFile(pid, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	defer os.Remove(pid)
	err = cmd.Wait()
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return err
}
