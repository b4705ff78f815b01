package asterisk

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"telecommune/pbx"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/routing"
)

// TestProcessOfAnother: what runs with our arguments is found, its end is noticed, and a child that nobody waited for is
// not taken for one that runs.
func TestProcessOfAnother(t *testing.T) {
	marks := []string{"-C", t.TempDir() + "/etc/asterisk.conf", "-f"}
	cmd := exec.Command("sh", append([]string{"-c", "read line"}, marks...)...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, err := processesOf(marks)
	if err != nil || len(found) != 1 || found[0].Pid != cmd.Process.Pid {
		t.Fatalf("%v, %v; want process %d", found, err, cmd.Process.Pid)
	}
	if other, err := processesOf([]string{"-C", t.TempDir() + "/etc/asterisk.conf", "-f"}); err != nil || len(other) > 0 {
		t.Errorf("%v, %v of another folder", other, err)
	}
	select {
	case <-found[0].ended:
		t.Error("ended though it runs")
	default:
	}
	if err := EndLeft(filepath.Dir(filepath.Dir(marks[1])), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	<-found[0].ended // as a zombie: nobody has waited for it
	if found, err := processesOf(marks); err != nil || len(found) > 0 {
		t.Errorf("%v, %v though it has ended", found, err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it was not asked to end: %v", err)
	}
}

// TestStubborn: one that does not end when it is asked to is killed.
func TestStubborn(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `trap "" TERM; echo; while :; do read line; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it hears nothing from here on
		t.Error(err)
	}
	if err := p.end(); err != nil {
		p.Kill() //nolint:errcheck // it is
		t.Error(err)
	}
}

// TestLaunched: a process is in a session of its own, and may write no more than both we and the system allow.
func TestLaunched(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { <-p.ended }()
	defer in.Close()
	if sid, err := unix.Getsid(p.Pid); err != nil || sid != p.Pid {
		t.Errorf("it is in session %d, %v: what is typed at our terminal ends it", sid, err)
	}
	const most = 1 << 20
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[uint64]uint64{most / 2: most / 2, 2 * most: most} {
		var is unix.Rlimit
		err := errors.Join(boundFiles(p.Pid, asked), unix.Prlimit(p.Pid, unix.RLIMIT_FSIZE, nil, &is))
		if err != nil || is.Cur != want || is.Max != most {
			t.Errorf("%+v, %v; want %d at most", is, err, want)
		}
	}
}

// TestFoundTooLate: what was not seen when the configuration was written anew is not taken over with it.
func TestFoundTooLate(t *testing.T) {
	conf := Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0", RTPPorts: "10000-20000",
		Admission: func() *pbx.Admission { return &pbx.Admission{} }, Trunks: func() []routing.Trunk { return nil },
	}
	if _, err := newPrivate(conf); err != nil {
		t.Fatal(err)
	}
	late, err := newPrivate(conf)
	if err != nil {
		t.Fatal(err)
	}
	if late.same {
		t.Error("the configuration was written anew, and is taken for the one before")
	}
}

// TestLeftRunning: what was left is taken over by one with the same configuration alone, at the same address, and ended by
// any other.
func TestLeftRunning(t *testing.T) {
	conf := Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0", RTPPorts: "10000-20000",
		Admission: func() *pbx.Admission { return &pbx.Admission{} }, Trunks: func() []routing.Trunk { return nil },
	}
	log := slog.New(slog.NewTextHandler(logTo{t}, nil))
	begin := func(c Config) *private {
		t.Helper()
		p, err := newPrivate(c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := begin(conf)
	if left, err := first.takeOver(t.Context(), log); left != nil || err != nil {
		t.Fatalf("%v, %v was left by nobody", left, err)
	}
	runs, err := first.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runs.end() }) //nolint:errcheck // it has ended as a rule
	first.patience = time.Minute
	// Before, it is a shell that becomes an Asterisk, and meanwhile the system tells no arguments of the process.
	if err := first.answers(t.Context()); err != nil {
		t.Fatal(err)
	}

	again := begin(conf)
	if again.reach != first.reach {
		t.Fatalf("it is looked for at %+v, and is at %+v", again.reach, first.reach)
	}
	left, err := again.takeOver(t.Context(), log)
	if err != nil || left == nil {
		t.Fatalf("%v, %v; want process %d", left, err, runs.Pid)
	}
	if left.Pid != runs.Pid {
		t.Fatalf("process %d is taken over, want %d", left.Pid, runs.Pid)
	}
	if !again.taken {
		t.Error("it is taken for one that was started now")
	}
	conf.Listen = first.reach.SIP
	for name, change := range map[string]func(*Config){
		"the same":              func(*Config) {},
		"any port":              func(c *Config) { c.Listen = "127.0.0.1:0" },
		"another port":          func(c *Config) { c.Listen = "127.0.0.1:1" },
		"another address":       func(c *Config) { c.Listen = "127.0.0.2:0" },
		"all addresses":         func(c *Config) { c.Listen = ":0" },
		"another public one":    func(c *Config) { c.Public = netip.MustParseAddr("192.0.2.1") },
		"other ports for voice": func(c *Config) { c.RTPPorts = "10000-20001" },
		"silence for so long":   func(c *Config) { c.MediaTimeout = time.Minute }, // is a matter of peers, which can be changed
	} {
		c := conf
		change(&c)
		p := &private{conf: c, dir: first.dir, folder: first.folder}
		same, err := p.isAsBefore()
		if want := slices.Contains([]string{"the same", "any port", "silence for so long"}, name); same != want || err != nil {
			t.Errorf("%s: as before %t, %v", name, same, err)
		}
	}

	// A run that died before it started anything has changed the password.
	if err := begin(conf).makeNew(true); err != nil {
		t.Fatal(err)
	}
	other := begin(conf)
	other.patience = time.Second
	if left, err := other.takeOver(t.Context(), log); left != nil || err != nil {
		t.Fatalf("%v is taken over, %v", left, err)
	}
	select {
	case <-runs.ended: // which we learn as its parent, in a moment
	case <-time.After(finishTime):
		t.Fatal("what can't be taken over runs on")
	}
}

// TestFolderOfAnyName: a state folder may be called as anybody likes; in Asterisk's files a semicolon begins a comment. An
// Asterisk with known holes is not run.
func TestFolderOfAnyName(t *testing.T) {
	conf := Config{
		Folder: asterisktest.Folder(t), State: filepath.Join(asterisktest.State(t), "mine; all 'mine'"), Listen: "127.0.0.1:0",
		RTPPorts:  "10000-20000",
		Admission: func() *pbx.Admission { return &pbx.Admission{} }, Trunks: func() []routing.Trunk { return nil },
	}
	p, err := newPrivate(conf)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runs.end() }) //nolint:errcheck // it has ended as a rule
	if err := p.answers(t.Context()); err != nil {
		t.Error(err)
	}

	conf.Folder = t.TempDir()
	for name, content := range map[string]string{"run": "#!/bin/sh\necho Asterisk 20.19.0\n", "modules": "", "data": ""} {
		if err := os.WriteFile(filepath.Join(conf.Folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := newPrivate(conf); err == nil || !strings.Contains(err.Error(), "known holes") {
		t.Errorf("an Asterisk with known holes: %v", err)
	}
}

// TestStartedAgain: one that ends soon is started again at ever longer intervals, one that ran for a while at once. Who
// never takes calls is given up, who did is not, however often it is killed.
func TestStartedAgain(t *testing.T) {
	var r restart
	for i, want := range []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, slowest, slowest} {
		if wait, hopeless := r.after(time.Second, true); wait != want || hopeless {
			t.Errorf("run %d: %s, hopeless %t; want %s", i, wait, hopeless, want)
		}
	}
	if wait, _ := r.after(steady, true); wait != 0 {
		t.Errorf("one that ran for a minute is started again in %s", wait)
	}
	r = restart{}
	for i := range attempts {
		if _, hopeless := r.after(time.Second, false); hopeless != (i == attempts-1) {
			t.Errorf("run %d of one that never worked: hopeless %t", i, hopeless)
		}
	}
}
