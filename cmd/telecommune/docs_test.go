package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"telecommune/internal/postgres"
)

// TestDocuments runs what the documents show after `$ telecommune`, page by page, each in a fresh state folder. A reader
// who copies them must get no error.
func TestDocuments(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..") // the pages name files of the tree
	ran := 0
	for _, page := range append([]string{"README.md"}, pages...) {
		page = strings.TrimPrefix(page, "../../")
		lines := shown(t, page)
		if len(lines) == 0 {
			continue
		}
		t.Run(page, func(t *testing.T) {
			fresh, scratch := freshState(t), t.TempDir()
			db, err := postgres.Open(t.Context(), postgres.Options{State: fresh, Log: quiet()}) // kept up for all of them
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, line := range lines {
				var out, errs bytes.Buffer
				args := words(line)
				for i, arg := range args { // what a page writes goes elsewhere
					if filepath.Ext(arg) == ".dump" || i > 0 && args[i-1] == "--file" {
						args[i] = filepath.Join(scratch, arg)
					}
				}
				code := run(t.Context(), append(args, "--state", fresh), streams{strings.NewReader(""), &out, &errs})
				// doctor reports on the machine that the tests run on.
				if args[0] != "doctor" && (code != 0 || errs.Len() > 0) {
					t.Errorf("telecommune %s: exit %d, %s", line, code, errs.String())
				}
				ran++
			}
		})
	}
	if ran < 20 {
		t.Errorf("only %d commands found in the documents", ran)
	}
}

// shown gives the command lines in the console blocks of a page.
func shown(t *testing.T, page string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	console := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			console = line == "```console"
		case console:
			command, ok := strings.CutPrefix(line, "$ telecommune ")
			if !ok {
				t.Fatalf("%s: %q is no command", page, line)
			}
			commands = append(commands, command)
		}
	}
	return commands
}

// words splits a line as a shell would; the pages use no more of it than double quotes.
func words(line string) (args []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}
