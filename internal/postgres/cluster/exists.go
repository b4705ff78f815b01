package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Exists tells whether a folder has the data of a cluster, so that starting it makes no new one. What can't be seen is
// taken to be there: starting it says what is wrong.
func Exists(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "data", "PG_VERSION"))
	return !errors.Is(err, fs.ErrNotExist)
}
