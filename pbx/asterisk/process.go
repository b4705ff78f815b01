package asterisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	finishTime = 10 * time.Second       // that an Asterisk is given to end
	lookAlive  = 200 * time.Millisecond // between two looks at one that is no child of ours
)

// process is an Asterisk that runs: a child of ours, or of a run of this program that was killed.
type process struct {
	*os.Process
	ended chan struct{} // closed when it has
	err   error         // how; read after ended
}

// launch starts a process that lives on when we are killed, away from our terminal.
func launch(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{Process: cmd.Process, ended: make(chan struct{})}
	go func() {
		if p.err = cmd.Wait(); p.err == nil {
			p.err = errors.New("it ended by itself")
		}
		close(p.ended)
	}()
	return p, nil
}

// boundFiles has the kernel refuse what a process would write to a file beyond so many bytes. Asterisk goes on then, and
// leaves that out of its logs.
func boundFiles(pid int, most uint64) error {
	var limit unix.Rlimit
	err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit)
	if err == nil {
		limit.Cur = min(most, limit.Max)
		err = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
	}
	if err != nil {
		return fmt.Errorf("bound the files of Asterisk: %w", err)
	}
	return nil
}

// running lists the processes that were started with these last arguments. That is asked of the system each time: a
// number that was written down may long be that of another process.
func running(arguments []string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for a running Asterisk: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && startedWith(pid, arguments) && birth(pid) != "" {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// processesOf holds on to the processes that were started with these last arguments: what is done to one of them later is
// done to no other.
func processesOf(arguments []string) ([]*process, error) {
	pids, err := running(arguments)
	var found []*process
	for _, pid := range pids {
		born := birth(pid)
		held, err := os.FindProcess(pid)
		if err != nil || born == "" || birth(pid) != born || !startedWith(pid, arguments) {
			continue // it has ended meanwhile
		}
		p := &process{Process: held, ended: make(chan struct{}), err: errors.New("it ended")}
		go p.watch(born)
		found = append(found, p)
	}
	return found, err
}

// startedWith tells whether a process has such last arguments.
func startedWith(pid int, arguments []string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	all := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	return err == nil && len(all) > len(arguments) && slices.Equal(all[len(all)-len(arguments):], arguments)
}

// birth is when a process was started, in ticks since the machine was, which with its number names it for good
// (proc_pid_stat(5)); "" when there is none, or what is there has ended and its parent has not asked how. While one of its
// threads is there yet, which has its sockets, it has not ended.
func birth(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ") // behind a name that may be anything
	fields := strings.Fields(rest)
	if err != nil || len(fields) < 20 {
		return ""
	}
	state, threads, started := fields[0], fields[17], fields[19]
	if state == "X" || state == "Z" && threads == "1" {
		return ""
	}
	return started
}

// watch waits for the end of a process that is no child of ours.
func (p *process) watch(born string) {
	tick := time.NewTicker(lookAlive)
	defer tick.Stop()
	for birth(p.Pid) == born {
		<-tick.C
	}
	close(p.ended)
}

// end has the process hang up its calls and end; it is killed when it takes too long for that.
func (p *process) end() error {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p.Signal(s) //nolint:errcheck // fails when it has ended, which is told below
		select {
		case <-p.ended:
			return nil
		case <-time.After(finishTime):
		}
	}
	return fmt.Errorf("process %d, an Asterisk, does not end", p.Pid)
}
