package postgres

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

var errTaken = errors.New("lock is taken")

type lockKind int

const (
	exclusive lockKind = syscall.LOCK_EX
	shared    lockKind = syscall.LOCK_SH
)

// fileLock is a flock(2). The kernel lets go of it when the process ends, however it ends; child processes don't get
// it, as Go opens files with O_CLOEXEC.
type fileLock struct{ f *os.File }

// tryLock takes the lock or returns errTaken at once. An exclusive holder leaves its process number in the file, for
// people to read.
func tryLock(path string, kind lockKind) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), int(kind)|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errTaken
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if kind == exclusive {
		err = f.Truncate(0)
		if err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) { // the lock holds without the number
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
	}
	return &fileLock{f}, nil
}

func (l *fileLock) release() error { return l.f.Close() }

// lockHolder names the process that took the lock last.
func lockHolder(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return "process unknown"
	}
	return "process " + strings.TrimSpace(string(text))
}
