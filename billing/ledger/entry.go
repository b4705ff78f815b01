// Package ledger is the double-entry books: one book for the commune, one for each enterprise. Entries are only ever
// added; each balances in every book it touches and bears a key that makes posting it repeatable. PostgreSQL holds the
// same rules (deferred trigger, privileges of the program's role), so that no other way in can break them.
//
// Amounts in lines and in the trial balance are debit positive.
package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"telecommune/internal/money"
)

// Entry is what happened, once, in money.
type Entry struct {
	Key   string    // made before the first attempt to post; the same key never posts twice
	Kind  string    // what sort of event it was: topup, call, …
	Text  string    // for people
	Actor string    // who posted it
	At    time.Time // when it happened
	Date  Date      // the day it counts on; none: the day of At in the commune's zone
	Late  bool      // a day of a closed period becomes the first open day (economics.md D-09), else it is refused
	Lines []Line

	reverses uuid.UUID // the entry that this one takes back
}

// Line is one side of an entry.
type Line struct {
	Book    string       `json:"book"`
	Account string       `json:"account"` // `code` or `code:sub`, economics.md section 6
	Amount  money.Amount `json:"amount"`  // debit positive
}

// Debit gives a debit line.
func Debit(book, account string, amount money.Amount) Line { return Line{book, account, amount} }

// Credit gives a credit line.
func Credit(book, account string, amount money.Amount) Line { return Line{book, account, -amount} }

// Posted is an entry as it stands in the books.
type Posted struct {
	ID       uuid.UUID `json:"id"`
	Key      string    `json:"key"`
	Kind     string    `json:"kind"`
	Text     string    `json:"text"`
	Actor    string    `json:"actor"`
	At       time.Time `json:"at"`
	Date     Date      `json:"date"`
	Zone     string    `json:"zone"` // that Date is a day of
	PostedAt time.Time `json:"posted_at"`
	Lines    []Line    `json:"lines"`

	Reverses *uuid.UUID `json:"reverses,omitempty"` // the entry that this one takes back
}

// The syntax of codes and accounts, as the schema has it.
var (
	codeSyntax    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	accountSyntax = regexp.MustCompile(`^[0-9]{4}(:[A-Za-z0-9_./-]{1,72})?$`)
)

// check finds what the database would refuse, so that it need not be asked.
func (e Entry) check() error {
	if e.Key == "" || !codeSyntax.MatchString(e.Kind) || e.At.IsZero() || len(e.Lines) < 2 {
		return fmt.Errorf("%w: it needs a key, a kind, a time and two lines", ErrEntry)
	}
	sums := map[string]money.Amount{}
	for _, l := range e.Lines {
		switch {
		case l.Amount == 0:
			return fmt.Errorf("%w: zero line on %s %s", ErrEntry, l.Book, l.Account)
		case !codeSyntax.MatchString(l.Book) || !accountSyntax.MatchString(l.Account):
			return fmt.Errorf("%.40q %.80q: %w", l.Book, l.Account, ErrAccount)
		}
		sum, err := sums[l.Book].Add(l.Amount)
		if err != nil {
			return err
		}
		sums[l.Book] = sum
	}
	for book, sum := range sums {
		if sum != 0 {
			return fmt.Errorf("%s is off by %s: %w", book, sum, ErrUnbalanced)
		}
	}
	return nil
}

// content is the SHA-256 over what the entry says: kind, text, the date if one was asked for, and the lines in any
// order. Clock and actor are left out, they belong to the attempt: a repeat bears its own. Each field is preceded by its
// length, so that no two entries have one form.
func (e Entry) content() []byte {
	lines := slices.SortedFunc(slices.Values(e.Lines), func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Book, b.Book), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Amount, b.Amount))
	})
	var form []byte
	field := func(s string) {
		form = binary.AppendUvarint(form, uint64(len(s)))
		form = append(form, s...)
	}
	field(e.Kind)
	field(e.Text)
	field(string(e.Date))
	for _, l := range lines {
		field(l.Book)
		field(l.Account)
		form = binary.BigEndian.AppendUint64(form, uint64(l.Amount))
	}
	sum := sha256.Sum256(form)
	return sum[:]
}
