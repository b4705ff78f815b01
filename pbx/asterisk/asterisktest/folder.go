// Package asterisktest gets a real Asterisk for tests.
package asterisktest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Folder is where an Asterisk is, as deploy/asterisk/get.sh has got it. A test fails when none can be had.
func Folder(t testing.TB) string {
	t.Helper()
	folder, err := get()
	if err != nil {
		t.Fatalf("no Asterisk to test with: %v", err)
	}
	return folder
}

var get = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	var why bytes.Buffer
	script := exec.Command(filepath.Join(filepath.Dir(here), "../../../deploy/asterisk/get.sh"))
	script.Stderr = &why
	out, err := script.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, why.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// State makes a folder for an Asterisk to keep its things in; t's own has too long a path for a socket. What Asterisk
// said is logged when the test fails. None is left that runs on it (Reap).
func State(t testing.TB) string {
	t.Helper()
	state, err := os.MkdirTemp("", "asterisk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(state, "log", "messages"))
			t.Logf("Asterisk says:\n%s", said)
		}
		os.RemoveAll(state)
	})
	Reap(t, state)
	return state
}
