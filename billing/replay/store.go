package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// run is one replay in a transaction. The books of the scenario get codes of their own, so that they never meet real
// ones.
type run struct {
	tx       *sqlx.Tx
	world    world
	id       string
	commune  *commune.Commune
	books    names         // codes of the books
	subs     names         // of whatever else has an id
	next     ledger.Period // the first that is open
	periods  map[ledger.Period]Period
	calls    map[string]Call
	series   []string           // of which there were auctions
	lettings map[string]Auction // of rents, by event
	vouchers map[string]*voucher
	ran      map[string]bool // ids of the events that went well
	events   map[int]string  // ids by number
}

func newRun(tx *sqlx.Tx, w world) *run {
	id := uuid.NewString()
	r := &run{
		tx: tx, world: w, id: id, books: newNames("replay-" + id[:8] + "-"), subs: newNames("id-" + id[:8] + "-"), next: w.firstPeriod,
		periods: map[ledger.Period]Period{}, calls: map[string]Call{}, lettings: map[string]Auction{},
		vouchers: map[string]*voucher{}, ran: map[string]bool{}, events: map[int]string{-1: opening},
	}
	r.commune = commune.In(tx, r.book(communeBook))
	return r
}

// communeBook is the commune's book in a scenario.
const communeBook = commune.Book

// book gives the code of a book of the scenario.
func (r *run) book(id string) string { return r.books.name(id) }

// name gives the name of a sub-account.
func (r *run) name(id string) string { return r.subs.name(id) }

// account gives an account of the opening as the books write it.
func (r *run) account(book, account string) string {
	code, sub, has := strings.Cut(account, ":")
	switch {
	case !has || account == "3200:pool" || account == "3100:general":
		return account
	case book == communeBook && (code == "1300" || code == "2050"):
		return code + ":" + r.book(sub)
	}
	return code + ":" + r.name(sub)
}

// original gives an account of the books as the scenario writes it. A holder of bonds has two names: series/holder.
func (r *run) original(account string) string {
	code, sub, has := strings.Cut(account, ":")
	if !has {
		return account
	}
	parts := strings.Split(sub, "/")
	for i, name := range parts {
		parts[i] = r.originalName(name)
	}
	return code + ":" + strings.Join(parts, "/")
}

// key is what the keys of the entries of an event begin with; -1 is the opening.
func (r *run) key(event int) string { return fmt.Sprintf("replay:%s:%d", r.id, event) }

// open makes the books, a balance row for each prepaid account, and the opening entry.
func (r *run) open(ctx context.Context) error {
	// What is deferred to the commit would never be checked here.
	if _, err := r.tx.ExecContext(ctx, `SET CONSTRAINTS ALL IMMEDIATE`); err != nil {
		return err
	}
	// The wait is for another run, which may take its time.
	if _, err := r.tx.ExecContext(ctx, `SET LOCAL lock_timeout = '2min'`); err != nil {
		return err
	}
	if err := commune.Sandbox(ctx, r.tx, r.world.zone, r.next); err != nil {
		return err
	}
	for _, id := range append([]string{communeBook}, r.world.enterprises...) {
		_, err := r.tx.ExecContext(ctx, `INSERT INTO book (code, name, currency) SELECT $1, 'replay', currency FROM commune`, r.book(id))
		if err != nil {
			return err
		}
	}
	for id, a := range r.world.accounts {
		if err := ledger.OpenBalance(ctx, r.tx, r.book(a.enterprise), billing.CreditAccount(r.name(id)), 0); err != nil {
			return err
		}
	}
	first, err := time.ParseInLocation(time.DateOnly, string(r.next.First()), r.world.zone)
	if err != nil {
		return err
	}
	e := &event{n: -1, id: opening, at: first, date: r.next.First()}
	return refused(e, r.commune.Open(ctx, r.act(e), r.opening()))
}

// opening is the id of the event that posts the opening balances.
const opening = "opening"

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

// post adds the entry of an event; without lines there is none. A late record, which only a call can be here, counts on
// the first day of the open period (economics.md D-09).
func (r *run) post(ctx context.Context, e *event, kind, text string, lines []ledger.Line) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := ledger.Post(ctx, r.tx, ledger.Entry{
		Key: r.key(e.n), Kind: kind, Text: plain(text), Actor: "replay", At: e.at, Date: e.date, Late: true, Lines: lines,
	})
	return refused(e, err)
}

// plain takes out of a text what PostgreSQL does not store.
func plain(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

// codes are those of what ledger and commune refuse for reasons in the scenario. The commune's errors say them.
var codes = []struct {
	err  error
	code string
}{
	{ledger.ErrOverdrawn, insufficientCredit},
	{money.ErrRange, amountPrecision},
	{ledger.ErrPeriodClosed, periodClosed},
	{ledger.ErrAccount, badScenario},
}

// refused turns an error that is a refusal into one.
func refused(e *event, err error) error {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return refuse(c.code, "%s: %v", e.id, err)
		}
	}
	for _, known := range []error{
		commune.ErrUnknown, commune.ErrState, commune.ErrPeriodOpen, commune.ErrFunds, commune.ErrNotLet, commune.ErrLet,
		commune.ErrCoverage, commune.ErrAboveCap, commune.ErrSecondBid, commune.ErrSecondShare, commune.ErrNoContribution,
		commune.ErrNotMember, commune.ErrAmount, commune.ErrUnbalanced, commune.ErrUnknownAccount,
	} {
		if errors.Is(err, known) {
			return refuse(known.Error(), "%s: %v", e.id, err)
		}
	}
	return err
}

// result reads back what the books say.
func (r *run) result(ctx context.Context) (Result, error) {
	result := empty()
	result.Calls, result.Periods = r.calls, r.periods
	auctions, err := r.auctions(ctx)
	if err != nil {
		return result, err
	}
	result.Auctions = auctions
	entries := map[uuid.UUID]ledger.Posted{} // an entry with lines in two books is found twice
	for code, name := range r.books.ids {
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
			result.Balances[name][r.original(l.Account)] = l.Balance
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
		entry := Entry{Event: r.eventOf(p.Key), Date: p.Date, Text: r.worded(p.Text)}
		for _, l := range p.Lines {
			entry.Lines = append(entry.Lines, line(r.books.ids[l.Book], r.original(l.Account), l.Amount))
		}
		result.Journal = append(result.Journal, entry)
	}
	return result, nil
}

// worded gives the text of an entry with the ids of the scenario.
func (r *run) worded(text string) string {
	return regexp.MustCompile(`(id|replay)-`+r.id[:8]+`-[0-9]+`).ReplaceAllStringFunc(text, r.originalName)
}

// originalName gives the id that a name in the books stands for, of a book or of anything else.
func (r *run) originalName(name string) string { return r.books.original(r.subs.original(name)) }

// eventOf gives the event that an entry's key is made for.
func (r *run) eventOf(key string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(key, "replay:"+r.id+":"), ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return ""
	}
	return r.events[n]
}

// line writes an amount on its side.
func line(book, account string, amount money.Amount) Line {
	if amount > 0 {
		return Line{Book: book, Account: account, Debit: &amount}
	}
	amount = -amount
	return Line{Book: book, Account: account, Credit: &amount}
}
