package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// The program's hash and the schema's function agree about every entry, and the tally knows them all.
func TestHashInGoAndSQL(t *testing.T) {
	db := pgtest.New(t)
	if _, err := db.Exec(`UPDATE commune SET zone = 'Asia/Kolkata'`); err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		text := rapid.StringOfN(rapid.RuneFrom([]rune("aÄ:,€😀\n\\'\"{}0 ")), 0, 20, -1)
		e := ledger.Entry{
			Key: fmt.Sprint(n, text.Draw(t, "key")), Kind: "test", Text: text.Draw(t, "text"), Actor: text.Draw(t, "actor"),
			At: time.Unix(rapid.Int64Range(-1e10, 1e11).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")),
		}
		for range rapid.IntRange(1, 6).Draw(t, "pairs") {
			amount := money.Amount(rapid.Int64Range(1, 1<<60).Draw(t, "amount"))
			account := "2100:" + rapid.StringMatching(`[A-Za-z0-9_./-]{1,72}`).Draw(t, "account")
			e.Lines = append(e.Lines, ledger.Debit("CALL", account, amount), ledger.Credit("CALL", "1000", amount))
		}
		if _, err := post(t, db, e); err != nil {
			t.Fatal(err)
		}
	})
	var bad, missed int
	err := db.QueryRow(`
		SELECT count(*) FILTER (WHERE e.hash <> entry_hash(e)),
		    count(*) - (SELECT sum(entries) FROM tally) + abs(bit_xor(mark(e.hash)) - (SELECT bit_xor(marks) FROM tally))
		FROM entry e`).Scan(&bad, &missed)
	if err != nil || n == 0 || bad != 0 || missed != 0 {
		t.Errorf("%d entries: SQL has another hash for %d, the tally is off by %d, %v", n, bad, missed, err)
	}
}
