package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// tamper is the books of a test with a copy of them, and somebody who may do everything.
type tamper struct {
	t     *testing.T
	db    *sqlx.DB
	owner *sqlx.DB
	ids   []uuid.UUID
	seals map[ledger.Period]ledger.Seal
}

// newTamper posts entries, half of them in a closed month.
func newTamper(t *testing.T, entries int) *tamper {
	t.Helper()
	db := pgtest.New(t)
	x := &tamper{t: t, db: db, owner: pgtest.Owner(t, db), seals: map[ledger.Period]ledger.Seal{}}
	err := inTx(t, db, func(tx *sqlx.Tx) error { return ledger.OpenBalance(t.Context(), tx, "CALL", "2100:ana", 0) })
	if err != nil {
		t.Fatal(err)
	}
	x.ids = append(x.ids, mustPost(t, db, topUp("first", money.Unit)))
	for i := range entries {
		if i == entries/2 {
			x.seals["2027-06"] = mustClose(t, db, "2027-06").Seal
		}
		x.ids = append(x.ids, mustPost(t, db, earn(fmt.Sprint(i), noon.AddDate(0, 0, -i%20), money.Amount(i+1), 3)))
	}
	// Nothing is checked and no trigger runs while the owner writes.
	x.owner.SetMaxOpenConns(1)
	x.owner.MustExec(`SET session_replication_role = replica`)
	x.owner.MustExec(`ALTER TABLE line DROP CONSTRAINT line_number_in_entry`)
	for _, table := range []string{"entry", "line", "balance", "tally", "period", "commune"} {
		x.owner.MustExec(`CREATE TABLE copy_of_` + table + ` AS TABLE ` + table)
	}
	return x
}

// restore undoes all tampering.
func (x *tamper) restore() {
	for _, table := range []string{"entry", "line", "balance", "tally", "period", "commune"} {
		x.owner.MustExec(`DELETE FROM ` + table)
		x.owner.MustExec(`INSERT INTO ` + table + ` SELECT * FROM copy_of_` + table)
	}
}

// another gives, by the type of a column, a value that it does not have.
var another = map[string]string{
	"uuid": `gen_random_uuid()`, "text": `? || '/'`, "code": `? || 'x'`, "bytea": `? || '\x00'`, "date": `? + 1`,
	"integer": `? + 100`, "bigint": `? + 1000000`, "timestamp with time zone": `? + interval '1 microsecond'`,
}

// changes are all the ways to change one row of the books: each column, and the row itself.
func (x *tamper) changes() map[string]string {
	x.t.Helper()
	rows, err := x.owner.Query(`
		SELECT table_name, column_name, COALESCE(domain_name, data_type) FROM information_schema.columns
		WHERE table_name IN ('entry', 'line')`)
	if err != nil {
		x.t.Fatal(err)
	}
	defer rows.Close()
	changes := map[string]string{
		"a line deleted":            `DELETE FROM line WHERE entry_id = $1 AND n = 1`,
		"a line repeated":           `INSERT INTO line SELECT entry_id, line_count, n + 10, book, account, amount FROM line WHERE entry_id = $1 AND n = 1`,
		"entry deleted, lines left": `DELETE FROM entry WHERE id = $1`,
		"entry and lines deleted":   `WITH l AS (DELETE FROM line WHERE entry_id = $1) DELETE FROM entry WHERE id = $1`,
		"a hash cut off":            `UPDATE entry SET hash = substring(hash FROM 1 FOR 4) WHERE id = $1`,
		"no hash":                   `UPDATE entry SET hash = '' WHERE id = $1`,
		"an instant without end":    `UPDATE entry SET at = 'infinity' WHERE id = $1`,
		"a day before all days":     `UPDATE entry SET business_date = '-infinity' WHERE id = $1`,
		"a year before our era":     `UPDATE entry SET business_date = '0044-03-15 BC' WHERE id = $1`,
		"a year of five digits":     `UPDATE entry SET at = '10000-01-01' WHERE id = $1`,
		"lines exchanged":           `UPDATE line SET amount = -amount WHERE entry_id = $1`,
	}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			x.t.Fatal(err)
		}
		value, known := another[kind]
		if !known {
			x.t.Fatalf("%s.%s is of type %s, which this test can't change", table, column, kind)
		}
		where := ` WHERE id = $1`
		if table == "line" {
			where = ` WHERE entry_id = $1 AND n = 2`
		}
		changes[table+"."+column] = `UPDATE ` + table + ` SET ` + column + ` = ` + strings.ReplaceAll(value, "?", column) + where
	}
	return changes
}

// Each change of each column, in the sealed month and in the open tail, is found, and the entry named if it is there.
func TestVerifyFindsEachChange(t *testing.T) {
	x := newTamper(t, 40)
	if found := verify(t, x.db, x.seals); len(found) != 0 {
		t.Fatalf("untouched: %+v", found)
	}
	changes, edits := x.changes(), 0
	for name, change := range changes {
		for i := range 6 {
			id := x.ids[1+i%2*20+rand.IntN(19)] // sealed or open
			if n, err := x.owner.MustExec(change, id).RowsAffected(); err != nil || n == 0 {
				t.Fatalf("%s changed nothing: %v", name, err)
			}
			edits++
			named := false
			found := verify(t, x.db, nil)
			for _, f := range found {
				named = named || f.Entry != nil && *f.Entry == id || f.Missing == 1
			}
			if !named {
				t.Errorf("%s of %s: found %+v", name, id, found)
			}
			x.restore()
		}
	}
	if edits < 100 {
		t.Errorf("only %d changes tried", edits)
	}
	if found := verify(t, x.db, x.seals); len(found) != 0 {
		t.Errorf("after all was put back: %+v", found)
	}
}

