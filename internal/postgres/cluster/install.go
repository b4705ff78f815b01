package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Oldest is the oldest major version of PostgreSQL that the program works with.
const Oldest = 15

var (
	// ErrMissing is returned by Find when the machine has no PostgreSQL that can be used.
	ErrMissing = errors.New("PostgreSQL is missing")
	// ErrVersion is returned by New when the data folder was made by a major version that is not installed.
	ErrVersion = errors.New("data of another PostgreSQL version")
)

// Installation is one PostgreSQL of the machine: its server and its tools.
type Installation struct {
	Bin   string // folder of initdb, postgres, pg_dump, pg_restore, psql
	Major int
}

// Tool gives the path of one of its programs.
func (i Installation) Tool(name string) string { return filepath.Join(i.Bin, name) }

// Find looks for PostgreSQL of the given major version, or with 0 for the one that pg_config names, else the newest
// under /usr/lib/postgresql. Debian has none of its programs on the PATH. It returns ErrMissing when there is none.
func Find(major int) (Installation, error) {
	for _, bin := range folders() {
		in, err := inspect(bin)
		if err == nil && in.Major >= Oldest && (major == 0 || in.Major == major) {
			return in, nil
		}
	}
	want := fmt.Sprintf("%d or newer", Oldest)
	pkg := "postgresql"
	if major != 0 {
		want, pkg = strconv.Itoa(major), fmt.Sprintf("postgresql-%d", major)
	}
	return Installation{}, fmt.Errorf("%w: version %s is not installed; install it with: apt-get install %s",
		ErrMissing, want, pkg)
}

func folders() []string {
	var found []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		found = append(found, strings.TrimSpace(string(out)))
	}
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return found // only for a bad pattern
	}
	number := func(bin string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) //nolint:errcheck // no number sorts last
		return n
	}
	slices.SortFunc(debian, func(a, b string) int { return cmp.Compare(number(b), number(a)) })
	return append(found, debian...)
}

// inspect asks the server in a folder for its version: `postgres (PostgreSQL) 15.18 (Debian …)`.
func inspect(bin string) (Installation, error) {
	in := Installation{Bin: bin}
	if _, err := os.Stat(in.Tool("initdb")); err != nil {
		return in, err // a client-only installation
	}
	out, err := exec.Command(in.Tool("postgres"), "--version").Output()
	if err != nil {
		return in, fmt.Errorf("%s --version: %w", in.Tool("postgres"), err)
	}
	_, rest, _ := strings.Cut(string(out), "(PostgreSQL) ")
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	if in.Major, err = strconv.Atoi(digits); err != nil {
		return in, fmt.Errorf("version of %s: %q", in.Tool("postgres"), out)
	}
	return in, nil
}
