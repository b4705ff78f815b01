package commune

import (
	"strings"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Draft is an entry that is to be posted.
type Draft struct {
	Key   string // one of its own among those it is posted with
	Kind  string
	Text  string
	Lines []ledger.Line
}

// sheet is the working paper of what takes several entries: the balances of the commune's book as they would be with the
// entries drafted so far. The first sum that does not fit 64 bits is kept in err; what is reckoned after it is worthless.
type sheet struct {
	book     string
	balances map[string]money.Amount // by account, debit positive
	drafts   []Draft
	err      error
}

// post drafts an entry. Lines of zero are left out, and so is an entry without lines.
func (s *sheet) post(key, kind, text string, lines ...ledger.Line) {
	d := Draft{Key: key, Kind: kind, Text: text}
	for _, l := range lines {
		if l.Amount == 0 {
			continue
		}
		d.Lines = append(d.Lines, l)
		if l.Book == s.book {
			s.balances[l.Account] = s.add(s.balances[l.Account], l.Amount)
		}
	}
	if len(d.Lines) > 0 {
		s.drafts = append(s.drafts, d)
	}
}

// add adds, and keeps the error.
func (s *sheet) add(a, b money.Amount) money.Amount {
	sum, err := a.Add(b)
	s.keep(err)
	return sum
}

func (s *sheet) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *sheet) sum(amounts []money.Amount) money.Amount {
	sum, err := Sum(amounts)
	s.keep(err)
	return sum
}

func (s *sheet) debit(account string, amount money.Amount) ledger.Line {
	return ledger.Debit(s.book, account, amount)
}

func (s *sheet) credit(account string, amount money.Amount) ledger.Line {
	return ledger.Credit(s.book, account, amount)
}

// owed is the credit balance of an account.
func (s *sheet) owed(account string) money.Amount { return -s.balances[account] }

// allOwed is the credit balance of an account with all its sub-accounts.
func (s *sheet) allOwed(code string) (sum money.Amount) {
	for account, balance := range s.balances {
		if before, _, _ := strings.Cut(account, ":"); before == code {
			sum = s.add(sum, -balance)
		}
	}
	return sum
}

// clear gives the line that brings an account to zero, and what it moves to the other side.
func (s *sheet) clear(account string) (ledger.Line, money.Amount) {
	balance := s.balances[account]
	return s.credit(account, balance), balance
}

// The accounts that have sub-accounts (economics.md 6).

func sub(code, name string) string { return code + ":" + name }

// ofHolder is the account of one holder of a series.
func ofHolder(code, series, holder string) string { return code + ":" + series + "/" + holder }

const (
	bank    = "1000"
	escrow  = "1050"
	pool    = "3200:pool"
	general = "3100:general"
)

// rentLines is T-10: the rent of a month, in the books of both sides. A member has no book (D-21).
func (a Agreement) rentLines(book string, rent money.Amount) []ledger.Line {
	lines := []ledger.Line{ledger.Debit(book, sub("1100", a.Code), rent), ledger.Credit(book, sub("4000", a.Code), rent)}
	if a.Enterprise != "" {
		lines = append(lines, ledger.Debit(a.Enterprise, sub("5100", a.Code), rent), ledger.Credit(a.Enterprise, sub("2300", a.Code), rent))
	}
	return lines
}

// paymentLines is T-11: rent is paid, offset of it by what the commune owes the enterprise for call credit (D-18).
func (a Agreement) paymentLines(book string, amount, offset money.Amount) []ledger.Line {
	lines := []ledger.Line{ledger.Debit(book, bank, amount-offset), ledger.Credit(book, sub("1100", a.Code), amount)}
	if a.Enterprise == "" {
		return lines // with a member there is nothing to offset
	}
	return append(lines, ledger.Debit(book, sub("2050", a.Enterprise), offset),
		ledger.Debit(a.Enterprise, sub("2300", a.Code), amount),
		ledger.Credit(a.Enterprise, bank, amount-offset), ledger.Credit(a.Enterprise, "1400", offset))
}
