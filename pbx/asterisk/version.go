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

	"telecommune/pbx"
)

// least are the versions of each line that have no hole that is known (ARI and PJSIP, June 2026).
var least = map[int][3]int{20: {20, 20, 1}, 21: {21, 12, 3}, 22: {22, 10, 1}, 23: {23, 4, 1}}

// soundVersion tells that a version, such as 22.10.1+dfsg or certified-22.8, is one without a hole that is known.
func soundVersion(text string) bool {
	numbers := strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	var is [3]int
	for i := range min(len(numbers), len(is)) {
		n, err := strconv.Atoi(numbers[i])
		if err != nil {
			return false
		}
		is[i] = n
	}
	if want, known := least[is[0]]; known {
		return slices.Compare(is[:], want[:]) >= 0
	}
	return is[0] > 23 && is[0] < 100 // git snapshots have no numbers like these
}

// Version is that of the Asterisk in a folder that deploy/asterisk/get.sh has printed, such as 22.10.1. None there, one that
// does not run and one with known holes are errors.
func Version(folder string) (string, error) {
	if folder == "" {
		return "", errors.New("no folder with an Asterisk is given, and none was fetched")
	}
	for _, name := range []string{"run", "modules", "data"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return "", fmt.Errorf("no Asterisk in %s: %w", folder, err)
		}
	}
	out, err := exec.Command(filepath.Join(folder, "run"), "-V").Output()
	if err != nil {
		return "", fmt.Errorf("the Asterisk in %s does not run: %w", folder, err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "Asterisk "), "+")
	if version = pbx.Printable(version); !soundVersion(version) {
		return "", fmt.Errorf("the Asterisk in %s is of version %s, which has known holes, or is not known", folder, version)
	}
	return version, nil
}