// A hundred at once are a hundred findings.
func TestVerifyFindsHundred(t *testing.T) {
	x := newTamper(t, 150)
	victims := map[uuid.UUID]bool{}
	for i, n := range rand.Perm(len(x.ids))[:100] {
		id := x.ids[n]
		victims[id] = true
		switch i % 4 {
		case 0:
			x.owner.MustExec(`UPDATE line SET amount = amount + 1 WHERE entry_id = $1 AND n = 1`, id)
		case 1:
			x.owner.MustExec(`UPDATE entry SET text = text || '.' WHERE id = $1`, id)
		case 2:
			x.owner.MustExec(`DELETE FROM line WHERE entry_id = $1 AND n = 2`, id)
		case 3:
			x.owner.MustExec(`DELETE FROM line WHERE entry_id = $1`, id)
			x.owner.MustExec(`DELETE FROM entry WHERE id = $1`, id)
		}
	}
	named, missing := 0, int64(0)
	for _, f := range verify(t, x.db, x.seals) {
		if f.Entry != nil && !victims[*f.Entry] {
			t.Errorf("nobody touched it: %+v", f)
		}
		if f.Entry != nil {
			named++
		}
		missing += f.Missing
	}
	if named != 75 || missing != 25 {
		t.Errorf("%d entries named and %d missing, want 75 and 25", named, missing)
	}
}

// Who can do everything may rewrite hashes and tally as well; of what is sealed the seal kept elsewhere tells.
func TestVerifyAgainstForgery(t *testing.T) {
	x := newTamper(t, 40)
	seal := x.seals["2027-06"]
	for _, tt := range []struct {
		name  string
		do    []string
		found bool // without a seal kept elsewhere
	}{
		{"an entry with its hash", []string{
			`UPDATE entry SET text = 'forged' WHERE id = $1`, `UPDATE entry e SET hash = entry_hash(e) WHERE id = $1`,
		}, true},
		{"an entry with hash and tally", []string{
			`UPDATE entry SET text = 'forged' WHERE id = $1`, `UPDATE entry e SET hash = entry_hash(e) WHERE id = $1`, retally,
		}, true},
		{"an entry put in", []string{
			`INSERT INTO line SELECT '00000000-0000-7000-8000-000000000001', line_count, n, book, account, amount FROM line WHERE entry_id = $1`,
			`INSERT INTO entry SELECT '00000000-0000-7000-8000-000000000001', 'forged', content_hash, kind, at, business_date, text,
			    actor, line_count, posted_at, zone, reverses, hash FROM entry WHERE id = $1`,
			`UPDATE entry e SET hash = entry_hash(e) WHERE key = 'forged' AND $1::uuid IS NOT NULL`,
		}, true},
		{"the period taken away", []string{
			`DELETE FROM period WHERE $1::uuid IS NOT NULL`, `UPDATE commune SET open_from = '0001-01-01' WHERE $1::uuid IS NOT NULL`,
		}, false},
		{"the first open day moved", []string{`UPDATE commune SET open_from = '2027-06-01' WHERE $1::uuid IS NOT NULL`}, true},
		{"the seal replaced", []string{`UPDATE period SET seal = sha256(seal) WHERE $1::uuid IS NOT NULL`}, true},
		{"the number of entries replaced", []string{`UPDATE period SET entries = entries + 1 WHERE $1::uuid IS NOT NULL`}, true},
		{"a balance", []string{`UPDATE balance SET balance = balance + 1 WHERE $1::uuid IS NOT NULL`}, true},
	} {
		for _, statement := range tt.do {
			x.owner.MustExec(statement, x.ids[3])
		}
		if found := verify(t, x.db, nil); (len(found) > 0) != tt.found {
			t.Errorf("%s: %+v", tt.name, found)
		}
		if tt.name != "a balance" {
			if found := verify(t, x.db, map[ledger.Period]ledger.Seal{"2027-06": seal}); len(found) == 0 {
				t.Errorf("%s: not found with the seal", tt.name)
			}
		}
		x.restore()
	}
	if found := verify(t, x.db, map[ledger.Period]ledger.Seal{"2027-07": seal}); len(found) != 1 {
		t.Errorf("a seal of a month that is open: %+v", found)
	}
	if found := verify(t, x.db, map[ledger.Period]ledger.Seal{"2027-06": make(ledger.Seal, 32)}); len(found) != 1 {
		t.Errorf("another seal: %+v", found)
	}
}

const retally = `
	WITH gone AS (DELETE FROM tally WHERE $1::uuid IS NOT NULL)
	INSERT INTO tally SELECT -1, count(*), bit_xor(mark(hash)) FROM entry`

// Each seal vouches for the months before it.
func TestSealsAreChained(t *testing.T) {
	x := newTamper(t, 10)
	second, err := ledger.Close(t.Context(), x.db, ledger.Order{Period: "2027-07", Now: july.AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	x.owner.MustExec(`UPDATE entry SET text = 'forged' WHERE id = $1`, x.ids[1])
	x.owner.MustExec(`UPDATE entry e SET hash = entry_hash(e) WHERE id = $1`, x.ids[1])
	// The forger mends June's seal; July's, which hangs on it, gives him away.
	x.owner.MustExec(`UPDATE period SET seal = sha256('forged') WHERE month = '2027-06'`)
	broken := map[ledger.Period]bool{}
	for _, f := range verify(t, x.db, map[ledger.Period]ledger.Seal{"2027-07": second.Seal}) {
		broken[f.Period] = true
	}
	if !broken["2027-07"] {
		t.Errorf("July's seal still fits: %v", broken)
	}
}
