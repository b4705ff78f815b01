package asterisktest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"telecommune/internal/ports"
)

// Operator is an Asterisk that somebody else runs, configured by the lines of docs/asterisk.md.
type Operator struct {
	URL      string // of ARI
	Password string
	SIP      string // host:port, UDP and TCP
	t        testing.TB
	dir      string
	cmd      *exec.Cmd
}

// NewOperator starts one. It ends with the test.
func NewOperator(t testing.TB) *Operator {
	t.Helper()
	o := &Operator{t: t, dir: State(t), Password: "an operator's", SIP: free(t)}
	http := free(t)
	o.URL = "http://" + http + "/ari"
	folder := Folder(t)
	for _, dir := range []string{"etc", "var", "db", "spool", "run", "log", "keys"} {
		if err := os.Mkdir(filepath.Join(o.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(http)
	files := documented(t)
	files["http.conf"] = strings.ReplaceAll(files["http.conf"], "8088", port)
	files["ari.conf"] = strings.ReplaceAll(files["ari.conf"], "change-me", o.Password)
	for _, transport := range []string{"udp", "tcp"} {
		files["pjsip.conf"] += fmt.Sprintf("\n[%s]\ntype = transport\nprotocol = %s\nbind = %s\n", transport, transport, o.SIP)
	}
	_, secure, _ := net.SplitHostPort(free(t))
	files["pjsip.conf"] = strings.ReplaceAll(files["pjsip.conf"], "0.0.0.0:5061", "127.0.0.1:"+secure)
	files["logger.conf"] = "[general]\n\n[logfiles]\nmessages => warning,error\n"
	files["asterisk.conf"] = "[directories]\nastmoddir => " + folder + "/modules\nastdatadir => " + folder + "/data\n"
	for key, dir := range map[string]string{
		"astetcdir": "etc", "astvarlibdir": "var", "astdbdir": "db", "astspooldir": "spool", "astrundir": "run", "astlogdir": "log",
		"astkeydir": "keys",
	} {
		files["asterisk.conf"] += fmt.Sprintf("%s => %s/%s\n", key, o.dir, dir)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(o.dir, "etc", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(o.Kill)
	o.Start()
	return o
}

// Start runs Asterisk, and waits until it has begun.
func (o *Operator) Start() {
	o.t.Helper()
	o.cmd = exec.Command(filepath.Join(Folder(o.t), "run"), "-C", filepath.Join(o.dir, "etc", "asterisk.conf"), "-f")
	o.cmd.Dir = o.dir
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	conf := filepath.Join(o.dir, "etc", "asterisk.conf")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command(filepath.Join(Folder(o.t), "run"), "-C", conf, "-rx", "core waitfullybooted").Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatal("the operator's Asterisk does not start")
		}
	}
}

// Secure adds a transport for a trunk over TLS that has authorities of its own, as docs/asterisk.md has it for one of the
// system's, and starts Asterisk anew.
func (o *Operator) Secure(trunk, authorities string) {
	o.t.Helper()
	file := filepath.Join(o.dir, "etc", trunk+".pem")
	if err := os.WriteFile(file, []byte(authorities), 0o600); err != nil {
		o.t.Fatal(err)
	}
	o.Rewrite("pjsip.conf", func(old string) string {
		_, lines, _ := strings.Cut(old, "[tls~system]")
		lines, _, _ = strings.Cut(lines, "\n\n")
		lines = strings.ReplaceAll(lines, "/etc/ssl/certs/ca-certificates.crt", file)
		_, port, _ := strings.Cut(lines, "127.0.0.1:")
		port, _, _ = strings.Cut(port, "\n")
		lines = strings.ReplaceAll(lines, "127.0.0.1:"+port, free(o.t))
		return old + "\n[tls~" + trunk + "]" + lines + "\n"
	})
	o.Kill()
	o.Start()
}

// Kill ends Asterisk at once, as a crash does.
func (o *Operator) Kill() {
	if o.cmd.ProcessState == nil {
		_ = o.cmd.Process.Kill()
		_ = o.cmd.Wait() // it was killed
	}
}

// Rewrite changes a file of its configuration, for the next Start.
func (o *Operator) Rewrite(name string, change func(string) string) {
	o.t.Helper()
	path := filepath.Join(o.dir, "etc", name)
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(change(string(old))), 0o600)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// documented are the files that docs/asterisk.md has the lines of: each block begins with the name of its file.
func documented(t testing.TB) map[string]string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../docs/asterisk.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, block := range strings.Split(string(text), "```ini\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		name, _, _ := strings.Cut(strings.TrimPrefix(block, "; "), "\n")
		files[name] = block
	}
	if len(files) != 6 {
		t.Fatalf("docs/asterisk.md has lines for %d files", len(files))
	}
	return files
}

// free finds an address on loopback that nobody has, for UDP and TCP.
func free(t testing.TB) string {
	t.Helper()
	port, err := ports.Free(net.IPv4(127, 0, 0, 1), 1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
