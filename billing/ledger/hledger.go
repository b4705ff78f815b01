package ledger

import (
	"bufio"
	"fmt"

	"telecommune/internal/money"
)

// hledger writes a journal that passes `hledger check --strict ordereddates`.
type hledger struct{ *bufio.Writer }

// A name of ours has nothing that hledger gives a meaning: it is its own escape.
func hledgerName(book, account string) string { return book + ":" + account }

// hledger has other words for our types.
var hledgerTypes = map[Type]string{
	Assets: "Asset", Liabilities: "Liability", Equity: "Equity", Income: "Revenue", Expenses: "Expense",
}

func (h hledger) header(accounts []exported) {
	h.WriteString("; Books of telecommune. Names are BOOK:CODE:SUB; in texts \\uXXXX stands for what can't be in a journal.\n\ndecimal-mark .\n")
	for _, c := range currenciesOf(accounts) {
		fmt.Fprintf(h, "commodity 1000.000000 %s\n", c)
	}
	h.WriteString("\n")
	for _, a := range accounts {
		fmt.Fprintf(h, "account %s  ; type: %s", hledgerName(a.Book, a.Account), hledgerTypes[TypeOf(a.Account)])
		if name := NameOf(a.Book, a.Account); name != "" {
			h.WriteString(", name: " + escape(name, ",[:"))
		}
		h.WriteString("\n")
	}
}

// A ; in a description begins a comment, a | ends the payee, a ) ends the code; in tags a comma ends the value and
// brackets hold dates.
func (h hledger) entry(p Posted, currencies map[string]money.Currency) {
	fmt.Fprintf(h, "\n%s * (%s) %s\n", p.Date, escape(p.Key, "();|"), escape(p.Text, ";|"))
	fmt.Fprintf(h, "    ; id: %s, kind: %s, at: %s, actor: %s", p.ID, p.Kind, instantOf(p.At), escape(p.Actor, ",[]:;"))
	if p.Reverses != nil {
		fmt.Fprintf(h, ", reverses: %s", p.Reverses)
	}
	h.WriteString("\n")
	for _, l := range p.Lines {
		fmt.Fprintf(h, "    %s  %s %s\n", hledgerName(l.Book, l.Account), l.Amount, currencies[l.Book])
	}
}

func (h hledger) footer(accounts []exported, last Date) {
	fmt.Fprintf(h, "\n%s * Balances at the end\n", last)
	for _, a := range accounts {
		fmt.Fprintf(h, "    %s  0.00 %s = %s %s\n", hledgerName(a.Book, a.Account), a.Currency, a.Balance, a.Currency)
	}
}
