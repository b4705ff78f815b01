package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// leftoverWait is how long Start waits for the server of a program that was killed: it is on its way out.
const leftoverWait = time.Minute

// awaitLeftovers waits until no server process is left on the data folder, then removes a postmaster.pid left behind.
//
// What counts is the processes themselves, known by executable and working folder. The number in postmaster.pid may
// long be another process's, which PostgreSQL would take for a running server; nothing is ever killed by it.
func (c *Cluster) awaitLeftovers(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(leftoverWait); ; {
		pids, err := serversOn(c.data())
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: a PostgreSQL server that this program did not start runs on %s; end it with: kill -INT %d",
				ErrFolder, c.data(), pids[0])
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the last PostgreSQL server on %s: %w", c.data(), ctx.Err())
		case <-tick.C:
		}
	}
	err := os.Remove(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale postmaster.pid: %w", err)
	}
	return nil
}

// serversOn lists the processes that run `postgres` with the data folder as working folder, the postmaster and its
// children; all of them must be gone before a new server may write there. The lowest number, likely the postmaster's,
// comes first.
func serversOn(data string) ([]int, error) {
	real, err := filepath.EvalSymlinks(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for servers on %s: %w", data, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for servers on %s: %w", data, err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that ends meanwhile, or of another user, gives errors: it is none of ours.
		exe, errExe := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		cwd, errCwd := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if errExe == nil && errCwd == nil && cwd == real && isServer(exe) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// isServer knows the server's executable, also after its package was upgraded beneath it.
func isServer(exe string) bool {
	name := filepath.Base(exe)
	return name == "postgres" || name == "postgres (deleted)"
}
