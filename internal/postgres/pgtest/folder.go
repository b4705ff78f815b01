package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// folder is a temporary folder of this process. It is kept locked, so that what a killed process left behind can be
// told from what is in use.
type folder struct {
	path string
	lock *os.File
}

const folderPattern = "pgtest-*"

// tempFolder makes a folder that also user postgres can enter.
func tempFolder() (*folder, error) {
	sweep()
	path, err := os.MkdirTemp("", folderPattern)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if f.lock, err = lockFolder(path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return f, os.Chmod(path, 0o711)
}

// cluster is the place for a cluster's own folder in it.
func (f *folder) cluster() string { return filepath.Join(f.path, "pg") }

func (f *folder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// sweep removes the folders of processes that are dead. A folder made just now may not be locked yet.
func sweep() {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		return // only for a bad pattern
	}
	for _, path := range old {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if lock, err := lockFolder(path); err == nil {
			os.RemoveAll(path) //nolint:errcheck // another user's, perhaps; no harm to this process
			lock.Close()       //nolint:errcheck // opened for reading
		}
	}
}

func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
