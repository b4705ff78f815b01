package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
	"telecommune/internal/postgres/pgtest"
)

// content is every row of some tables, one of them filled by this test.
func content(t *testing.T, db *sqlx.DB) string {
	t.Helper()
	var text string
	err := db.Get(&text, `
		SELECT (SELECT json_agg(e ORDER BY id)::text FROM entry e) ||
			(SELECT json_agg(l ORDER BY entry_id, n)::text FROM line l) ||
			(SELECT json_agg(b ORDER BY code)::text FROM book b)`)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const someEntry = `
	WITH e AS (
		INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, line_count, hash)
		VALUES (gen_random_uuid(), $1, '', 'topup', now(), '2026-01-02', 'UTC', 'Größe "quoted"
and a second line \.', 'test', 2, '') RETURNING id
	)
	INSERT INTO line (entry_id, line_count, n, book, account, amount)
	SELECT id, 2, n, 'CALL', account, amount FROM e, (VALUES (1, '1000', 5000000), (2, '2000:anna', -5000000)) AS l (n, account, amount)`

// pgDump runs pg_dump itself.
func pgDump(t *testing.T, args ...string) []byte {
	t.Helper()
	install, err := cluster.Find(0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(install.Tool("pg_dump"), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// schema is all that a database has but rows. A dump bears a random mark, in lines that begin with a backslash.
func schema(t *testing.T, dsn string) []string {
	t.Helper()
	return slices.DeleteFunc(strings.Split(string(pgDump(t, "--schema-only", "--exclude-schema=replay", dsn)), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `\`)
	})
}

func backup(t *testing.T, dsn string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if err := postgres.Backup(context.Background(), postgres.Options{DSN: dsn, Log: quiet()}, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func restore(dsn, file string, force bool) error {
	return postgres.Restore(context.Background(), postgres.Options{DSN: dsn, Log: quiet()}, file, force)
}

// idle ends a pool's connections, so that a restore finds nobody connected; the pool goes on working.
func idle(db *sqlx.DB) {
	db.SetMaxIdleConns(0)
}

func TestBackupAndRestore(t *testing.T) {
	db := pgtest.New(t)
	idle(db)
	dsn := pgtest.DSN(t, db)
	db.MustExec(someEntry, "one")
	before, rules := content(t, db), schema(t, dsn)
	file := backup(t, dsn)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v: %v", info.Mode(), err)
	}

	db.MustExec(someEntry, "two")
	changed := content(t, db)
	if err := restore(dsn, file, false); !errors.Is(err, postgres.ErrNotEmpty) {
		t.Errorf("restore over data: %v, want ErrNotEmpty", err)
	}
	if content(t, db) != changed {
		t.Error("a refused restore changed the database")
	}
	if err := restore(dsn, file, true); err != nil {
		t.Fatal(err)
	}
	if got := content(t, db); got != before {
		t.Errorf("after the restore:\n%s\nwant:\n%s", got, before)
	}

	restored := schema(t, dsn)
	for i := range max(len(rules), len(restored)) {
		if i >= min(len(rules), len(restored)) || rules[i] != restored[i] {
			t.Errorf("the schema after the restore differs from line %d on:\n%q\nwas:\n%q", i,
				restored[min(i, len(restored)):min(i+5, len(restored))], rules[min(i, len(rules)):min(i+5, len(rules))])
			break
		}
	}

	// What is made of the rest is there as well.
	var twins int
	if err := db.Get(&twins, `SELECT count(*) FROM pg_tables WHERE schemaname = 'replay'`); err != nil || twins == 0 {
		t.Errorf("%d tables for scenarios, %v", twins, err)
	}

	// Its rules hold, and what was restored can be backed up and restored again.
	if _, err := db.Exec(someEntry, "one"); postgres.Constraint(err) != "entry_key_unique" {
		t.Errorf("a key twice: %v", err)
	}
	if _, err := db.Exec(`DELETE FROM entry`); err == nil {
		t.Error("the app's role may delete entries after a restore")
	}
	elsewhere := emptyDatabase(t)
	if err := restore(elsewhere, backup(t, dsn), false); err != nil {
		t.Fatalf("into a new database, not as superuser: %v", err)
	}
	second, err := postgres.Open(context.Background(), postgres.Options{DSN: elsewhere, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, second.DB); got != before {
		t.Errorf("in a new database:\n%s\nwant:\n%s", got, before)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestRestoreOfBrokenFile(t *testing.T) {
	db := pgtest.New(t)
	idle(db)
	dsn := pgtest.DSN(t, db)
	for _, key := range []string{"one", "two", "three"} {
		db.MustExec(someEntry, key)
	}
	whole, err := os.ReadFile(backup(t, dsn))
	if err != nil {
		t.Fatal(err)
	}
	db.MustExec(someEntry, "later")
	before := content(t, db)
	for name, text := range map[string][]byte{
		"empty":          {},
		"something else": []byte("SELECT 1;\nCOMMIT;\n"),
		"cut in half":    whole[:len(whole)/2],
		"cut at the end": whole[:len(whole)-len(whole)/10],
		"a hole in it":   bytes.Join([][]byte{whole[:len(whole)/2], whole[len(whole)/2+100:]}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "broken")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := restore(dsn, file, true); !errors.Is(err, postgres.ErrBackup) {
				t.Errorf("restore: %v, want ErrBackup", err)
			}
			if content(t, db) != before {
				t.Error("the database changed")
			}
		})
	}
	if err := restore(dsn, filepath.Join(t.TempDir(), "missing"), true); err == nil {
		t.Error("a missing file was restored")
	}
}

func TestRestoreOfNewerBackup(t *testing.T) {
	db := pgtest.New(t)
	idle(db)
	dsn := pgtest.DSN(t, db)
	owner := pgtest.Owner(t, db)
	idle(owner)
	file := backup(t, dsn)
	owner.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	newer := filepath.Join(t.TempDir(), "newer")
	// Backup itself would refuse to open that database.
	pgDump(t, "--format=custom", "--file="+newer, dsn)
	owner.MustExec(`DELETE FROM goose_db_version WHERE version_id = 99999`)
	if err := restore(dsn, newer, true); !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("restore of a newer backup: %v, want ErrNewer", err)
	}
	if err := restore(dsn, file, true); err != nil {
		t.Errorf("restore of a backup of this program: %v", err)
	}
}

func TestRestoreBesideServe(t *testing.T) {
	db := pgtest.New(t)
	dsn := pgtest.DSN(t, db)
	file := backup(t, dsn)
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if err := restore(dsn, file, true); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("restore beside a connected program: %v, want ErrBusy", err)
	}
}

func TestBackupToNowhere(t *testing.T) {
	dsn := pgtest.DSN(t, pgtest.New(t))
	file := filepath.Join(t.TempDir(), "no", "such", "folder")
	if err := postgres.Backup(context.Background(), postgres.Options{DSN: dsn, Log: quiet()}, file); err == nil {
		t.Error("written into a folder that is not there")
	}
}
