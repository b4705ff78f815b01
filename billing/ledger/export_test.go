package ledger_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/replay"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// tool runs a program of another project, which takes what Export writes or does not.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v; it is in Debian's packages hledger and beancount (deploy/install-deps.sh --test)", err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s%.2000s", name, err, out, errs.Bytes())
	}
	return out
}

// exported writes the books into a file of a format.
func exported(t *testing.T, tx *sqlx.Tx, format ledger.Format, book string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "books."+string(format))
	f, err := os.Create(name)
	if err == nil {
		err = errors.Join(ledger.Export(t.Context(), tx, f, format, book), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// agree has both programs check the books and compares what they make of them with the trial balance.
func agree(t *testing.T, tx *sqlx.Tx, book string) {
	t.Helper()
	trial, err := ledger.Trial(t.Context(), tx, ledger.TrialFilter{Book: book})
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{}
	for _, l := range trial {
		ours[l.Book+":"+l.Account] = l.Balance.String()
	}
	// Both are written first: a transaction that waits for other programs may be ended by the server.
	journal, file := exported(t, tx, ledger.HLedger, book), exported(t, tx, ledger.Beancount, book)
	tool(t, "hledger", "-f", journal, "check", "--strict", "ordereddates")
	theirs := balances(t, tool(t, "hledger", "-f", journal, "balance", "--flat", "-N", "-E", "-O", "csv"), func(s string) string { return s })
	compare(t, "hledger", ours, theirs)

	if out := tool(t, "bean-check", file); len(out) > 0 {
		t.Errorf("bean-check: %.2000s", out)
	}
	query := `SELECT account, sum(number) GROUP BY account`
	compare(t, "beancount", ours, balances(t, tool(t, "bean-query", "-f", "csv", file, query), fromBeancount))
}

func balances(t *testing.T, table []byte, name func(string) string) map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil && len(bytes.TrimSpace(table)) > 0 {
		t.Fatalf("%v in %.500s", err, table)
	}
	found := map[string]string{}
	for i, r := range records {
		if i == 0 {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(r[1]), " ")
		amount, err := money.Parse(number)
		if err != nil {
			t.Fatalf("%q: %v", r, err)
		}
		found[name(strings.TrimSpace(r[0]))] = amount.String()
	}
	return found
}

func compare(t *testing.T, who string, ours, theirs map[string]string) {
	t.Helper()
	for account, amount := range ours {
		if got, there := theirs[account]; got != amount && (there || amount != "0.00") {
			t.Errorf("%s: %s is %q, ours %s", who, account, got, amount)
		}
	}
	for account := range theirs {
		if _, there := ours[account]; !there {
			t.Errorf("%s has %s, which we have not", who, account)
		}
	}
}

// fromBeancount turns a name of beancount back into ours.
func fromBeancount(name string) string {
	parts := strings.Split(name, ":")[1:]
	for i, p := range parts {
		if len(p) > 2 && p[:2] == "X-" && (p[2] == '-' || p[2] >= 'a' && p[2] <= 'z') {
			p = p[2:]
		}
		parts[i] = strings.NewReplacer("-D", "-", "-U", "_", "-P", ".", "-S", "/").Replace(p)
	}
	return strings.Join(parts, ":")
}

// unescaped turns an exported text back into ours.
func unescaped(t *testing.T, s string) string {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Errorf("%q: %v", s, err)
	}
	return text
}

// reading runs do in a transaction that sees one moment.
func reading(t *testing.T, db *sqlx.DB, do func(tx *sqlx.Tx)) {
	t.Helper()
	tx, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	do(tx)
}

// TestExportOfScenarios: the books of every scenario say the same in both programs.
func TestExportOfScenarios(t *testing.T) {
	db := pgtest.New(t)
	files, err := filepath.Glob("../replay/testdata/*.json")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			scenario, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			looked := false
			_, _, err = replay.Run(t.Context(), db, scenario, replay.Options{
				Inspect: func(_ context.Context, tx *sqlx.Tx, names map[string]string) error {
					looked = true
					agree(t, tx, "")
					for book := range names {
						agree(t, tx, book)
					}
					return nil
				},
			})
			if err != nil {
				t.Error(err)
			}
			if !looked && !strings.Contains(file, "unbalanced") {
				t.Error("nobody looked at the books")
			}
		})
	}
}

