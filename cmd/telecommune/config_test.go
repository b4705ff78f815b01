package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/spf13/cobra"
)

// configured gives what a command line with all flags of serve would work with.
func configured(t *testing.T, args ...string) (c Config, err error) {
	t.Helper()
	root := newRoot()
	probe := &cobra.Command{Use: "probe", RunE: func(cmd *cobra.Command, _ []string) error {
		c, err = config(cmd)
		return nil
	}}
	addConfigFlags(probe.Flags(), "sip", "http", "rtp-ports", "engine", "asterisk", "node", "prompts", "max-attempts", "max-calls", "max-cps")
	root.AddCommand(probe)
	root.SetArgs(append([]string{"probe"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, err
}

func TestConfigRises(t *testing.T) {
	name := file(t, "telecommune.toml", `
		state = "/srv/file"
		sip = "192.0.2.1:5060"
		http = "192.0.2.1:80"
		rtp_ports = "20000-20100"
		asterisk = "/opt/asterisk"
		prompts = ["/a", "/b"]
	`)
	t.Setenv("TELECOMMUNE_CONFIG", name)
	t.Setenv("TELECOMMUNE_HTTP", "192.0.2.2:80")
	t.Setenv("TELECOMMUNE_RTP_PORTS", "20200-20300")
	t.Setenv("TELECOMMUNE_PROMPTS", "/c:/d")
	t.Setenv("TELECOMMUNE_PUBLIC", "192.0.2.9")
	c, err := configured(t, "--rtp-ports", "20400-20500", "--max-attempts", "3", "--max-calls", "40", "--max-cps", "7")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		State: "/srv/file", SIP: "192.0.2.1:5060", Public: "192.0.2.9", HTTP: "192.0.2.2:80", RTPPorts: "20400-20500", Engine: "sip",
		Asterisk: "/opt/asterisk", Prompts: []string{"/c", "/d"}, Node: defaultConfig().Node, MaxAttempts: 3,
		MaxCalls: 40, MaxCPS: 7, ARIUser: "telecommune",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}

	other := file(t, "other.toml", `node = "berlin-1"`)
	if c, err := configured(t, "--config", other); err != nil || c.Node != "berlin-1" || c.State == "/srv/file" {
		t.Errorf("the flag does not take the place of the environment's file: %+v, %v", c, err)
	}
}

func TestConfigRefused(t *testing.T) {
	for what, tt := range map[string]struct {
		content string
		says    []string
	}{
		"unknown keys":       {"state = \"/s\"\nsipp = \"x\"\n[trunk]\nalpha = 1\n", []string{"sipp (line 2)", "trunk"}},
		"no TOML":            {"state = \n", []string{"line 1"}},
		"not a string":       {"\nstate = 5\n", []string{"line 2"}},
		"engine":             {"engine = \"phone\"\n", []string{"engine", "phone"}},
		"no state":           {"state = \"\"\n", []string{"state"}},
		"no address":         {"public = \"at home\"\n", []string{"public", "at home"}},
		"no attempts":        {"max_attempts = 0\n", []string{"max_attempts", "1 to 50"}},
		"no calls":           {"max_calls = 0\n", []string{"max_calls", "1 to 100000"}},
		"too fast":           {"max_cps = 10001\n", []string{"max_cps", "1 to 10000"}},
		"ARI nowhere":        {"engine = \"asterisk\"\nari_url = \"switch:8088\"\n", []string{"ari_url", "http://127.0.0.1:8088/ari"}},
		"user in address":    {"engine = \"asterisk\"\nari_url = \"http://a:b@switch/ari\"\n", []string{"ari_user", "ari_password_file"}},
		"no password":        {"engine = \"asterisk\"\nari_url = \"http://switch/ari\"\n", []string{"ari_password_file"}},
		"ARI without":        {"ari_url = \"http://switch/ari\"\nari_password_file = \"x\"\n", []string{"ari_url", "only the engine asterisk"}},
		"attempts in words":  {"max_attempts = \"many\"\n", []string{"line 1"}},
		"no name":            {"node = \"\"\n", []string{"node"}},
		"another's key case": {"State = \"/s\"\nDB2 = \"\"\n", []string{"DB2"}},
	} {
		t.Run(what, func(t *testing.T) {
			args := []string{"account", "list", "--config", file(t, "bad.toml", tt.content)}
			checkRefusal(t, tcWith(t, "", args...), exitFailed, tt.says, args)
		})
	}
	missing := []string{"account", "list", "--config", filepath.Join(t.TempDir(), "none.toml")}
	checkRefusal(t, tcWith(t, "", missing...), exitFailed, []string{"none.toml"}, missing)
}

func TestKeyIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	keys := make(chan []byte)
	for range 8 {
		go func() {
			key, err := loadKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys <- key
		}()
	}
	first := <-keys
	for range 7 {
		if key := <-keys; string(key) != string(first) {
			t.Error("two programs have two keys")
		}
	}
	if len(first) != keyBytes {
		t.Errorf("key of %d bytes", len(first))
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want mode 0600", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), first[:16], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKey(dir); err == nil {
		t.Error("half a key was taken for one")
	}
}
