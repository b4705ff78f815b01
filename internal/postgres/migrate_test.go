package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lib/pq"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// emptyDatabase makes a database without schema, owned by a role that is no superuser, and gives its DSN.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	admin := pgtest.Owner(t, pgtest.New(t))
	admin.MustExec(`CREATE ROLE landlord LOGIN CREATEROLE`)
	admin.MustExec(`CREATE DATABASE empty OWNER landlord TEMPLATE template0`)
	t.Cleanup(func() {
		admin.MustExec(`DROP DATABASE empty WITH (FORCE)`)
		admin.MustExec(`REVOKE telecommune_app FROM landlord`)
		admin.MustExec(`DROP ROLE landlord`)
	})
	return pgtest.DSN(t, pgtest.New(t)) + " dbname=empty user=landlord"
}

func TestMigrateSeveralAtOnce(t *testing.T) {
	dsn := emptyDatabase(t)
	const programs = 8
	errs := make(chan error, programs)
	for range programs {
		go func() {
			db, err := postgres.Open(context.Background(), postgres.Options{DSN: dsn, Log: quiet()})
			if err == nil {
				var user string
				if err = db.Get(&user, `SELECT current_user`); err == nil && user != postgres.AppRole {
					err = errors.New("works as " + user)
				}
				err = errors.Join(err, db.Close())
			}
			errs <- err
		}()
	}
	for range programs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Entries from before they had hashes get theirs, and are counted; vouchers from before there were batches are one each.
func TestMigrateBooksInUse(t *testing.T) {
	dsn := emptyDatabase(t)
	config, err := postgres.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.AsLogin(config)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	provider, err := postgres.NewProvider(owner.DB)
	if err == nil {
		_, err = provider.UpTo(t.Context(), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"one", "two"} {
		owner.MustExec(`
			WITH e AS (
				INSERT INTO entry (id, key, content_hash, kind, at, business_date, text, actor, line_count)
				VALUES (gen_random_uuid(), $1, '', 'topup', now(), '2026-01-02', 'Größe', 'test', 2) RETURNING id
			)
			INSERT INTO line (entry_id, line_count, n, book, account, amount)
			SELECT id, 2, n, 'CALL', '1000', amount FROM e, (VALUES (1, 5), (2, -5)) AS l (n, amount)`, key)
	}
	owner.MustExec(`
		INSERT INTO account (id, code) VALUES (gen_random_uuid(), 'ana');
		INSERT INTO voucher (id, hmac, enterprise, amount, issued_by) SELECT id, 'x', 'CALL', 5, 'ana' FROM entry WHERE key = 'one'`)
	db, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var batch string
	err = db.QueryRow(`SELECT e.key FROM voucher v JOIN entry e ON e.id = v.batch WHERE v.serial = 1`).Scan(&batch)
	if err != nil || batch != "one" {
		t.Errorf("the voucher is of batch %q, %v", batch, err)
	}
	var right, counted int
	err = db.QueryRow(`
		SELECT count(*) FILTER (WHERE hash = entry_hash(e) AND zone = 'UTC'), (SELECT sum(entries) FROM tally)
		FROM entry e HAVING bit_xor(mark(hash)) = (SELECT bit_xor(marks) FROM tally)`).Scan(&right, &counted)
	if err != nil || right != 2 || counted != 2 {
		t.Errorf("%d of 2 entries have their hash, %d are counted, %v", right, counted, err)
	}
}

func TestDatabaseOfNewerProgram(t *testing.T) {
	db := pgtest.New(t)
	pgtest.Owner(t, db).MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	_, err := postgres.Open(context.Background(), postgres.Options{DSN: pgtest.DSN(t, db), Log: quiet()})
	if !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("Open: %v, want ErrNewer", err)
	}
}

func TestOpenWrongDSN(t *testing.T) {
	for _, tc := range []struct{ name, dsn string }{
		{"no such database", pgtest.DSN(t, pgtest.New(t)) + " dbname=nowhere"},
		{"no server", "host=/nowhere dbname=x"},
		{"no connection string", "what is this"},
		{"an unknown mode", "sslmode=perhaps"},
	} {
		db, err := postgres.Open(context.Background(), postgres.Options{DSN: tc.dsn, Log: quiet()})
		if err == nil {
			t.Errorf("%s: opened", tc.name)
			db.Close() //nolint:errcheck // the test has failed
		}
	}
}

func TestSecondServeWithDSN(t *testing.T) {
	o := postgres.Options{State: stateFolder(t), DSN: pgtest.DSN(t, pgtest.New(t)), Owner: true, Log: quiet()}
	open(t, o)
	if _, err := postgres.Open(context.Background(), o); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("a second serve: %v, want ErrInUse", err)
	}
	o.Owner = false
	open(t, o)
}

func TestParseDSN(t *testing.T) {
	for _, tc := range []struct {
		name, dsn string
		want      func(c pq.Config) bool
	}{
		{
			"TLS, time-out and UTC are added", "host=db.example user=u dbname=d",
			func(c pq.Config) bool {
				return c.SSLMode == "require" && c.ConnectTimeout > 0 && c.Runtime["timezone"] == "UTC"
			},
		},
		{
			"what is said stays", "postgres://u:p@db.example:6000/d?sslmode=verify-full&connect_timeout=7",
			func(c pq.Config) bool {
				return c.SSLMode == "verify-full" && c.ConnectTimeout.Seconds() == 7 && c.Port == 6000 && c.Password == "p"
			},
		},
		{
			"no TLS on a socket", "host=/run/postgresql dbname=d",
			func(c pq.Config) bool { return c.SSLMode == "disable" },
		},
		{
			"always UTC", "host=db.example timezone=Europe/Berlin",
			func(c pq.Config) bool { return c.Runtime["timezone"] == "UTC" },
		},
	} {
		c, err := postgres.ParseDSN(tc.dsn)
		if err != nil || !tc.want(c) {
			t.Errorf("%s: %+v, %v", tc.name, c, err)
		}
	}
}