// byHand gives what an entry may say that no call made: each kind in turn.
func byHand(i int, account string) (kind, text string, lines []ledger.Line) {
	booked := []billing.BookingKind{
		billing.PaidIn, billing.Refund, billing.Goodwill, billing.Adjustment, billing.Lapse, billing.WriteOff, billing.Transfer,
	}
	amount := money.Unit + money.Amount(i)*money.Cent
	others := []struct {
		kind  string
		lines []ledger.Line
	}{
		{"voucher-issue", billing.VoucherIssueLines("CALL", account, amount+1)},
		{"voucher-redeem", billing.VoucherRedeemLines("CALL", "b", amount+1)},
		{"voucher-expiry", billing.VoucherExpiryLines("CALL", amount+1)},
		{"carrier-invoice", billing.InvoiceLines("CALL", "acme", 3-amount)},
		{"carrier-payment", billing.InvoicePaymentLines("CALL", "acme", amount)},
		{"vat-payment", billing.VATPaymentLines("CALL", amount)},
	}
	n := i % (len(booked) + len(others))
	if n < len(booked) {
		b := billing.Booking{Kind: booked[n], Account: account, Into: "b", Amount: amount}
		return string(b.Kind), "why; \"because\"", b.Lines("CALL")
	}
	o := others[n-len(booked)]
	return o.kind, "Invoice 2027/06 №1: 1.00", o.lines
}

