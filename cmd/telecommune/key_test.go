package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

// TestSecretKey holds that PINs are made with one key only, whichever state folder a command is given, and that what
// needs no key works without.
func TestSecretKey(t *testing.T) {
	home, away := freshState(t), freshState(t)
	db, err := postgres.Open(t.Context(), postgres.Options{State: home, Log: quiet()}) // kept up for all of it
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := cluster.Connection(filepath.Join(home, "postgres"), cluster.Database)
	dsn := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", c.Host, c.Port, c.User, c.Database)
	key, astray := filepath.Join(home, keyFile), filepath.Join(away, keyFile)
	at := func(where ...string) func(line string) outcome {
		return func(line string) outcome { return tcWith(t, "", append(strings.Fields(line), where...)...) }
	}
	here, there := at("--state", home), at("--state", away, "--db", dsn)
	works := func(r outcome) {
		t.Helper()
		if r.code != 0 {
			t.Errorf("exit %d, %s", r.code, r.err)
		}
	}
	refused := func(words string, run func(string) outcome, lines ...string) {
		t.Helper()
		for _, line := range lines {
			checkRefusal(t, run(line), exitFailed, append(strings.Fields(words), keyFile, "serve uses"), strings.Fields(line))
		}
	}
	absent := func(file string) {
		t.Helper()
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s was made", file)
		}
	}
	needy := []string{
		"pin issue --account anna", "voucher issue 1.00 --account anna", "voucher redeem 123451234512345 --account anna",
		"serve --sip 127.0.0.1:0 --http 127.0.0.1:0",
	}

	if r := here("commune set --currency PLN --zone Europe/Warsaw -o csv"); r.out != "currency,zone\nPLN,Europe/Warsaw\n" {
		t.Errorf("commune: %s%s", r.out, r.err)
	}
	works(here("account add anna --limit 5.00"))
	works(here("account list"))
	absent(key) // nothing needed it yet
	works(here("pin issue --account anna"))

	works(there("account list"))
	works(there("pin revoke --account anna"))
	works(there("voucher list"))
	refused("no secret key", there, needy...)
	absent(astray)
	if err := makeKey(astray); err != nil {
		t.Fatal(err)
	}
	refused("not the one", there, needy...)
	copyFile(t, key, astray)
	works(there("pin issue --account anna"))

	dump := filepath.Join(t.TempDir(), "dump")
	works(here("backup " + dump))
	restored := freshState(t)
	after := at("--state", restored)
	works(after("restore " + dump))
	works(after("account list"))
	refused("no secret key", after, "pin issue --account anna")
	checkRefusal(t, here("commune forget-key --force"), exitFailed, []string{"not lost"}, nil)
	works(after("commune forget-key --force"))
	works(after("pin issue --account anna"))
	copyFile(t, key, filepath.Join(restored, keyFile))
	refused("not the one", after, "pin issue --account anna")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
