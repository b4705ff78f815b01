package ledger_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

func TestBooksCantBeChanged(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, topUp("k1", money.Unit))
	for _, statement := range []string{
		`UPDATE entry SET text = ''`,
		`UPDATE line SET amount = amount * 2`,
		`DELETE FROM entry`,
		`DELETE FROM line`,
		`TRUNCATE entry, line CASCADE`,
		`TRUNCATE line`,
		`UPDATE period SET seal = seal`,
		`DELETE FROM period`,
		`TRUNCATE period`,
		`DELETE FROM tally`,
		`ALTER TABLE entry DISABLE TRIGGER entry_in_open_period`,
		`ALTER TABLE entry DISABLE TRIGGER ALL`,
		`DROP TRIGGER entry_balanced ON entry`,
		`SET session_replication_role = replica`,
	} {
		if _, err := db.Exec(statement); err == nil || !strings.Contains(err.Error(), "permission denied") &&
			!strings.Contains(err.Error(), "must be owner") {
			t.Errorf("%s: %v; want it refused", statement, err)
		}
	}
}

// Nor by the owner, unless he turns the triggers off. Lines need their entry and their book: both stay as well.
func TestBooksStay(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, topUp("k1", money.Unit))
	owner := pgtest.Owner(t, db)
	for statement, constraint := range map[string]string{
		`UPDATE entry SET text = ''`:                     "entry_stays",
		`DELETE FROM entry`:                              "entry_stays",
		`TRUNCATE entry CASCADE`:                         "entry_all_stay",
		`UPDATE line SET amount = amount * 2`:            "line_stays",
		`DELETE FROM line`:                               "line_stays",
		`TRUNCATE line`:                                  "line_all_stay",
		`UPDATE book SET code = 'X' WHERE code = 'CALL'`: "book_stays",
		`DELETE FROM book WHERE code = 'COM'`:            "book_stays",
		`TRUNCATE book CASCADE`:                          "book_all_stay",
		`UPDATE book SET name = 'C', currency = 'USD'`:   "",
	} {
		if _, err := owner.Exec(statement); postgres.Constraint(err) != constraint || (err == nil) != (constraint == "") {
			t.Errorf("%s: %v; want %q", statement, err, constraint)
		}
	}
}

// What Post refuses in Go the database refuses too, from whoever writes by hand, the owner included.
func TestDatabaseRefusesBadEntries(t *testing.T) {
	app := pgtest.New(t)
	old := mustPost(t, app, topUp("old", money.Unit))
	type line struct {
		n      int
		book   string
		amount money.Amount
	}
	tests := []struct {
		name       string
		count      int
		lines      []line
		constraint string
	}{
		{"unbalanced", 2, []line{{1, "CALL", 2}, {2, "CALL", -1}}, "entry_balanced"},
		{"balanced over two books only", 2, []line{{1, "CALL", 1}, {2, "COM", -1}}, "entry_balanced"},
		{"a line missing", 3, []line{{1, "CALL", 1}, {2, "CALL", -1}}, "entry_complete"},
		{"no lines", 2, nil, "entry_complete"},
		{"a line too many", 2, []line{{1, "CALL", 1}, {2, "CALL", -2}, {3, "CALL", 1}}, "line_number_in_entry"},
		{"a zero line", 2, []line{{1, "CALL", 0}, {2, "CALL", 0}}, "line_not_zero"},
		{"one line", 1, []line{{1, "CALL", 1}}, "entry_has_lines"},
		{"no such book", 2, []line{{1, "NONE", 1}, {2, "NONE", -1}}, "line_book_fkey"},
	}
	for _, db := range []*sqlx.DB{app, pgtest.Owner(t, app)} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
					id := uuid.New()
					_, err := tx.Exec(`
						INSERT INTO entry (id, key, content_hash, kind, at, business_date, zone, text, actor, line_count, hash)
						VALUES ($1, 'hand', '', 'hand', now(), now(), 'UTC', '', '', $2, '')`, id, tt.count)
					for _, l := range tt.lines {
						if err == nil {
							_, err = tx.Exec(`INSERT INTO line (entry_id, line_count, n, book, account, amount)
								VALUES ($1, $2, $3, $4, '1000', $5)`, id, tt.count, l.n, l.book, l.amount)
						}
					}
					return err
				})
				if got := postgres.Constraint(err); got != tt.constraint {
					t.Errorf("%v; want it refused by %s", err, tt.constraint)
				}
			})
		}
		_, err := db.Exec(`INSERT INTO line (entry_id, line_count, n, book, account, amount)
			SELECT id, 2, n, 'CALL', '1000', 3 - 2 * n FROM gen_random_uuid() AS id, generate_series(1, 2) AS n`)
		if postgres.Constraint(err) != "line_of_entry" {
			t.Errorf("lines of no entry: %v; want them refused", err)
		}
		// Further lines of an old entry: neither beyond its count, nor in place of one of them, nor under another count.
		for _, l := range []struct{ count, n int }{{2, 3}, {2, 1}, {4, 3}} {
			_, err := db.Exec(`INSERT INTO line (entry_id, line_count, n, book, account, amount)
				VALUES ($1, $2, $3, 'CALL', '1000', 1)`, old, l.count, l.n)
			if postgres.Constraint(err) == "" {
				t.Errorf("line %d of %d of an old entry: %v; want it refused", l.n, l.count, err)
			}
		}
	}
}
