package pgtest_test

import (
	"os"
	"testing"

	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestNewDatabase(t *testing.T) {
	one, two := pgtest.New(t), pgtest.New(t)
	var role, zone string
	if err := one.QueryRow(`SELECT current_user, current_setting('TimeZone')`).Scan(&role, &zone); err != nil {
		t.Fatal(err)
	}
	if role != "telecommune_app" || zone != "UTC" {
		t.Errorf("connected as %s in %s, want telecommune_app in UTC", role, zone)
	}
	one.MustExec(`INSERT INTO book VALUES ('X', 'Only here', 'EUR')`)
	var n int
	if err := two.Get(&n, `SELECT count(*) FROM book WHERE code = 'X'`); err != nil || n != 0 {
		t.Errorf("the other database has %d of the row: %v", n, err)
	}
	if _, err := one.Exec(`DELETE FROM entry`); err == nil {
		t.Error("the app's role may delete entries")
	}
	if _, err := pgtest.Owner(t, one).Exec(`DELETE FROM entry`); err != nil {
		t.Errorf("the owner may not delete entries: %v", err)
	}
}

func TestServerCrash(t *testing.T) {
	s := pgtest.NewServer(t)
	s.DB.MustExec(`INSERT INTO book VALUES ('X', 'Committed', 'EUR')`)
	s.Kill()
	if err := s.DB.Ping(); err == nil {
		t.Error("the server answers after Kill")
	}
	s.Start()
	var n int
	if err := s.DB.Get(&n, `SELECT count(*) FROM book WHERE code = 'X'`); err != nil || n != 1 {
		t.Errorf("%d of the committed row after a crash: %v", n, err)
	}
}
