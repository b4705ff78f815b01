package conformance_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

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

// fetched starts the engine on a real Asterisk.
func fetched(t *testing.T, c conformance.Config) conformance.Engine {
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

// onAsterisk says what is Asterisk's own.
var onAsterisk = conformance.Start{New: fetched, Traits: conformance.Traits{
	Transcodes:   true,             // it offers both codecs to a trunk, the caller's first
	Lax:          true,             // PJSIP drops what it can't parse before anybody sees it
	LeastSession: 90 * time.Second, // PJSIP ignores a shorter timer
}}

func TestAsterisk(t *testing.T) { conformance.Run(t, onAsterisk) }

func TestAsteriskLoad(t *testing.T) { conformance.Load(t, onAsterisk) }
