package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"telecommune/internal/postgres"
	"telecommune/pbx/asterisk/asterisktest"
)

// checkup runs doctor on a state folder and gives what it found by the name of the check.
func checkup(t *testing.T, state string) map[string]finding {
	t.Helper()
	r := tcWith(t, "", "doctor", "-o", "json", "--state", state)
	found := map[string]finding{}
	for _, f := range decode[[]finding](t, r.out) {
		found[f.Check] = f
	}
	return found
}

// TestLookingMakesNothing holds that doctor and completion leave an empty machine as it is.
func TestLookingMakesNothing(t *testing.T) {
	for what, state := range map[string]string{"no folder": filepath.Join(freshState(t), "none"), "an empty one": freshState(t)} {
		found := checkup(t, state)
		if f := found["database"]; f.Status != good || !strings.Contains(f.Detail, "will be made") {
			t.Errorf("%s: database %+v", what, f)
		}
		if f := found["set-up"]; f.Status != warn {
			t.Errorf("%s: set-up %+v", what, f)
		}
		if r := tcWith(t, "", "__complete", "--state", state, "account", "show", ""); r.code != 0 || r.out != ":4\n" {
			t.Errorf("%s: completion: exit %d, %q", what, r.code, r.out)
		}
		if left, err := os.ReadDir(state); err == nil && len(left) > 0 {
			t.Errorf("%s: made %v", what, left)
		}
	}
}

func TestDoctorLooksIntoTheStateFolder(t *testing.T) {
	home := freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: home, Log: quiet()}) // kept up
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key, spool := filepath.Join(home, keyFile), filepath.Join(home, "spool")
	see := func(check string, want status, words ...string) {
		t.Helper()
		f := checkup(t, home)[check]
		for _, w := range words {
			if f.Status != want || !strings.Contains(f.Detail+" "+f.Fix, w) {
				t.Errorf("%+v, want %s that says %q", f, want, w)
			}
		}
	}
	run := func(line string) {
		t.Helper()
		if r := tcWith(t, "", append(strings.Fields(line), "--state", home)...); r.code != 0 {
			t.Fatal(r.err)
		}
	}
	put := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(spool, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(spool, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	see("spool", good, "in the books")
	see("secret key", good, "will be made")
	if _, err := os.Stat(key); err == nil {
		t.Error("doctor made a key")
	}
	run("account add anna")
	run("pin issue --account anna")
	see("secret key", good, key)
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	see("secret key", warn, "missing", "put back", "forget-key")
	if err := makeKey(key); err != nil {
		t.Fatal(err)
	}
	see("secret key", fail, "not the one", "put back")

	call, err := json.Marshal(map[string]string{"some": "call"})
	if err != nil {
		t.Fatal(err)
	}
	put("1.drain", string(call)+"\n")
	see("spool", warn, "1 calls wait", "serve")
	put("unreadable.jsonl", "x\ny\n")
	see("spool", warn, "2 calls can't be settled", "unreadable.jsonl")

	run("trunk add secure --address carrier.example --transport tls --tls-name other.example")
	r := tcWith(t, "", "doctor", "-o", "json", "--state", home, "--engine", "asterisk")
	if !slices.ContainsFunc(decode[[]finding](t, r.out), func(f finding) bool {
		return f.Check == "trunks over TLS" && f.Status == warn && strings.Contains(f.Detail, "secure")
	}) {
		t.Errorf("a trunk that Asterisk can't carry: %s", r.out)
	}
}

// TestDoctorLooksForAsterisk, when that is to carry the calls.
func TestDoctorLooksForAsterisk(t *testing.T) {
	old := t.TempDir()
	for name, content := range map[string]string{"run": "#!/bin/sh\necho Asterisk 22.10.0\n", "modules": "", "data": ""} {
		if err := os.WriteFile(filepath.Join(old, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for what, tt := range map[string]struct {
		flags []string
		want  status
		says  string
	}{
		"one with known holes": {[]string{"--engine", "asterisk", "--asterisk", old}, fail, "22.10.0, which has known holes"},
		"built in":             {nil, good, "built in"},
		"a real one":           {[]string{"--engine", "asterisk", "--asterisk", asterisktest.Folder(t)}, good, "Asterisk 2"},
		"no folder":            {[]string{"--engine", "asterisk", "--asterisk", t.TempDir()}, fail, "no such file"},
		"none":                 {[]string{"--engine", "asterisk", "--asterisk", ""}, fail, "none was fetched"},
	} {
		r := tcWith(t, "", append([]string{"doctor", "-o", "json", "--state", freshState(t)}, tt.flags...)...)
		for _, f := range decode[[]finding](t, r.out) {
			if f.Check == "engine" && (f.Status != tt.want || !strings.Contains(f.Detail, tt.says) || f.Status == fail && f.Fix != getAsterisk) {
				t.Errorf("%s: %+v", what, f)
			}
		}
	}
}

// TestDoctorLooksAtAnAsteriskElsewhere: all is well with the lines of docs/asterisk.md; each that is missing is named.
func TestDoctorLooksAtAnAsteriskElsewhere(t *testing.T) {
	operator := asterisktest.NewOperator(t)
	state, password, clips := freshState(t), file(t, "password", operator.Password+"\n"), t.TempDir()
	if err := silentClips(clips); err != nil {
		t.Fatal(err)
	}
	look := func(flags ...string) map[string]finding {
		t.Helper()
		args := append([]string{"doctor", "-o", "json", "--state", state, "--engine", "asterisk", "--ari-url", operator.URL, "--ari-password-file", password, "--prompts", clips}, flags...)
		all := map[string]finding{}
		for _, f := range decode[[]finding](t, tcWith(t, "", args...).out) {
			all[f.Check] = f
		}
		return all
	}
	see := func(all map[string]finding, check string, want status, fix string) {
		t.Helper()
		if f, is := all[check]; !is || f.Status != want || !strings.Contains(f.Fix, fix) || want == good && f.Fix != "" {
			t.Errorf("%s: %+v, want %s, mended by %q", check, f, want, fix)
		}
	}
	well := look()
	for _, check := range []string{"ari", "asterisk version", "asterisk modules", "asterisk memory", "asterisk callers", "asterisk dialplan", "asterisk prompts", "trunks over TLS", "asterisk trunks"} {
		see(well, check, good, "")
	}
	see(look("--ari-password-file", file(t, "wrong", "wrong\n")), "ari", fail, "ari.conf: [telecommune]")
	see(look("--ari-url", strings.TrimSuffix(operator.URL, "/ari")), "ari", fail, "/ari")
	see(look("--ari-url", "http://127.0.0.1:9/ari"), "ari", fail, "http.conf")

	operator.Kill()
	for name, line := range map[string]string{
		"extensions.conf": " same => n,Stasis(", "sorcery.conf": "registration = memory", "modules.conf": "load = func_groupcount.so",
	} {
		operator.Rewrite(name, func(s string) string { return strings.Replace(s, line, "; "+line, 1) })
	}
	operator.Start()
	broken := look("--prompts", t.TempDir())
	see(broken, "asterisk modules", fail, "load = func_groupcount.so")
	see(broken, "asterisk memory", fail, "sorcery.conf")
	see(broken, "asterisk dialplan", fail, "extensions.conf")
	see(broken, "asterisk prompts", fail, "make prompts")
}
