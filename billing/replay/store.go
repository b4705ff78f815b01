package replay

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// run is one replay in a transaction. The books of the scenario get codes of their own, so that they never meet real
// ones.
type run struct {
	tx       *sqlx.Tx
	world    world
	id       string
	codes    map[string]string    // code of a book in the database
	names    map[string]string    // and back
	posted   map[uuid.UUID]string // event of an entry
	calls    map[string]Call
	vouchers map[string]*voucher
	ran      map[string]bool // ids of the events that went well
}

func newRun(tx *sqlx.Tx, w world) *run {
	return &run{
		tx: tx, world: w, id: uuid.NewString(), codes: map[string]string{}, names: map[string]string{},
		posted: map[uuid.UUID]string{}, calls: map[string]Call{}, vouchers: map[string]*voucher{}, ran: map[string]bool{},
	}
}

// book gives the code of a book of the scenario.
func (r *run) book(name string) string { return r.codes[name] }

// open makes the books, a balance row for each prepaid account, and the opening entry.
func (r *run) open(ctx context.Context) error {
	// What is deferred to the commit would never be checked here.
	if _, err := r.tx.ExecContext(ctx, `SET CONSTRAINTS ALL IMMEDIATE`); err != nil {
		return err
	}
	for i, name := range append([]string{"COM"}, r.world.enterprises...) {
		code := "replay-" + r.id[:8] + "-" + strconv.Itoa(i)
		_, err := r.tx.ExecContext(ctx, `INSERT INTO book (code, name, currency) SELECT $1, $2, currency FROM commune`, code, name)
		if err != nil {
			return err
		}
		r.codes[name], r.names[code] = code, name
	}
	for id, a := range r.world.accounts {
		if err := ledger.OpenBalance(ctx, r.tx, r.book(a.enterprise), billing.CreditAccount(id), 0); err != nil {
			return err
		}
	}
	var lines []ledger.Line
	for _, book := range slices.Sorted(maps.Keys(r.world.opening)) {
		balances := r.world.opening[book]
		for _, account := range slices.Sorted(maps.Keys(balances)) {
			if balances[account] != 0 {
				lines = append(lines, ledger.Line{Book: r.book(book), Account: account, Amount: balances[account]})
			}
		}
	}
	first := r.world.firstPeriod
	return r.post(ctx, &event{id: "opening", at: first, date: ledger.DateOf(first, r.world.zone)}, "opening", "Opening balances", lines)
}

// atomic runs one event; what it did is undone when it fails.
func (r *run) atomic(ctx context.Context, fn func() error) error {
	if _, err := r.tx.ExecContext(ctx, `SAVEPOINT event`); err != nil {
		return err
	}
	err := fn()
	end := `RELEASE SAVEPOINT event`
	if err != nil {
		end = `ROLLBACK TO SAVEPOINT event`
	}
	if _, endErr := r.tx.ExecContext(ctx, end); endErr != nil {
		return endErr
	}
	return err
}

// post adds the entry of an event; without lines there is none.
func (r *run) post(ctx context.Context, e *event, kind, text string, lines []ledger.Line) error {
	if len(lines) == 0 {
		return nil
	}
	id, err := ledger.Post(ctx, r.tx, ledger.Entry{
		Key: "replay:" + r.id + ":" + e.id, Kind: kind, Text: text, Actor: "replay", At: e.at, Date: e.date, Lines: lines,
	})
	switch {
	case errors.Is(err, ledger.ErrOverdrawn):
		return refuse(insufficientCredit, "%s: %v", e.id, err)
	case errors.Is(err, money.ErrRange):
		return refuse(amountPrecision, "%s: %v", e.id, err)
	case err != nil:
		return err
	}
	r.posted[id] = e.id
	return nil
}

// result reads back what the books say.
func (r *run) result(ctx context.Context) (Result, error) {
	result := empty()
	result.Calls = r.calls
	entries := map[uuid.UUID]ledger.Posted{} // an entry with lines in two books is found twice
	for code, name := range r.names {
		trial, err := ledger.Trial(ctx, r.tx, ledger.TrialFilter{Book: code})
		if err != nil {
			return result, err
		}
		for _, l := range trial {
			if l.Balance == 0 {
				continue
			}
			if result.Balances[name] == nil {
				result.Balances[name] = map[string]money.Amount{}
			}
			result.Balances[name][l.Account] = l.Balance
		}
		posted, err := ledger.Journal(ctx, r.tx, ledger.JournalFilter{Book: code})
		if err != nil {
			return result, err
		}
		for _, p := range posted {
			entries[p.ID] = p
		}
	}
	// Ids made by one process grow (RFC 9562 section 5.7), so this is the order of posting.
	byID := func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(entries), byID) {
		p := entries[id]
		entry := Entry{Event: r.posted[id], Date: p.Date, Text: p.Text}
		for _, l := range p.Lines {
			entry.Lines = append(entry.Lines, line(r.names[l.Book], l.Account, l.Amount))
		}
		result.Journal = append(result.Journal, entry)
	}
	return result, nil
}

// line writes an amount on its side.
func line(book, account string, amount money.Amount) Line {
	if amount > 0 {
		return Line{Book: book, Account: account, Debit: &amount}
	}
	amount = -amount
	return Line{Book: book, Account: account, Credit: &amount}
}
