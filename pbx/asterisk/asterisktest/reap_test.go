package asterisktest

import (
	"os/exec"
	"syscall"
	"testing"
)

// TestReap: what runs on the folder is ended at the end of a test, and nothing else.
func TestReap(t *testing.T) {
	begin := func(state string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("sh", "-c", "read line", "-C", state+"/etc/asterisk.conf", "-f")
		over, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { over.Close() })
		return cmd
	}
	state := t.TempDir()
	ours, other := begin(state), begin(t.TempDir())
	t.Run("", func(t *testing.T) { Reap(t, state) })
	if err := ours.Wait(); err == nil || ours.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it was not asked to end: %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := other.Wait(); err == nil || other.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("another: %v", err)
	}
}
