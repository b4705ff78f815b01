package ledger

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
)

// Format is a format of plain-text accounting.
type Format string

// What Export can write.
const (
	HLedger   Format = "hledger"
	Beancount Format = "beancount"
)

// Formats lists them.
var Formats = []Format{HLedger, Beancount}

// Export writes the books for another program: every account declared, every entry with its date, key and text, and at
// the end the balance of each account as an assertion, so that the other program checks that it understood. book limits
// it to one book (ErrAccount when there is none such); none is all of them. The queries must see one moment: tx is REPEATABLE READ, or nobody else posts.
//
// In hledger an account is BOOK:CODE:SUB. In beancount, whose names begin with a type, it is Type:BOOK:CODE:SUB in the
// spelling of beancountName. Both can be turned back into ours.
func Export(ctx context.Context, tx *sqlx.Tx, w io.Writer, format Format, book string) error {
	writers := map[Format]func(*bufio.Writer) exporter{
		HLedger:   func(b *bufio.Writer) exporter { return hledger{b} },
		Beancount: func(b *bufio.Writer) exporter { return beancount{b} },
	}
	begin := writers[format]
	if begin == nil {
		return fmt.Errorf("export: %.20q: %w", format, ErrFormat)
	}
	out := bufio.NewWriter(w)
	if err := export(ctx, tx, begin(out), book); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exporter writes one format. What can't be written shows when the buffer below it is flushed.
type exporter interface {
	header([]exported)
	entry(Posted, map[string]money.Currency)
	footer(accounts []exported, last Date)
}

// exported is an account with what its declaration and its assertion need.
type exported struct {
	Book     string         `db:"book"`
	Account  string         `db:"account"`
	Currency money.Currency `db:"currency"`
	First    Date           `db:"first"` // business date of its first line
	Last     Date           `db:"last"`
	Balance  money.Amount   `db:"balance"`
}

func export(ctx context.Context, tx *sqlx.Tx, to exporter, book string) error {
	var accounts []exported
	err := tx.SelectContext(ctx, &accounts, `
		SELECT l.book, l.account, b.currency, min(e.business_date) AS first, max(e.business_date) AS last,
		    sum(l.amount)::bigint AS balance
		FROM line l JOIN entry e ON e.id = l.entry_id JOIN book b ON b.code = l.book
		WHERE ($1 = '' OR l.book = $1)
		GROUP BY l.book, l.account, b.currency
		ORDER BY l.book COLLATE "C", l.account COLLATE "C"`, book)
	if err != nil {
		return translate(err)
	}
	if book != "" && len(accounts) == 0 {
		var known bool
		if err := tx.GetContext(ctx, &known, `SELECT EXISTS (SELECT FROM book WHERE code = $1)`, book); err != nil || !known {
			return cmp.Or(err, fmt.Errorf("book %.40q: %w", book, ErrAccount))
		}
	}
	currencies, last := map[string]money.Currency{}, Date("")
	for _, a := range accounts {
		currencies[a.Book] = a.Currency
		last = max(last, a.Last)
	}
	to.header(accounts)
	err = eachPosted(ctx, tx, JournalFilter{Book: book}, func(p Posted) error {
		if book != "" {
			p.Lines = slices.DeleteFunc(p.Lines, func(l Line) bool { return l.Book != book })
		}
		to.entry(p, currencies)
		return nil
	})
	if err != nil || len(accounts) == 0 {
		return err
	}
	to.footer(accounts, last)
	return nil
}

// currenciesOf lists the currencies of accounts, each once.
func currenciesOf(accounts []exported) []money.Currency {
	var list []money.Currency
	for _, a := range accounts {
		list = append(list, a.Currency)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// escape writes a foreign text on one line: backslash doubled; control characters, line and direction marks, spaces at
// the ends and the characters in special as \uXXXX or \UXXXXXXXX, which no format gives a meaning.
func escape(s, special string) string {
	var b strings.Builder
	for i, r := range s {
		atEnd := i == 0 || i == len(s)-1
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case !unicode.IsPrint(r) || r == ' ' && atEnd || strings.ContainsRune(special, r):
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// instantOf writes an instant for machines, to the microsecond that the database keeps.
func instantOf(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
