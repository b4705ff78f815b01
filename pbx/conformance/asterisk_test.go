package conformance_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"telecommune/pbx/asterisk"
	"telecommune/pbx/conformance"
)

// fetch gets an Asterisk, once.
var fetch = sync.OnceValues(func() (string, error) {
	get := exec.Command("../../deploy/asterisk/get.sh")
	get.Stderr = os.Stderr
	folder, err := get.Output()
	return strings.TrimSpace(string(folder)), err
})

// real starts the engine on a real Asterisk.
func real(t *testing.T, c conformance.Config) conformance.Engine {
	t.Helper()
	folder, err := fetch()
	if err != nil {
		t.Fatalf("no Asterisk to test with: %v", err)
	}
	state, err := os.MkdirTemp("", "asterisk") // t's own folder has too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(state + "/log/messages")
			t.Logf("Asterisk says:\n%s", said)
		}
		os.RemoveAll(state)
	})
	e, err := asterisk.New(asterisk.Config{
		Folder: folder, State: state, Listen: "127.0.0.1:0", Admission: c.Admission, Trunks: c.Trunks,
		MediaTimeout: c.MediaTimeout, Log: c.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAsterisk(t *testing.T) { conformance.Run(t, real) }