// TestExportOfAYear: a year of calls, and of whatever else is booked.
func TestExportOfAYear(t *testing.T) {
	calls := 2_000
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		calls = 100_000
	}
	db := pgtest.New(t)
	year := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	var entries []ledger.Entry
	for i := range calls {
		account, trunk := fmt.Sprint("a", i%97), []string{"alpha", "beta", "Gamma_2"}[i%3]
		e := ledger.Entry{
			Key: fmt.Sprint("call:", i), Kind: "call", Actor: "node-1", At: year.Add(365 * 24 * time.Hour / time.Duration(calls) * time.Duration(i)),
			Text: fmt.Sprintf("Call %s to +38044%07d, trunk %s, 61 s", account, i, trunk),
			Lines: billing.CallLines("CALL", account, trunk, "acme", billing.Charge{
				Price: money.Amount(20_900 + i), VAT: money.Amount(3_337 + i%7), Cost: money.Amount(8_800 + i%13),
			}),
		}
		if i%10 == 0 {
			e.Kind, e.Text, e.Lines = byHand(i/10, account)
		}
		entries = append(entries, e)
	}
	for group := range slices.Chunk(entries, 1000) {
		err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
			results, err := ledger.PostAll(t.Context(), tx, group)
			for _, r := range results {
				err = errors.Join(err, r.Err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	reading(t, db, func(tx *sqlx.Tx) { agree(t, tx, "") })
}

// TestExportOfHostileTexts: whatever stands in names and texts comes through both programs as it is.
func TestExportOfHostileTexts(t *testing.T) {
	db := pgtest.New(t)
	subs := []string{"anna", "Anna", "X-anna", "X--anna", "X", "X-", "-", "_a", ".", "S1/X", "-D", "X-D", "2027-01-01", "a.b-c_d/E"}
	texts := []string{
		"", " ", "19 % of \"all\" \\u0041 \\", "line\nline\r\n2027-01-01 open Assets:Bank", "; a comment", "a ; b | c", "(code) text",
		"* ! =2027-01-01 x", "#tag ^link date:2027-01-01 [2027-01-02]", "\t tab \t", "Київ 中国 \u202e\u2028\u0001x", "\U000e0001 é e\u0301",
		strings.Repeat("long ", 2000), "\"; DROP TABLE", "{{.}} <b>", "a  b", "&account X:1000", "end", "~ monthly",
	}
	for i, text := range texts {
		e := ledger.Entry{Key: fmt.Sprintf("%d/%.40s", i, text), Kind: "-", Text: text, Actor: text, At: noon}
		for _, sub := range subs {
			e.Lines = append(e.Lines, ledger.Debit("CALL", "2100:"+sub, money.Micro), ledger.Credit("CALL", "4000:"+sub, money.Micro))
		}
		mustPost(t, db, e)
	}
	owner := pgtest.Owner(t, db)
	for i, book := range []string{"_book", "-", "a_B-c", "X-a", "7"} {
		if _, err := owner.Exec(`INSERT INTO book (code, name, currency) VALUES ($1::text, 'x', 'USD')`, book); err != nil {
			t.Fatal(err)
		}
		amount := money.Amount(math.MaxInt64)
		mustPost(t, db, ledger.Entry{Key: "book" + book, Kind: "k", At: noon.AddDate(0, 0, i), Lines: []ledger.Line{
			ledger.Debit(book, "0000", amount), ledger.Credit(book, "9999:x", amount),
		}})
	}
	reading(t, db, func(tx *sqlx.Tx) {
		agree(t, tx, "")
		entries, err := ledger.Journal(t.Context(), tx, ledger.JournalFilter{Book: "CALL"})
		if err != nil {
			t.Fatal(err)
		}
		var theirs []struct{ Tcode, Tdescription string }
		out := tool(t, "hledger", "-f", exported(t, tx, ledger.HLedger, "CALL"), "print", "-O", "json")
		if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(entries)+1 {
			t.Fatalf("%d entries of %d, %v", len(theirs), len(entries), err)
		}
		query := `SELECT DISTINCT entry_meta('id'), entry_meta('key'), narration`
		out = tool(t, "bean-query", "-f", "csv", exported(t, tx, ledger.Beancount, "CALL"), query)
		rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
		if err != nil || len(rows) != len(entries)+1 {
			t.Fatalf("%d rows for %d entries, %v", len(rows), len(entries), err)
		}
		found := map[string][2]string{}
		for _, r := range rows[1:] {
			found[strings.TrimSpace(r[0])] = [2]string{unescaped(t, strings.TrimSpace(r[1])), unescaped(t, strings.TrimSpace(r[2]))}
		}
		for i, e := range entries {
			if key, text := unescaped(t, theirs[i].Tcode), unescaped(t, theirs[i].Tdescription); key != e.Key || text != e.Text {
				t.Errorf("hledger: %q %q, want %q %q", key, text, e.Key, e.Text)
			}
			if got := found[e.ID.String()]; got != [2]string{e.Key, e.Text} {
				t.Errorf("beancount: %q, want %q %q", got, e.Key, e.Text)
			}
		}
	})
}

// TestExportChecks: both programs notice when the export and its assertions differ, or when a line is not exact.
func TestExportChecks(t *testing.T) {
	db := pgtest.New(t)
	mustPost(t, db, topUp("k1", money.Unit))
	reading(t, db, func(tx *sqlx.Tx) {
		for format, program := range map[ledger.Format][]string{
			ledger.HLedger: {"hledger", "check", "--strict", "-f"}, ledger.Beancount: {"bean-check"},
		} {
			name := exported(t, tx, format, "")
			good, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for what, change := range map[string][2]string{
				"an assertion": {"= 1.00", "= 1.000001"}, "another one": {"balance Assets:CALL:1000  1.00000", "balance Assets:CALL:1000  1.000001 ;"},
				"a line": {"1000  1.00 EUR\n", "1000  1.000001 EUR\n"}, "a line of the other": {"1000  1.000000 EUR\n", "1000  1.000001 EUR\n"}, "a declaration": {":2100:", ":2101:"},
			} {
				bad := strings.Replace(string(good), change[0], change[1], 1)
				if bad == string(good) {
					continue // it is of the other format
				}
				if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.CommandContext(t.Context(), program[0], append(program[1:], name)...).CombinedOutput(); err == nil {
					t.Errorf("%s does not notice that %s is wrong: %s", program[0], what, out)
				}
			}
		}
		if err := ledger.Export(t.Context(), tx, &bytes.Buffer{}, "ledger", ""); !errors.Is(err, ledger.ErrFormat) {
			t.Errorf("unknown format: %v", err)
		}
		if err := ledger.Export(t.Context(), tx, &bytes.Buffer{}, ledger.HLedger, "NONE"); !errors.Is(err, ledger.ErrAccount) {
			t.Errorf("unknown book: %v", err)
		}
	})
}

func TestExportOfNothing(t *testing.T) {
	db := pgtest.New(t)
	reading(t, db, func(tx *sqlx.Tx) { agree(t, tx, "") })
}
