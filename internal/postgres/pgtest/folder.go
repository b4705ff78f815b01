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

const (
	folderPattern = "pgtest-*"
	sharedMemory  = "/dev/shm"
	enoughMemory  = 4 << 30 // bytes, for two packages at once with all their databases
)

// inMemory gives the place for what need not outlive its process: a file system in memory where there is one with room.
// A database is hundreds of files, which disks take several times as long to make and remove.
func inMemory() string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(sharedMemory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < enoughMemory {
		return os.TempDir()
	}
	return sharedMemory
}

// tempFolder makes a folder in place that also user postgres can enter.
func tempFolder(place string) (*folder, error) {
	sweep(place)
	path, err := os.MkdirTemp(place, folderPattern)
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
func sweep(place string) {
	old, err := filepath.Glob(filepath.Join(place, folderPattern))
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
