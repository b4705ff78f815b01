package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTimes is processor time, of user and system, since the processes were started.
type cpuTimes struct{ controller, asterisk, database, peers time.Duration }

func (c cpuTimes) since(before cpuTimes) cpuTimes {
	return cpuTimes{
		c.controller - before.controller, c.asterisk - before.asterisk, c.database - before.database, c.peers - before.peers,
	}
}

// cpu reads what the processes of a way have used so far.
func (w *callsWay) cpu() (t cpuTimes, err error) {
	for _, p := range []struct {
		pid int
		to  *time.Duration
	}{{w.controller, &t.controller}, {w.asterisk, &t.asterisk}} {
		if p.pid == 0 {
			continue
		}
		s, err := readStat(p.pid)
		if err != nil {
			return t, err
		}
		*p.to = s.own
	}
	if w.database != 0 {
		if t.database, err = familyTime(w.database); err != nil {
			return t, err
		}
	}
	var u syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	t.peers = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return t, err
}

// memory gives the resident megabytes of controller and Asterisk.
func (w *callsWay) memory() (controller, asterisk int64, err error) {
	if controller, err = resident(w.controller); err != nil {
		return 0, 0, err
	}
	asterisk, err = resident(w.asterisk)
	return controller, asterisk, err
}

// stat is what Linux tells of a process (proc_pid_stat(5)).
type stat struct {
	name   string
	parent int
	own    time.Duration
	ended  time.Duration // of its children that have ended and were waited for
}

const tickTime = time.Second / 100 // USER_HZ, the same wherever Linux runs

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	at, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if at < 0 || end < at {
		return s, fmt.Errorf("/proc/%d/stat makes no sense", pid)
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/%d/stat makes no sense", pid)
	}
	n := make([]int64, 15)
	for i := 1; i < len(n); i++ {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return s, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
	}
	return stat{
		name: string(text[at+1 : end]), parent: int(n[1]),
		own: time.Duration(n[11]+n[12]) * tickTime, ended: time.Duration(n[13]+n[14]) * tickTime,
	}, nil
}

// familyTime is the time of a process and its children, also of those that have ended.
func familyTime(pid int) (time.Duration, error) {
	first, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	sum := first.own + first.ended
	for _, child := range children(pid) {
		sum += child.own + child.ended
	}
	return sum, nil
}

// children gives the running children of a process by their numbers.
func children(pid int) map[int]stat {
	found := map[int]stat{}
	entries, _ := filepath.Glob("/proc/[0-9]*") // only a bad pattern is an error
	for _, e := range entries {
		child, err := strconv.Atoi(filepath.Base(e))
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil && s.parent == pid { // else it has just ended
			found[child] = s
		}
	}
	return found
}

// resident is a process's memory in megabytes; 0 for none.
func resident(pid int) (int64, error) {
	if pid == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, pages int64
	_, err = fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize()) >> 20, err
}
