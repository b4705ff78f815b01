package conformance

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/zaf/g711"

	"telecommune/internal/ports"
)

//go:embed sipp
var scenarios embed.FS

// sippPatience bounds a scenario from when its end is waited for.
const sippPatience = 60 * time.Second

// values are what a scenario is filled with.
type values map[string]any

// sippRun is one SIPp process.
type sippRun struct {
	t        *testing.T
	scenario string
	addr     string // of its SIP socket
	cmd      *exec.Cmd
	dir      string
	out      bytes.Buffer
	done     chan struct{}
	err      error // valid after done
}

// sippCarrier starts SIPp as a carrier that takes one call, or as many as count says.
func sippCarrier(t *testing.T, scenario string, v values, args ...string) *sippRun {
	t.Helper()
	s := startSIPp(t, scenario, v, args...)
	for s.starting() {
		time.Sleep(5 * time.Millisecond)
	}
	return s
}

// sippCaller starts SIPp as a caller of number at the engine.
func sippCaller(t *testing.T, engine, number, scenario string, v values, args ...string) *sippRun {
	t.Helper()
	return startSIPp(t, scenario, v, append([]string{engine, "-s", number}, args...)...)
}

func startSIPp(t *testing.T, scenario string, v values, args ...string) *sippRun {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		t.Fatal("SIPp is not installed: apt-get install sip-tester")
	}
	s := &sippRun{t: t, scenario: scenario, dir: t.TempDir(), done: make(chan struct{})}
	file := filepath.Join(s.dir, "scenario.xml")
	if err := os.WriteFile(file, fill(t, s.dir, scenario, v), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	args = append([]string{
		"-sf", file, "-i", "127.0.0.1", "-p", strconv.Itoa(port), "-mi", "127.0.0.1", "-mp", strconv.Itoa(freePort(t)),
		"-m", "1", "-nostdin", "-trace_err", "-error_file", "errors",
		"-trace_msg", "-message_file", "messages",
	}, args...)
	s.cmd = exec.Command(path, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, &s.out, &s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			messages, _ := os.ReadFile(filepath.Join(s.dir, "messages"))
			t.Logf("%s: %v\n%s", scenario, s.err, tail(messages))
		}
	})
	return s
}

// starting tells that the socket is not bound yet. It is looked for, not tried: SIPp could not bind it meanwhile.
func (s *sippRun) starting() bool {
	select {
	case <-s.done:
		s.t.Fatalf("SIPp did not start: %v\n%s", s.err, s.out.String())
	default:
	}
	table, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	return !bytes.Contains(table, fmt.Appendf(nil, ": 0100007F:%04X ", n)) // 127.0.0.1 as Linux writes it on x86 and ARM
}

// wait waits for the scenario to be over, and fails the test unless it went as written.
func (s *sippRun) wait() {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(sippPatience): // SIPp's own time-out waits for calls that hang
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	if s.err != nil {
		why, _ := os.ReadFile(filepath.Join(s.dir, "errors"))
		s.t.Errorf("SIPp %s: %v\n%s\n%s", s.scenario, s.err, why, tail(s.out.Bytes()))
	}
}

// end ends SIPp, if it has not by itself.
func (s *sippRun) end() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// setups are the milliseconds from INVITE to 200, or to whatever answer the scenario takes the time of, least first. Only a caller with -trace_rtt has them.
func (s *sippRun) setups() []float64 {
	s.t.Helper()
	files, _ := filepath.Glob(filepath.Join(s.dir, "*_rtt.csv"))
	if len(files) != 1 {
		s.t.Fatalf("SIPp wrote %d files of response times", len(files))
	}
	table, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	var all []float64
	for line := range strings.Lines(string(table)) {
		fields := strings.Split(line, ";")
		if len(fields) < 2 {
			continue
		}
		if ms, err := strconv.ParseFloat(fields[1], 64); err == nil {
			all = append(all, ms)
		}
	}
	slices.Sort(all)
	return all
}

func tail(b []byte) []byte { return b[max(0, len(b)-8000):] }

// fill makes a scenario file of its template. Sound is a file with seconds of a 1000 Hz tone.
func fill(t *testing.T, dir, scenario string, v values) []byte {
	t.Helper()
	functions := template.FuncMap{
		"add":   func(a, b int) int { return a + b },
		"times": func(n int) []struct{} { return make([]struct{}, n) },
	}
	parsed, err := template.New(scenario).Funcs(functions).ParseFS(scenarios, "sipp/parts.tmpl", "sipp/"+scenario)
	if err != nil {
		t.Fatal(err)
	}
	all := values{"Sound": "tone.alaw", "Rings": 1}
	for k, x := range v {
		all[k] = x
	}
	tone := make([]byte, 8000)
	for i := range tone {
		tone[i] = g711.EncodeAlawFrame(int16(8000 * math.Sin(2*math.Pi*1000*float64(i)/8000)))
	}
	if err := os.WriteFile(filepath.Join(dir, "tone.alaw"), tone, 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := parsed.Execute(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// freePort finds a port that, with the three after it, nobody has: SIPp takes that many for media.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := ports.Free(net.IPv4(127, 0, 0, 1), 4)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// mayForge tells whether SIPp may send telephone events: it writes them to a raw socket.
func mayForge() bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_UDP)
	if err == nil {
		syscall.Close(fd)
	}
	return !errors.Is(err, syscall.EPERM)
}
