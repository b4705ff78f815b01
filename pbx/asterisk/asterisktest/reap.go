package asterisktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// reaper waits for the end of its standard input, and then ends what was started with the configuration in the folder $1. It
// finds no other, and not itself.
const reaper = `
cat
left() { grep -slzx "$1/etc/asterisk[.]conf" /proc/[0-9]*/cmdline | cut -d / -f 3; }
for pid in $(left "$1"); do kill "$pid"; done
for i in $(seq 100); do
	[ "$(left "$1")" ] || exit 0
	sleep 0.1
done
for pid in $(left "$1"); do kill -9 "$pid"; done
echo "it did not end when it was asked to"
exit 1`

// Reap sees to it that no Asterisk is left in a state folder when the test is over, also when that is killed: an Asterisk
// lives on without who has started it.
func Reap(t testing.TB, state string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", reaper, "reaper", state)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}      // Ctrl-C is not for it
	said, err := os.Create(filepath.Join(t.TempDir(), "said")) // no goroutine copies a file
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	over, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over.Close()
		if err := cmd.Wait(); err != nil {
			text, _ := os.ReadFile(said.Name())
			t.Errorf("Asterisk in %s: %v: %s", state, err, text)
		}
	})
}
