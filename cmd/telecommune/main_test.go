package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telecommune/internal/postgres"
)

// state is the state folder of all tests. The test process keeps its database up, so that each command joins it.
var state string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	runAsProgram()
	for _, s := range settings {
		os.Unsetenv(s.env())
	}
	os.Unsetenv("TELECOMMUNE_CONFIG")
	slog.SetDefault(slog.New(slog.DiscardHandler))
	var err error
	if state, err = demoState(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(state)
	db, err := postgres.Open(context.Background(), postgres.Options{State: state, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// outcome is what a command line came to.
type outcome struct {
	out, err string
	code     int
}

// tc runs a command line on the state folder of the tests.
func tc(t *testing.T, args ...string) outcome {
	t.Helper()
	return tcWith(t, "", append(args, "--state", state)...)
}

func tcWith(t *testing.T, in string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, streams{strings.NewReader(in), &out, &errs})
	return outcome{out.String(), errs.String(), code}
}

// ok runs a command line that must succeed and say nothing on the error stream.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := tc(t, args...)
	if r.code != 0 || r.err != "" {
		t.Fatalf("telecommune %s: exit %d, %s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// object runs a command line that must succeed, with -o json, and reads its one object.
func object(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return decode[map[string]any](t, ok(t, append(args, "-o", "json")...))
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if d.More() {
		t.Fatalf("more than one value: %s", text)
	}
	return v
}

// refused runs a command line that must fail with an exit code and one line that has all the words.
func refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	r := tc(t, args...)
	checkRefusal(t, r, code, words, args)
}

func checkRefusal(t *testing.T, r outcome, code int, words, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	if r.code != code {
		t.Errorf("telecommune %s: exit %d, want %d (%s)", line, r.code, code, r.err)
	}
	if strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "telecommune: ") || !strings.HasSuffix(r.err, "\n") {
		t.Errorf("telecommune %s: want one line of error, got %q", line, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Errorf("telecommune %s: the error does not say %q: %s", line, w, r.err)
		}
	}
	if r.out != "" {
		t.Errorf("telecommune %s: output beside the error: %s", line, r.out)
	}
}

// freshState is a state folder of a test's own, which user postgres can enter when the tests run as root.
func freshState(t *testing.T) string {
	t.Helper()
	dir, err := demoState()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); ; { // the server of a program that was killed may write yet
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Error(err)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

// file writes a file for a test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
